"""alerts.toml: what a site, its pack and onhand itself say of each kind of alert, put together and checked."""

import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline import pack
from pipeline.domain.alerts import Rule
from pipeline.domain.errors import PackError
from pipeline.query import MappingText
from pipeline.settings import Source

FILE = "alerts.toml"
SHIPPED = "shipped.toml"
MOST = 100
_FOR = re.compile(r"(\d{1,6})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PREFIX = "SELECT 1 FROM facts WHERE"


class Said(BaseModel):
    """What a file says of one kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scope: Literal["level", "item", "detail", "order"]
    when: str
    until: str | None = None
    severity: Literal["info", "warning", "critical"] = "warning"
    department: str = Field(default="", max_length=40)
    wait: str = Field(default="0s", alias="for", pattern=_FOR.pattern + "$")
    most: int = Field(default=MOST, ge=1)
    enabled: bool = True


@dataclass(frozen=True)
class RuleText:
    """A rule with the texts of its conditions, which know their place. `is_shipped`: nobody but onhand wrote of it."""

    rule: Rule
    scope: str
    when: MappingText
    until: MappingText | None
    is_shipped: bool


@dataclass(frozen=True)
class _File:
    name: str
    toml: str
    said: dict[str, Any]

    def place(self, kind: str, key: str = "") -> str:
        """`file:line:column` of a kind's table, or of a key in it, as far as it can be found."""
        at = re.search(rf'(?m)^[ \t]*\[[ \t]*(?="?{re.escape(kind)}"?[ \t]*\])', self.toml)
        end = at.end() if at else 0
        if at and key:
            found = re.search(rf'(?m)^[ \t]*(?="?{re.escape(key)}"?[ \t]*=)', self.toml[end:])
            end += found.end() if found else 0
        return f"{self.name}:{self.toml.count(chr(10), 0, end) + 1}:{end - self.toml.rfind(chr(10), 0, end)}"

    def text(self, kind: str, key: str, value: str) -> MappingText:
        """A condition as a query whose lines and columns are those of the file."""
        name, line, column = self.place(kind, key).rsplit(":", 2)
        rest = "\n".join(self.toml.split("\n")[int(line) - 1 :])[int(column) - 1 :]
        opening = re.match(r"[^=]*=[ \t]*(\"\"\"\n?|'''\n?|\"|')", rest)
        before = opening[0] if opening else ""
        down, last = before.count("\n"), before.rpartition("\n")[2]
        indent = len(last) if down else int(column) - 1 + len(last)
        return MappingText("alerts", f"{_head(int(line) + down)}{' ' * indent}{value}", name)


def _head(line: int) -> str:
    """What makes a condition a query, and ends where its line begins."""
    return f"{_PREFIX} " if line == 1 else f"{chr(10) * (line - 2)}{_PREFIX}\n"


def load(*paths: Path) -> list[RuleText]:
    """The rules of those files that are there, the later ones first in what they say, then the shipped ones.

    Raises PackError with file, line and column.
    """
    shipped = _File(f"onhand's own {SHIPPED}", files("pipeline.rules").joinpath(SHIPPED).read_text("utf-8"), {})
    read = [shipped, *(_File(str(path), _read(path), {}) for path in paths)]
    layers = [_File(f.name, f.toml, _parsed(f)) for f in read]
    kinds = dict.fromkeys(kind for layer in layers for kind in layer.said)
    said = [_rule(kind, [layer for layer in layers if kind in layer.said], shipped.name) for kind in kinds]
    return [rule for rule in said if rule is not None]


def rules_of(source: Source) -> list[RuleText]:
    """The rules of a source: what its site says, its pack, and onhand itself. Raises PackError."""
    return load(*pack.beside(source.pack, FILE), *([source.alerts] if source.alerts is not None else []))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as e:
        fix = "write it, or take alerts = .. out of the source's section"
        raise PackError(f"cannot be read: {e.strerror}", fix, str(path)) from None
    except UnicodeDecodeError as e:
        raise PackError(f"is not UTF-8 (byte {e.start + 1})", "save it as UTF-8", str(path)) from None


def _parsed(file: _File) -> dict[str, Any]:
    try:
        said = tomllib.loads(file.toml)
    except (ValueError, RecursionError) as e:
        what, _, place = (str(e) if isinstance(e, ValueError) else "too many brackets").partition(" (at ")
        found = re.fullmatch(r"line (\d+), column (\d+)\)", place)
        where = f"{file.name}:{found[1]}:{found[2]}" if found else file.name
        raise PackError(f"is not TOML: {what}", "correct that line; texts stand in quotes", where) from None
    for kind, rule in said.items():
        if not isinstance(rule, dict):
            raise PackError(f"{kind} stands outside of any kind of alert", "write it below [kind]", file.place(kind))
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", kind):
            fix = "name it with small letters, digits and _, such as [negative_in_shop]"
            raise PackError(f"{kind!r} is no name of a kind of alert", fix, file.place(kind))
    return said


def _rule(kind: str, layers: list[_File], shipped: str) -> RuleText | None:
    merged: dict[str, Any] = {}
    origin: dict[str, _File] = {}
    for layer in layers:
        merged |= layer.said[kind]
        origin |= dict.fromkeys(layer.said[kind], layer)
    try:
        said = Said.model_validate(merged)
    except ValidationError as e:
        error = e.errors(include_url=False)[0]
        key = str(error["loc"][0])
        file = origin.get(key, layers[-1])
        raise PackError(*_wrong(kind, key, error["type"], error["msg"]), file.place(kind, key)) from None
    if not said.enabled:
        return None
    when, until = origin["when"].text(kind, "when", said.when), None
    if said.until is not None:
        until = origin["until"].text(kind, "until", said.until)
    rule = Rule(
        kind, said.severity, said.department, _milliseconds(said.wait), said.most, when=said.when,
        until=said.until or "",
    )  # fmt: skip
    return RuleText(rule, said.scope, when, until, is_shipped=layers[-1].name == shipped)


def _wrong(kind: str, key: str, type_: str, message: str) -> tuple[str, str]:
    known = [field.alias or name for name, field in Said.model_fields.items()]
    if type_ == "extra_forbidden":
        close = get_close_matches(key, known, 1)
        fix = f"write {close[0]}" if close else f"remove it; there are {', '.join(known)}"
        return f"[{kind}] {key}: there is no such key", fix
    if type_ == "missing":
        examples = {"when": 'when = "available < 0"', "scope": 'scope = "level"'}
        return f"[{kind}] {key}: is missing", f"write {examples.get(key, key)}"
    if key == "for":
        return f"[{kind}] for: is no span of time", 'write for = "90s", "5m", "2h" or "1d"'
    return f"[{kind}] {key}: {message}", f"correct {key}"


def _milliseconds(wait: str) -> int:
    found = _FOR.fullmatch(wait)
    assert found is not None  # noqa: S101  # as it was checked
    return int(found[1]) * _SECONDS[found[2]] * 1000
