"""Column types: how each database spells them, which values try their edges, what the connector makes of a value.

A value stands as JSON can hold it: whole numbers as int, decimals as text, doubles as float, dates and timestamps as
ISO text. MariaDB's forms were read off the real connector: BIT(1) is true or false, a CHAR comes without its blanks.
"""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

WORDS = ("A", "a", "B", "", " ", "B ", "x'y", "done", "Done", "0", "é", "日本", "c\\d")
# Accents, width and kana are not compared exactly under a collation that ignores case.
FOLDED_WORDS = tuple(w for w in WORDS if w != "é")
DATES = ("2026-11-01", "2026-11-10", "2026-11-20", "1999-12-31", "2026-11-11")
STAMPS = ("2026-11-10T00:00:00", "2026-11-09T23:59:59", "2026-11-20T10:00:00", "2026-11-01T12:30:00")
DAY_TEXTS = ("20261101", "20261110", "20261120", "19991231", "2026111", "20261110x", "", "x")
DOUBLES = (0.0, 0.1, -0.3, 2.5, 1e6, 123456.789, -1e-6)
HALVES = (0.0, 0.5, -2.25, 1024.0)
UUIDS = tuple(f"{n:08d}-0000-4000-8000-00000000000{n}" for n in range(1, 7))
PAD_COLLATIONS = (
    "utf8mb4_general_ci",
    "utf8mb4_unicode_ci",
    "utf8mb4_bin",
    "utf8mb4_uca1400_as_ci",
    "latin1_general_cs",
)
NOPAD_COLLATIONS = ("utf8mb4_nopad_bin", "utf8mb4_general_nopad_ci")
COLLATIONS = PAD_COLLATIONS + NOPAD_COLLATIONS


@dataclass(frozen=True)
class Kind:
    """`family` says which expressions fit: int, decimal, double, text, char, date, stamp or flag.

    `edges`: values whose sum or product may leave the type, where the database would raise.
    """

    spelling: str
    family: str
    values: tuple[Any, ...]
    scale: int = 0
    size: int = 0
    collation: str = ""
    edges: bool = False
    unsigned: bool = False

    @property
    def text_class(self) -> tuple[str, bool]:
        """Texts of one class may be compared and combined."""
        return self.collation, self.family == "char"

    def same(self, value: Any) -> Any:
        """Equal for two values that the database holds for equal."""
        if self.family not in ("text", "char") or value is None:
            return value
        ignores_case = self.collation.endswith("_ci")
        padded = self.family == "char" or (self.collation and "nopad" not in self.collation)
        text = value.upper() if ignores_case else value
        return text.rstrip(" ") if padded else text

    def sql(self, dialect: str) -> str:
        """The type as CREATE TABLE has it."""
        if not self.collation:
            return self.spelling
        charset = self.collation.partition("_")[0]
        return f"{self.spelling} CHARACTER SET {charset} COLLATE {self.collation}"

    def wire(self, value: Any, dialect: str) -> Any:
        """The value in the connector's JSON."""
        if value is None:
            return None
        if self.family in ("date", "stamp"):
            return f"{value}Z"
        if self.family == "json":
            return json.dumps(value)
        if self.family == "char":
            return value.ljust(self.size) if dialect == "postgres" else value.rstrip(" ")
        return value


class Kinds:
    """Random kinds of a dialect; one batch uses few collations, as columns of different ones do not go together."""

    def __init__(self, rng: Random, dialect: str) -> None:
        self.rng, self.dialect = rng, dialect
        self.collations = rng.sample(COLLATIONS, 2) if dialect == "mysql" else [""]

    def integer(self) -> Kind:
        if self.dialect == "mysql":
            choices = [("tinyint", 7), ("smallint", 15), ("mediumint", 23), ("int", 31), ("bigint", 63)]
        else:
            choices = [("smallint", 15), ("integer", 31), ("bigint", 63)]
        spelling, bits = self.rng.choice(choices)
        unsigned = self.dialect == "mysql" and bits < 63 and self.rng.random() < 0.2
        low, high = (0, 2 ** (bits + 1) - 1) if unsigned else (-(2**bits), 2**bits - 1)
        edges = self.rng.random() < 0.4
        values = (0, 1, 2, 3, 5, 7, *((low, high) if edges else ()))
        if not unsigned:
            values += (-1,)
        spelling += " unsigned" if unsigned else ""
        return Kind(spelling, "int", values, edges=edges, unsigned=unsigned)

    def decimal(self) -> Kind:
        if self.dialect == "postgres" and self.rng.random() < 0.25:
            values = ("0", "1", "2.50", "-0.000000000001", "3E+2", "-12345678901234567890.5")
            return Kind("numeric", "decimal", values, scale=12)
        size = self.rng.choice((5, 9, 18, 22))
        scale = self.rng.randint(0, min(size, 6))
        if self.rng.random() < 0.1:
            spelling, size, scale = ("numeric(38,10)", 38, 10) if self.dialect == "postgres" else ("decimal", 10, 0)
        else:
            spelling = f"{self.rng.choice(('numeric', 'decimal'))}({size},{scale})"
        most = decimal_of("9" * size, scale)
        small = [decimal_of(str(n), scale) for n in (0, 1, 10**scale, 25 * 10**scale // 10, 7)]
        fits = [v for v in small if len(v.replace(".", "").lstrip("0")) <= size]
        return Kind(spelling, "decimal", (*fits, "-" + fits[-1], most, "-" + most), scale=scale, size=size)

    def double(self) -> Kind:
        if self.rng.random() < 0.2:
            # A single's decimals are not a double's: only what both hold exactly can be compared.
            return Kind("real" if self.dialect == "postgres" else "float", "double", HALVES)
        return Kind("double precision" if self.dialect == "postgres" else "double", "double", DOUBLES)

    def text(self, *, key: bool = False, collation: str | None = None, char: bool | None = None) -> Kind:
        collation = self.rng.choice(self.collations) if collation is None else collation
        char = self.rng.random() < 0.25 if char is None else char
        size = self.rng.choice((1, 2, 3, 4, 10))
        words = FOLDED_WORDS if collation.endswith("_ci") else WORDS
        words = tuple(w for w in words if len(w) <= size and (collation[:6] != "latin1" or w.isascii()))
        if char:
            return Kind(f"char({size})", "char", words, size=size, collation=collation)
        if not key and self.rng.random() < 0.3:
            return Kind("text", "text", words, collation=collation)
        return Kind(f"varchar({size})", "text", words, size=size, collation=collation)

    def uuid(self) -> Kind:
        return Kind("uuid", "text", UUIDS)

    def date(self) -> Kind:
        return Kind("date", "date", DATES)

    def stamp(self) -> Kind:
        digits = self.rng.choice((0, 3, 6))
        late = {0: (), 3: ("2026-11-20T10:00:00.5",), 6: ("2026-11-20T10:00:00.5", "2026-11-09T23:59:59.999999")}[
            digits
        ]
        name = "timestamp" if self.dialect == "postgres" else "datetime"
        return Kind(f"{name}({digits})" if digits else f"{name}(0)", "stamp", STAMPS + late)

    def day_text(self) -> Kind:
        """Days as ERPs without dates write them, in a collation that orders them."""
        collation = "utf8mb4_bin" if self.dialect == "mysql" else ""
        return Kind("varchar(10)", "text", DAY_TEXTS, size=10, collation=collation)

    def flag(self) -> Kind:
        if self.dialect == "postgres":
            return Kind("boolean", "flag", (True, True, False))
        if self.rng.random() < 0.5:
            return Kind("bit(1)", "flag", (True, True, False))
        # The connector sends true or false for a table it saw being made, 1 or 0 for one it found.
        return Kind("tinyint(1)", "flag", self.rng.choice(((True, True, False), (1, 1, 0, 2))))

    def of(self, family: str) -> Kind:
        kind: Kind = getattr(self, family)()
        return kind

    def key(self) -> Kind:
        """A kind whose values tell rows apart: a few of them, all different for the database."""
        chance = self.rng.random()
        if chance < 0.55:
            kind = self.integer()
            return Kind(kind.spelling, "int", tuple(range(1, 13)), unsigned=kind.unsigned)
        if chance < 0.65:
            return Kind("numeric(9,0)", "decimal", tuple("123456"), size=9)
        if chance < 0.7 and self.dialect == "postgres":
            return self.uuid()
        if chance < 0.75:
            return self.date()
        return self.text(key=True)


def decimal_of(digits: str, scale: int) -> str:
    """Digits as a decimal of that scale."""
    if not scale:
        return digits
    digits = digits.rjust(scale + 1, "0")
    return f"{digits[:-scale]}.{digits[-scale:]}"


def distinct(kind: Kind, values: tuple[Any, ...]) -> list[Any]:
    """Values that are all different for the database."""
    return list({kind.same(v): v for v in values}.values())
