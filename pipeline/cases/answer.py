"""What a query yields now, row by row, as people read it: the code of an id, else `~id`, `code~id` where shared."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from pipeline.domain.codes import Codes, blank
from pipeline.domain.decimals import decimal_text
from pipeline.domain.times import day
from pipeline.query import Amount, View
from pipeline.query.contract import CONTRACTS
from pipeline.query.describe import roles

Row = dict[str, Any]
Ident = tuple[Hashable, ...]
Rows = dict[Ident, Row]
_DOUBLE = 6  # decimals kept of an amount that a double column feeds
_DATES = ("expiry", "due", "posting_date")
# Things with a code of their own; a line's or document's number is shown as it is.
_CODED = ("item", "warehouse", "location", "lot", "owner")


def finds_row(kind: str, column: str) -> bool:
    """Whether a column tells the rows of a query apart."""
    return column.removesuffix("_id") in CONTRACTS[kind].identity


@dataclass
class Answer:
    """The rows of one view by identity: rows of one identity are added, an attribute is the smallest it has."""

    view: View
    _groups: dict[tuple[Any, ...], tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._roles = roles(self.view.kind, self.view.keys)

    def follow(self) -> None:
        """Take what changed since the last time, as the worker does."""
        for key, count, sums in self.view.drain():
            self._groups[key] = sums
            if not count:
                del self._groups[key]

    def rows(self) -> Rows:
        """All rows."""
        added: Rows = {}
        for key, sums in self._groups.items():
            row = {n: _value(n, role, v) for (n, role), v in zip(self._roles.items(), key, strict=True)}
            row |= {a.name: s for a, s in zip(self.view.amounts, sums, strict=True)}
            ident = tuple(row[n] for n, role in self._roles.items() if role == "identity")
            added[ident] = self._merged(added[ident], row) if ident in added else row
        for name in (n for n, role in self._roles.items() if role == "label"):
            _show(name, added.values())
        for row in added.values():
            row |= {a.name: _amount(row[a.name], a) for a in self.view.amounts}
        return added

    def _merged(self, known: Row, row: Row) -> Row:
        both = {n: [v for v in (known[n], row[n]) if v is not None] for n in self._roles}
        return {n: min(v, default=None) for n, v in both.items()} | {
            a.name: known[a.name] + row[a.name] for a in self.view.amounts
        }


def _amount(units: int, amount: Amount) -> Decimal:
    """Exact; what doubles feed is compared at 1e-6."""
    over = amount.scale - _DOUBLE if amount.approx else 0
    if over <= 0:
        return Decimal(decimal_text(units, amount.scale))
    return Decimal(decimal_text((2 * units + 10**over) // (2 * 10**over), _DOUBLE))


def _value(name: str, role: str, value: Any) -> Any:
    """As the pack contract reads it: dates are cut to their day, an identity's blank text and 0 are none."""
    if name in _DATES and isinstance(value, str):
        return day(value)
    return value if role == "attribute" else blank(value)


def _show(name: str, rows: Iterable[Row]) -> None:
    """Replace labels by what is shown: they are unique within an organisation."""
    codes: dict[Any, Codes] = {}
    for row in rows:
        codes.setdefault(row.get("org"), Codes()).add(row[f"{name}_id"], row[name])
    for row in rows:
        ident = row[f"{name}_id"]
        if ident is not None and (name in _CODED or row[name] is None):
            row[name] = unquote(codes[row.get("org")].show(ident))
