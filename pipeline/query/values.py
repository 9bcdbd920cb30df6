"""Column values as the engine holds them: scaled ints, canonical text, ISO dates.

Every conversion raises a BadValueError before any state has changed; no message holds the value itself.
"""

import math
import re
from collections.abc import Callable, Container, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

# Debezium's `unavailable.value.placeholder`: an out-of-line value that the change did not touch.
UNAVAILABLE = "__debezium_unavailable_value"

FLOAT_SCALE = 9  # decimals kept of a double column; far below the 1e-6 at which such amounts are compared
FREE_SCALE = 12  # decimals kept of a NUMERIC declared without a scale

_MEMO_LIMIT = 50_000
_LONGEST_NUMBER = 400  # digits; 1E+999999999 would otherwise ask for a gigabyte
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d+))?Z?")


class BadValueError(ValueError):
    """A column's value cannot be used; the row belongs into quarantine. Nothing has changed."""


class WrongTypeError(BadValueError):
    """The value is not of the type the catalog declares."""


class NotFiniteError(BadValueError):
    """NaN or an infinity."""


class TooManyDecimalsError(BadValueError):
    """More decimals than the column's scale: rounding would lose stock."""


class UnavailableError(BadValueError):
    """The connector left the value out because it did not change, and no earlier row is known."""


class Memo(dict[Any, Any]):
    """A bounded cache of one conversion: a hit costs one dict look-up. NULL stays None."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        super().__init__()
        self.convert = convert

    def __missing__(self, value: Any) -> Any:
        if len(self) >= _MEMO_LIMIT:
            self.clear()
        result = self[value] = None if value is None else self.convert(value)
        return result


class Spellings(dict[str, str]):
    """Folded text -> the spelling shown for it: a word of the query, else the first one seen."""

    _FEW = 10_000

    def __init__(self, fold: Mapping[str, str]) -> None:
        super().__init__()
        # Any text -> its spelling; NULL stays NULL.
        self.shown = Memo(lambda text: self.setdefault(fold[text], text))
        self._words: dict[str, str] = {}
        self._limit = self._FEW

    def add_word(self, folded: str, word: str) -> None:
        """A text of the query itself: never replaced or forgotten."""
        self.shown.clear()
        self[folded] = self._words.setdefault(folded, word)

    @property
    def is_due(self) -> bool:
        """Whether it is worth looking for spellings that nothing shows any more."""
        return len(self) > self._limit

    def keep(self, shown: Container[str]) -> None:
        """Forget all but the words and what is shown."""
        unused = [folded for folded, text in self.items() if folded not in self._words and text not in shown]
        for folded in unused:
            del self[folded]
        self.shown.clear()
        self._limit = max(self._FEW, 2 * len(self))


def scaled(scale: int) -> Callable[[Any], int]:
    """A conversion of a number or its text to units of 10**-scale, exactly."""

    def convert(value: Any) -> int:
        # The usual case, text with exactly the column's scale, needs no Decimal.
        if scale and type(value) is str and value[-scale - 1 : -scale] == "." and value[-scale:].isdecimal():
            return int(value.replace(".", ""))
        return _exact(_decimal(value), scale)

    return convert


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise WrongTypeError("not a number")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise WrongTypeError("not a number") from None
    if not number.is_finite():
        raise NotFiniteError("not a finite number")
    return number


def _exact(number: Decimal, scale: int) -> int:
    # By digits, not by Decimal arithmetic: that rounds at the context's precision without a word.
    sign, digits, exponent = number.as_tuple()
    shift = int(exponent) + scale  # finite, so the exponent is a number
    if shift > _LONGEST_NUMBER:
        raise WrongTypeError("a number of more than 400 digits")
    units = int("".join(map(str, digits)))
    if shift < 0:
        units, rest = divmod(units, _power(min(-shift, len(digits) + 1)))
        if rest:
            raise TooManyDecimalsError(f"more than {scale} decimals")
    else:
        units *= _power(shift)
    return -units if sign else units


def _power(exponent: int) -> int:
    return int(10**exponent)


def approximate(value: Any) -> int:
    """A double (number or text) in units of 10**-FLOAT_SCALE, rounded."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise WrongTypeError("not a number")
    try:
        units = float(value) * float(10**FLOAT_SCALE)
    except (ValueError, OverflowError):
        raise WrongTypeError("not a number") from None
    if not math.isfinite(units):
        raise NotFiniteError("not a finite number of the range of a double")
    return round(units)


def iso_date(value: Any) -> str:
    """`2026-11-22Z` or `2026-11-22` as `2026-11-22`."""
    if type(value) is not str or value[10:] not in ("", "Z") or value[4:8:3] != "--":
        raise WrongTypeError("not an ISO date")
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        raise WrongTypeError("not an ISO date") from None
    return value[:10]


def iso_timestamp(value: Any) -> str:
    """An ISO timestamp without zone as `YYYY-MM-DDTHH:MM:SS[.f]`: text order is then time order."""
    found = _TIMESTAMP.fullmatch(value) if type(value) is str else None
    if found is None:
        raise WrongTypeError("not an ISO timestamp")
    day, minutes, seconds, fraction = found.groups()
    fraction = (fraction or "").rstrip("0")
    return f"{iso_date(day)}T{minutes}{seconds or ':00'}{'.' + fraction if fraction else ''}"


def json_text(value: Any) -> str:
    """JSON text, checked, so that reading a key of it later cannot fail."""
    if type(value) is not str:
        raise WrongTypeError("not JSON text")
    if value != UNAVAILABLE:
        try:
            msgspec.json.decode(value, type=msgspec.Raw)
        except msgspec.DecodeError:
            raise WrongTypeError("not JSON text") from None
    return value


def json_key(document: str | None, key: str) -> str | None:
    """PostgreSQL's `document ->> 'key'`: a text's content, NULL for null, of all else the document's own spelling."""
    if document is None or document.lstrip()[:1] != "{":
        return None
    value = _OBJECT.decode(document).get(key)
    text = "null" if value is None else bytes(value).decode()
    if text == "null":
        return None
    return str(msgspec.json.decode(text)) if text[0] == '"' else text


def upper(text: str) -> str:
    """Upper case, one character for one, as databases do (never `ß` to `SS`)."""
    return text.upper() if text.isascii() else "".join(u if len(u := c.upper()) == 1 else c for c in text)


def lower(text: str) -> str:
    """Lower case, one character for one and without Python's final sigma."""
    return text.lower() if text.isascii() else "".join(low if len(low := c.lower()) == 1 else c for c in text)


def without_case(text: str) -> str:
    """What a case-insensitive collation compares. Accents, width and kana are compared as they are."""
    return upper(text)


def without_padding(text: str) -> str:
    """What a collation that pads with blanks compares."""
    return text.rstrip(" ")


def without_case_and_padding(text: str) -> str:
    """Both at once: SQL Server's and MySQL's usual collations."""
    return upper(text.rstrip(" "))
