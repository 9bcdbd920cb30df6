"""pack.toml files and parameters that no author would write. What becomes of each."""

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pipeline import pack
from pipeline.domain.errors import PackError, SettingsError, UsageError

GOOD = """title = "Test"
dialect = "postgres"
extends = "./base"

[params.orgs]
type = "int"
list = true
default = [1]
help = "companies"
detect = "SELECT 1"

[params.since]
type = "date"
default = 2026-01-01

[params.lang]
type = "text"
default = "en"

[stock]
authority = "ledger"
reserved = "stock"
usable = "status = 'free'"
ledger = "since"

[schema]
unique = { "public.q" = [["a", "b"]], w = [["code"]] }
optional = { "q.x" = "int" }

[[variant]]
name = "v9"
needs = ["q.lot", "w.code"]

[[probe]]
says = "twice"
sql = "SELECT 1"
fail = true

[burst]
tables = ["q"]
rows = 1000

[poll.q]
key = ["id"]
watch = "SELECT max(id) FROM q"
"""
_LINES = GOOD.splitlines(keepends=True)
_values = st.one_of(
    st.sampled_from(
        ("1", "-1", "1.5", "nan", "true", '""', "[]", "{}", "2026-13-01", "2026-01-01", "1979-05-27T07:32:00Z")
    ),
    st.sampled_from(
        ('"\\u0000"', '"/"', '"./base"', '"../x"', '"é"', "9" * 400, "9" * 5000, "[" * 900, "[" * 3000 + "]" * 3000)
    ),
    st.sampled_from(('"v9"', "{ a = 1 }", "[[]]", "[1, 'a']", '"postgres"', "'''", "0x", "1e999")),
    st.text(max_size=6).map(repr),
)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.datetimes(),
    st.binary(max_size=4),
)
_given = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@dataclass(frozen=True)
class Example:
    """A pack.toml as bytes, and what the site gives for its parameters."""

    toml: bytes
    params: dict[str, Any] = field(default_factory=dict)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """The good one with some lines changed; now and then bytes of any kind, or a good one with odd parameters."""
    lines = list(_LINES)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        change = draw(st.sampled_from(("delete", "double", "value", "key", "text", "cut")))
        if change == "delete" and len(lines) > 1:
            del lines[at]
        elif change == "double":
            lines.insert(at, lines[draw(st.integers(0, len(lines) - 1))])
        elif change == "value":
            lines[at] = re.sub(r"= .*", lambda _: f"= {value}", lines[at]) if (value := draw(_values)) else lines[at]
        elif change == "key":
            lines[at] = (
                re.sub(r"\w+", lambda _: word, lines[at], count=1) if (word := draw(st.text(max_size=5))) else ""
            )
        elif change == "text":
            lines.insert(at, draw(st.text(max_size=10)))
        else:
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
    toml = "".join(lines).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 19)) == 0:
        toml = draw(st.binary(max_size=40))
    names = st.sampled_from(("orgs", "since", "lang", "other"))
    return Example(toml, draw(st.dictionaries(names, _given, max_size=3)))


def outcome(example: Example) -> str:
    """`loaded` or `refused`; AssertionError for anything else, or a refusal that does not say where."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "own"
        for place, text in ((folder, example.toml), (Path(home) / "base", _BASE)):
            place.mkdir()
            (place / pack.MANIFEST).write_bytes(text.replace(b'"./base"', f'"{home}/base"'.encode()))
            (place / "stock.sql").write_text("SELECT 1")
        try:
            pack.load(str(folder), example.params)
        except (PackError, SettingsError, UsageError) as error:
            said = error.what
            complete = any(s in said for s in (pack.MANIFEST, "params: ", "pack", home)) and error.fix
            problem = f"no place or fix: {error}"
        else:
            return "loaded"
    if not complete:
        raise AssertionError(problem)
    return "refused"


_BASE = GOOD.replace('extends = "./base"\n', "").encode()
