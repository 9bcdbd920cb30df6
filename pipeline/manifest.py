"""pack.toml: its keys, and what is said of a wrong one, with its place."""

import re
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from pipeline.domain.errors import PackError

MANIFEST = "pack.toml"
Loc = tuple[int | str, ...]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Param(_Part):
    """A value the site fills in: `:name` in the SQL."""

    type: Literal["text", "int", "date"]
    many: bool = Field(default=False, alias="list")
    default: Any = None
    help: str = ""
    detect: str = ""


class Stock(_Part):
    """How the stock query is to be read."""

    authority: Literal["balance", "ledger"] = "balance"
    reserved: Literal["stock", "orders.reserved", "orders.open", "none"] = "none"
    usable: str | None = None
    ledger: Literal["complete", "since", "none"] = "none"


class Schema(_Part):
    """What the ERP's catalog does not say."""

    unique: dict[str, list[list[str]]] = {}
    optional: dict[str, str] = {}


class Variant(_Part):
    """A version of the ERP: its folder's files replace the base's where the columns it needs exist."""

    name: str
    needs: list[str]


class Probe(_Part):
    """A query that returns the rows that would be served wrongly."""

    says: str
    sql: str
    fail: bool = False


class Burst(_Part):
    """A transaction that touches more rows of these tables raises no alert."""

    tables: list[str]
    rows: int


class Poll(_Part):
    """How a table without a change log is polled."""

    key: list[str]
    watch: str


class Manifest(_Part):
    """pack.toml."""

    title: str
    dialect: Literal["postgres", "mysql", "tsql", "oracle"]
    extends: str | None = None
    params: dict[str, Param] = {}
    stock: Stock = Stock()
    hints: Schema = Field(default=Schema(), alias="schema")
    variant: list[Variant] = []
    probe: list[Probe] = []
    burst: Burst | None = None
    poll: dict[str, Poll] = {}


def parse(file: Path) -> dict[str, Any]:
    """pack.toml as plain values; PackError where it is no TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as e:
        spoken = isinstance(e, tomllib.TOMLDecodeError | UnicodeDecodeError)
        said, _, place = (str(e) if spoken else "a number too long, or too many brackets").partition(" (at ")
        found = re.fullmatch(r"line (\d+), column (\d+)\)", place)
        where = f"{file}:{found[1]}:{found[2]}" if found else str(file)
        raise PackError(f"is not TOML: {said}", "correct that line; texts stand in quotes", where) from None


def validate(own: dict[str, Any], file: Path) -> Manifest:
    """The keys of `file`, checked; PackError names every wrong one."""
    try:
        return Manifest.model_validate(own)
    except ValidationError as e:
        wrong = [_Wrong(x, file.read_text(encoding="utf-8-sig")) for x in e.errors(include_url=False)]
    first, *others = wrong
    what = "; ".join([first.says, *(f"{w.line}{w.says}" for w in others)])
    raise PackError(what, "; ".join(dict.fromkeys(w.fix for w in wrong)), f"{file}:{first.place}".rstrip(":"))


class _Wrong:
    """One wrong key: its place in the file (as far as it can be found), what is wrong, and the fix."""

    def __init__(self, error: ErrorDetails, toml: str) -> None:
        self.loc: Loc = error["loc"]
        self.place = _place(toml, self.loc) if error["type"] != "missing" else _place(toml, self.loc[:-1])
        self.line = f"line {self.place.partition(':')[0]}: " if self.place else ""
        name, known = ".".join(map(str, self.loc)), list(_known(self.loc))
        self.says, self.fix = f"{name}: {error['msg']}", f"correct {name}"
        if error["type"] == "extra_forbidden":
            close = get_close_matches(str(self.loc[-1]), known, 1)
            self.says = f"{name}: there is no such key"
            self.fix = f"write {close[0]}" if close else f"remove it; there are {', '.join(known)}"
        elif error["type"] == "missing":
            self.says, self.fix = f"{name}: is missing", f'write {self.loc[-1]} = ..; "onhand pack new" shows every key'


def _known(loc: Loc) -> Iterator[str]:
    """The keys that may stand beside the last part of `loc`."""
    model: type[BaseModel] = Manifest
    for part in loc[:-1]:
        field = next((f for n, f in model.model_fields.items() if part in {n, f.alias}), None)
        model = (field and _model_in(field.annotation)) or model
    return (f.alias or n for n, f in model.model_fields.items())


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in get_args(annotation) if (m := _model_in(a))), None)


def _place(toml: str, loc: Loc) -> str:
    """`line:column` of a key: its header or its assignment, looked for part by part; "" when there is none."""
    at, found_any = 0, False
    for i, part in enumerate(loc):
        nth = loc[i + 1] if i + 1 < len(loc) else 0
        key = rf'"?{re.escape(str(part))}"?'
        pattern = rf"(?m)^[ \t]*\[+(?:[^\]\n]*\.)?(?={key}\]+)|(?:^|[{{,])[ \t]*(?={key}\s*=)"
        found = [] if isinstance(part, int) else list(re.finditer(pattern, toml[at:]))
        if len(found) > (nth if isinstance(nth, int) else 0):
            at, found_any = at + found[nth if isinstance(nth, int) else 0].end(), True
    return f"{toml.count(chr(10), 0, at) + 1}:{at - toml.rfind(chr(10), 0, at)}" if found_any else ""
