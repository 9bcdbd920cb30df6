"""Keys and values of a row store as bytes: MessagePack, exact, and equal bytes for equal keys.

A key is a bare value or a tuple of them; a value is a tuple of bare values and of keys. Texts, None, booleans and whole
numbers of any size come back as they were; what MessagePack cannot hold (beyond 64 bits) is an extension of ours.
"""

import hashlib
from typing import Any

import msgspec

LONGEST = 510
"""Bytes of a key as it is, one less than LMDB takes: a zero byte more is where the next key may begin. A longer key is
hashed, and its value then begins with the key itself."""
HASHED = 0xC1
"""What the hash of a key begins with, and nothing in MessagePack does: its value is `join`ed with the key."""

_WIDE = 1
_LENGTH = 4

_encode = msgspec.msgpack.Encoder().encode


def _unwiden(code: int, data: memoryview) -> int:
    assert code == _WIDE  # noqa: S101  # we know of no other
    return int.from_bytes(data, signed=True)


_decode_tuple = msgspec.msgpack.Decoder(tuple[Any, ...], ext_hook=_unwiden).decode
_decode_any = msgspec.msgpack.Decoder(ext_hook=_unwiden).decode


def pack(value: Any) -> bytes:
    """A key or a value. Bytes of one key are never the beginning of another's."""
    try:
        return _encode(value)
    except OverflowError:
        return _encode(_widened(value))


def _widened(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_widened, value))
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return msgspec.msgpack.Ext(_WIDE, value.to_bytes(value.bit_length() // 8 + 1, signed=True))
    return value


unpack_row = _decode_tuple
"""A tuple of bare values."""


def unpack_keys(data: bytes) -> tuple[Any, ...]:
    """A tuple of keys."""
    return tuple(map(_as_key, _decode_tuple(data)))


def unpack_key(data: bytes) -> Any:
    """A key."""
    return _as_key(_decode_any(data))


def _as_key(value: Any) -> Any:
    return tuple(value) if type(value) is list else value


def short(key: Any, longest: int = LONGEST) -> bytes:
    """A packed key as the store takes it: itself, or its hash."""
    try:
        data = _encode(key)
    except OverflowError:
        data = pack(key)
    return data if len(data) <= longest else hashed(data)


def hashed(data: bytes) -> bytes:
    """33 bytes that stand for a long key."""
    return HASHED.to_bytes() + hashlib.sha256(data).digest()


def join(packed_key: bytes, data: bytes) -> bytes:
    """The value of a hashed key."""
    return len(packed_key).to_bytes(_LENGTH) + packed_key + data


def split(joined: bytes) -> tuple[bytes, bytes]:
    """The packed key and the value it was joined with."""
    end = _LENGTH + int.from_bytes(joined[:_LENGTH])
    return joined[_LENGTH:end], joined[end:]
