"""A pack: the folder that says in SQL what an ERP's stock is. Loaded, checked and bound to a source's parameters."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.domain.catalog import Catalog, Table
from pipeline.domain.errors import PackError, SettingsError, UsageError
from pipeline.query import MappingText

KINDS = ("stock", "orders", "movements", "items")
MANIFEST = "pack.toml"
_READ: dict[tuple[str, bool], TypeAdapter[Any]] = {
    ("text", False): TypeAdapter(str),
    ("text", True): TypeAdapter(list[str]),
    ("int", False): TypeAdapter(int),
    ("int", True): TypeAdapter(list[int]),
    ("date", False): TypeAdapter(date),
    ("date", True): TypeAdapter(list[date]),
}


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


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack bound to a source's parameters. `digest` changes with anything that changes what is served."""

    name: str
    manifest: Manifest
    texts: tuple[MappingText, ...]
    params: Mapping[str, Any]

    @property
    def dialect(self) -> str:
        """postgres, mysql, tsql or oracle."""
        return self.manifest.dialect

    @property
    def stock(self) -> dict[str, str | None]:
        """What the worker must know of [stock]."""
        return {"reserved": self.manifest.stock.reserved, "usable": self.manifest.stock.usable}

    @property
    def digest(self) -> str:
        """sha256 over the SQL, the parameters, the dialect and [stock]."""
        said = [[(t.kind, t.sql) for t in self.texts], self.params, self.dialect, self.stock]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()

    def complete(self, catalog: Catalog) -> Catalog:
        """`catalog` with the unique keys that the pack knows and the ERP never declared."""
        return replace(catalog, tables={n: self._with_keys(t) for n, t in catalog.tables.items()})

    def _with_keys(self, table: Table) -> Table:
        known = self.manifest.hints.unique
        keys = known.get(table.name, known.get(table.short, []))
        return replace(table, unique=(*table.unique, *(tuple(k) for k in keys)))


def known() -> list[str]:
    """The packs that come with onhand."""
    return sorted(p.name for p in Path(str(files("connectors"))).iterdir() if (p / MANIFEST).is_file())


def load(reference: str, params: Mapping[str, Any], catalog: Catalog | None = None) -> Pack:
    """The pack called `reference` (a folder of connectors/, or a path) with `params` bound.

    With a catalog the first variant whose columns exist replaces the base's files.
    Raises UsageError for an unknown pack, PackError for a wrong pack.toml, SettingsError for wrong parameters.
    """
    folder = _folder(reference)
    manifest = _manifest(folder)
    texts = _texts(folder, manifest)
    if catalog is not None:
        chosen = next((v for v in manifest.variant if all(_exists(catalog, c) for c in v.needs)), None)
        texts |= _own_texts(folder / chosen.name) if chosen else {}
    if not texts:
        raise PackError("the pack has no SQL", f"write {folder / 'stock.sql'}", str(folder))
    return Pack(folder.name, manifest, tuple(texts[k] for k in KINDS if k in texts), _bind(manifest, params, reference))


def _folder(reference: str) -> Path:
    folder = Path(reference) if "/" in reference else Path(str(files("connectors"))) / reference
    if (folder / MANIFEST).is_file():
        return folder
    there = f"{folder} holds no {MANIFEST}" if "/" in reference else f"there is no pack {reference!r}"
    raise UsageError(there, f"write pack = one of {', '.join(known())}, or the path of a folder with a {MANIFEST}")


def _manifest(folder: Path, above: tuple[Path, ...] = ()) -> Manifest:
    file = folder / MANIFEST
    if folder in above:
        raise PackError("extends itself", "extend a pack that does not lead back here", str(file))
    own = _toml(file)
    try:
        base = own.get("extends")
        if isinstance(base, str):
            inherited = _manifest(_folder(base), (*above, folder))
            own = inherited.model_dump(by_alias=True, exclude_unset=True) | own
        return Manifest.model_validate(own)
    except ValidationError as e:
        wrong = "; ".join(f"{'.'.join(map(str, x['loc']))}: {x['msg']}" for x in e.errors(include_url=False))
        raise PackError(
            wrong, f"correct it in {MANIFEST}; connectors/tryton/{MANIFEST} is an example", str(file)
        ) from None


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(file))
    except (ValueError, RecursionError) as e:
        said = str(e) if isinstance(e, tomllib.TOMLDecodeError) else "a number too long, or too many brackets"
        raise PackError(f"is not TOML: {said}", "correct that line", str(file)) from None


def read_text(file: Path) -> str:
    """A file of a pack. PackError where it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as e:
        raise PackError(f"is not UTF-8 (byte {e.start + 1})", "save it as UTF-8", str(file)) from None


def _texts(folder: Path, manifest: Manifest) -> dict[str, MappingText]:
    """The SQL by kind; a pack that extends another brings only the files it replaces."""
    if manifest.extends is None:
        return _own_texts(folder)
    base = _folder(manifest.extends)
    return _texts(base, _manifest(base)) | _own_texts(folder)


def _own_texts(folder: Path) -> dict[str, MappingText]:
    there = [(kind, folder / f"{kind}.sql") for kind in KINDS]
    return {kind: MappingText(kind, read_text(file), str(file)) for kind, file in there if file.is_file()}


def _exists(catalog: Catalog, needed: str) -> bool:
    table, _, column = needed.rpartition(".")
    return any(column in t.columns for t in catalog.tables.values() if table in {t.name, t.short})


def _bind(manifest: Manifest, given: Mapping[str, Any], reference: str) -> dict[str, Any]:
    """Parameters by name, typed."""
    if unknown := given.keys() - manifest.params.keys():
        takes = ", ".join(sorted(manifest.params)) or "none"
        raise SettingsError(
            f"params: pack {reference!r} has no parameter {', '.join(sorted(unknown))}", f"it takes: {takes}"
        )
    return {name: _value(name, param, given.get(name, param.default)) for name, param in manifest.params.items()}


def _value(name: str, param: Param, value: Any) -> Any:
    says = f" ({param.help})" if param.help else ""
    example = {"text": "'A'", "int": "1", "date": "2026-01-31"}[param.type]
    fix = f"write params = {{ {name} = {f'[{example}]' if param.many else example} }} in the source's section{says}"
    if value is None:
        raise SettingsError(f"params: {name} is missing{says}", fix)
    try:
        return _READ[param.type, param.many].validate_python(value)
    except ValidationError:
        raise SettingsError(f"params: {name} is not {'a list of ' if param.many else ''}{param.type}", fix) from None
