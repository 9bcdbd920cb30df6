"""The tutorial as its reader takes it: every file written, every command typed, every query asked of PostgreSQL."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psycopg
import pytest
import redis
import requests

from infra.stack import Stack
from infra.stack.postgres import Postgres
from pipeline.domain.errors import PackError
from pipeline.query import MappingText, catalog_of, compile_source
from tests.docs.markdown import steps, text

DOCUMENT = "docs/map-your-own-erp.md"
ONHAND = Path(sys.executable).parent / "onhand"
ROLE, DATABASE, SECRET = "mapper", "tutorial_erp", "pa55-of-the-tutorial"
FILE = re.compile(r"(?:--|#) (my-erp/[\w.]+|onhand\.toml)\n")
PARAMS = {"clients": [1]}


def squeezed(said: str) -> str:
    """Widths of columns and places in the ERP's log are not the page's to promise."""
    return re.sub(r"[ \t]+", " ", re.sub(r"\b[0-9A-F]+/[0-9A-F]+\b", "X/X", said))


def named(name: str) -> list[str]:
    """The SQL blocks that begin with a comment."""
    return [body for language, body in steps(DOCUMENT) if language == "sql" and body.startswith(f"-- {name}")]


@dataclass
class Reader:
    """Somebody who follows the page in a folder, with the servers that the settings name elsewhere."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    said: str = ""
    typed: list[str] = field(default_factory=list)
    worker: subprocess.Popen[str] | None = None

    def follow(self, blocks: list[tuple[str, str]]) -> None:
        for language, body in blocks:
            if file := FILE.match(body):
                (self.folder / file[1]).write_text(body)
            elif language == "sh":
                self.said = "".join(self.type(line) for line in body.splitlines())
            elif language == "":
                self.compare(body)

    def type(self, line: str) -> str:
        self.typed.append(line)
        if line == "onhand worker":
            self.worker = subprocess.Popen([ONHAND, "worker"], **self._told(subprocess.DEVNULL))
            self.wait()
            return ""
        done = self.run(line)
        assert done.returncode == 0 or "is not ready" in done.stderr, line + done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        command = line.replace("onhand", str(ONHAND), 1) if line.startswith("onhand") else line
        with subprocess.Popen(["sh", "-c", command], **self._told(subprocess.PIPE)) as process:
            out, err = process.communicate(timeout=180)
        assert "Traceback" not in err
        assert SECRET not in out + err
        return subprocess.CompletedProcess(line, process.returncode, out, err)

    def _told(self, where: int) -> dict[str, object]:
        return {
            "cwd": self.folder,
            "env": {**os.environ, **self.environment},
            "stdout": where,
            "stderr": where,
            "text": True,
        }

    def wait(self) -> None:
        """Until the worker serves."""
        deadline = time.monotonic() + 60
        while (done := self.run("onhand status")).returncode:
            assert time.monotonic() < deadline, done.stdout + done.stderr
            time.sleep(0.5)

    def compare(self, shown: str) -> None:
        """What the page shows are lines of what was said, in their order; `..` stands for the rest of a line."""
        at, said = 0, squeezed(self.said).replace(ROLE, "cdc")
        for line in shown.splitlines():
            wanted = squeezed(line).strip().removesuffix(" ..")
            found = said.find(wanted, at)
            assert found >= 0, f"{line}\n--- is not in ---\n{self.said}"
            at = found + len(wanted)


@pytest.fixture
def erp(stack: Stack, tmp_path: Path) -> Iterator[Reader]:
    """The tutorial's ERP with its rows, ready but for what `apply` asks the administrator for."""
    with psycopg.connect(stack.postgres.dsn, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {DATABASE}")
        admin.execute(f"CREATE ROLE {ROLE} LOGIN REPLICATION PASSWORD '{SECRET}'")
    with psycopg.connect(stack.postgres.url(DATABASE), autocommit=True) as admin:
        admin.execute(named("my-erp/schema.sql")[0] + named("rows")[0])
    reader = Reader(
        tmp_path,
        {
            "ONHAND_KAFKA__BOOTSTRAP_SERVERS": stack.kafka.bootstrap,
            "ONHAND_KAFKA__CONNECT_URL": stack.connect.url,
            "ONHAND_REDIS__URL": stack.redis.url,
            "ONHAND_WORKER__METRICS_PORT": "0",
            "ONHAND_SOURCES__ERP__DATABASE": stack.postgres.url(DATABASE, user=ROLE),
            "ONHAND_SOURCES__ERP__PASSWORD_FILE": str(stack.secret("tutorial", SECRET)),
        },
    )
    yield reader
    if reader.worker is not None:
        reader.worker.terminate()
        assert reader.worker.wait(30) == 0
    requests.delete(f"{stack.connect.url}/connectors/onhand-erp", timeout=30)
    client = redis.Redis.from_url(stack.redis.url)
    for key in list(client.scan_iter("stock:*")):
        client.delete(key)
    client.close()


def test_the_page_is_followed_to_its_end(erp: Reader, stack: Stack) -> None:
    blocks = steps(DOCUMENT)
    refused = next(i for i, (_, body) in enumerate(blocks) if body == "onhand apply\n")
    erp.follow(blocks[: refused + 2])
    ordered = erp.said.partition("in this order:")[2].replace("fix:", "")
    with psycopg.connect(stack.postgres.url(DATABASE), autocommit=True) as admin:
        for statement in filter(None, map(str.strip, ordered.split(";"))):
            admin.execute(statement)
    erp.follow(blocks[refused + 2 :])
    assert erp.typed[-1] == "onhand verify"
    assert {"onhand apply", "onhand worker", "onhand status", "onhand pack check my-erp"} <= set(erp.typed)


def test_a_case_that_fails_is_told_as_shown(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    blocks = steps(DOCUMENT)
    shown = next(i for i, (language, _) in enumerate(blocks) if language == "text")
    reader.follow(blocks[:shown])
    cases = tmp_path / "my-erp" / "cases.yaml"
    assert cases.read_text().count("on_hand: 70") == 1
    cases.write_text(cases.read_text().replace("on_hand: 70", "on_hand: 71"))
    done = reader.run("onhand pack check my-erp")
    assert done.returncode == 1
    reader.said = done.stdout
    reader.compare(blocks[shown][1])


@pytest.mark.parametrize("number", range(6))
def test_every_query_gives_postgresqls_answer(number: int, postgres: Postgres) -> None:
    queries = [*named("my-erp/stock.sql"), *named("my-erp/items.sql"), *named("stock.sql, from a ledger")]
    assert len(queries) == 6
    schema = named("my-erp/schema.sql")[0]
    kind = "items" if "items.sql" in queries[number] else "stock"
    engine = compile_source([MappingText(kind, queries[number], f"{kind}.sql")], catalog_of(schema, "postgres"), PARAMS)
    view = engine.views[kind]
    with psycopg.connect(postgres.dsn) as erp:
        erp.execute(f"CREATE SCHEMA tutorial; SET search_path TO tutorial; {schema} {named('rows')[0]}")
        for name, table in engine.tables.items():
            for (row,) in erp.execute(f"SELECT to_jsonb(t)::text FROM {name.partition('.')[2]} t").fetchall():
                table.upsert(msgspec.json.decode(row, type=table.row_type))
        engine.set_today(erp.execute("SELECT CURRENT_DATE::text").fetchone()[0])
        answer = [view.from_erp(row) for row in erp.execute(view.erp_sql()).fetchall()]
        erp.rollback()
    assert answer
    assert sorted(map(repr, view.groups())) == sorted(map(repr, answer))


def refusals() -> list[tuple[str, str, str]]:
    rows = text(DOCUMENT).partition("| instead of |")[2].partition("\n\n")[0].splitlines()[2:]
    return [tuple(cell.strip(" `") for cell in row.strip("| ").split(" | ")) for row in rows]


def written(fragment: str) -> MappingText:
    """A fragment where it belongs: a clause behind the query, a value as its amount."""
    clause = re.match(r"(WHERE|LEFT|RIGHT|JOIN|ORDER) ", fragment)
    sql = f"""SELECT a.number AS item, w.code AS warehouse, {"b.quantity" if clause else fragment} AS on_hand
              FROM balance b JOIN article a ON a.id = b.article
              JOIN location l ON l.id = b.location JOIN warehouse w ON w.id = l.warehouse
              {fragment if clause else ""}"""
    return MappingText("stock", sql, "stock.sql")


@pytest.mark.parametrize(("refused", "says", "instead"), refusals(), ids=lambda cell: cell)
def test_what_is_refused_and_what_to_write_instead(refused: str, says: str, instead: str) -> None:
    catalog = catalog_of(named("my-erp/schema.sql")[0], "postgres")
    with pytest.raises(PackError) as error:
        compile_source([written(refused)], catalog, {})
    assert says in error.value.what
    assert re.match(r"stock\.sql:\d+:\d+$", error.value.where)
    if not instead.startswith("nothing"):
        compile_source([written(instead)], catalog, {})


def test_the_names_of_the_contract() -> None:
    from pipeline.query.contract import CONTRACTS, WITH_ID

    page = text(DOCUMENT)
    rows = {
        line.split("`")[1]: line.strip("| ").split(" | ")
        for line in page.splitlines()
        if re.match(r"\| `\w+\.sql`", line)
    }
    assert rows.keys() == {f"{kind}.sql" for kind in CONTRACTS}
    for kind, contract in CONTRACTS.items():
        cells = [re.findall(r"`(\w+)`", cell) for cell in rows[f"{kind}.sql"][1:]]
        attributes = list(contract.attributes)
        if kind == "movements":
            attributes = [n for n in attributes if n not in CONTRACTS["stock"].identity]
        assert cells == [list(contract.identity), attributes, list(contract.amounts), list(contract.required)], kind
    listed = page.partition("may have an id")[0].rpartition("\n\n")[2].rpartition("\n`item`")[2]
    assert set(re.findall(r"`(\w+)`", "`item`" + listed)) == WITH_ID
