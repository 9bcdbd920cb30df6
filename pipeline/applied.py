"""The applied source: what `apply` compiled and set up, kept in the topic `onhand.sources` for worker and verify."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec

from pipeline.domain.catalog import Catalog
from pipeline.query import MappingText

TOPIC = "onhand.sources"


class Text(msgspec.Struct, frozen=True):
    """One mapping query as it was applied."""

    kind: str
    file: str
    sql: str


class Applied(msgspec.Struct, frozen=True):
    """One source as applied.

    `epoch`: Unix seconds at which the rows that count were begun to be read, by a record at offset `begun` of its log;
    `applied_at`: those at which this record was made, higher with each change of it; `digest`: the pack's; `since`:
    tables whose rows were read again for columns they lacked, with the offset from which on the log's rows have them;
    `server`: whose change log the positions are of, "" where the ERP's database does not say.
    """

    name: str
    epoch: int
    applied_at: int
    pack: str
    dialect: str
    digest: str
    catalog: dict[str, Any]
    texts: list[Text]
    bound: dict[str, Any] = msgspec.field(name="params")
    stock: dict[str, str | None]
    time_zone: str
    prefix: str
    topics: dict[str, str]
    since: dict[str, int] = {}
    begun: int = 0
    server: str = ""

    @property
    def params(self) -> dict[str, Any]:
        """The pack's parameters as the mapping engine takes them."""
        return {name: _from_plain(value) for name, value in self.bound.items()}

    def says_the_same(self, other: "Applied") -> bool:
        """Equal but for when it was applied."""
        return msgspec.structs.replace(self, applied_at=other.applied_at) == other

    @property
    def schema(self) -> Catalog:
        """The captured tables with all their columns."""
        return Catalog.from_dict(self.catalog)

    @property
    def mapping_texts(self) -> list[MappingText]:
        """The queries, as the mapping engine takes them."""
        return [MappingText(t.kind, t.sql, t.file) for t in self.texts]

    def to_json(self) -> bytes:
        """The record's value."""
        return msgspec.json.encode(self)

    @staticmethod
    def from_json(value: bytes) -> "Applied":
        """The inverse of `to_json`."""
        return msgspec.json.decode(value, type=Applied)


class Pending(msgspec.Struct, frozen=True):
    """A source as it will be applied when the rows of `tables` have been read again, asked for by the name `ident`."""

    applied: Applied
    tables: list[str]
    ident: str

    @staticmethod
    def key(source: str) -> bytes:
        """Its key in the topic of applied sources; the value is empty when nothing is pending."""
        return f"{source}/pending".encode()

    def to_json(self) -> bytes:
        """The record's value."""
        return msgspec.json.encode(self)


class Swept(msgspec.Struct, frozen=True):
    """Table name -> the offset below which its rows are gone (`domain.sweeps`), in the log begun at `epoch`."""

    epoch: int
    tables: dict[str, int]

    @staticmethod
    def key(source: str) -> bytes:
        """Its key in the topic of applied sources; no source is named with a slash."""
        return f"{source}/swept".encode()

    def to_json(self) -> bytes:
        """The record's value."""
        return msgspec.json.encode(self)


class Lost(msgspec.Struct, frozen=True):
    """What was found of changes that are lost, of the rows read since `epoch`: (kind, what, effect)."""

    epoch: int
    found: list[tuple[str, str, str]]

    @staticmethod
    def key(source: str) -> bytes:
        """Its key in the topic of applied sources."""
        return f"{source}/lost".encode()

    def to_json(self) -> bytes:
        """The record's value."""
        return msgspec.json.encode(self)


def plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON holds them; a date is told from a text by {"date": ..}."""
    return {name: _to_plain(value) for name, value in params.items()}


def _to_plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_plain(v) for v in value]
    return {"date": value.isoformat()} if isinstance(value, date) else value


def _from_plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_plain(v) for v in value]
    return date.fromisoformat(value["date"]) if isinstance(value, dict) else value
