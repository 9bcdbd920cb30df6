"""One batch: a random mapping, several histories, one round trip to the database, and what differs."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from pipeline.domain.catalog import Catalog
from pipeline.domain.errors import PackError
from pipeline.query import Engine, compile_source
from pipeline.query.rows import MemoryStore, Store
from tests.query.differential.compare import Drained, Group, difference
from tests.query.differential.databases import Database, Question, Rows
from tests.query.differential.history import FIRST_DAY, Feed, Player, Step, draw
from tests.query.differential.mapping import Maker, Mapping
from tests.query.differential.reduce import reduced
from tests.query.differential.shapes import SHAPES


class DifferenceFoundError(AssertionError):
    """The maintained answer is not the database's: in which history of the batch."""

    def __init__(self, what: str, history: int) -> None:
        super().__init__(what)
        self.history = history


@dataclass
class Counts:
    """What was compared: histories (of each shape), views with several groups, all views, drawn mappings we refused."""

    histories: int = 0
    filled: int = 0
    views: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Batch:
    """A mapping and its histories, all drawn from one seed."""

    dialect: str
    shape: str
    seed: int
    histories: int

    @property
    def mapping(self) -> Mapping:
        maker = Maker(Random(f"{self.dialect} {self.shape} {self.seed}"), self.dialect)
        SHAPES[self.shape](maker)
        return maker.mapping(self.shape)

    def history(self, mapping: Mapping, n: int) -> list[Step]:
        return draw(mapping, Random(f"{self.seed} {n}"))

    @property
    def replay(self) -> str:
        """What to type to see it again, reduced."""
        return f"make fuzz-query DIALECT={self.dialect} SHAPE={self.shape} SEED={self.seed}"

    def run(
        self, database: Database, counts: Counts, *, reduce: bool = False, store: Callable[[], Store] = MemoryStore
    ) -> None:
        """Raises DifferenceFoundError saying what differs and how to see it again; counts what was compared."""
        mapping = self.mapping
        with database.tables(mapping) as catalog:
            try:
                engine = compile_source(mapping.texts, catalog, mapping.params, today=FIRST_DAY, store=store())
            except PackError as e:
                counts.refused[str(e.what)] += 1
                return
            histories = [self.history(mapping, n) for n in range(self.histories)]
            try:
                case = Case(database, mapping, catalog, engine)
                case.compare(histories, counts)
            except DifferenceFoundError as e:
                shown = case.shown(histories[e.history]) if reduce else ""
                raise DifferenceFoundError(f"{e}\n{shown}\nsee it again: {self.replay}", e.history) from None
            except Exception as e:
                e.add_note(f"see it again: {self.replay}")
                raise


@dataclass(frozen=True)
class Case:
    """A compiled mapping whose tables exist in the database."""

    database: Database
    mapping: Mapping
    catalog: Catalog
    engine: Engine

    def compare(self, histories: Sequence[list[Step]], counts: Counts) -> None:
        """Play each history, ask the database about all of them at once, compare."""
        played = []
        for n, steps in enumerate(histories):
            played.append(self.play(steps))
            if not self._is_empty():
                raise DifferenceFoundError(f"history {n}: all rows are gone, groups are left", n)
        answers = self.database.answers([self.question(p) for p in played])
        for n, (one, answer) in enumerate(zip(played, answers, strict=True)):
            for kind, view in self.engine.views.items():
                expected = [view.from_erp(row) for row in answer[kind]]
                for how, groups in (("held", one.held[kind]), ("drained", one.drained[kind])):
                    if found := difference(view, groups, expected):
                        raise DifferenceFoundError(f"history {n}, {kind} as {how}: {found}", n)
                counts.filled += len(expected) > 1
                counts.views += 1
            counts.histories += 1
            counts.shapes[self.mapping.shape] += 1

    def question(self, played: "Played") -> Question:
        queries = {kind: view.erp_sql() for kind, view in self.engine.views.items()}
        return Question(played.rows, played.today, queries)

    def _is_empty(self) -> bool:
        """Compiling takes longer than a history: an engine is used again, and must forget everything."""
        for table in self.engine.tables.values():
            table.clear()
        self.engine.set_today(FIRST_DAY)
        for view in self.engine.views.values():
            view.drain()
        return not any(list(view.groups()) for view in self.engine.views.values())

    def play(self, steps: list[Step]) -> "Played":
        """What the engine holds, and what it handed out, after a history."""
        drained = Drained(self.engine)
        player = Player(self.mapping, Feed(self.engine, self.catalog), drained.read)
        player.play(steps)
        self.engine.store.flush(len(player.log))
        drained.read()
        held = {kind: list(view.groups()) for kind, view in self.engine.views.items()}
        return Played(player.erp.rows, player.today, held, {k: list(g.values()) for k, g in drained.groups.items()})

    def shown(self, steps: list[Step]) -> str:
        """A reduced history and all that is needed to think about it."""
        left = reduced(steps, self._differs)
        queries = [f"{kind}: {sql}" for kind, sql in self.mapping.queries.items()]
        return "\n".join([*self.mapping.create(), *queries, f"params: {self.mapping.params}", *map(str, left)])

    def _differs(self, steps: list[Step]) -> bool:
        try:
            self.compare([steps], Counts())
        except DifferenceFoundError:
            return True
        return False


@dataclass(frozen=True)
class Played:
    """The rows and the day at a history's end, and each view's groups."""

    rows: Rows
    today: str
    held: dict[str, list[Group]]
    drained: dict[str, list[Group]]
