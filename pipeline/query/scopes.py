"""What stands inside which parentheses: arguments, clauses in their order, and how deep and long it may all be.

The parser forgives trailing commas, missing arguments, FROM without SELECT and more, which no ERP's database does; and
beyond the limits it, or Python, would give up without a place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot.tokenizer_core import Token

from pipeline.query.grammar import CASTS, FUNCTIONS
from pipeline.query.place import MappingText

DEEPEST = 30  # parentheses and CASEs inside each other
LONGEST_CHAIN = 60  # operators, joins, arms or WHENs in a row

_CLAUSES = ("SELECT", "FROM", "JOIN", "ON", "WHERE", "GROUP", "WITH", "UNION")
_LINKS = ("AND", "OR", "NOT", "+", "-", "*", "||", "::", "JOIN", "UNION", "WHEN")
_NEW_CHAIN = (",", "SELECT", "WHERE", "ELSE")
# A comma before one of these has nothing behind it.
_NOTHING = (",", ")", ";", "FROM", "WHERE", "JOIN", "ON", "UNION", "GROUP", "AS", "END")


@dataclass
class _Scope:
    """One pair of parentheses, or the whole text."""

    opened: int
    call: str = ""
    commas: int = 0
    is_empty: bool = True
    clause: str = ""
    selects: bool = False
    chain: int = 0


class Scopes:
    """Follows the tokens one by one; `words` are their upper-case texts, empty for what is quoted."""

    def __init__(self, text: MappingText, dialect: str, tokens: Sequence[Token], words: Sequence[str]) -> None:
        self.text, self.dialect, self.tokens, self.words = text, dialect, tokens, words
        self.open = [_Scope(0)]
        self.cases = 0

    def follow(self, i: int) -> None:
        """Take token `i`; PackError where it cannot stand."""
        word = self.words[i]
        if word == ")":
            self._close(i)
            return
        scope = self.open[-1]
        scope.is_empty = False
        if word == "(":
            self._enter(i)
        elif word == ",":
            self._comma(i, scope)
        elif word in ("AS", "::"):
            self._named(i, scope)
        elif word in _CLAUSES and not self._is_name(i):
            self._clause(i, word, scope)
        self._count(i, word, scope)

    def finish(self) -> None:
        """The text has ended."""
        if len(self.open) > 1:
            self._refuse(self.open[-1].opened, "this ( is never closed", "write the ) that belongs to it")

    def _refuse(self, i: int, what: str, fix: str) -> None:
        self.text.refuse_at(self.tokens[i].start, what, fix)

    def _is_name(self, i: int) -> bool:
        return i > 0 and self.words[i - 1] == "."

    def _enter(self, i: int) -> None:
        name = self.words[i - 1] if i else ""
        self.open.append(_Scope(i, call=name if name in FUNCTIONS[self.dialect] else ""))

    def _close(self, i: int) -> None:
        if len(self.open) == 1:
            self._refuse(i, "this ) closes nothing", "remove it, or write its (")
        scope = self.open.pop()
        if not scope.call:
            return
        given = 0 if scope.is_empty else scope.commas + 1
        takes = FUNCTIONS[self.dialect][scope.call]
        if given not in takes:
            few, many = min(takes), max(takes)
            said = str(few) if few == many else f"{few} or more" if many > 50 else f"{few} or {many}"
            what = f"{scope.call} with {given} arguments" if given != 1 else f"{scope.call} with one argument"
            self._refuse(scope.opened - 1, what, f"in this dialect it takes {said}")

    def _comma(self, i: int, scope: _Scope) -> None:
        scope.commas += 1
        if self.words[i + 1 : i + 2] in ([], *([w] for w in _NOTHING)):
            self._refuse(i, "nothing stands behind this comma", "remove it, or write what is missing")

    def _named(self, i: int, scope: _Scope) -> None:
        if self.words[i] == "::" or scope.call == "CAST":
            word = next(iter(self.words[i + 1 : i + 2]), "")
            if word not in CASTS[self.dialect]:
                known = ", ".join(sorted(CASTS[self.dialect]))
                self._refuse(i, f"a cast to {word or 'nothing'}", f"cast to one of {known}")
        elif self.dialect == "oracle" and scope.clause in ("FROM", "JOIN"):
            self._refuse(i, "Oracle takes no AS between a table and its alias", "write FROM table alias")

    def _clause(self, i: int, word: str, scope: _Scope) -> None:
        if word == "FROM":
            if not scope.selects and not scope.call:
                self._refuse(i, "FROM without a SELECT before it", "write SELECT .. FROM ..")
            scope.selects = False
        if word == "SELECT":
            scope.selects = True
        scope.clause = word

    def _count(self, i: int, word: str, scope: _Scope) -> None:
        self.cases += (word == "CASE") - (word == "END")
        if word in _NEW_CHAIN:
            scope.chain = 0
        scope.chain += word in _LINKS
        if scope.chain > LONGEST_CHAIN:
            fix = "list values with IN, join fewer tables, or build it in steps with WITH"
            self._refuse(i, f"more than {LONGEST_CHAIN} of these in a row", fix)
        if len(self.open) + self.cases > DEEPEST:
            self._refuse(i, f"more than {DEEPEST} inside each other", "build it in steps with WITH")
