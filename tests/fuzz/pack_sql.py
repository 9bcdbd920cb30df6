"""SQL texts that no author would write: the packs' queries, cut, doubled, mixed and stuffed. What becomes of each."""

import logging
import re
from dataclasses import dataclass

from hypothesis import strategies as st

from pipeline.domain.catalog import Catalog
from pipeline.domain.errors import PackError
from pipeline.query import MappingText, compile_source
from tests.query.constructs import CASES, COLUMNS, sql_of
from tests.query.schemas import DIALECTS, catalog_of, pack

PLACED = re.compile(r"[\w/]+\.sql:\d+:\d+")
_LEXEME = re.compile(r"\s+|--[^\n]*|'(?:[^']|'')*'|\w+|.", re.DOTALL)
_DEEP = (
    "(",
    "CASE WHEN a = 1 THEN ",
    "NOT ",
    "- ",
    "COALESCE(a, ",
    "NULLIF(a, ",
    "((SELECT ",
    "[",
    "{",
    "a + ",
    "a OR ",
)
_LOOSE = (
    "'",
    '"',
    "`",
    "/*",
    "*/",
    "--",
    "$$",
    "{#",
    "\x00",
    "\ufeff",
    "\u00a0",
    ";",
    ",",
    "()",
    "\\",
    "::",
    "/*!",
    "#",
)
_SPLICES = sorted({s for case in CASES for s in case.spellings.values()})


@dataclass(frozen=True)
class Base:
    """A query of a pack, or one of a single construct, as its lexemes."""

    name: str
    kind: str
    lexemes: tuple[str, ...]


class _Talk(logging.Handler):
    """The parser logs what it reads only half: an author would get that on the screen, without a place."""

    def emit(self, record: logging.LogRecord) -> None:
        raise AssertionError(f"logged: {record.getMessage()}")


_PARSER, _TALK = logging.getLogger("sqlglot"), _Talk()


def _bases() -> tuple[dict[str, tuple[Catalog, dict]], list[Base]]:
    catalogs, bases = {}, []
    for name in DIALECTS:
        catalog, texts, params = pack(name)
        catalogs[name] = (catalog, params)
        bases += [Base(name, t.kind, tuple(_LEXEME.findall(t.sql))) for t in texts]
    for dialect, columns in COLUMNS.items():
        catalogs[dialect] = (catalog_of(f"CREATE TABLE q ({columns})", dialect), {})
        sqls = (sql_of(case, dialect) for case in CASES if dialect in case.spellings)
        bases += [Base(dialect, "stock", tuple(_LEXEME.findall(sql))) for sql in sqls]
    return catalogs, bases


CATALOGS, BASES = _bases()
PACKS = sum(base.name in DIALECTS for base in BASES)
_ALL_LEXEMES = sorted({lexeme for base in BASES for lexeme in base.lexemes if not lexeme.isspace()})


@dataclass(frozen=True)
class Example:
    """One text for one catalog."""

    name: str
    kind: str
    sql: str


_junk = st.one_of(
    st.sampled_from(_ALL_LEXEMES),
    st.sampled_from(_SPLICES),
    st.sampled_from(_LOOSE),
    st.text(max_size=8),
    st.builds(lambda what, times: what * times, st.sampled_from(_DEEP), st.sampled_from((2, 20, 45, 300))),
)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """A query after one to six changes."""
    base = draw(st.sampled_from(BASES[:PACKS]) | st.sampled_from(BASES[PACKS:]))
    lexemes = list(base.lexemes)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lexemes) - 1))
        until = min(len(lexemes), at + draw(st.sampled_from((1, 1, 1, 2, 5, 40))))
        change = draw(st.sampled_from(("delete", "double", "swap", "insert", "replace", "splice", "many")))
        if change == "delete":
            del lexemes[at:until]
        elif change == "double":
            lexemes[at:at] = lexemes[at:until]
        elif change == "swap":
            other = draw(st.integers(0, len(lexemes) - 1))
            lexemes[at], lexemes[other] = lexemes[other], lexemes[at]
        elif change == "insert":
            lexemes.insert(at, f" {draw(_junk)} ")
        elif change == "replace":
            lexemes[at:until] = [draw(_junk)]
        elif change == "splice":
            other = draw(st.sampled_from(BASES)).lexemes
            start = draw(st.integers(0, len(other) - 1))
            lexemes[at:at] = other[start : start + 40]
        else:
            lexemes[at:until] = lexemes[at:until] * draw(st.sampled_from((3, 70, 500)))
        if not lexemes:
            lexemes = [" "]
    return Example(base.name, base.kind, "".join(lexemes))


def outcome(example: Example) -> str:
    """`compiled` or `refused`; AssertionError for anything else, or a refusal without a place or a fix."""
    catalog, params = CATALOGS[example.name]
    _PARSER.addHandler(_TALK)
    try:
        compile_source([MappingText(example.kind, example.sql, "p/q.sql")], catalog, params)
        said = "compiled"
    except PackError as error:
        said = "refused"
        complete = bool(PLACED.fullmatch(error.where) and error.fix)
        problem = f"no place or fix: {error}"
    else:
        complete, problem = True, ""
    finally:
        _PARSER.removeHandler(_TALK)
    if not complete:
        raise AssertionError(problem)
    return said
