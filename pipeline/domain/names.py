"""The names of served keys: codes people use, made safe for a Redis key, and back.

    {prefix}:{ITEM}                             one item, all warehouses
    {prefix}:{ITEM}:WAREHOUSE                   one item in one warehouse
    {prefix}:{ITEM}:WAREHOUSE:location=..,lot=..  the detail, where the ERP has it
    {prefix}:order:NUMBER                       one order, where the pack has orders.sql

`~` is ours: alone it means "none", `~7` is the id of something without a code, `code~7` tells two with one code apart.
"""

import re
from urllib.parse import unquote

NONE = "~"
# reserved by the layout (`: { } , = ~ %`), plus blanks and control bytes that a shell or a log would mangle
_UNSAFE = re.compile(r"[:{},=~%\x00-\x20\x7f]")


def encode(code: str) -> str:
    """A code as it stands in a key: what the layout reserves is percent-encoded."""
    return _UNSAFE.sub(lambda m: f"%{ord(m[0]):02X}", code)


def item_key(prefix: str, item: str) -> str:
    """The key of an item's totals; `item` is already encoded, as in every function here that builds a key."""
    return f"{prefix}:{{{item}}}"


def level_key(prefix: str, item: str, warehouse: str) -> str:
    """The key of an item in a warehouse."""
    return f"{prefix}:{{{item}}}:{warehouse}"


def detail_key(prefix: str, item: str, warehouse: str, dimensions: list[tuple[str, str]]) -> str:
    """The key of the detail; dimensions that are "none" are left out by the caller."""
    tail = ",".join(f"{name}={code}" for name, code in dimensions) or NONE
    return f"{prefix}:{{{item}}}:{warehouse}:{tail}"


def order_key(prefix: str, number: str) -> str:
    """The key of an order; `number` is already encoded."""
    return f"{prefix}:order:{number}"


def order_of(prefix: str, key: str) -> str | None:
    """The number of the order that has a served key; None of another key."""
    begin = order_key(prefix, "")
    return unquote(key[len(begin) :]) if key.startswith(begin) else None


def parse_key(prefix: str, key: str) -> dict[str, str]:
    """A served key's dimensions by name, decoded; empty when it is not a stock key of this prefix."""
    return {name: unquote(code) for name, code in split_key(prefix, key).items()}


def split_code(shown: str) -> tuple[str, str]:
    """(code, id) of one dimension as a key spells it: `A%3A1~7` is A:1 and 7, `A` is A and "", `~7` is "" and 7."""
    code, _, ident = shown.partition(NONE)
    return unquote(code), unquote(ident)


def split_key(prefix: str, key: str) -> dict[str, str]:
    """A served key's dimensions by name, spelled as in the key; empty when it is not a stock key of this prefix."""
    found = re.fullmatch(rf"{re.escape(prefix)}:{{(?P<item>[^}}]*)}}(?::(?P<warehouse>[^:]*))?(?::(?P<tail>.*))?", key)
    if not found:
        return {}
    named = {k: v for k, v in (("item", found["item"]), ("warehouse", found["warehouse"])) if v is not None}
    if found["tail"] and found["tail"] != NONE:
        named |= dict(pair.partition("=")[::2] for pair in found["tail"].split(","))
    return named
