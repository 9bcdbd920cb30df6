"""Files that no author would write: the good one with some words and lines changed."""

import re
from collections.abc import Sequence

from hypothesis import strategies as st

_WORDS = re.compile(r"\s+|\w+|.", re.DOTALL)
_JUNK = (
    "\x00",
    "\ufeff",
    "\ud800",
    "'",
    '"',
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "-",
    "&a",
    "*a",
    "!!python/object:os.system",
    "9" * 5000,
    "1e999",
    ".nan",
    "2026-13-01",
    "~",
    "\t",
    "é",
    "[" * 900,
    "{a: " * 300,
    "null",
    "true",
    "-1",
    "1.5",
    "''",
)


@st.composite
def changed(draw: st.DrawFn, good: str, junk: Sequence[str] = ()) -> bytes:
    """`good` after up to five changes; now and then bytes of any kind."""
    if draw(st.integers(0, 29)) == 0:
        return draw(st.binary(max_size=60))
    words = _WORDS.findall(good)
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(words) - 1))
        until = min(len(words), at + draw(st.sampled_from((1, 1, 2, 6, 40))))
        what = draw(st.sampled_from(("delete", "double", "swap", "insert", "replace")))
        if what == "swap":
            other = draw(st.integers(0, len(words) - 1))
            words[at], words[other] = words[other], words[at]
        elif what == "double":
            words[at:at] = words[at:until]
        else:
            new = [] if what == "delete" else [draw(st.sampled_from((*junk, *_JUNK)) | st.text(max_size=6))]
            words[at : at if what == "insert" else until] = new
        words = words or [" "]
    return "".join(words).encode("utf-8", "surrogatepass")
