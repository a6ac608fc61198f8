"""Lists the names of events as `event.bind` returns them, by the scope that they need.

https://apidocs.bitrix24.com/api-reference/events/events.html ; `rest_provider.php` and
`rest/lib/api/event.php` of the server have those without a scope.
"""

from __future__ import annotations

from collections.abc import Iterator

OFFLINE_EVENT = "ONOFFLINEEVENT"  # cannot be bound as an offline event itself

_SAVED = ("ADD", "UPDATE", "DELETE")
_USER_FIELDS = tuple(f"USERFIELD{verb}" for verb in (*_SAVED, "SETENUMVALUES"))
_RECURRING = (*_SAVED, "EXPOSE")


def _of(*things: str, verbs: tuple[str, ...] = _SAVED) -> Iterator[str]:
    yield from (f"ON{thing}{verb}" for thing in things for verb in verbs)


BY_SCOPE: dict[str | None, tuple[str, ...]] = {
    None: (
        "ONAPPUNINSTALL",
        "ONAPPINSTALL",
        "ONAPPUPDATE",
        "ONAPPPAYMENT",
        "ONSUBSCRIPTIONRENEW",
        "ONAPPTEST",
        "ONAPPMETHODCONFIRM",
        OFFLINE_EVENT,
    ),
    "user_brief": ("ONUSERADD",),
    "crm": (
        *_of("CRMLEAD", "CRMCOMPANY", "CRMCONTACT", "CRMQUOTE", verbs=_SAVED + _USER_FIELDS),
        *_of("CRMDEAL", verbs=(*_SAVED, "MOVETOCATEGORY", *_USER_FIELDS)),
        *_of("CRMINVOICE", verbs=(*_SAVED, "SETSTATUS", *_USER_FIELDS)),
        *_of("CRMCURRENCY", "CRMPRODUCT", "CRMPRODUCTPROPERTY", "CRMPRODUCTSECTION"),
        *_of("CRMACTIVITY", "CRMBANKDETAIL", "CRMMEASURE", "CRMTIMELINECOMMENT"),
        *_of("CRMREQUISITE", verbs=_SAVED + _USER_FIELDS),
        *_of("CRMADDRESS", verbs=("REGISTER", "UNREGISTER")),
        *_of("CRMDEALRECURRING", "CRMINVOICERECURRING", verbs=_RECURRING),
        *_of("CRMDYNAMICITEM", "CRMTYPE", "CRMDOCUMENTGENERATORDOCUMENT"),
    ),
    "sale": (
        "ONSALEORDERSAVED",
        "ONSALEBEFOREORDERDELETE",
        "ONPROPERTYVALUEENTITYSAVED",
        "ONPAYMENTENTITYSAVED",
        "ONSHIPMENTENTITYSAVED",
        "ONORDERENTITYSAVED",
        "ONPROPERTYVALUEDELETED",
        "ONPAYMENTDELETED",
        "ONSHIPMENTDELETED",
        "ONORDERDELETED",
    ),
    "task": tuple(_of("TASK", "TASKCOMMENT")),
}
WITH_REFRESH_TOKEN = frozenset(
    {"ONAPPINSTALL", "ONAPPUPDATE", "ONAPPTEST", "ONSUBSCRIPTIONRENEW", OFFLINE_EVENT}
)
WITHOUT_TOKEN = frozenset({"ONAPPUNINSTALL", "ONAPPMETHODCONFIRM"})
