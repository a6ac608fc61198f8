"""Call any REST method from a shell, except those that pay."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any, NoReturn

from django.core.management.base import CommandParser
from django.utils.translation import gettext_lazy as _

from b24app.brackets import nested
from b24app.client import Answer
from b24app.errors import B24Error, BadInput, NeverSent, OutcomeUnknown, Refused
from payments.gateway import moving
from payments.management import caller
from payments.secrecy import masked

ANSWERED, REFUSED, NOT_CONFIRMED, NOTHING_SENT = 0, 1, 2, caller.NOTHING_SENT


class NoMethod(BadInput):
    sentence_by_default = _(
        "This is not the name of a REST method, such as app.info. Nothing was sent."
    )


class MovesMoney(BadInput):
    sentence_by_default = _(
        "This method can make something paid or unpaid, so this command does not call it. "
        "Nothing was sent. To pay a payment use `manage.py pay`."
    )


class NoValue(BadInput):
    sentence_by_default = _(
        "Parameters are written key=value, or FIELDS[NAME]=value inside an object. "
        "Nothing was sent."
    )


class Command(caller.CallingCommand):
    help = (
        "Call one REST method once, as a portal or a webhook, and print its answer as JSON with "
        "secrets masked. Methods that can make something paid are refused. Exit codes: 0 answered; "
        "1 refused by Bitrix24; 2 no clear answer, it may have been carried out; 3 nothing sent."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("method", help="for example sale.paysystem.list")
        parser.add_argument(
            "parameters",
            nargs="*",
            metavar="key=value",
            help="a parameter; inside an object or a list: FILTER[ACTIVE]=Y, SELECT[0]=ID",
        )
        caller.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            parameters = _parameters(options["parameters"])
            method = _method(options["method"], parameters)
            client = caller.named(options).client
        except B24Error as error:
            self._leave(NOTHING_SENT, str(error.sentence))
        try:
            answer = client.write(method, parameters)
        except Refused as error:
            told = {"error": error.code, "error_description": error.description}
            self._print({**told, "status": error.http_status})
            self._leave(REFUSED, str(error.sentence))
        except OutcomeUnknown as error:
            self._leave(NOT_CONFIRMED, str(error.sentence))
        except B24Error as error:
            sent = not isinstance(error, NeverSent)
            self._leave(NOT_CONFIRMED if sent else NOTHING_SENT, str(error.sentence))
        self._print(_told(answer))

    def _print(self, value: Any) -> None:
        text = json.dumps(masked(value), indent=2, ensure_ascii=False, default=_number)
        self.stdout.write(text)

    def _leave(self, code: int, sentence: str) -> NoReturn:
        self.stderr.write(sentence)
        sys.exit(code)


def _method(text: str, parameters: dict[str, Any]) -> str:
    name = moving.spelled(text)
    if name is None:
        raise NoMethod("not a method's name")
    if moving.may_move_money(name, parameters):
        raise MovesMoney(name)
    return name


def _parameters(texts: list[str]) -> dict[str, Any]:
    pairs = [text.partition("=") for text in texts]
    if any(not sign for _name, sign, _value in pairs):
        raise NoValue("a parameter without a value")
    return nested((name, value) for name, _sign, value in pairs)


def _told(answer: Answer) -> dict[str, Any]:
    told = {"result": answer.result, "total": answer.total, "next": answer.next}
    return {name: value for name, value in told.items() if value is not None}


def _number(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)  # A sum as it came: a float would be another one.
    raise TypeError(f"no JSON for {type(value).__name__}")
