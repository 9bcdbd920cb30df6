"""What should be served for a stock query's answer, by PostgreSQL: sums by GROUP BY, names by its text functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.domain.shape import DETAIL
from pipeline.query import View

PREFIX = "s"
UNUSABLE = "A"  # the status that may not be touched
_RESERVED = ":{},=~ "  # what a key holds percent-encoded, as far as test data has it
_NUMBERS = "('smallint', 'integer', 'bigint', 'numeric')"


@dataclass(frozen=True)
class Serving:
    """What pack.toml would say."""

    reserved: str
    usable: Callable[[tuple[Any, ...]], bool] | None


def serving_of(view: View) -> Serving:
    reserved = "stock" if any(a.name == "reserved" for a in view.amounts) else "none"
    if "status" not in view.keys:
        return Serving(reserved, None)
    at = view.keys.index("status")
    return Serving(reserved, lambda key: key[at] is not None and key[at] != UNUSABLE)


class Expected:
    """Asks PostgreSQL, by a psycopg connection inside a transaction in which the tables hold the rows."""

    def __init__(self, connection: Any, view: View) -> None:
        self.connection, self.view = connection, view
        self.dimensions = [d for d in ("item", "warehouse", *DETAIL) if d in view.keys or f"{d}_id" in view.keys]
        self.detail = self.dimensions[2:]
        amounts = {a.name: a for a in view.amounts}
        self.has_reserved = "reserved" in amounts
        used = [amounts[n] for n in ("on_hand", "reserved") if n in amounts]
        self.scale, self.approx = max(a.scale for a in used), any(a.approx for a in used)

    def documents(self, answer: str) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
        """The documents, and what is available of a level in a warehouse where that is below zero."""
        self._prepare(answer)
        found: dict[str, dict[str, str]] = {}
        for (item,), fields in self._levels("item"):
            found[f"{PREFIX}:{{{item}}}"] = fields | self._statuses("item", item) | self._children(item)
        negative = {}
        for (item, warehouse), fields in self._levels("item", "warehouse"):
            key = f"{PREFIX}:{{{item}}}:{warehouse}"
            found[key] = fields | self._statuses("item, warehouse", item, warehouse)
            if fields.get("available", "").startswith("-"):
                negative[key] = fields["available"]
        for (item, warehouse, tail), fields in self._levels("item", "warehouse", "tail") if self.detail else ():
            key = f"{PREFIX}:{{{item}}}:{warehouse}:{tail}"
            found[key] = {n: v for n, v in fields.items() if n in ("on_hand", "reserved")}
        return found, negative

    def _prepare(self, answer: str) -> None:
        columns = [*(f"k_{k}" for k in self.view.keys), "n", *(a.name for a in self.view.amounts)]
        reserved = self._exact("reserved") if self.has_reserved else "0"
        usable = f"k_status IS NOT NULL AND k_status::text <> '{UNUSABLE}'" if "status" in self.view.keys else "true"
        idents = [f"{_ident(self._ident(d))} AS i_{d}, {_label(self._label(d))} AS l_{d}" for d in self.dimensions]
        self._run(
            f"CREATE TEMP TABLE r ON COMMIT DROP AS SELECT {', '.join(idents)}, {self._exact('on_hand')} AS on_hand,"
            f" {reserved} AS reserved, {usable} AS usable FROM ({answer}) x({', '.join(columns)})"
        )
        shown = ", ".join(f"{self._shown(d)} AS {d}" for d in self.dimensions)
        self._run(f"CREATE TEMP TABLE s ON COMMIT DROP AS SELECT {shown}, {self._tail()} AS tail, r.* FROM r")

    def _exact(self, amount: str) -> str:
        """A double as onhand counts it: in billionths."""
        approx = next(a.approx for a in self.view.amounts if a.name == amount)
        return f"COALESCE({f'round({amount}::numeric, 9)' if approx else amount}, 0)"

    def _ident(self, dimension: str) -> str:
        return f"k_{dimension}_id" if f"{dimension}_id" in self.view.keys else f"k_{dimension}"

    def _label(self, dimension: str) -> str:
        return f"k_{dimension}" if dimension in self.view.keys else f"k_{dimension}_id"

    def _shown(self, dimension: str) -> str:
        ident, label = f"i_{dimension}", f"l_{dimension}"
        if f"{dimension}_id" not in self.view.keys:
            return f"COALESCE({_encoded(f'r.{ident}')}, '~')"
        own = f'(SELECT min(m.{label} COLLATE "C") FROM r m WHERE m.{ident} = r.{ident})'
        holders = f"(SELECT count(DISTINCT m.{ident}) FROM r m WHERE m.{label} = {own})"
        code = f"CASE WHEN {holders} > 1 THEN '~' || {_encoded(f'r.{ident}')} ELSE '' END"
        named = f"COALESCE({_encoded(own)} || {code}, '~' || {_encoded(f'r.{ident}')})"
        return f"CASE WHEN r.{ident} IS NULL THEN '~' ELSE {named} END"

    def _tail(self) -> str:
        if not self.detail:
            return "'~'"
        pairs = [f"CASE WHEN r.i_{d} IS NOT NULL THEN '{d}=' || {self._shown(d)} END" for d in self.detail]
        return f"COALESCE(NULLIF(concat_ws(',', {', '.join(pairs)}), ''), '~')"

    def _levels(self, *by: str) -> list[tuple[tuple[str, ...], dict[str, str]]]:
        sums = ["sum(on_hand)", "COALESCE(sum(on_hand) FILTER (WHERE usable), 0)", "sum(reserved)"]
        texts = [self._text(s) for s in (*sums, f"{sums[1]} - {sums[2]}")]
        rows = self._run(f"SELECT {', '.join((*by, *texts))} FROM s GROUP BY {', '.join(by)}")
        names = ("on_hand", "usable", "reserved", "available") if self.has_reserved else ("on_hand", "usable")
        return [(row[: len(by)], dict(zip(names, row[len(by) :], strict=False))) for row in rows]

    def _statuses(self, by: str, *values: str) -> dict[str, str]:
        if "status" not in self.dimensions:
            return {}
        sql = f"SELECT status, {self._text('sum(on_hand)')} FROM s WHERE ({by}) = ({', '.join(['%s'] * len(values))})"
        rows = self._run(f"{sql} GROUP BY status HAVING sum(on_hand) <> 0", values)
        return {f"on_hand:{status}": text for status, text in rows}

    def _children(self, item: str) -> dict[str, str]:
        sql = f"SELECT warehouse, {self._text('sum(on_hand)')} FROM s WHERE item = %s GROUP BY warehouse"
        return {f"w:{warehouse}": text for warehouse, text in self._run(sql, [item])}

    def _text(self, amount: str) -> str:
        rounded = f"round({amount}, {self.scale})"
        return f"trim_scale({rounded})::text" if self.approx else f"{rounded}::text"

    def _run(self, sql: str, values: Any = None) -> list[Any]:
        cursor = self.connection.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


def _ident(column: str) -> str:
    """What tells apart: blank text and the number 0 are none."""
    number = f"pg_typeof({column})::text IN {_NUMBERS}"
    return f"CASE WHEN {number} THEN NULLIF({column}::text, '0') ELSE NULLIF(rtrim({column}::text), '') END"


def _label(column: str) -> str:
    return f"NULLIF(rtrim({column}::text), '')"


def _encoded(sql: str) -> str:
    for c in f"%{_RESERVED}":
        sql = f"replace({sql}, '{c}', '%{ord(c):02X}')"
    return sql
