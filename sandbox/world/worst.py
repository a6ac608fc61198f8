"""Replaces the seed's texts and sums by the longest that a portal may hold.

People and other programs write these texts, so any of them may be one long word, a web address or
right-to-left. `worsen` changes texts and sums only: the ids and states of the seed stay.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import cycle

from sandbox.world.world import Portal

TITLES = (
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    "srahmenvertragsverlängerungsangebot2026",
    "https://shop.example.com/orders/48213/confirm?utm_source=newsletter&utm_medium=email"
    "&utm_campaign=november-sale-2026&customer=4821399120&token=bm90LWEtc2VjcmV0",
    "توريد أثاث مكتبي للفرع الرئيسي مع التركيب والصيانة لمدة ثلاث سنوات",
    "Поставка оборудования высокотехнологичногопроизводственноиспытательногокомплекса, "
    "второй этап, включая монтаж, пусконаладку и обучение персонала заказчика",
    "Office chairs, desks and lamps for the new floor, second delivery of three, agreed on "
    "by telephone, to be paid before the goods leave the warehouse",
    "Rahmenvertrag-Sonderlieferung-Nachbestellung-Ersatzteile-Wartung-Inbetriebnahme",
    "W" * 120,
)
# Bitrix24 keeps up to 100 signs of a number.
NUMBERS = (
    "INV-" + "2026110100000000" * 4,
    "Лицевойсчётплательщика-2026-11-000000000000000000004821",
    "W" * 58,
)
SYSTEM_NAMES = (
    "ZahlungsabwicklungsgesellschaftfürgrenzüberschreitendenonlinezahlungsverkehrmbH-Europa-AG",
    "Payments by bank card, instant transfer or instalments through the regional processing hub",
    "Оплата банковской картой через процессинговый центр акционерного общества «Пример Эквайр»",
    "الدفع بالبطاقة البنكية عبر بوابة الدفع الإلكترونية للشركة الوطنية للمدفوعات والخدمات",
)
PEOPLE = (
    ("Maximilian-Alexander-Konstantin-Ferdinand", "Wolfeschlegelsteinhausenbergerdorff"),
    ("Екатерина-Александра", "Константинопольская-Преображенская"),
    ("عبد الرحمن بن عبد العزيز", "المنصوري الأندلسي"),
)
LONG_TEXT = (
    "Refused by the bank: https://bank.example.com/declined?reason=do_not_honour&trace="
    + "0123456789abcdef" * 6
)
# Twelve figures before the point where a currency has two behind it.
SUMS = {
    "EUR": Decimal("98765432109.87"),
    "USD": Decimal("98765432109.87"),
    "JPY": Decimal(9876543210987),
    "KWD": Decimal("9876543210.875"),
}


def worsen(portal: Portal) -> None:
    """Gives items, payments, pay systems, handlers and people their longest names and sums.

    Sums of zero and ids stay as they are.
    """
    _rename_items(portal)
    _number_payments(portal)
    _rename_systems(portal)
    for person, (name, last_name) in zip(portal.users.values(), cycle(PEOPLE)):
        person.name, person.last_name = name, last_name


def _rename_items(portal: Portal) -> None:
    for item, title in zip(portal.items.values(), cycle(TITLES)):
        item.title = title


def _number_payments(portal: Portal) -> None:
    """Each number ends with its payment's id, so that no two are the same."""
    for payment, number in zip(portal.payments.values(), cycle(NUMBERS)):
        payment.account_number = f"{number}{payment.id}"
        if payment.sum:
            payment.sum = SUMS[payment.currency]


def _rename_systems(portal: Portal) -> None:
    """A handler's code is its identity, so it stays as it is."""
    for system, name in zip(portal.pay_systems.values(), cycle(SYSTEM_NAMES)):
        system.name = f"{name} {system.id}"
    for handler, name in zip(portal.handlers.values(), cycle(SYSTEM_NAMES)):
        handler.name = f"{name} {handler.id}"
        for code, setting in handler.settings["CODES"].items():
            setting["NAME"] = f"{name} {code}"
            setting["DESCRIPTION"] = LONG_TEXT
