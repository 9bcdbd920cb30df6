"""Random SQL of the mapping grammar, of a wanted type, over the columns in scope.

Only what the databases answer without an error: no sum of whole numbers that leaves their type, no double beside large
decimals, no texts of two collations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.query.differential.kinds import DATES, DAY_TEXTS, Kind
from tests.query.differential.schema import TableSpec, quoter

TextClass = tuple[str, bool]


@dataclass(frozen=True)
class Col:
    """A column in scope as SQL."""

    sql: str
    kind: Kind


def columns_of(table: TableSpec, alias: str, dialect: str) -> list[Col]:
    quote = quoter(dialect)
    return [Col(f"{alias}.{quote(c.name)}", c.kind) for c in table.columns]


def quoted(text: str, dialect: str) -> str:
    if dialect == "mysql":
        text = text.replace("\\", "\\\\")
    return "'" + text.replace("'", "''") + "'"


class Sql:
    """Random expressions; `depth` is how far they nest."""

    def __init__(self, rng: Random, dialect: str, columns: Sequence[Col]) -> None:
        self.rng, self.dialect, self.columns = rng, dialect, list(columns)

    def of(self, *families: str, where: Callable[[Kind], bool] = lambda _: True) -> list[Col]:
        return [c for c in self.columns if c.kind.family in families and where(c.kind)]

    def _pick(self, *makers: Callable[[], str]) -> str:
        return self.rng.choice(makers)()

    # ---- numbers

    def number(self, depth: int = 2) -> str:
        """An exact number: amounts and comparisons."""
        columns = self.of("int", "decimal")
        if not columns or self.rng.random() < 0.1:
            return self.rng.choice(("0", "1", "2.5", "-1", "0.001", "100"))
        if depth <= 0 or self.rng.random() < 0.35:
            return self.rng.choice(columns).sql
        inner = lambda: self.number(depth - 1)  # noqa: E731 -- a word for the lines below
        return self._pick(
            lambda: f"({self._safe()} + {self._safe()})",
            lambda: f"({self._safe()} - {self._safe()})",
            lambda: f"({self._safe()} * {self.rng.choice(('2', '-1', '0.5', self._safe()))})",
            lambda: f"(-{self._safe()})",
            lambda: f"COALESCE({inner()}, {inner()})",
            lambda: f"NULLIF({inner()}, {self.rng.choice(('0', '1', inner()))})",
            lambda: self._choice(inner, depth),
            lambda: f"CAST({self._whole()} AS {self._wide()})",
        )

    def _safe(self) -> str:
        """An operand that cannot overflow: whole numbers at the edge of their type become decimals."""
        column = self.rng.choice(self.of("int", "decimal", where=lambda k: k.size <= 22) or [Col("3", _ONE)])
        small = column.kind.family == "decimal" or not (column.kind.edges or column.kind.unsigned)
        if small and (column.kind.family == "decimal" or self.rng.random() < 0.5):
            return column.sql
        return f"({column.sql} + 0.0)"

    def _whole(self) -> str:
        columns = self.of("int")
        return self.rng.choice(columns).sql if columns else "7"

    def _wide(self) -> str:
        return f"decimal({self.rng.choice(('22,2', '30,5'))})"

    def double(self) -> str:
        """A number that comes from a double."""
        column = self.rng.choice(self.of("double")).sql
        return self._pick(
            lambda: column,
            lambda: f"(-{column})",
            lambda: f"({column} * 2)",
            lambda: f"COALESCE({column}, 0)",
            lambda: f"({column} - {self.rng.choice(self.of('double')).sql})",
            lambda: f"CASE WHEN {self.condition(1)} THEN {column} END",
        )

    def whole_key(self) -> str:
        """A whole number to group by."""
        columns = self.of("int") + self.of("decimal", where=lambda k: not k.scale)
        if not columns:
            return "7"
        column = self.rng.choice(columns).sql
        return self._pick(
            lambda: column,
            lambda: column,
            lambda: f"COALESCE({column}, 0)",
            lambda: f"NULLIF({column}, 1)",
            lambda: self._choice(lambda: self.rng.choice(columns).sql, 1),
        )

    # ---- texts

    def text_classes(self) -> list[TextClass]:
        return list(dict.fromkeys(c.kind.text_class for c in self.of("text", "char") if not _is_uuid(c.kind)))

    def _texts(self, cls: TextClass) -> list[Col]:
        return self.of("text", "char", where=lambda k: k.text_class == cls and not _is_uuid(k))

    def literal(self, cls: TextClass) -> str:
        ascii_only = cls[0].startswith("latin1")
        words = [w for c in self._texts(cls) for w in c.kind.values] or ["A", "done"]
        return quoted(self.rng.choice([w for w in words if not ascii_only or w.isascii()]), self.dialect)

    def text(self, cls: TextClass, depth: int = 2) -> str:
        """A text of a class: one collation, CHAR or not."""
        columns = self._texts(cls)
        if not columns:
            return self.literal(cls)
        column = self.rng.choice(columns).sql
        if depth <= 0 or self.rng.random() < 0.4:
            return column
        inner = lambda: self.text(cls, depth - 1)  # noqa: E731 -- a word for the lines below
        common = [
            lambda: f"COALESCE({inner()}, {self._pick(inner, lambda: self.literal(cls))})",
            lambda: f"NULLIF({inner()}, {self.literal(cls)})",
            lambda: self._choice(inner, depth),
        ]
        return self.rng.choice(common if cls[1] else common + self._functions(cls, inner))()

    def _functions(self, cls: TextClass, inner: Callable[[], str]) -> list[Callable[[], str]]:
        part = lambda: f"{self.rng.randint(1, 2)}, {self.rng.randint(1, 3)}"  # noqa: E731 -- SUBSTRING's arguments
        return [
            lambda: f"UPPER({inner()})",
            lambda: f"LOWER({inner()})",
            lambda: f"{self.rng.choice(('TRIM', 'LTRIM', 'RTRIM'))}({inner()})",
            lambda: f"TRIM({self.rng.choice(('BOTH', 'LEADING', 'TRAILING'))} 'A' FROM {inner()})",
            lambda: f"{self.rng.choice(('SUBSTRING', 'SUBSTR'))}({inner()}, {part()})",
            lambda: self._concat([inner(), "'/'", self._pick(inner, self._whole)]),
            lambda: self._concat([inner(), self.literal(cls)]),
        ]

    def _concat(self, parts: list[str]) -> str:
        if self.dialect == "mysql" or self.rng.random() < 0.3:
            return f"CONCAT({', '.join(parts)})"
        return f"({' || '.join(parts)})"

    # ---- the rest

    def date(self) -> str:
        columns, stamps = self.of("date"), self.of("stamp")
        makers = [lambda: self.rng.choice(columns).sql] if columns else []
        if stamps:
            makers.append(lambda: self._day_of(self.rng.choice(stamps).sql))
        if not makers:
            return self.date_literal()
        one, other = self.rng.choice(makers), self.rng.choice(makers)
        return self._pick(one, one, lambda: f"COALESCE({one()}, {other()})")

    def _day_of(self, stamp: str) -> str:
        return f"DATE({stamp})" if self.dialect == "mysql" and self.rng.random() < 0.5 else f"CAST({stamp} AS date)"

    def date_literal(self) -> str:
        day = self.rng.choice(DATES)
        if self.dialect == "postgres" and self.rng.random() < 0.5:
            return f"'{day}'::date"
        return f"CAST('{day}' AS date)"

    def _today(self) -> str:
        return self.rng.choice(("CURRENT_DATE", "CURDATE()")) if self.dialect == "mysql" else "CURRENT_DATE"

    def computed(self, ref: Col, *, outer: bool) -> str:
        """A join's key: an expression of the column's type, often equal to it; `outer`: NULL if all columns are."""
        timeless = Sql(self.rng, self.dialect, [c for c in self.columns if c.kind.family not in ("date", "stamp")])
        test = timeless.condition(1) if timeless.columns else f"{ref.sql} IS NOT NULL"
        others = self.of(ref.kind.family, where=lambda k: k.text_class == ref.kind.text_class and k.scale == 0)
        same = self.rng.choice([c.sql for c in others if _is_uuid(c.kind) == _is_uuid(ref.kind)])
        makers = [lambda: f"CASE WHEN {test} THEN {ref.sql} END", lambda: f"COALESCE({ref.sql}, {same})"]
        literal = self._literal_of(ref.kind)
        if literal:
            makers.append(lambda: f"NULLIF({ref.sql}, {literal})")
        if literal and not outer:
            makers += [
                lambda: f"COALESCE({ref.sql}, {literal})",
                lambda: f"CASE WHEN {test} THEN {literal} ELSE {ref.sql} END",
            ]
        return self.rng.choice(makers + self._computed(ref))()

    def _literal_of(self, kind: Kind) -> str:
        value = self.rng.choice(kind.values)
        if kind.family == "date":
            return self.date_literal()
        if kind.family in ("text", "char"):
            return "" if _is_uuid(kind) else quoted(value, self.dialect)
        return literal_of(value)

    def _computed(self, ref: Col) -> list[Callable[[], str]]:
        """What only this family has."""
        if ref.kind.family in ("int", "decimal"):
            return [lambda: f"{ref.sql} + {self.rng.choice('01')}", lambda: f"({ref.sql} * 1)"]
        if ref.kind.family == "date":
            return [self.date]
        if ref.kind.family == "char" or _is_uuid(ref.kind):
            return []
        return self._functions(ref.kind.text_class, lambda: ref.sql)

    def flag(self) -> str:
        return self.rng.choice(self.of("flag")).sql

    def _choice(self, inner: Callable[[], str], depth: int) -> str:
        """CASE, and MySQL's IF and IFNULL."""
        if self.dialect == "mysql" and self.rng.random() < 0.3:
            return self._pick(
                lambda: f"IF({self.condition(depth - 1)}, {inner()}, {inner()})",
                lambda: f"IFNULL({inner()}, {inner()})",
            )
        arms = "".join(f" WHEN {self.condition(depth - 1)} THEN {inner()}" for _ in range(self.rng.randint(1, 2)))
        return f"CASE{arms}{self._pick(lambda: f' ELSE {inner()}', lambda: '')} END"

    # ---- conditions

    def condition(self, depth: int = 2) -> str:
        if depth > 0 and self.rng.random() < 0.4:
            two = lambda word: f"({self.condition(depth - 1)} {word} {self.condition(depth - 1)})"  # noqa: E731
            return self._pick(lambda: two("AND"), lambda: two("OR"), lambda: f"NOT ({self.condition(depth - 1)})")
        makers = [self._null_test]
        if self.of("int", "decimal"):
            makers += [self._number_test, self._number_test]
        if self.text_classes():
            makers += [self._text_test, self._text_test]
        if self.of("date", "stamp"):
            makers.append(self._date_test)
        if self.of("flag"):
            makers += [self._flag_test, self._flag_test]
        if self.of("text", where=_is_day_text):
            makers += [self._day_text_test, self._day_text_test]
        return self.rng.choice(makers)()

    def _null_test(self) -> str:
        return f"{self.rng.choice(self.columns).sql} IS {self.rng.choice(('', 'NOT '))}NULL"

    def _number_test(self) -> str:
        column = self.rng.choice(self.of("int", "decimal"))
        values = [literal_of(v) for v in column.kind.values]
        return self._pick(
            lambda: f"{self.number(1)} {self._sign()} {self.number(1)}",
            lambda: f"{column.sql} {self._sign()} {self.rng.choice(values)}",
            lambda: f"{column.sql} {self._not()}BETWEEN {self.number(0)} AND {self.number(0)}",
            lambda: f"{column.sql} {self._not()}IN ({', '.join(self.rng.sample(values, 2))})",
        )

    def _sign(self) -> str:
        return self.rng.choice(("=", "<>", "<", "<=", ">", ">=", "!="))

    def _not(self) -> str:
        return self.rng.choice(("", "", "NOT "))

    def _text_test(self) -> str:
        cls = self.rng.choice(self.text_classes())
        value = self.text(cls, 1)
        return self._pick(
            lambda: f"{value} {self.rng.choice(('=', '<>'))} {self.literal(cls)}",
            lambda: f"{value} = {self.text(cls, 1)}",
            lambda: f"{value} {self._not()}IN ({self.literal(cls)}, {self.literal(cls)})",
            lambda: f"CASE {value} WHEN {self.literal(cls)} THEN 1 WHEN {self.literal(cls)} THEN 2 END = 1",
        )

    def _date_test(self) -> str:
        stamp = self.rng.choice(self.of("date", "stamp")).sql
        other = self._pick(self._today, self._today, self.date_literal, self.date)
        return self._pick(
            lambda: f"{self._pick(lambda: stamp, self.date)} {self._sign()} {other}",
            lambda: f"{other} {self._sign()} {stamp}",
            lambda: f"{stamp} {self._not()}BETWEEN {self.date_literal()} AND {self._today()}",
            lambda: f"{self._today()} {self._not()}BETWEEN {stamp} AND {self.date()}",
        )

    def _day_text_test(self) -> str:
        column = self.rng.choice(self.of("text", where=_is_day_text)).sql
        if self.dialect == "mysql":
            return f"{column} {self._sign()} DATE_FORMAT(CURDATE(), '%Y%m%d')"
        return f"{column} COLLATE \"C\" {self._sign()} TO_CHAR(CURRENT_DATE, 'YYYYMMDD')"

    def _flag_test(self) -> str:
        column = self.flag()
        makers = [lambda: column, lambda: f"NOT {column}"]
        if self.dialect == "mysql":
            makers += [lambda: f"{column} = 1", lambda: f"{column} <> 0"]
        else:
            makers += [lambda: f"{column} = TRUE", lambda: f"{column} <> FALSE", lambda: f"COALESCE({column}, TRUE)"]
        return self.rng.choice(makers)()


_ONE = Kind("int", "int", (1,))


def _is_day_text(kind: Kind) -> bool:
    return kind.values == DAY_TEXTS


def _is_uuid(kind: Kind) -> bool:
    return kind.spelling == "uuid"


def literal_of(value: object) -> str:
    """A number as SQL has it."""
    text = str(value)
    return "300" if "E" in text else text
