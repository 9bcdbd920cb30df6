"""Where in a pack's file something stands, and the refusal that says so."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from sqlglot import ErrorLevel, exp

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

    @contextmanager
    def within_reach(self) -> Iterator[None]:
        """PackError where Python itself gives up on a query of many levels: on its stack, or on generated code's."""
        try:
            yield
        except (RecursionError, MemoryError, SyntaxError) as error:
            if isinstance(error, SyntaxError) and "too many" not in str(error):
                raise
            raise PackError("too many levels in one query", "nest less, and AND fewer conditions", self.at(0)) from None

    def refuse(self, node: exp.Expr, what: str, fix: str = "") -> NoReturn:
        """Raise PackError at the first place of `node`, or of what it stands in, that the parser remembers."""
        # our own names for tables say nothing to authors
        written = node.sql(comments=False, unsupported_level=ErrorLevel.IGNORE)
        quoted = re.sub(r"\b(s\d+\.(?=\w)|t\d+ AS )", "", " ".join(written.split()))
        shown = quoted if len(quoted) <= 60 else f"{quoted[:57]}..."
        raise PackError(f"{what}: {shown}", fix, self.at(_start(node)))

    def refuse_at(self, offset: int, what: str, fix: str) -> NoReturn:
        """Raise PackError at a character offset."""
        raise PackError(what, fix, self.at(offset))


def _start(node: exp.Expr) -> int:
    """NULL, TRUE and the like have no place of their own."""
    outer: exp.Expr | None = node
    while outer is not None:
        for part in outer.walk():
            if "start" in part.meta:
                return int(part.meta["start"])
        outer = outer.parent
    return 0


def closest(name: str, known: Iterable[str]) -> str:
    """What to add to a fix: the known name spelled nearly like `name`, if there is one."""
    near = get_close_matches(name.lower(), {k.lower() for k in known}, 1)
    return f": {near[0]}?" if near else ""
