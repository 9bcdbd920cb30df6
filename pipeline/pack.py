"""A pack: the folder that says in SQL what an ERP's stock is. Loaded, checked and bound to a source's parameters."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline.domain.catalog import Catalog, Table
from pipeline.domain.errors import PackError, SettingsError, UsageError
from pipeline.manifest import MANIFEST, Manifest, Param, parse, validate
from pipeline.query import MappingText
from pipeline.query.optional import names, without_missing

KINDS = ("stock", "orders", "movements", "items")
_READ: dict[tuple[str, bool], TypeAdapter[Any]] = {
    ("text", False): TypeAdapter(str),
    ("text", True): TypeAdapter(list[str]),
    ("int", False): TypeAdapter(int),
    ("int", True): TypeAdapter(list[int]),
    ("date", False): TypeAdapter(date),
    ("date", True): TypeAdapter(list[date]),
}


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack bound to a source's parameters. `digest` changes with anything that changes what is served."""

    name: str
    manifest: Manifest
    texts: tuple[MappingText, ...]
    params: Mapping[str, Any]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it has queries for."""
        return tuple(text.kind for text in self.texts)

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
        known = [
            k for name, keys in self.manifest.hints.unique.items() for k in keys if names(self.dialect, table, name)
        ]
        return replace(table, unique=(*table.unique, *(tuple(k) for k in known)))


def known() -> list[str]:
    """The packs that come with onhand."""
    return sorted(p.name for p in Path(str(files("connectors"))).iterdir() if (p / MANIFEST).is_file())


def load(reference: str, params: Mapping[str, Any], catalog: Catalog | None = None) -> Pack:
    """The pack called `reference` (a folder of connectors/, or a path) with `params` bound.

    With a catalog the first variant whose columns exist replaces the base's files.
    Raises UsageError for an unknown pack, PackError for a wrong pack.toml, SettingsError for wrong parameters.
    """
    folder = folder_of(reference)
    manifest = manifest_of(folder)
    return Pack(folder.name, manifest, texts_of(folder, manifest, catalog), bind(manifest, params, reference))


def texts_of(folder: Path, manifest: Manifest, catalog: Catalog | None = None) -> tuple[MappingText, ...]:
    """The SQL of a pack, for the ERP's version and columns where its catalog is known."""
    texts = _texts(folder, manifest)
    if catalog is not None:
        chosen = next((v for v in manifest.variant if all(_exists(catalog, c) for c in v.needs)), None)
        texts |= _own_texts(folder / chosen.name) if chosen else {}
        texts = {kind: without_missing(text, catalog, manifest.hints.optional) for kind, text in texts.items()}
    if not texts:
        raise PackError("the pack has no SQL", f"write {folder / 'stock.sql'}", str(folder))
    return tuple(texts[k] for k in KINDS if k in texts)


def folder_of(reference: str) -> Path:
    """The folder of a pack: a name of connectors/, or a path. UsageError where there is none."""
    folder = Path(reference) if "/" in reference else Path(str(files("connectors"))) / reference
    if (folder / MANIFEST).is_file():
        return folder
    there = f"{folder} holds no {MANIFEST}" if "/" in reference else f"there is no pack {reference!r}"
    raise UsageError(there, f"write pack = one of {', '.join(known())}, or the path of a folder with a {MANIFEST}")


def beside(reference: str, name: str) -> list[Path]:
    """The files of this name in a pack and those that it extends, the lowest first; none of a pack that is not here."""
    try:
        folder = folder_of(reference)
    except UsageError:
        return []
    base = parse(folder / MANIFEST).get("extends")
    below = beside(base, name) if isinstance(base, str) and base != reference else []
    return [*below, *([folder / name] if (folder / name).is_file() else [])]


def manifest_of(folder: Path, above: tuple[Path, ...] = ()) -> Manifest:
    """pack.toml with what it inherits from the pack it extends. PackError where it is wrong."""
    file = folder / MANIFEST
    if folder in above:
        raise PackError("extends itself", "extend a pack that does not lead back here", str(file))
    own = parse(file)
    base = own.get("extends")
    if isinstance(base, str):
        inherited = manifest_of(folder_of(base), (*above, folder))
        own = inherited.model_dump(by_alias=True, exclude_unset=True) | own
    return validate(own, file)


def _texts(folder: Path, manifest: Manifest) -> dict[str, MappingText]:
    """The SQL by kind; a pack that extends another brings only the files it replaces."""
    if manifest.extends is None:
        return _own_texts(folder)
    base = folder_of(manifest.extends)
    return _texts(base, manifest_of(base)) | _own_texts(folder)


def _own_texts(folder: Path) -> dict[str, MappingText]:
    there = [(kind, folder / f"{kind}.sql") for kind in KINDS]
    return {kind: MappingText(kind, read_text(file), str(file)) for kind, file in there if file.is_file()}


def read_text(file: Path) -> str:
    """A file of a pack. PackError where it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as e:
        raise PackError(f"is not UTF-8 (byte {e.start + 1})", "save it as UTF-8", str(file)) from None


def _exists(catalog: Catalog, needed: str) -> bool:
    table, _, column = needed.rpartition(".")
    return any(column in t.columns for t in catalog.tables.values() if table in {t.name, t.short})


def bind(manifest: Manifest, given: Mapping[str, Any], reference: str) -> dict[str, Any]:
    """Parameters by name, typed. SettingsError for a missing, wrong or unknown one."""
    if unknown := given.keys() - manifest.params.keys():
        takes = ", ".join(sorted(manifest.params)) or "none"
        raise SettingsError(
            f"params: pack {reference!r} has no parameter {', '.join(sorted(unknown))}", f"it takes: {takes}"
        )
    return {name: value_of(name, param, given.get(name, param.default)) for name, param in manifest.params.items()}


def value_of(name: str, param: Param, value: Any) -> Any:
    """One parameter's value, typed. SettingsError where it is missing or of another type."""
    says = f" ({param.help})" if param.help else ""
    example = {"text": "'A'", "int": "1", "date": "2026-01-31"}[param.type]
    fix = f"write params = {{ {name} = {f'[{example}]' if param.many else example} }} in the source's section{says}"
    if value is None:
        raise SettingsError(f"params: {name} is missing{says}", fix)
    try:
        return _READ[param.type, param.many].validate_python(value)
    except ValidationError:
        raise SettingsError(f"params: {name} is not {'a list of ' if param.many else ''}{param.type}", fix) from None
