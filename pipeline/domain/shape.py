"""How a stock query's result row is read: which column is the item, which the warehouse, which the amounts."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.domain.codes import Codes, PlainCodes, blank
from pipeline.domain.errors import NotServedError, PackError

DETAIL = ("variant", "location", "lot", "serial", "expiry", "owner", "project", "status")


class AmountLike(Protocol):
    """A summed column: its name, decimal places, and whether a double column feeds it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def scale(self) -> int:
        """Decimal places."""

    @property
    def approx(self) -> bool:
        """A double column feeds it."""


@dataclass(slots=True)
class Dimension:
    """One identity column: where its id and its label stand in the row's key, and the codes seen."""

    name: str
    at: int
    label_at: int
    codes: Codes

    def ident(self, key: tuple[Any, ...]) -> Hashable:
        """The identity value in a result row's key, None for "none"."""
        return blank(key[self.at])


@dataclass(slots=True)
class Shape:
    """The stock query's columns by role. `has_reserved` False = the pack declares no reservations."""

    item: Dimension
    warehouse: Dimension
    detail: tuple[Dimension, ...]
    status: Dimension | None
    has_reserved: bool
    scale: int
    approx: bool
    on_hand_at: int
    on_hand_factor: int
    reserved_at: int
    reserved_factor: int

    def on_hand(self, amounts: tuple[int, ...]) -> int:
        """The row's quantity on hand at the shape's scale."""
        return amounts[self.on_hand_at] * self.on_hand_factor

    def reserved(self, amounts: tuple[int, ...]) -> int:
        """The row's reserved quantity at the shape's scale."""
        return amounts[self.reserved_at] * self.reserved_factor


def dimension(name: str, keys: Sequence[str]) -> Dimension | None:
    """The column `name` of a result, told apart by its id where the query yields one; None where it yields neither."""
    if f"{name}_id" in keys:
        at = keys.index(f"{name}_id")
        return Dimension(name, at, keys.index(name) if name in keys else at, Codes())
    return Dimension(name, keys.index(name), keys.index(name), PlainCodes()) if name in keys else None


def meet(file: str, own: Dimension, stocks: Dimension) -> None:
    """Raises PackError where a query of `file` does not tell things apart as the stock query does."""
    by_id = not isinstance(stocks.codes, PlainCodes)
    if by_id == isinstance(own.codes, PlainCodes):
        how = f"{own.name}_id" if by_id else f"no {own.name}_id"
        what = f"stock.sql tells {own.name}s apart by {'id' if by_id else 'code'}, {file} does not"
        raise PackError(what, f"yield {how} in {file}: it meets stock by that")


def shape_of(keys: Sequence[str], amounts: Sequence[AmountLike], reserved: str) -> Shape:
    """The shape of a stock query's result; `reserved` as pack.toml says it. Raises PackError on what is not served."""
    for name in ("org", "uom"):
        if name in keys:
            raise NotServedError(f"stock.sql yields {name}, which is not served yet", f"leave {name} out of the query")
    if reserved not in ("stock", "none"):
        raise NotServedError(f"[stock] reserved = {reserved!r} is not served yet", 'use "stock" or "none"')
    item, warehouse = dimension("item", keys), dimension("warehouse", keys)
    by_name = {a.name: i for i, a in enumerate(amounts)}
    if item is None or warehouse is None or "on_hand" not in by_name:
        raise PackError("stock.sql must yield item, warehouse and on_hand", "see the pack contract")
    if reserved == "stock" and "reserved" not in by_name:
        raise PackError('[stock] reserved = "stock", but stock.sql yields no reserved', 'add it, or say "none"')
    detail = tuple(d for d in (dimension(n, keys) for n in DETAIL) if d)
    status = next((d for d in detail if d.name == "status"), None)
    has_reserved = reserved == "stock"
    at = by_name["on_hand"], by_name["reserved"] if has_reserved else by_name["on_hand"]
    scale = max(amounts[i].scale for i in at)
    factors = [10 ** (scale - amounts[i].scale) if has_reserved or n == 0 else 0 for n, i in enumerate(at)]
    approx = any(amounts[i].approx for i in at)
    return Shape(item, warehouse, detail, status, has_reserved, scale, approx, at[0], factors[0], at[1], factors[1])
