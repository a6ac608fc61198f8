"""Rights of the sale controllers: the shop's group right, and numbers instead of codes.

`sale/lib/controller/controllerbase.php`: reading needs anything above D, changing needs W, which
in the CRM those have who may modify its settings. Both refusals come with status 400.
"""

from __future__ import annotations

from sandbox.api.registry import Call, RestError

READ_DENIED = 200040300010
MODIFY_DENIED = 200040300020


def check_read(call: Call) -> None:
    if not call.user.may_read_sale:
        raise RestError(READ_DENIED, "Access Denied")


def check_modify(call: Call) -> None:
    if not call.user.may_configure_crm:
        raise RestError(MODIFY_DENIED, "Access Denied")
