"""`sale.paysystem.list`: all pay systems on one page; the filter ignores its operators.

https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-list.html ; the quirks are
those of `getPaySystemList` in `sale/lib/paysystem/restservice.php`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.api.methods.filtering import condition, split_operator
from sandbox.api.methods.paysystem_access import check_configure, incoming
from sandbox.api.methods.refusals import check_failure
from sandbox.api.registry import Call, method
from sandbox.wire.loose import flag, mapping, to_text
from sandbox.world.world import PaySystem

_INTEGERS = ("ID", "PERSON_TYPE_ID", "SORT")
_TARIFF = "TARIF"  # select accepts this name or TARIFF, the result has TARIFF


def _row(system: PaySystem) -> dict[str, Any]:
    """Returns all columns in the server's order: strings first, then integers, then the tariff."""
    return {
        "NAME": system.name,
        "PSA_NAME": system.name,
        "DESCRIPTION": system.description,
        "ACTION_FILE": system.action_file,
        "RESULT_FILE": None,
        "NEW_WINDOW": flag(system.new_window),
        "PS_MODE": None,
        "HAVE_PAYMENT": "N",
        "HAVE_ACTION": "N",
        "HAVE_RESULT": "N",
        "HAVE_PREPAY": "N",
        "HAVE_PRICE": "N",
        "HAVE_RESULT_RECEIVE": "Y",
        "ENCODING": None,
        "ACTIVE": flag(system.active),
        "ALLOW_EDIT_PAYMENT": "Y",
        "IS_CASH": system.is_cash,
        "AUTO_CHANGE_1C": "N",
        "CAN_PRINT_CHECK": "N",
        "ENTITY_REGISTRY_TYPE": system.registry,
        "XML_ID": system.xml_id,
        "ID": system.id,
        "PERSON_TYPE_ID": system.person_type_id,
        "SORT": system.sort,
        _TARIFF: None,
    }


ALLOWED = frozenset(_row(PaySystem(0, "", "")))


@method("sale.paysystem.list", "pay_system")
def list_pay_systems(call: Call) -> list[dict[str, Any]]:
    check_configure(call)
    params = incoming(call.params)
    select = [_column(name) for name in mapping(params.get("SELECT")).values()]
    conditions = [
        (*split_operator(name), value) for name, value in mapping(params.get("FILTER")).items()
    ]
    order = {_column(name): value for name, value in mapping(params.get("ORDER")).items()}
    _check(select, "select")
    _check((_column(name) for _, name, _ in conditions), "filter")
    _check(order, "order")
    rows = [_row(system) for system in call.portal.pay_systems.values()]
    for operator, name, value in conditions:
        # The newest build parses the operator and then compares without it.
        kept = operator if call.portal.older_build else ""
        passes = condition(kept, value)
        rows = [row for row in rows if passes(row[_column(name)])]
    rows.sort(key=lambda row: row["ID"])
    for name, direction in reversed(order.items()):
        rows.sort(
            key=lambda row: (row[name] is not None, row[name]),
            reverse=to_text(direction).upper() == "DESC",
        )
    return [_shown(row, select, older=call.portal.older_build) for row in rows]


def _column(name: object) -> str:
    upper = to_text(name).upper()
    return _TARIFF if upper == "TARIFF" else upper


def _check(names: Iterable[str], place: str) -> None:
    unknown = [name for name in names if name not in ALLOWED]
    if unknown:
        raise check_failure(f"{', '.join(unknown)} not allowed for {place}")


def _shown(row: dict[str, Any], select: list[str], *, older: bool) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if not select or name in select}
    if older:
        shown = {
            name: str(value) if name in _INTEGERS else value for name, value in shown.items()
        } | ({} if select else {"LOGOTYPE": None})
    if _TARIFF in shown:
        shown["TARIFF"] = shown.pop(_TARIFF)
    return shown
