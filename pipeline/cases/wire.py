"""A value as a person writes it -> as the connector sends it: numbers as texts at the column's scale, dates as ISO."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline.domain.catalog import Column
from pipeline.query.types import Type, column_type
from pipeline.query.values import FREE_SCALE, BadValueError, iso_date, iso_timestamp, scaled


class WrongValueError(ValueError):
    """A value that the column cannot hold: what it can hold, and the `fix`, with WRITTEN for what was written."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


class Wire:
    """Values of one dialect's columns."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._kinds: dict[str, Callable[[Any, Type], Any]] = {
            "text": _text,
            "number": _number,
            "date": _date,
            "timestamp": _timestamp,
            "boolean": _boolean,
            "json": _text,
        }

    def value(self, value: Any, column: Column) -> Any:
        """What the connector's JSON holds. Raises WrongValueError; a type that no query can use is passed as text."""
        type_ = column_type(column, self._dialect)
        if value is None:
            return None
        convert = self._kinds.get(type_.kind)
        sent = convert(value, type_) if convert is not None else str(value)
        # CHAR(n) leaves these databases with its blanks; MySQL takes them off
        return sent.ljust(type_.size) if type_.kind == "text" and type_.char and self._dialect != "mysql" else sent


def _text(value: Any, type_: Type) -> str:
    if not isinstance(value, str):
        raise WrongValueError("is a text", "quote it: 'WRITTEN'")
    if type_.size and len(value) > type_.size:
        raise WrongValueError(f"holds {type_.size} characters at most", "shorten it")
    return value


def _number(value: Any, type_: Type) -> int | float | str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise WrongValueError("is a number", "write a number")
    try:
        number = Decimal(str(value))
        units = number if type_.approx else scaled(type_.scale)(number)
    except (InvalidOperation, BadValueError):
        scale = f" with {type_.scale} decimals" if type_.scale not in (0, FREE_SCALE) else ""
        raise WrongValueError(f"is a number{scale}", "write what the column can hold") from None
    if type_.approx:
        return float(number)
    if type_.integer:
        return int(number)
    if type_.size and len(str(abs(int(units)))) > type_.size:
        raise WrongValueError(f"holds {type_.size} digits at most", "write what the column can hold")
    return format(number, "f") if type_.scale == FREE_SCALE else format(number, f".{type_.scale}f")


def _date(value: Any, _type: Type) -> str:
    text = value.isoformat() if isinstance(value, date) else value
    try:
        return iso_date(text) + "Z"
    except BadValueError:
        raise WrongValueError("is a date", "write 2026-11-22") from None


def _timestamp(value: Any, _type: Type) -> str:
    text = value.isoformat() if isinstance(value, date) else value
    try:
        return iso_timestamp(text if isinstance(value, datetime | str) and "T" in text else f"{text}T00:00:00") + "Z"
    except (BadValueError, TypeError):
        raise WrongValueError("is a timestamp", "write 2026-11-22T10:00:00") from None


def _boolean(value: Any, _type: Type) -> bool:
    if value not in (True, False):
        raise WrongValueError("is true or false", "write true or false")
    return bool(value)
