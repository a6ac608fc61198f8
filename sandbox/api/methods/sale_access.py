"""Checks rights as the sale controllers do: by the shop's group right, with numeric codes.

`sale/lib/controller/controllerbase.php`: reading needs a right above D, changing needs W, which
people with the right to modify CRM settings have. Both errors have status 400.
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
