"""`onhand plan`: what `apply` would do, told and not done."""

import json

from pipeline.adapters import control, kafka, sources
from tests.cli.site import SECRET, Site


def planned(site: Site) -> list[dict[str, str]]:
    done = site.onhand("plan", "-o", "json")
    assert done.returncode == 3, done.stderr
    return json.loads(done.stdout)


def test_before_the_first_apply_everything_is_to_be_made(site: Site) -> None:
    rows = planned(site)
    assert [(r["part"], r["name"]) for r in rows if r["part"] != "topic"] == [
        ("connector", f"onhand-{site.name}"), ("rows", "public.item"), ("rows", "public.quant"), ("source", site.name)
    ]  # fmt: skip
    assert {f"onhand.{site.name}.{t}" for t in ("log", "alerts")} <= {r["name"] for r in rows}
    site.assert_untouched()


def test_after_apply_there_is_nothing_to_do(site: Site) -> None:
    assert site.onhand("apply").returncode == 0
    done = site.onhand("plan")
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing to do" in done.stderr


def test_what_the_administrator_has_to_do_is_told_as_sql(site: Site) -> None:
    site.sql(f"REVOKE SELECT ON item FROM {site.role}", "DROP PUBLICATION onhand")
    for row in planned(site):
        if row["part"] == "ERP":
            site.sql(row["note"].removeprefix("as a superuser: "))
    assert "ERP" not in {row["part"] for row in planned(site)}
    assert site.onhand("apply").returncode == 0


def test_a_mapping_that_reads_more(site: Site) -> None:
    assert site.onhand("apply").returncode == 0
    log = f"onhand.{site.name}.log"
    before = sources.load_applied(site.kafka, site.name)
    (site.pack / "stock.sql").write_text((site.pack / "stock.sql").read_text() + "  AND i.cost > 0\n")
    site.sql("ANALYZE item")
    rows = planned(site)
    by_part = {row["part"]: row for row in rows}
    assert by_part["ERP"]["note"].startswith("as a superuser: ")
    assert by_part["rows"]["what"] == "about 3 rows are read again: the log's rows lack cost"
    assert by_part["rows"]["note"] == "the old numbers are served until they are complete"
    assert by_part["connector"]["what"].startswith("column.include.list: ")
    assert "its mapping is changed" in by_part["source"]["what"]
    assert sources.load_applied(site.kafka, site.name) == before
    assert kafka.latest(site.kafka, log).get(control.MAPPING_KEY) is None


def test_a_secret_that_changes_is_not_told(site: Site) -> None:
    assert site.onhand("apply").returncode == 0
    other = site.stack.secret(f"{site.name}-other", SECRET)
    site.settings[f"sources.{site.name}"]["connect_password"] = f"${{dir:{other.parent}:{other.name}}}"
    (row,) = planned(site)
    assert row["what"] == "database.password: (secret) becomes (secret)"
