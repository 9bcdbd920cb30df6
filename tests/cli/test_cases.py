"""cases.yaml: what is refused of a wrong one, what is told of a failing one, and the three manners of running it."""

from pathlib import Path

import pytest

from pipeline.cases import Failure, Runner, read
from pipeline.cases.run import _manners
from pipeline.domain.errors import PackError
from pipeline.query import MappingText, catalog_of, compile_source

# ruff: noqa: E501 -- one row a line, as people write cases
DDL = """CREATE TABLE quant (id int PRIMARY KEY, item int NOT NULL, wh varchar(4), lot char(3), best timestamp, n numeric(10,2), d double precision, ok boolean, doc jsonb);
         CREATE TABLE item (id int PRIMARY KEY, code text);
         CREATE TABLE line (a int, b int, item int, q numeric(40,2), due date, done boolean, PRIMARY KEY (a, b));"""
SQL = {
    "stock": "SELECT q.item AS item_id, i.code AS item, q.wh AS warehouse, q.lot, q.best AS expiry, q.n AS on_hand, q.d AS reserved FROM quant q LEFT JOIN item i ON i.id = q.item WHERE q.ok",
    "orders": "SELECT 'W' || l.a AS order_no, l.a AS line, l.item AS item_id, i.code AS item, l.due AS due, l.done AS status, l.q AS required, 0 AS issued FROM line l LEFT JOIN item i ON i.id = l.item",
}  # fmt: skip
GIVEN = "given: {item: [{id: 7, code: BOLT}, {id: 8}]}\n"
CATALOG = catalog_of(DDL, "postgres")
ENGINE = compile_source([MappingText(k, s, f"{k}.sql") for k, s in SQL.items()], CATALOG, {})
YIELDS = {k: (*v.keys, *(a.name for a in v.amounts)) for k, v in ENGINE.views.items()}


def failures(tmp_path: Path, steps: str, given: str = GIVEN) -> list[Failure]:
    file = tmp_path / "cases.yaml"
    file.write_text(f"{given}cases:\n- name: it\n  steps:\n{steps}")
    return list(Runner(read(file, CATALOG, YIELDS), CATALOG, ENGINE).failures(3))


def told(tmp_path: Path, steps: str) -> list[str]:
    """What is said of the one step that fails."""
    (failure,) = failures(tmp_path, steps)
    assert failure.manner == "plain"
    return [line.replace(str(tmp_path), "") for line in failure.says]


PUT = "  - put: {quant: [{id: 1, item: 7, wh: W, n: 1.5, ok: true}]}\n"


@pytest.mark.parametrize(
    "steps",
    [
        PUT + "    expect: {stock: [{item: BOLT, warehouse: W, on_hand: 1.50, reserved: 0}]}",
        PUT + "    expect: {stock: [{item_id: 7, on_hand: '1.5', lot: null}]}",
        "  - put: {quant: [{id: 1, item: 8, wh: W, lot: L, best: 2027-01-31T10:00:00, d: 0.1, ok: true}, {id: 2, item: 8, wh: W, lot: 'L  ', best: 2027-01-31, d: 0.2, ok: true}]}\n"
        "    expect: {stock: [{item: '~8', lot: L, expiry: 2027-01-31, reserved: 0.3}]}",
        PUT + "    expect: {stock: [{item: BOLT}]}\n"
        "  - put: {item: [{id: 8, code: BOLT}], quant: [{id: 2, item: 8, wh: W, n: 1, ok: true}]}\n"
        "    expect: {stock: [{item: BOLT~7}, {item: BOLT~8, on_hand: 1}]}\n"
        "  - del: {quant: [{id: 1}]}\n    expect: {stock: [{item_id: 7, gone: true}, {item: BOLT, on_hand: 1}]}",
        "  - put: {line: [{a: 1, b: 1, item: 7, q: 12345678901234567890123456789012345678.25, due: 2026-12-01, done: false}, {a: 1, b: 2, item: 7, q: '0.5'}]}\n"
        "    expect: {orders: [{order_no: W1, line: 1, item: BOLT, due: 2026-12-01, status: 0, required: '12345678901234567890123456789012345678.75'}]}",
        PUT + "    expect: {stock: [{item: BOLT}]}\n  - put: {quant: [{id: 1, n: 2}, {id: 1, n: 1.5}]}\n    expect: {}",
    ],
)  # fmt: skip
def test_what_holds(steps: str, tmp_path: Path) -> None:
    if "12345678901234567890123456789012345678.25" in steps:
        steps = steps.replace(
            "q: 1234567890123456789012345678901234567", "q: '1234567890123456789012345678901234567"
        ).replace("8.25,", "8.25',")
    assert failures(tmp_path, steps) == []


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        (PUT + "    expect: {stock: [{item: BOLT, on_hand: 2, reserved: 1}]}",
         "stock: item BOLT: on_hand expected 2, came 1.5, reserved expected 1, came 0   (/cases.yaml:6:22)"),
        (PUT + "    expect: {stock: []}", "stock: item BOLT, warehouse W is new with on_hand 1.5, reserved 0, and no expect names it"),
        (PUT + "    expect: {stock: [{item: NUT}]}", "stock: item NUT: there is no such row   (/cases.yaml:6:22)"),
        (PUT + "    expect: {stock: [{item: BOLT}]}\n  - put: {quant: [{id: 1, n: 3}]}\n    expect: {}",
         "stock: item BOLT, warehouse W changed to on_hand 3, reserved 0 (it was on_hand 1.5, reserved 0), and no expect names it"),
        (PUT + "    expect: {stock: [{item: BOLT}]}\n  - del: {quant: [{id: 1}]}\n    expect: {}",
         "stock: item BOLT, warehouse W is gone (it was on_hand 1.5, reserved 0), and no expect names it"),
        (PUT + "    expect: {stock: [{item: BOLT}]}\n  - put: {quant: [{id: 1, n: 1.5}]}\n    expect: {stock: [{item: BOLT, on_hand: 1.5}]}",
         "stock: item BOLT: is so already and did not change: on_hand 1.5, reserved 0   (/cases.yaml:8:22)"),
        (PUT + "    expect: {stock: [{item: BOLT, gone: true}]}", "stock: item BOLT: expected a row to be gone, and none is   (/cases.yaml:6:22)"),
        ("  - put: {quant: [{id: 1, item: 7, wh: A, ok: true}, {id: 2, item: 7, wh: B, ok: true}]}\n    expect: {stock: [{item: BOLT}]}",
         "stock: item BOLT: 2 rows are called so, name more columns: item BOLT, warehouse A; item BOLT, warehouse B   (/cases.yaml:6:22)"),
        ("  - put: {quant: [{id: 1, wh: W, n: 1, ok: true}]}\n    expect: {}",
         "the worker would put the row at /cases.yaml:5:19 aside: Expected `int`, got `null` - at `$.after.item`"),
    ],
)  # fmt: skip
def test_what_fails_is_told(steps: str, says: str, tmp_path: Path) -> None:
    assert says in told(tmp_path, steps)


STEP = "cases: [{steps: [{put: {%s}, expect: {}}]}]"


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("", "", "is empty"),
        ("cases: [", ":1:9", "is not YAML"),
        ("a: &x 1\nb: *x", ":2:4", "an alias"),
        ("case: []", ":1:1", "case is no part of cases.yaml"),
        ("given: {}", ":1:1", "there are no cases"),
        ("cases: {}", ":1:8", "cases is not a list"),
        ("cases: [x]", ":1:9", "a case is not a mapping"),
        ("cases: [{name: x}]", ":1:9", "a case without steps"),
        ("cases: [{steps: [{put: {}}]}]", ":1:18", "a step without expect"),
        ("cases: [{steps: [{expect: {movements: []}}]}]", ":1:28", "movements is no part of expect"),
        ("cases: [{steps: [{expect: {stock: [{itm: x}]}}]}]", ":1:37", "itm is no part of a row of stock"),
        ("today: soon\ncases: []", ":1:8", "today is not a date"),
        ("cases: []\ncases: []", ":2:1", "cases stands twice"),
        (STEP % "quants: []", ":1:25", "there is no table quants"),
        (STEP % "quant: [{nn: 1}]", ":1:34", "quant has no column nn"),
        (STEP % "quant: [{n: 1}]", ":1:33", "without its primary key"),
        (STEP % "quant: [{id: x}]", ":1:38", "quant.id is a number, not x"),
        (STEP % "quant: [{id: 1.5}]", ":1:38", "quant.id is a number"),
        (STEP % "quant: [{id: true}]", ":1:38", "quant.id is a number"),
        (STEP % "quant: [{id: 1, n: 1.005}]", ":1:44", "is a number with 2 decimals, not 1.005"),
        (STEP % "quant: [{id: 1, n: 123456789}]", ":1:44", "holds 10 digits at most, not 123456789"),
        (STEP % "quant: [{id: 1, wh: 5}]", ":1:45", "quant.wh is a text"),
        (STEP % "quant: [{id: 1, wh: NO}]", ":1:45", "quant.wh is a text, not NO"),
        (STEP % "quant: [{id: 1, wh: LONGER}]", ":1:45", "holds 4 characters at most, not LONGER"),
        (STEP % "quant: [{id: 1, ok: maybe}]", ":1:45", "is true or false"),
        (STEP % "quant: [{id: 1, best: soon}]", ":1:47", "is a timestamp"),
        (STEP % "line: [{a: 1, b: 1, due: 5}]", ":1:50", "is a date"),
        (STEP % "quant: [{id: 1, wh: [x]}]", ":1:45", "quant.wh is not a single value"),
        (STEP % "quant: [{id: 1, best: 2026-13-45}]", ":1:47", "cannot be read"),
        ("cases: [{steps: [{put: {quant: [{id: 1}]}, del: {quant: [{id: 1}]}, expect: {}}]}]", ":1:58", "put and deleted"),
        ("[" * 3000, "", "is not YAML"),
        ("x: \x01", "", "is not YAML"),
        ("? [a]\n: b", ":1:3", "a name is not a single value"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_its_place(text: str, place: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(text)
    with pytest.raises(PackError) as refused:
        read(file, CATALOG, YIELDS)
    assert refused.value.where.startswith(f"{file}{place}"), refused.value
    assert says in refused.value.what
    assert refused.value.fix


def test_manners() -> None:
    plain, doubled, *shuffled = _manners(3)

    class Event:
        def __init__(self, table: str, key: int) -> None:
            self.put = type("Put", (), {"table": table, "key": key})

    events = [Event("q", 1), Event("q", 1), *(Event("w", n) for n in range(8))]
    assert plain.order(events) == events
    assert doubled.order(events) == [e for e in events for _ in range(2)]
    orders = [m.order(events) for m in shuffled]
    assert [m.name for m in shuffled] == ["shuffled, seed 1", "shuffled, seed 2", "shuffled, seed 3"]
    for order in orders:
        assert sorted(map(id, order)) == sorted(map(id, events))
        assert order.index(events[0]) < order.index(events[1]), "events of one row keep their order"
    assert len({tuple(map(id, order)) for order in orders}) == 3
    assert [list(map(id, m.order(events))) for m in shuffled] == [list(map(id, o)) for o in orders], "a seed repeats"


def test_an_engine_that_counts_an_event_twice_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = compile_source([MappingText("stock", SQL["stock"], "stock.sql")], CATALOG, {})
    quant = engine.tables["public.quant"]
    file = tmp_path / "cases.yaml"
    file.write_text(f"{GIVEN}cases:\n- name: it\n  steps:\n{PUT}    expect: {{stock: [{{item: BOLT, on_hand: 1.5}}]}}")
    rows = iter(range(100, 1000))
    honest = quant.upsert

    def forgetful(row: object) -> None:
        row.id = next(rows)
        honest(row)

    monkeypatch.setattr(quant, "upsert", forgetful)
    cases = read(file, CATALOG, {"stock": YIELDS["stock"]})
    (failure,) = Runner(cases, CATALOG, engine).failures(1)
    assert (failure.manner, failure.says[0].partition("   ")[0]) == (
        "doubled",
        "stock: item BOLT: on_hand expected 1.5, came 3",
    )
