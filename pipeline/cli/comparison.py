"""What is served against what the ERP says, while both go on: `verify`'s rounds.

A round, in this order: (1) the version served now, v0; (2) the ERP's answer, one snapshot S; (3) a mark in the ERP's
change log; (4) wait until readers are past the mark; (5) read what is served. What S shows was committed before the
mark was written, so at (5) it is applied. A key whose version is not above v0 was last changed by a commit that was
served at (1), hence before S: it stood still from S to (5) and must equal S. A key above v0 moved meanwhile and is
looked at again. One hole is left: a commit may be in the change log and not yet in snapshots (synchronous replication
waits in between), so a difference counts only when it has stood for three rounds.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from pipeline.adapters import erp
from pipeline.adapters.served import Documents, Reader, live
from pipeline.applied import Applied
from pipeline.cli import figures
from pipeline.cli.figures import equal, numbers
from pipeline.cli.scope import Scope
from pipeline.domain.change import Position
from pipeline.domain.errors import NotReadyError
from pipeline.domain.levels import Key, expected_documents
from pipeline.domain.names import split_code, split_key
from pipeline.query import View, compile_source
from pipeline.query.keyed import Group, Items, added, keyed
from pipeline.query.values import NotFiniteError
from pipeline.settings import Source

STANDS = 3
TOLERANCE = Decimal("1e-6")  # where the ERP keeps doubles, its sums depend on the order of adding
_ROUNDS = 500  # a guard: the patience ends first
_FEW_ITEMS = 300  # more are read faster with everything else
_NOWHERE = str(Position(0))
_WHOLE = ("live", "degraded", "stale")
_YET_TO_COME = "~"
_NO_NUMBER = "not a number"
_POLL_S = 0.005
PAUSE_S = 0.1
_GRACE_S = 1.0  # for a round that begins just before the time is up

T = TypeVar("T")
Both = tuple[Mapping[str, str], Mapping[str, str]]


@dataclass
class Outcome:
    """How many keys were `compared` at a standstill, which were `moving` all the while and so were not.

    `differing`: (ERP's numbers, served numbers); `degraded`: those of them that say so. `behind`: the feed was.
    """

    compared: int = 0
    moving: set[str] = field(default_factory=set)
    position: str = _NOWHERE
    differing: dict[str, Both] = field(default_factory=dict)
    degraded: set[str] = field(default_factory=set)
    behind: bool = False

    @property
    def keys(self) -> int:
        """How many there are."""
        return self.compared + len(self.moving)

    @property
    def coverage(self) -> float:
        """The share of keys that was compared, 1 where there are none."""
        return self.compared / self.keys if self.keys else 1.0


@dataclass(frozen=True)
class Served:
    """What is served at a round's end, vanished levels too; v0, and the version at the end.

    `all_degraded`: the whole source is served as degraded.
    """

    documents: Documents
    before: str
    after: str
    all_degraded: bool = False

    def says_degraded(self, key: str) -> bool:
        """Whether readers are told that the key's numbers may be wrong."""
        return self.all_degraded or "degraded" in self.documents.get(key, {})

    def moved(self, key: str) -> bool:
        """Whether the key changed since v0. A version that is yet to come is nobody's: somebody wrote it by hand."""
        return self.before < self.documents.get(key, {}).get("v", "") <= self.after

    def numbers(self, key: str) -> dict[str, str]:
        """What verify compares of a key; nothing where it vanished."""
        fields = self.documents.get(key, {})
        return {} if "deleted" in fields else numbers(fields)


@dataclass(frozen=True)
class _Answer:
    """The ERP's answer; where a sum is NaN or infinite, which the ERP can hold, it is noted as having no number."""

    view: View
    no_numbers: set[Key]

    def erp_sql(self) -> str:
        return self.view.erp_sql()

    def from_erp(self, row: Sequence[Any]) -> Group:
        try:
            return self.view.from_erp(row)
        except NotFiniteError:
            width = len(self.view.keys) + 1
            sums = (None if x is None or not math.isfinite(x) else x for x in row[width:])
            group = self.view.from_erp((*row[:width], *sums))
            self.no_numbers.add(group[0])
            return group


class Comparison:
    """One source's served stock against the ERP's. `say` is told when the feed stays behind.

    `log_end`: the offset the log's next record gets.
    """

    def __init__(
        self,
        source: Source,
        applied: Applied,
        reader: Reader,
        log_end: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        self.source, self.applied, self.reader, self._log_end, self._say = source, applied, reader, log_end, say
        self.engine = compile_source(applied.mapping_texts, applied.schema, applied.params)
        self.view = self.engine.views["stock"]
        (text,) = [t for t in applied.mapping_texts if t.kind == "stock"]
        self.branches = keyed(text, applied.schema, applied.params)
        self.has_orders = "orders" in self.engine.views
        views = [self.view, *(self.engine.views[kind] for kind in ("orders",) if self.has_orders)]
        self.tolerance = TOLERANCE if any(a.approx for view in views for a in view.amounts) else Decimal(0)
        self.position, self._deadline, self._behind = _NOWHERE, 0.0, False
        self._no_numbers: set[Key] = set()

    def begin(self, patience: float) -> None:
        """From now on wait no longer than so many seconds for the feed."""
        self._deadline, self._behind = time.monotonic() + patience, False

    @property
    def late(self) -> bool:
        """Whether that time is up."""
        return time.monotonic() > self._deadline

    def run(self, scope: Scope, patience: float) -> Outcome:
        """Compare the keys of the scope, each at a standstill, as many as stand still within `patience` seconds."""
        self.begin(patience)
        outcome, doubts, left = Outcome(), dict[str, int](), None
        for _ in range(_ROUNDS):
            expected, served = self._look(scope, left, thorough=bool(doubts))
            if left is None:
                keys = expected.keys() | live(served.documents).keys()
                left = set(scope.within(self.applied.prefix, keys))
            left = self._settle(expected, served, left, doubts, outcome)
            if not left or (not doubts and self.late):
                break
            time.sleep(PAUSE_S if doubts else 0)
        outcome.moving, outcome.position, outcome.behind = left or set(), self.position, self._behind
        return outcome

    def _settle(
        self, expected: Documents, served: Served, left: set[str], doubts: dict[str, int], outcome: Outcome
    ) -> set[str]:
        """Take what stood still out of `left`; return the rest."""
        rest = set()
        for key in left:
            both = numbers(expected.get(key, {})), served.numbers(key)
            if served.moved(key):
                doubts.pop(key, None)
                rest.add(key)
            elif equal(*both, self.tolerance):
                doubts.pop(key, None)
                outcome.compared += any(both)  # else it vanished meanwhile
            elif (stood := doubts.pop(key, 0) + 1) < STANDS:
                doubts[key] = stood
                rest.add(key)
            else:
                outcome.differing[key] = both
                outcome.degraded.update([key] if served.says_degraded(key) else ())
                outcome.compared += 1
        return rest

    # -- one round

    def round(self, ask: Callable[[], T], names: Callable[[], Collection[str]]) -> tuple[T, Served]:
        """Steps (1) to (5): what `ask` answers from the ERP, and what is served under `names` after that."""
        before = self.reader.meta().get("v", "")
        answer = ask()
        self._wait_for(erp.mark(self.source, "verify"))
        documents = self.reader.read(names())
        meta = self.reader.meta()
        # in the middle of a large transaction or a rebuild keys are ahead of the whole
        after = meta.get("v", "") if meta.get("state") in _WHOLE else _YET_TO_COME
        return answer, Served(documents, before, after, meta.get("state") == "degraded")

    def _look(self, scope: Scope, left: set[str] | None, *, thorough: bool) -> tuple[Documents, Served]:
        items = scope.items if left is None else self._narrow(scope, left)
        if items is None and self.has_orders:
            both, served = self.round(self._ask_both, lambda: self._names(scope) if left is None else left)
            orders = figures.expected_orders(self.applied, self.engine, *both)
            return orders | self.expected(both[0], (), self._no_numbers), served
        groups, served = self.round(
            lambda: self._ask(items, thorough), lambda: self._names(scope) if left is None else left
        )
        return self.expected(groups, () if items is None else served.documents, self._no_numbers), served

    def _narrow(self, scope: Scope, left: set[str]) -> Items | None:
        """Only the items of the keys that are left, where that is less to read."""
        shown = {split_code(split_key(self.applied.prefix, key).get("item", "")) for key in left}
        if len(shown) > _FEW_ITEMS or ("", "") in shown:
            return scope.items
        return Items(frozenset(code for code, _ in shown if code), frozenset(i for code, i in shown if not code))

    def _ask(self, items: Items | None, thorough: bool) -> list[Group]:
        self._no_numbers = set()
        answer = _Answer(self.view, self._no_numbers)
        if items is None:
            return erp.read_groups(self.source, answer)
        queries = [branch.groups(items, thorough=thorough) for branch in self.branches]
        return added(group for groups in erp.read(self.source, queries, answer.from_erp) for group in groups)

    def _ask_both(self) -> list[list[Group]]:
        """The answers of the stock query and of the order query, of one snapshot."""
        views = [self.view, self.engine.views["orders"]]
        self._no_numbers = set()
        answers = [_Answer(views[0], self._no_numbers), _Answer(views[1], set())]
        rows = erp.read(self.source, [view.erp_sql() for view in views], tuple)
        return [[a.from_erp(row) for row in some] for a, some in zip(answers, rows, strict=True)]

    def expected(self, groups: list[Group], names: Collection[str] = (), no_numbers: Collection[Key] = ()) -> Documents:
        """What should be served for result rows; of levels with rows of `no_numbers` no figure can be right.

        Some items' rows do not tell which codes others share: `names` do.
        """
        reserved = self.applied.stock["reserved"] or "none"
        shared, marked = _shared(self.applied.prefix, names), dict.fromkeys(no_numbers, _NO_NUMBER)
        found = expected_documents(self.applied.prefix, self.view, reserved, groups, shared=shared, marked=marked)
        for fields in found.values():
            if "degraded" in fields:
                fields["on_hand"] = _NO_NUMBER
        return found

    def _names(self, scope: Scope) -> list[str]:
        codes = scope.items.codes if scope.items else ()
        keys = self.reader.keys(*codes) if len(codes) == 1 else self.reader.keys()
        if self.has_orders and scope.items is None:
            keys |= self.reader.order_keys()
        return scope.within(self.applied.prefix, keys)

    def _wait_for(self, mark: int) -> None:
        """Until readers see everything up to `mark`; a feed that stays behind is compared as it is."""
        until = self._deadline if self._behind else max(self._deadline, time.monotonic() + _GRACE_S)
        end = self._log_end() if self.source.is_mariadb else 0
        while True:
            meta = self.reader.meta()
            self.position = meta.get("position", _NOWHERE)
            behind = mark - Position.parse(self.position).order
            is_ours = "v" in meta and meta.get("digest") == self.applied.digest
            if (behind <= 0 or _idle_since(end, meta)) and is_ours:
                return
            if time.monotonic() > until:
                break
            time.sleep(_POLL_S)
        if not is_ours:
            what = f"nothing is served for source {self.source.name} yet, or it is just being written"
            raise NotReadyError(what, f"onhand worker {self.source.name}   (or verify again with a longer --timeout)")
        if not self._behind:
            self._behind = True
            unit = "transactions" if self.source.is_mariadb else "bytes"
            self._say(
                f"the feed is behind the ERP: served up to {self.position}, {behind} {unit} of its change log to go"
            )


def _idle_since(end: int, meta: Mapping[str, str]) -> bool:
    """Whether the source was found idle after the log's end at that time: both heartbeats stand behind it."""
    return meta.get("quiet") == "1" and int(meta["offset"]) > end


def _shared(prefix: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """The (dimension, code) pairs that keys tell apart by id."""
    for key in names:
        for dimension, shown in split_key(prefix, key).items():
            code, ident = split_code(shown)
            if code and ident:
                yield dimension, code
