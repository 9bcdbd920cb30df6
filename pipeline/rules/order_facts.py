"""The scope `order`: a line of an order."""

from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import unquote

from pipeline.domain import names
from pipeline.domain.decimals import decimal_text
from pipeline.domain.order_lines import Line
from pipeline.domain.orders import OrderBook
from pipeline.query.types import DATE, Type
from pipeline.query.values import Memo
from pipeline.rules.facts import ABSENT, TEXT, Fact, Facts, Known, code_of, in_id

AMOUNTS = ("required", "issued", "returned", "supplemented", "scrapped", "reserved", "issue_limit")
FIGURES = ("open", "over", "short")
TEXTS = ("variant", "location", "lot", "uom", "product", "department", "order_type")
_ALL = (*AMOUNTS, *FIGURES, *TEXTS, "order_no", "line", "item", "warehouse", "status", "due", "days_to_due")


def order_facts(known: Known) -> Facts:
    """A line of an order, where the pack has orders.sql."""
    book, absent = known.orders, dict.fromkeys(_ALL, ABSENT)
    if book is None:
        return Facts("()", absent, str, lambda _: {})
    identity = _identity(book)
    called = {"CODE": Memo(code_of), "ORDERS": book, "TEXTS": identity, "DAYS": _days(book)}
    return Facts("ORDERS.touched", absent | _numbers(book) | _texts(book), _key(book), identity, names=called)


def _numbers(book: OrderBook) -> dict[str, Fact]:
    codes = {name: f"x.{name}" for name in FIGURES} | {name: f"x.amounts[{name!r}]" for name in book.shape.amounts}
    number = Type("number", scale=book.shape.scale)
    return {name: Fact(number, code, show=_amount(book, name)) for name, code in codes.items()}


def _amount(book: OrderBook, name: str) -> Callable[[Line], str]:
    def show(line: Line) -> str:
        value = getattr(line, name) if name in FIGURES else line.amounts[name]
        return decimal_text(value, book.shape.scale, book.shape.approx)

    return show


def _texts(book: OrderBook) -> dict[str, Fact]:
    shape = book.shape
    found = {name: Fact(TEXT, f"x.texts.get({name!r})", True) for name, _ in shape.texts}
    found |= {name: Fact(TEXT, f"TEXTS(x).get({name!r})", True) for name in ("order_no", "line", "item", "warehouse")}
    if shape.status_at is not None:
        found["status"] = Fact(TEXT, "x.status", True)
    if shape.due_at is not None:
        found["due"] = Fact(DATE, "x.due", True)
        found["days_to_due"] = Fact(Type("number", integer=True), "DAYS(x)", True, show=_shown(_days(book)))
    return found


def _days(book: OrderBook) -> Callable[[Line], int | None]:
    """Days until a line is due, by the log's day; below zero when it was."""

    def days(line: Line) -> int | None:
        if line.due is None or not book.today:
            return None
        return (date.fromisoformat(line.due) - date.fromisoformat(book.today)).days

    return days


def _shown(days: Callable[[Line], int | None]) -> Callable[[Line], str]:
    return lambda line: "" if (n := days(line)) is None else str(n)


def _key(book: OrderBook) -> Callable[[Line], str]:
    return lambda line: f"{in_id(book.shape.order.codes.show(line.order.ident))}/{in_id(names.encode(line.label))}"


def _identity(book: OrderBook) -> Callable[[Any], dict[str, str]]:
    shape = book.shape

    def identity(line: Line) -> dict[str, str]:
        said = {"order_no": unquote(shape.order.codes.show(line.order.ident)), "line": line.label}
        said["item"] = unquote(shape.item.codes.show(line.item))
        if shape.warehouse is not None and line.warehouse is not None:
            said["warehouse"] = unquote(shape.warehouse.codes.show(line.warehouse))
        return said

    return identity
