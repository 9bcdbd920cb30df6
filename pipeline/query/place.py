"""Where in a pack's file something stands, and the refusal that says so."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from sqlglot import exp

from pipeline.domain.errors import PackError


@dataclass(frozen=True)
class MappingText:
    """One query of a pack. `kind` is stock, orders, movements or items; `file` is named in refusals."""

    kind: str
    sql: str
    file: str

    def at(self, offset: int) -> str:
        """`file:line:column` of a character offset, 1-based."""
        before = self.sql[:offset]
        return f"{self.file}:{before.count(chr(10)) + 1}:{offset - before.rfind(chr(10))}"

    def refuse(self, node: exp.Expr, what: str, fix: str = "") -> NoReturn:
        """Raise PackError at the first place of `node` that the parser remembers."""
        start = next((n.meta["start"] for n in node.walk() if "start" in n.meta), None)
        # our own names for tables say nothing to authors
        quoted = re.sub(r"\b(s\d+\.(?=\w)|t\d+ AS )", "", " ".join(node.sql(comments=False).split()))
        shown = quoted if len(quoted) <= 60 else f"{quoted[:57]}..."
        raise PackError(f"{what}: {shown}", fix, self.at(start) if start is not None else self.file)

    def refuse_at(self, offset: int, what: str, fix: str) -> NoReturn:
        """Raise PackError at a character offset."""
        raise PackError(what, fix, self.at(offset))


def closest(name: str, known: Iterable[str]) -> str:
    """What to add to a fix: the known name spelled nearly like `name`, if there is one."""
    near = get_close_matches(name.lower(), {k.lower() for k in known}, 1)
    return f": {near[0]}?" if near else ""
