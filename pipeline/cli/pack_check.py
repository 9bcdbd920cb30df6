"""What there is to say of a pack: everything it yields and needs, all that is refused, and how its cases went."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pipeline import pack
from pipeline.cases import CaseFile, Failure, Runner, read
from pipeline.cases.file import params_of
from pipeline.domain.beside import check_beside
from pipeline.domain.catalog import Catalog
from pipeline.domain.errors import NotServedError, OnhandError, PackError, SettingsError, UsageError
from pipeline.domain.shape import shape_of
from pipeline.manifest import MANIFEST, Manifest, Param
from pipeline.query import Engine, MappingText, catalog_of, compile_source
from pipeline.query.contract import CONTRACTS
from pipeline.query.describe import Described, describe
from pipeline.query.optional import has, names

T = TypeVar("T")
CASES, SCHEMA = "cases.yaml", "schema.sql"
_SERVED = ("stock", "orders", "movements")
# Stands for a parameter without a value, so that the SQL is checked all the same.
_STAND_IN: dict[str, Any] = {"text": "", "int": 0, "date": "1970-01-01"}
_EXAMPLE = {"text": "A", "int": "1", "date": "2026-01-31"}


@dataclass
class Report:
    """A pack as far as it could be read. `schema` is schema.sql, `catalog` with the keys that pack.toml adds."""

    folder: Path
    manifest: Manifest | None = None
    schema: Catalog | None = None
    catalog: Catalog | None = None
    params: dict[str, tuple[Any, str]] = field(default_factory=dict)
    queries: list[Described] = field(default_factory=list)
    captured: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refused: list[OnhandError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cases: CaseFile | None = None
    ran: bool = False
    failures: list[Failure] = field(default_factory=list)


def examine(folder: Path, given: Mapping[str, str], shuffles: int) -> Report:
    """Look at every file of a pack. Raises UsageError for what was typed; what is wrong in the pack is reported."""
    report = Report(folder)
    report.manifest = _collect(report, lambda: pack.manifest_of(folder))
    if report.manifest is not None:
        _Check(report, report.manifest, given).all(shuffles)
    return report


def _collect(report: Report, ask: Callable[[], T]) -> T | None:
    """What `ask` returns; what it refuses is kept for the report."""
    try:
        return ask()
    except (PackError, SettingsError) as e:
        report.refused.append(e)
        return None


class _Check:
    """The files of a pack beside pack.toml, each looked at even where another one is wrong."""

    def __init__(self, report: Report, manifest: Manifest, given: Mapping[str, str]) -> None:
        self.report, self.manifest, self.given, self.folder = report, manifest, given, report.folder
        if unknown := given.keys() - manifest.params.keys():
            takes = ", ".join(manifest.params) or "no parameters"
            raise UsageError(f"--param: the pack has no parameter {', '.join(sorted(unknown))}", f"it takes {takes}")
        params = _collect(report, lambda: params_of(self.folder / CASES))
        self.unreadable_cases, self.case_params = params is None, params or {}
        self.texts: tuple[MappingText, ...] = ()
        self.engine: Engine | None = None

    def all(self, shuffles: int) -> None:
        """Everything, in the order in which one file rests on another."""
        self._bind()
        self.report.schema = _collect(self.report, lambda: _schema(self.folder, self.manifest))
        if self.report.schema is None:
            return
        self._check_hints(self.report.schema)
        self._compile(self.report.schema)
        self._check_served()
        self._run_cases(shuffles)

    def _bind(self) -> None:
        """--param, else the default, else what the cases are tried with."""
        for name in self.case_params.keys() - self.manifest.params.keys():
            fix = f"declare [params.{name}] in {MANIFEST}, or remove it"
            self._refuse(f"params: the pack has no parameter {name}", fix, CASES)
        for name, param in self.manifest.params.items():
            value, origin = self._value(name, param)
            bound = _collect(self.report, partial(_typed, name, param, value))
            if bound is None:
                one = _STAND_IN[param.type]
                bound, origin = pack.value_of(name, param, [one] if param.many else one), "must be given"
            self.report.params[name] = bound, origin

    def _value(self, name: str, param: Param) -> tuple[Any, str]:
        if name in self.given:
            text = self.given[name]
            return (text.split(",") if param.many else text), "--param"
        return (param.default, "default") if param.default is not None else (self.case_params.get(name), CASES)

    def _refuse(self, what: str, fix: str, file: str) -> None:
        self.report.refused.append(PackError(what, fix, str(self.folder / file)))

    def _check_hints(self, schema: Catalog) -> None:
        """[schema] names what is there: a slip of the pen would leave the ERP's tables as they are without a word."""
        named: list[tuple[str, str | None]] = [
            (table, column) for table, keys in self.manifest.hints.unique.items() for key in keys for column in key
        ]
        named += [(name.rpartition(".")[0], None) for name in self.manifest.hints.optional]
        for table, column in dict.fromkeys(named):
            found = [t for t in schema.tables.values() if names(schema.dialect, t, table)]
            if not found:
                self.report.notes.append(f"[schema] names table {table}, which {SCHEMA} does not have")
            elif column is not None and not has(schema.dialect, found[0], column):
                fix = f"it has {', '.join(found[0].columns)}"
                self._refuse(f"[schema] unique: {table} has no column {column}", fix, MANIFEST)

    def _compile(self, schema: Catalog) -> None:
        self.texts = _collect(self.report, lambda: pack.texts_of(self.folder, self.manifest, schema)) or ()
        params = {name: value for name, (value, _) in self.report.params.items()}
        catalog = pack.Pack(self.folder.name, self.manifest, self.texts, params).complete(schema)
        self.report.catalog = catalog
        for text in self.texts:
            described = _collect(self.report, partial(describe, text, catalog, params))
            self.report.queries += [described] if described is not None else []
        known = {d.kind for d in self.report.queries}
        if known:
            self.engine = compile_source([t for t in self.texts if t.kind in known], catalog, params)
            self.report.captured = self.engine.captured
        unused = [n for n in self.manifest.params if not any(f":{n}" in t.sql for t in self.texts)]
        self.report.notes += [f"no query uses parameter {name}" for name in unused]

    def _check_served(self) -> None:
        views = self.engine.views if self.engine is not None else {}
        if "stock" in views:
            try:
                stock = shape_of(views["stock"].keys, views["stock"].amounts, self.manifest.stock.reserved)
                check_beside(views, stock)
            except NotServedError as e:
                self.report.notes.append(e.what)
            except PackError as e:
                self._refuse(e.what, e.fix, MANIFEST)
        if self.manifest.stock.usable is not None:
            self.report.notes.append("[stock] usable is not served yet: apply refuses it")
        self.report.notes += [f"{k}.sql is checked and captured, and not served yet" for k in views if k not in _SERVED]

    def _run_cases(self, shuffles: int) -> None:
        file, catalog = self.folder / CASES, self.report.catalog
        if not file.is_file():
            self.report.notes.append(f"there is no {CASES}: nothing shows that the queries say what you mean")
        elif catalog is not None and not self.unreadable_cases:
            self.report.cases = known = _collect(self.report, lambda: read(file, catalog, self._yields()))
            engine = _collect(self.report, lambda: self._case_engine(catalog)) if not self.report.refused else None
            if known is not None and engine is not None:
                self.report.failures = list(Runner(known, catalog, engine).failures(shuffles))
                self.report.ran = True

    def _yields(self) -> dict[str, tuple[str, ...]]:
        """Each query's columns; of a refused one all that it might yield."""
        views = self.engine.views if self.engine is not None else {}
        might = {kind: (*sorted(c.keys), "line_id", *c.amounts) for kind, c in CONTRACTS.items()}
        real = {kind: (*v.keys, *(a.name for a in v.amounts)) for kind, v in views.items()}
        return {t.kind: real.get(t.kind, might[t.kind]) for t in self.texts}

    def _case_engine(self, catalog: Catalog) -> Engine:
        """An engine of its own with the parameters that the cases name."""
        bound = {
            n: _typed(n, p, self.case_params.get(n, self.report.params[n][0])) for n, p in self.manifest.params.items()
        }
        return compile_source(self.texts, catalog, bound)


def _schema(folder: Path, manifest: Manifest) -> Catalog:
    """The pack's own schema.sql, else the one of the pack that it extends."""
    file = folder / SCHEMA
    if file.is_file():
        return catalog_of(pack.read_text(file), manifest.dialect, file=str(file))
    if manifest.extends is not None:
        base = pack.folder_of(manifest.extends)
        return _schema(base, pack.manifest_of(base))
    fix = f"write the CREATE TABLE statements of the tables that the queries read, as {manifest.dialect} has them"
    raise PackError("is not there, and no database is at hand", fix, str(file))


def _typed(name: str, param: Param, value: Any) -> Any:
    try:
        return pack.value_of(name, param, value)
    except SettingsError as e:
        example = f"{_EXAMPLE[param.type]},.." if param.many else _EXAMPLE[param.type]
        fix = f"--param {name}={example}, or params: {{{name}: ..}} in {CASES}, or default = .. in {MANIFEST}"
        raise SettingsError(e.what, fix) from None
