"""A fixture schema: CREATE TABLE statements in the ERP's dialect as a catalog, where no database is at hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from sqlglot import exp, parse
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel, ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from pipeline.domain.catalog import Catalog, Column, Table
from pipeline.domain.errors import PackError
from pipeline.query.place import MappingText

# Where a table without a schema of its own lies, as the connector would name it.
SCHEMAS = {"postgres": "public", "mysql": "erp", "tsql": "dbo", "oracle": "ERP"}
_STATEMENTS = "write CREATE TABLE, CREATE UNIQUE INDEX and ALTER TABLE .. ADD PRIMARY KEY or UNIQUE only"
# Said of a column or table and of no use here: values are the ERP's business.
_IGNORED = (
    exp.CheckColumnConstraint, exp.DefaultColumnConstraint, exp.ForeignKey, exp.GeneratedAsIdentityColumnConstraint,
    exp.Check, exp.IndexColumnConstraint,
)  # fmt: skip
_CLUSTERED = (exp.ClusteredColumnConstraint, exp.NonClusteredColumnConstraint)


@dataclass
class _Draft:
    """A table while it is read."""

    name: str
    columns: dict[str, Column] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    unique: list[tuple[str, ...]] = field(default_factory=list)


def catalog_of(ddl: str, dialect: str, schema: str | None = None, file: str = "schema.sql") -> Catalog:
    """The catalog that `ddl` describes; tables without a schema lie in `schema`. PackError with the place otherwise."""
    return _Reader(MappingText("schema", ddl.replace("\r\n", "\n"), file), dialect, schema or SCHEMAS[dialect]).read()


class _Reader:
    def __init__(self, text: MappingText, dialect: str, schema: str) -> None:
        self.text, self.dialect, self.schema = text, dialect, schema
        self.tables: dict[str, _Draft] = {}
        self.start = 0  # of the statement that is read: the place of what has none of its own

    def read(self) -> Catalog:
        for statement in self._statements():
            self._statement(statement)
        tables = (Table(d.name, d.columns, d.primary_key, tuple(d.unique)) for d in self.tables.values())
        return Catalog.of(self.dialect, *tables)

    def _refuse(self, what: str, fix: str, node: exp.Expr | None = None) -> NoReturn:
        starts = [n.meta["start"] for n in node.walk() if "start" in n.meta] if node is not None else []
        self.text.refuse_at(min(starts, default=self.start), what, fix)

    def _statements(self) -> Iterator[exp.Expr]:
        """Each statement, parsed on its own and at its place: a refusal names the one that it is about."""
        for tokens in self._chunks():
            self.start, end = tokens[0].start, tokens[-1].end + 1
            blank = "".join(c if c == "\n" else " " for c in self.text.sql[: self.start])
            try:
                trees = parse(
                    blank + self.text.sql[self.start : end], read=self.dialect, error_level=ErrorLevel.IMMEDIATE
                )
            except ParseError as error:
                self._unreadable(error)
            except RecursionError:
                self._refuse("this statement is nested too deeply", _STATEMENTS)
            yield from (t for t in trees if t is not None)

    def _chunks(self) -> Iterator[list[Token]]:
        try:
            tokens = Dialect.get_or_raise(self.dialect).tokenize(self.text.sql)
        except TokenError:
            raise PackError("the text ends inside a quote or comment", "close it", self.text.file) from None
        chunk: list[Token] = []
        for token in tokens:
            if not self._separates(token):
                chunk.append(token)
            elif chunk:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _separates(self, token: Token) -> bool:
        return token.token_type == TokenType.SEMICOLON or (self.dialect == "tsql" and token.text.upper() == "GO")

    def _unreadable(self, error: ParseError) -> NoReturn:
        e = error.errors[0] if error.errors else {}
        line, column = e.get("line"), max(1, (e.get("col") or 1) - len(e.get("highlight") or "") + 1)
        where = f"{self.text.file}:{line}:{column}" if line else self.text.at(self.start)
        said = str(e.get("description") or "").split(" for <class")[0].rstrip(".")
        raise PackError(f"the schema cannot be read near {e.get('highlight')!r} ({said})", _STATEMENTS, where) from None

    def _statement(self, statement: exp.Expr) -> None:
        kind = str(statement.args.get("kind") or "").upper()
        if isinstance(statement, exp.Create) and kind == "TABLE" and isinstance(statement.this, exp.Schema):
            self._table(statement.this)
        elif isinstance(statement, exp.Create) and kind == "INDEX":
            self._index(statement)
        elif isinstance(statement, exp.Alter) and kind == "TABLE":
            self._alter(statement)
        else:
            self._refuse("not a statement of a schema", _STATEMENTS)

    def _table(self, schema: exp.Schema) -> None:
        name = self._name(schema.this)
        if name in self.tables:
            self._refuse(f"{name} is created twice", "remove one")
        draft = self.tables[name] = _Draft(name)
        for part in schema.expressions:
            if isinstance(part, exp.ColumnDef):
                self._column(draft, part)
            else:
                self._constraint(draft, part)
        self._check_keys(draft)

    def _name(self, table: exp.Expr) -> str:
        schema = self._folded(table.args["db"]) if table.args.get("db") else self.schema
        return f"{schema}.{self._folded(table.this)}"

    def _folded(self, name: exp.Expr) -> str:
        """An identifier as the catalog spells it: PostgreSQL keeps no capitals that are not quoted."""
        return name.name if name.args.get("quoted") or self.dialect != "postgres" else name.name.lower()

    def _column(self, draft: _Draft, part: exp.ColumnDef) -> None:
        name, kinds = self._folded(part.this), [c.args.get("kind", c) for c in part.args.get("constraints") or ()]
        if part.args.get("kind") is None:
            self._refuse("a column without a type", "write its type as the ERP's catalog has it", part)
        if name in draft.columns:
            self._refuse(f"column {name} stands twice in {draft.name}", "remove one", part)
        primary = any(isinstance(k, exp.PrimaryKeyColumnConstraint) for k in kinds)
        required = primary or any(
            isinstance(k, exp.NotNullColumnConstraint) and not k.args.get("allow_null") for k in kinds
        )
        collation = next((k.this.name for k in kinds if isinstance(k, exp.CollateColumnConstraint)), None)
        draft.columns[name] = Column(name, part.args["kind"].sql(self.dialect), not required, collation)
        if primary:
            draft.primary_key = (name,)
        if any(isinstance(k, exp.UniqueColumnConstraint) for k in kinds):
            draft.unique.append((name,))

    def _constraint(self, draft: _Draft, part: exp.Expr) -> None:
        """PRIMARY KEY (..), UNIQUE (..), with CONSTRAINT name or without."""
        kinds = part.expressions if isinstance(part, exp.Constraint) else [part]
        columns = self._columns([c for k in kinds for c in _key_parts(k)])
        if any(isinstance(k, exp.PrimaryKey | exp.PrimaryKeyColumnConstraint) for k in kinds) and columns:
            draft.primary_key = columns
        elif any(isinstance(k, exp.UniqueColumnConstraint) for k in kinds) and columns:
            draft.unique.append(columns)
        elif not all(isinstance(k, _IGNORED) for k in kinds):
            self._refuse("not a part of a table that a schema needs", "write columns, PRIMARY KEY and UNIQUE", part)

    def _columns(self, parts: list[exp.Expr]) -> tuple[str, ...]:
        """The columns of a key; what stands around them (ASC, NULLS FIRST) says nothing about rows."""
        names = [p if isinstance(p, exp.Identifier) else p.find(exp.Identifier) for p in parts]
        return tuple(self._folded(n) for n in names if n is not None)

    def _index(self, create: exp.Create) -> None:
        """A unique index is a key unless it leaves rows out or computes something; other indexes say nothing."""
        index = create.this
        parameters = index.args.get("params") if isinstance(index, exp.Index) else None
        if not create.args.get("unique") or parameters is None or parameters.args.get("where"):
            return
        parts = [p.this if isinstance(p, exp.Ordered) else p for p in parameters.args.get("columns") or ()]
        if parts and all(isinstance(p, exp.Column | exp.Identifier) for p in parts):
            draft = self._known(index.args["table"])
            draft.unique.append(self._columns(parts))
            self._check_keys(draft)

    def _alter(self, alter: exp.Alter) -> None:
        draft = self._known(alter.this)
        for action in alter.args.get("actions") or ():
            if not isinstance(action, exp.AddConstraint):
                self._refuse("only ALTER TABLE .. ADD of a key", _STATEMENTS)
            for part in action.expressions:
                self._constraint(draft, part)
        self._check_keys(draft)

    def _known(self, table: exp.Expr) -> _Draft:
        name = self._name(table)
        if name not in self.tables:
            self._refuse(f"{name} is not created before this", "write its CREATE TABLE above")
        return self.tables[name]

    def _check_keys(self, draft: _Draft) -> None:
        """Keys name columns that there are, spelled as those are; MySQL, SQL Server and Oracle ignore case there."""
        fold = str if self.dialect == "postgres" else str.lower
        known = {fold(c): c for c in draft.columns}
        for column in (c for key in (draft.primary_key, *draft.unique) for c in key):
            if fold(column) not in known:
                self._refuse(f"a key of {draft.name} names {column}, which it has not", "correct the name")
        draft.primary_key = tuple(known[fold(c)] for c in draft.primary_key)
        draft.unique = [tuple(known[fold(c)] for c in key) for key in draft.unique]
        columns = {
            c: Column(c, d.type, d.nullable and c not in draft.primary_key, d.collation)
            for c, d in draft.columns.items()
        }
        draft.columns = columns


def _key_parts(kind: exp.Expr) -> list[exp.Expr]:
    """The columns of a key as parsed: SQL Server's lie one deeper, behind (NON)CLUSTERED."""
    inner = kind if isinstance(kind, _CLUSTERED) else kind.this
    if isinstance(inner, _CLUSTERED):
        return list(inner.this)
    return list(inner.expressions if isinstance(inner, exp.Schema) else kind.expressions)
