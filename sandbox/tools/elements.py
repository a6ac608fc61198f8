"""Parses HTML into a tree, to find the forms, rows and buttons of a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})


@dataclass
class Element:
    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    words: list[str] = field(
        default_factory=list
    )  # its own text and that of its children, in order

    def __iter__(self) -> Iterator[Element]:
        """Yields itself and all elements in it, in the order of the page."""
        yield self
        for child in self.children:
            yield from child

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Returns the elements of that tag with these attributes; `data_state` means data-state."""
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        return [
            element
            for element in self
            if element.tag == tag and wanted.items() <= element.attributes.items()
        ]

    def first(self, tag: str, **attributes: str) -> Element | None:
        return next(iter(self.all(tag, **attributes)), None)

    def having(self, attribute: str) -> Element | None:
        return next((element for element in self if attribute in element.attributes), None)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def fields(self) -> dict[str, str]:
        """The fields that a browser sends: inputs, and each select's chosen or first option."""
        sent = {
            element.attributes["name"]: element.attributes.get("value", "")
            for element in self
            if element.tag == "input" and "name" in element.attributes
        }
        for choice in self.all("select"):
            options = [option for option in choice.all("option") if _enabled(option)]
            chosen = [option for option in options if "selected" in option.attributes]
            for option in (chosen or options)[:1]:
                sent[choice.attributes["name"]] = option.attributes.get("value", option.text)
        return sent

    @property
    def buttons(self) -> list[Element]:
        """The enabled buttons."""
        return [button for button in self.all("button") if _enabled(button)]


def read(page: str) -> Element:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.root


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag not in (element.tag for element in self._open):
            return
        while self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.words.append(data)


def _enabled(element: Element) -> bool:
    return "disabled" not in element.attributes
