"""The ERP's schema moves under a running source: what is harmless flows on, everything else is refused by name."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.stack import Stack
from pipeline import settings
from pipeline.adapters import erp_drift, sources
from tests.e2e.source import HERE, Source, wait_for

BEFORE = "15"


class Case(NamedTuple):
    """What the ERP does to a table and then to its first row; what is served, said of the row, said of the schema."""

    ddl: str
    change: str
    served: str
    reason: str = ""
    drift: str = ""


HARMLESS = {
    "added": Case("ADD more int DEFAULT 7", "n = 11", "16"),
    "widened": Case("ALTER n TYPE bigint", "n = 11", "16"),
    "scaled": Case("ALTER n TYPE numeric(20,6)", "n = 11", "16"),
}
SAID_OF_THE_ROW = {
    "scaled": Case("ALTER n TYPE numeric(20,6)", "n = 11.000001", "16", "public.scaled.n: more than 4 decimals"),
    "relaxed": Case("ALTER n DROP NOT NULL", "n = NULL", BEFORE, "got `null`", "column public.relaxed.n may be NULL"),
    "renamed": Case("RENAME n TO m", "m = 11", BEFORE, "the row has no column n (dropped or renamed", "renamed to m"),
    "lost": Case("DROP n", "item = 'lost'", BEFORE, "the row has no column n", "column public.lost.n is gone"),
    "retyped": Case("ALTER n TYPE text", "n = '11 kg'", BEFORE, "public.retyped.n: not a number", "and is text"),
    "narrowed": Case("ALTER n TYPE int", "n = 11", "16", "", "was numeric(18,4) and is integer"),
}
SILENT = {
    "rekeyed": Case(
        "DROP CONSTRAINT rekeyed_pkey, ADD PRIMARY KEY (id, item)", "n = 10", BEFORE, "", "was id and is id, item"
    ),
    # PostgreSQL takes a table whose published column is dropped out of the publication
    "dropped": Case("DROP n CASCADE", "item = 'dropped'", BEFORE, "", "column public.dropped.n is gone"),
    "remade": Case("DROP n CASCADE, ADD n numeric(18,4) NOT NULL DEFAULT 3", "n = 11", BEFORE, "", "made again"),
}


@pytest.fixture(scope="module")
def source(stack: Stack) -> Iterator[Source]:
    source = Source(stack, "drift", str(HERE / "drift"), HERE / "drift" / "schema.sql")
    with source.attached():
        yield source


def drift(source: Source) -> list[str]:
    loaded = settings.load(source.config)
    return erp_drift.drift(loaded.source(), sources.load_applied(loaded.kafka, source.name))


def after(source: Source, table: str, case: Case) -> list[str]:
    """Alter, change, wait until it was served or refused; what is said of the table's schema."""
    source.sql.execute(f"ALTER TABLE {table} {case.ddl}")
    source.sql.execute(f"UPDATE {table} SET {case.change} WHERE id = 1")
    source.wait_until_served(300)
    assert float(source.on_hand(table, "W") or "nan") == float(case.served)
    said = [line for line in source.tail().splitlines() if "row quarantined" in line and f"public.{table}" in line]
    assert [case.reason in line for line in said] == ([True] if case.reason else [])
    return [what for what in drift(source) if f"public.{table}" in what]


@pytest.mark.parametrize("table", HARMLESS)
def test_what_is_harmless_flows_on(source: Source, table: str) -> None:
    assert after(source, table, HARMLESS[table]) == []


@pytest.mark.parametrize("table", [*SAID_OF_THE_ROW, *SILENT])
def test_what_is_not_is_refused_by_name_and_never_served_as_zero(source: Source, table: str) -> None:
    case = (SAID_OF_THE_ROW | SILENT)[table]
    said = after(source, table, case)
    assert [case.drift in what for what in said] == ([True] if case.drift else [])


def test_a_table_that_is_moved_away_or_replaced(source: Source) -> None:
    source.sql.execute("ALTER TABLE moved RENAME TO moved_away; UPDATE moved_away SET n = 11 WHERE id = 1")
    source.sql.execute(
        "ALTER TABLE swapped RENAME TO swapped_away; CREATE TABLE swapped (LIKE swapped_away INCLUDING ALL);"
        "GRANT SELECT ON swapped TO cdc; INSERT INTO swapped VALUES (1, 'swapped', 11)"
    )
    source.wait_until_served(300)
    assert float(source.on_hand("moved", "W") or "nan") == float(source.on_hand("swapped", "W") or "nan") == 15
    said = drift(source)
    assert "table public.moved is gone: it was dropped or renamed" in said
    assert "table public.swapped is another table than the one that was applied" in said


def test_status_says_so_and_plan_what_to_do_and_apply_does_it(source: Source, tmp_path: Path) -> None:
    status = source.onhand("status")
    assert status.returncode == 10
    assert "table public.moved is gone: it was dropped or renamed" in status.stderr
    assert f"onhand plan {source.name}" in status.stderr
    pack = tmp_path / "pack"
    shutil.copytree(HERE / "drift", pack)
    arms = (pack / "stock.sql").read_text().split("\nUNION ALL\n")
    kept = [arm for arm in arms if not re.search(r"FROM (moved|dropped|lost|retyped) t", arm)]
    (pack / "stock.sql").write_text(
        "\nUNION ALL\n".join(kept).replace("t.n AS on_hand FROM renamed", "t.m AS on_hand FROM renamed")
    )
    source.write_config(str(pack))
    plan = source.onhand("plan", "-o", "json")
    assert plan.returncode == 3, plan.stderr
    rows = json.loads(plan.stdout)
    read_again = {row["name"] for row in rows if row["part"] == "rows"}
    assert read_again == {f"public.{t}" for t in ("renamed", "narrowed", "rekeyed", "remade", "swapped")}
    assert source.onhand("apply").returncode == 1  # the publication lacks what plan says
    for row in rows:
        if row["part"] == "ERP":
            source.sql.execute(row["note"].removeprefix("as a superuser: "))
    done = source.onhand("apply", timeout=600)
    assert done.returncode == 0, done.stderr
    assert source.worker is not None
    assert source.worker.wait(300) == 1, source.tail()
    source.start_worker()
    wait_for(lambda: float(source.on_hand("swapped", "W") or "nan") == 11, f"served anew: {source.tail()}", 300)
    source.verify()
    assert source.meta()["quarantined"] == "0"
    assert drift(source) == []
    assert source.onhand("plan").returncode == 0
