"""A small ERP and the log that Debezium would write of it, kills of Kafka Connect included."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pipeline.adapters.debezium import LogReader
from pipeline.adapters.quarantine import Noted
from pipeline.domain.levels import expected_documents, stock_levels
from pipeline.query import Engine, MappingText, compile_source
from pipeline.query.rows import Store
from pipeline.rules import RuleText
from streams.fold import StockFold
from streams.quarantine import Quarantine
from tests.query.schemas import catalog_of

PREFIX, SERVER, DIGEST, LOG_EPOCH = "stock", "onhand.small", "d1", 1_795_387_656
SQL = """SELECT q.item_id, i.code AS item, p.warehouse AS warehouse, q.place_id AS location_id, p.code AS location,
                q.quantity AS on_hand, q.reserved AS reserved
         FROM quant q JOIN item i ON i.id = q.item_id LEFT JOIN place p ON p.id = q.place_id
         WHERE q.due IS NULL OR q.due <= CURRENT_DATE"""
DDL = """CREATE TABLE item (id int PRIMARY KEY, code text);
         CREATE TABLE place (id int PRIMARY KEY, code text, warehouse text);
         CREATE TABLE quant (id int PRIMARY KEY, item_id int NOT NULL, place_id int, quantity numeric(18,2),
                             reserved numeric(18,2), due date)"""
CATALOG = catalog_of(DDL, "postgres")
DAY = "2026-11-22"
TABLES = ("item", "place", "quant")
Row = dict[str, Any]
State = dict[str, dict[int, Row]]
Served = dict[str, dict[str, str]]


def compiled(store: Store | None = None) -> Engine:
    return compile_source([MappingText("stock", SQL, "stock.sql")], CATALOG, {}, store=store)


def new_fold(
    store: Store | None = None, swept: dict[str, int] | None = None, noted: dict[bytes, Noted] | None = None,
    *, rules: Sequence[RuleText] | None = None,
) -> StockFold:  # fmt: skip
    engine = compiled(store)
    levels, reader = stock_levels(PREFIX, engine.views["stock"], "stock"), LogReader(SERVER, engine.tables)
    return StockFold(engine, levels, reader, swept, Quarantine(engine, reader, noted or {}, LOG_EPOCH), rules=rules)


_TRUTH = compiled()
_TRUTH.set_today(DAY)


def truth(state: State) -> Served:
    """What must be served for these rows: computed at once, from nothing."""
    for name, rows in state.items():
        table = _TRUTH.tables[f"public.{name}"]
        table.clear()
        for row in rows.values():
            table.upsert(table.row_type(**row))
    view = _TRUTH.views["stock"]
    view.drain()
    return expected_documents(PREFIX, view, "stock", view.groups())


@dataclass(frozen=True)
class Op:
    """A row written, or deleted (`row` None)."""

    table: str
    pk: int
    row: Row | None

    def apply(self, state: State) -> None:
        if self.row is None:
            state[self.table].pop(self.pk, None)
        else:
            state[self.table][self.pk] = self.row


def item(pk: int, code: str | None) -> Op:
    return Op("item", pk, {"id": pk, "code": code})


def place(pk: int, code: str, warehouse: str | None) -> Op:
    return Op("place", pk, {"id": pk, "code": code, "warehouse": warehouse})


def quant(
    pk: int, item_id: int, place_id: int | None, quantity: Any, reserved: Any = None, due: str | None = None
) -> Op:
    """`quantity` and `reserved` as decimal texts of two places, or whole numbers."""
    texts = [f"{n}.00" if isinstance(n, int) else n for n in (quantity, reserved)]
    row = {"id": pk, "item_id": item_id, "place_id": place_id, "quantity": texts[0], "reserved": texts[1], "due": due}
    return Op("quant", pk, row)


def states(transactions: Iterable[list[Op]]) -> list[State]:
    """The database before any transaction, and after each."""
    found: list[State] = [{t: {} for t in TABLES}]
    for transaction in transactions:
        state = {t: dict(rows) for t, rows in found[-1].items()}
        for op in transaction:
            op.apply(state)
        found.append(state)
    return found


def position(n: int) -> int:
    """Where the n-th transaction (1-based) ends in the source."""
    return 100 * n


@dataclass(frozen=True, slots=True)
class Record:
    """A record as fetched. `shows`: how many transactions a cut made here must show; `timestamp`: ms, when written."""

    key: bytes | None
    value: bytes | None
    offset: int
    shows: int | None = None
    timestamp: int = 0


@dataclass
class Log:
    """Writes records. Offsets begin with 0 and have no holes until the log is compacted."""

    records: list[Record] = field(default_factory=list)

    def begun(self, epoch: int = LOG_EPOCH, day: str = DAY) -> "Log":
        """With the control records every log begins with."""
        for name, value in (("epoch", {"epoch": epoch}), ("day", {"date": day}), ("mapping", {"applied_at": epoch})):
            self.control(name, **value)
        return self

    def compact(self) -> None:
        """Leave the last record of each key only, and no tombstone: what Kafka may do to whatever is a week old."""
        last = {r.key: r.offset for r in self.records}
        self.records = [r for r in self.records if last[r.key] == r.offset and r.value is not None]

    def put(self, key: Any, value: Any, shows: int | None = None) -> None:
        key, value = (v if v is None or isinstance(v, bytes) else msgspec.json.encode(v) for v in (key, value))
        offset = self.records[-1].offset + 1 if self.records else 0
        self.records.append(Record(key, value, offset, shows, self.written_ms()))

    def written_ms(self) -> int:
        """When the next record is written."""
        return 0

    def time_ms(self, n: int) -> int:
        """When the n-th transaction was committed."""
        return 1000 * n

    def control(self, name: str, **value: Any) -> None:
        self.put({"row": {"control": name}}, {"control": name} | value)

    def begin(self, n: int, shows: int | None = None) -> None:
        self.put({"row": {}}, {"status": "BEGIN", "id": f"{n}:{position(n) - 50}", "ts_ms": self.time_ms(n)}, shows)

    def end(self, n: int) -> None:
        value = {"status": "END", "id": f"{n}:{position(n)}", "event_count": 1, "ts_ms": self.time_ms(n)}
        self.put({"row": {}}, value, shows=n)

    def change(self, n: int, op: Op) -> None:
        source = {
            "ts_ms": self.time_ms(n),
            "snapshot": "false",
            "schema": "public",
            "table": op.table,
            "lsn": position(n) - 40,
        }
        value = {"before": None, "after": op.row, "source": source, "op": "d" if op.row is None else "u"}
        self.put(self.key(op), value)
        if op.row is None:
            self.put(self.key(op), None)

    def key(self, op: Op) -> Row:
        return {"row": {"id": op.pk, "__dbz__physicalTableIdentifier": f"{SERVER}.public.{op.table}"}}

    def transaction(self, n: int, ops: list[Op]) -> None:
        self.begin(n)
        for op in ops:
            self.change(n, op)
        self.end(n)

    def truncate(self, n: int, table: str) -> None:
        source = {"ts_ms": self.time_ms(n), "snapshot": "false", "schema": "public", "table": table}
        source["lsn"] = position(n) - 40
        self.put(b'{"row":null}', {"before": None, "after": None, "source": source, "op": "t"})

    def snapshot(self, n: int, state: State, cut_off: int | None = None) -> bool:
        """All rows as of the n-th transaction, or the first `cut_off` of them. True when it wrote `last`."""
        rows = [(t, row, i == len(state[t]) - 1) for t in TABLES for i, row in enumerate(state[t].values())]
        seen: set[str] = set()
        stage = ""
        for table, row, ends_table in rows[:cut_off]:
            if ends_table and table == TABLES[-1]:
                stage = "last"
            elif table not in seen:
                stage = "first" if table == TABLES[0] else "first_in_data_collection"
            else:
                stage = "last_in_data_collection" if ends_table else "true"
            seen.add(table)
            source = {"ts_ms": self.time_ms(n), "snapshot": stage, "schema": "public", "table": table}
            source["lsn"] = position(n)
            value = {"before": None, "after": row, "source": source, "op": "r"}
            self.put(self.key(Op(table, row["id"], row)), value, shows=n if stage == "last" else None)
        return stage == "last"
