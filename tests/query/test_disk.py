"""A row store on disk holds one exact offset or nothing, gives back what was put in, and stays small in memory."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from pipeline.domain.errors import RefusedError
from pipeline.query import MappingText, compile_source
from pipeline.query.disk import DiskStore
from pipeline.query.values import UNAVAILABLE
from tests.query.schemas import catalog_of

COLUMNS = ("id", "n")
LONG = "k" * 2_000
EDGES = ["e" * n for n in (*range(245, 260), *range(500, 515))]  # around the longest keys that stand as they are
VALUES = [
    (1, None, True, False, 0, -1),
    (2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1),
    (10**400, -(10**400), 255, 256, -(2**127), 2**127),
    ("", " ", "\0", "naïve", "日本語", "🜲"),
    (UNAVAILABLE, "x" * 100_000, "1", 1, "None", None),
]
KEYS = [
    1, "1", 0, "", -1, 2**64, -(2**64), 10**300, "a", "a\0", "日本", LONG, LONG + "x", 7 * LONG,
    (1, "a"), (1, "b"), ("1", "a"), (1, LONG), (LONG, 1), (10**300, "é"), (None, 1), (1, None), (1, 2, 3), (1,), *EDGES,
]  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "rows"


def opened(directory: Path, identity: str = "one", **more) -> DiskStore:
    return DiskStore(directory, identity, **({"batch": 1} | more))


def same(ours, theirs) -> bool:
    """Equal, and of the same types: 1 is not True."""
    return repr(ours) == repr(theirs)


@pytest.mark.parametrize("cache", [0, 1 << 20], ids=["from the file", "from memory"])
def test_what_is_put_in_comes_back(directory, cache):
    store = opened(directory, cache=cache)
    rows, unique = store.rows("t", COLUMNS), store.unique("t n")
    for i, key in enumerate(KEYS):
        rows[key] = VALUES[i % len(VALUES)]
        store.move_unique(unique, None, key, KEYS[-i])
    store.flush(1)
    for i, key in enumerate(KEYS):
        assert same(rows.get(key), VALUES[i % len(VALUES)])
        assert same(rows[key], rows.get(key, "default"))
        assert same(unique.get(key), (KEYS[-i],))
        rows[key] = VALUES[i % len(VALUES)]
    assert len(rows) == len(KEYS)
    assert sorted(map(repr, rows)) == sorted(map(repr, KEYS))
    assert sorted(map(repr, rows.values())) == sorted(repr(VALUES[i % len(VALUES)]) for i in range(len(KEYS)))
    for key in KEYS[::2]:
        del rows[key]
    assert [key in rows for key in KEYS] == [False, True] * (len(KEYS) // 2)
    assert len(rows) == len(KEYS) // 2
    with pytest.raises(KeyError):
        rows[KEYS[0]]
    assert rows.get(None) is rows.get("unknown") is None
    assert rows.get("unknown", "default") == "default"
    store.close()


def test_index_holds_every_pair_apart(directory):
    store = opened(directory)
    index, expected = store.index("t n"), {}
    for i, key in enumerate(KEYS):
        for pk in KEYS[: 1 + i % 7]:
            store.move(index, None, key, pk)
            store.move(index, None, key, pk)
            expected.setdefault(repr(key), set()).add(repr(pk))
    assert {repr(k): {repr(pk) for pk in index.get(k, ())} for k in KEYS} == expected
    for key in KEYS[1:]:
        store.move(index, key, KEYS[0], "moved")
        for pk in KEYS[:7]:
            store.move(index, key, None, pk)
    assert [list(index.get(k, ())) for k in KEYS[1:]] == [[]] * (len(KEYS) - 1)
    assert sorted(map(repr, index.get(KEYS[0]))) == sorted(map(repr, [KEYS[0], "moved"]))
    assert index.get("unknown", "default") == "default"
    assert len(index) == 2
    store.close()


def test_rows_may_come_and_go_while_they_are_walked_over(directory):
    store = opened(directory, cache=50_000)
    rows = store.rows("t", COLUMNS)
    for i in range(20_000):
        rows[i] = (i, 0)
    seen = set()
    for pk in store.walk(rows):
        seen.add(pk)
        if pk % 3 == 0:
            del rows[pk]
        if pk == 10:
            del rows[19_999], rows[3_001]
            rows[15_000] = (15_000, 1)
    assert seen == set(range(19_999)) - {3_001}
    assert len(rows) == len(list(rows)) == sum(1 for i in seen if i % 3)
    assert (rows[14_999 + 2], rows.get(15_000)) == ((15_001, 0), None)
    store.close()


def test_memory_is_bounded(directory):
    store = opened(directory, cache=1 << 20)
    rows, index = store.rows("t", COLUMNS), store.index("t n")
    most = 0
    for i in range(100_000):
        rows[i] = (i, i % 10)
        store.move(index, None, i % 10, i)
        most = max(most, len(rows._young) + len(rows._old) + len(rows._dirty) + len(index._dirty))
    assert len(rows) == len(index) == 100_000
    assert most < 10_000
    store.close()


# ---- what the file holds


def test_reopened_it_holds_the_last_commit(directory):
    store = opened(directory)
    rows, index, unique = store.rows("t", COLUMNS), store.index("t n"), store.unique("t n")
    assert store.offset == -1
    for i in range(100):
        rows[i] = (i, i % 3)
        store.move(index, None, i % 3, i)
        store.move_unique(unique, None, f"u{i}", i)
    store.flush(41)
    rows[1], rows[1000] = (1, 99), (1000, 0)
    store.close()

    store = opened(directory)
    assert store.offset == 41
    rows, index, unique = store.rows("t", COLUMNS), store.index("t n"), store.unique("t n")
    assert {pk: rows[pk] for pk in rows} == {i: (i, i % 3) for i in range(100)}
    assert set(index.get(1)) == set(range(1, 100, 3))
    assert unique.get("u7") == (7,)
    assert len(rows) == 100
    store.close()


def test_small_batches_are_committed_together(directory):
    store = opened(directory, batch=10)
    rows = store.rows("t", COLUMNS)
    offsets = []
    for i in range(25):
        rows[i] = (i, 0)
        store.flush(i)
        offsets.append(store.offset)
    assert offsets == [-1] * 9 + [9] * 10 + [19] * 6
    store.close()
    store = opened(directory)
    assert set(store.rows("t", COLUMNS)) == set(range(20))
    store.close()


@pytest.mark.parametrize("doubt", ["identity", "format", "machine", "label", "nonsense", "file", "asked", "columns"])
def test_on_any_doubt_it_is_emptied(directory, doubt):
    store = opened(directory)
    store.rows("t", COLUMNS)[1] = (1, 1)
    store.flush(5)
    label = json.loads((directory / "identity.json").read_text())
    store.close()
    changed = {"format": {"format": 0}, "machine": {"boot": "an earlier run of the machine"}}
    if doubt in changed:
        (directory / "identity.json").write_text(json.dumps(label | changed[doubt]))
    elif doubt == "label":
        (directory / "identity.json").unlink()
    elif doubt == "nonsense":
        (directory / "identity.json").write_text("{")
    elif doubt == "file":
        (directory / "rows.lmdb").write_bytes(b"not a database" * 1_000)
    store = opened(directory, "two" if doubt == "identity" else "one", empty=doubt == "asked")
    assert store.offset == (5 if doubt == "columns" else -1)
    rows = store.rows("t", (*COLUMNS, "another") if doubt == "columns" else COLUMNS)
    assert (store.offset, len(rows), rows.get(1)) == (-1, 0, None)
    rows[2] = (2, 2)
    store.flush(6)
    store.close()
    assert opened(directory, "two" if doubt == "identity" else "one").offset == 6


def test_only_its_owner_reads_it(directory):
    old = os.umask(0)
    try:
        opened(directory).close()
    finally:
        os.umask(old)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in directory.iterdir()} == {0o600}


def test_one_process_at_a_time(directory):
    store = opened(directory)
    with pytest.raises(RefusedError, match="another process uses"):
        opened(directory)
    store.rows("t", COLUMNS)[1] = (1, 1)
    store.flush(1)
    store.close()
    assert opened(directory).offset == 1


# ---- a process that ends

WRITER = """
import sys
from pathlib import Path
from pipeline.query.disk import DiskStore
store = DiskStore(Path(sys.argv[1]), "one", cache=100_000, batch=1)
rows, index = store.rows("t", ("id", "n")), store.index("t n")
print("begun", flush=True)
offset = store.offset
while True:
    for _ in range(700):
        offset += 1
        pk, old = offset % 1000, rows.get(offset % 1000)
        rows[pk] = (pk, offset)
        store.move(index, old and old[1] % 7, offset % 7, pk)
    store.flush(offset)
"""


def test_killed_at_any_moment_it_is_of_one_exact_offset(directory):
    reached = []
    for attempt in range(6):
        command = [sys.executable, "-c", WRITER, str(directory)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            time.sleep(0.2 + 0.037 * attempt)
            writer.kill()
        store = opened(directory)
        rows, index = store.rows("t", COLUMNS), store.index("t n")
        last = store.offset
        expected = {n % 1000: (n % 1000, n) for n in range(max(0, last - 999), last + 1)}
        assert {pk: rows[pk] for pk in rows} == expected
        assert {n: set(index.get(n)) for n in range(7)} == {
            n: {pk for pk, row in expected.items() if row[1] % 7 == n} for n in range(7)
        }
        assert (last + 1) % 700 == 0
        reached.append(last)
        store.close()
    assert reached == sorted(set(reached))


FILLER = """
import sys
from pathlib import Path
from pipeline.domain.errors import NotReadyError
from pipeline.query.disk import DiskStore
store = DiskStore(Path(sys.argv[1]), "one", batch=1)
rows = store.rows("t", ("id", "n"))
try:
    for offset in range(100_000):
        rows[offset] = (offset, "x" * 1000)
        store.flush(offset)
except NotReadyError as e:
    print(e)
    print(store.offset)
"""


def test_a_disk_that_takes_no_more_is_a_typed_error(directory):
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    command = [sys.executable, "-c", FILLER, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=limited)
    what, fix, committed = done.stdout.splitlines()
    assert what.startswith(f"the row store in {directory} cannot be used: ")
    assert "fix: make room there" in fix
    assert int(committed) > 100
    store = opened(directory)
    assert store.offset == -1, "what failed is not trusted"
    store.close()


# ---- under a mapping


def test_a_dimension_row_with_200_000_facts(directory):
    ddl = """CREATE TABLE f (id int PRIMARY KEY, d int NOT NULL, n int NOT NULL);
             CREATE TABLE d (id int PRIMARY KEY, code text);"""
    sql = "SELECT d.code AS item, 'W' AS warehouse, f.n AS on_hand FROM f JOIN d ON d.id = f.d"
    store = opened(directory, cache=1 << 20, batch=5_000)
    engine = compile_source([MappingText("stock", sql, "stock.sql")], catalog_of(ddl, "postgres"), {}, store=store)
    fact, dimension = engine.tables["public.f"], engine.tables["public.d"]
    dimension.upsert(dimension.row_type(1, "A"))
    for i in range(200_000):
        fact.upsert(fact.row_type(i, 1, 2))
        if not i % 1_000:
            store.flush(i)
    dimension.upsert(dimension.row_type(1, "B"))
    view = engine.views["stock"]
    assert {key: (count, sums) for key, count, sums in view.groups()} == {("B", "W"): (200_000, (400_000,))}
    store.flush(200_000)
    before = (directory / "rows.lmdb").stat().st_size
    fact.upsert(fact.row_type(200_000, 1, 2))
    store._commit(200_001)
    assert (directory / "rows.lmdb").stat().st_size - before < 100_000
    dimension.delete(1)
    assert list(view.groups()) == []
    store.close()


def test_rows_read_back_equal_fresh_ones(directory):
    ddl = "CREATE TABLE q (id text PRIMARY KEY, t text, n numeric(38,4), due date, f boolean)"
    sql = "SELECT q.t AS item, 'W' AS warehouse, q.due AS expiry, q.n AS on_hand FROM q WHERE q.f"
    store = opened(directory, cache=0)
    engine = compile_source([MappingText("stock", sql, "stock.sql")], catalog_of(ddl, "postgres"), {}, store=store)
    (fold,) = engine.tables.values()
    row = {"id": LONG, "t": "é" * 500, "n": "9" * 30 + ".0001", "due": "2026-11-22Z", "f": True}

    def put(**changes):
        fold.upsert(msgspec.json.decode(msgspec.json.encode(row | changes), type=fold.row_type))

    put()
    assert len(engine.views["stock"].drain()) == 1
    put()
    assert engine.views["stock"].drain() == []
    put(n="1.0000", t=UNAVAILABLE)
    ((key, count, sums),) = engine.views["stock"].drain()
    assert (key, count, sums) == (("é" * 500, "W", "2026-11-22"), 1, (10_000,))
    store.close()
