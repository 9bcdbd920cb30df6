"""A source's stock at one position, as a file holds it and as two of them are compared.

The file is lines of JSON: a header, one served key each with its amounts, and the SHA-256 of all that. The same state
gives the same bytes: what depends on when it was folded, such as `changed`, is left out.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from pipeline.domain.documents import Document
from pipeline.domain.errors import UsageError
from pipeline.domain.names import split_code, split_key

FORMAT = 1
_AMOUNTS = ("on_hand", "usable", "reserved", "available")
Documents = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Header:
    """What a state is of. `epoch`: that of its log; `as_of`: the commit time of `position`; `digest`: the mapping's."""

    source: str
    prefix: str
    epoch: int
    position: str
    as_of: str
    digest: str
    quarantined: int
    format: int = FORMAT


@dataclass(frozen=True)
class Stored:
    """A header and the documents of all levels, key -> fields."""

    header: Header
    documents: Documents


@dataclass(frozen=True)
class Difference:
    """One amount of a key in two states; None where the state does not have it."""

    key: str
    field: str
    before: str | None
    after: str | None

    @property
    def amount(self) -> str:
        """How much more the second has, with its sign."""
        less = _less(self.after or "0", self.before or "0")
        return "" if less is None else f"{less:+f}"


def to_bytes(stored: Stored) -> bytes:
    """The file's content."""
    keys = sorted(stored.documents)
    lines = [asdict(stored.header), *({"key": key, **_sorted(stored.documents[key])} for key in keys)]
    content = "".join(f"{_json(line)}\n" for line in lines).encode()
    return content + f"{_json({'sha256': hashlib.sha256(content).hexdigest()})}\n".encode()


def from_bytes(content: bytes, name: str) -> Stored:
    """The inverse of `to_bytes`. Raises UsageError, which calls the file `name`, for what is not whole or not known."""
    body, _, last = content.rstrip(b"\n").rpartition(b"\n")
    _check_format(content.partition(b"\n")[0], name)
    if _line(last).get("sha256") != hashlib.sha256(body + b"\n").hexdigest():
        raise UsageError(f"{name} is not what was stored: its checksum is another", "take another copy of it")
    try:
        first, *lines = (json.loads(line) for line in body.splitlines())
        return Stored(Header(**first), {line.pop("key"): line for line in lines})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UsageError(f"{name} holds lines that onhand export does not write", "take another copy of it") from None


def _check_format(first: bytes, name: str) -> None:
    version = _line(first).get("format")
    if type(version) is not int:
        raise UsageError(f"{name} is no stored state", "name a file that onhand export wrote")
    if version > FORMAT:
        what = f"{name} is of format {version}, and this onhand knows those up to {FORMAT}"
        raise UsageError(what, "use the version of onhand that stored it, or a later one")


def _line(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _json(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def _sorted(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: fields[name] for name in sorted(fields) if name != "key" and _is_amount(name)}


def _is_amount(name: str) -> bool:
    return name in _AMOUNTS or name.startswith(("on_hand:", "w:"))


def differences(before: Documents, after: Documents) -> Iterator[Difference]:
    """Every amount in which two states differ, by key. 1.50 is 1.5; what an item says of its warehouses is left out."""
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, {}), after.get(key, {})
        for name in sorted(n for n in {**old, **new} if _is_amount(n) and not n.startswith("w:")):
            if not _same(old.get(name), new.get(name)):
                yield Difference(key, name, old.get(name), new.get(name))


def _same(a: str | None, b: str | None) -> bool:
    return a == b or (a is not None and b is not None and _less(b, a) == 0)


def _less(a: str, b: str) -> Decimal | None:
    """The first without the second; None where somebody wrote what is no number."""
    try:
        return Decimal(a) - Decimal(b)
    except ArithmeticError:
        return None


def of_item(prefix: str, documents: Documents, item: str, warehouse: str | None = None) -> dict[str, Mapping[str, str]]:
    """The documents of one item code, also where several items share it; of one warehouse where it is named."""

    def wanted(named: Mapping[str, str]) -> bool:
        return _called(item, named.get("item")) and (warehouse is None or _called(warehouse, named.get("warehouse")))

    return {key: fields for key, fields in documents.items() if wanted(split_key(prefix, key))}


def _called(typed: str, spelled: str | None) -> bool:
    return spelled is not None and typed in (spelled, split_code(spelled)[0])


def fields_of(documents: Iterable[Document]) -> dict[str, dict[str, str]]:
    """Levels' documents as readers get them: key -> fields."""
    return {d.key: dict(zip(d.fields[::2], d.fields[1::2], strict=True)) for d in documents}
