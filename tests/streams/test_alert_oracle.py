"""Random histories of an ERP: the alerts that are told, over deaths and replays, are those that plain figures give."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.domain.alerts import Alert
from pipeline.domain.change import Position
from pipeline.rules import load
from tests.streams.erp import LOG_EPOCH, Log, Op, State, item, place, position, quant, states
from tests.streams.test_publish import Memory, Topic, Worker

CHANGES = 5_000
RULES = """
[negative_available]
when = "available < 0 AND NOT (warehouse IN ('W3'))"
[negative_on_hand]
most = 2
[low]
scope = "level"
when = "on_hand < 3"
until = "on_hand >= 8"
for = "4s"
[item_promised]
scope = "item"
when = "reserved > 20"
for = "1m"
"""
Key = tuple[str, ...]


class Level(NamedTuple):
    on_hand: int = 0
    reserved: int = 0


@dataclass(frozen=True)
class Plain:
    """A rule in plain Python."""

    kind: str
    of: int
    when: Callable[[Key, Level], bool]
    until: Callable[[Level], bool] | None = None
    wait_s: int = 0
    most: int = 100


PLAIN = [
    Plain("negative_available", 2, lambda key, x: x.on_hand - x.reserved < 0 and key[1] != "W3"),
    Plain("negative_on_hand", 2, lambda _, x: x.on_hand < 0, most=2),
    Plain("low", 2, lambda _, x: x.on_hand < 3, lambda x: x.on_hand >= 8, wait_s=4),
    Plain("item_promised", 1, lambda _, x: x.reserved > 20, wait_s=60),
]


@dataclass
class Told:
    """An alert as it must be told: the cuts at which it opened and ended."""

    ident: str
    opened: int
    ended: int | None = None
    members: set[Key] = field(default_factory=set)


@dataclass
class Episode:
    begun: int
    told: Told | None = None


def history(seed: int) -> list[list[Op]]:
    rng = random.Random(seed)
    first = [item(n, f"I{n}") for n in range(1, 6)] + [place(n, f"P{n}", f"W{(n + 1) // 2}") for n in range(1, 7)]
    found, changes = [first], 0
    while changes < CHANGES:
        ops = [_op(rng) for _ in range(rng.choice((1, 1, 1, 2, 3, 12)))]
        changes += len(ops)
        found.append(list({(op.table, op.pk): op for op in ops}.values()))
    return found


def _op(rng: random.Random) -> Op:
    chance = rng.random()
    if chance < 0.01:
        n = rng.randint(1, 5)
        return item(n, rng.choice((f"I{n}", f"I/{n}")))
    if chance < 0.02:
        n = rng.randint(1, 6)
        return place(n, f"P{n}", f"W{(n + 1) // 2 + rng.randint(0, 1)}")
    n = rng.randint(1, 30)
    if chance < 0.1:
        return Op("quant", n, None)
    return quant(n, n % 5 + 1, rng.randint(1, 6), rng.randint(-2, 6), rng.randint(0, 4))


def figures(state: State) -> dict[Key, Level]:
    """By (item, warehouse) and by (item)."""
    found: dict[Key, Level] = {}
    for row in state["quant"].values():
        code = state["item"][row["item_id"]]["code"]
        warehouse = state["place"][row["place_id"]]["warehouse"]
        for key in ((code, warehouse), (code,)):
            before = found.get(key, Level())
            found[key] = Level(
                before.on_hand + int(row["quantity"][:-3]), before.reserved + int(row["reserved"][:-3])
            )  # fmt: skip
    return found


def expected(transactions: list[list[Op]], ends: dict[int, int]) -> list[Told]:
    """`ends`: the offset at which each transaction ends."""
    told: list[Told] = []
    active: dict[tuple[str, Key], Episode] = {}
    for n, state in enumerate(states(transactions)):
        if n:
            known = figures(state)
            for rule in PLAIN:
                told += _cut(rule, n, known, active, ends)
    return told


def _cut(
    rule: Plain, n: int, known: dict[Key, Level], active: dict[tuple[str, Key], Episode], ends: dict[int, int]
) -> Iterator[Told]:
    for key in [key for kind, key in active if kind == rule.kind]:
        episode, level = active[rule.kind, key], known.get(key)
        lasts = level is not None and rule.until is not None and episode.told is not None and not rule.until(level)
        if not (lasts or (level is not None and rule.when(key, level))):
            del active[rule.kind, key]
            if episode.told is not None:
                episode.told.members.remove(key)
                if not episode.told.members:
                    episode.told.ended = n
    for key, level in known.items():
        if len(key) == rule.of and rule.when(key, level) and (rule.kind, key) not in active:
            active[rule.kind, key] = Episode(n)
    opening = [
        (key, e) for (kind, key), e in active.items()
        if kind == rule.kind and e.told is None and n - e.begun >= rule.wait_s
    ]  # fmt: skip
    if len(opening) > rule.most:
        total = Told(f"{rule.kind}/*/{LOG_EPOCH}.{ends[n]}", n)
        yield total
    for key, episode in opening:
        codes = "/".join(code.replace("/", "%2F") for code in key)
        alone = Told(f"{rule.kind}/{codes}/{LOG_EPOCH}.{ends[episode.begun]}", n)
        episode.told = total if len(opening) > rule.most else alone
        episode.told.members.add(key)
        if episode.told is alone:
            yield alone


class Death(Exception):  # noqa: N818  # the process ends, nothing is wrong
    """Of a worker."""


@dataclass
class Mortal:
    """Dies after so many effects."""

    effects: int = 10**9

    def point(self) -> None:
        self.effects -= 1
        if self.effects < 0:
            raise Death


class Redis(Memory):
    life = Mortal()

    async def publish(self, cuts: Any) -> None:
        self.life.point()
        await super().publish(cuts)
        self.life.point()


class Alerts(Topic):
    life = Mortal()

    async def tell(self, events: list[Alert]) -> None:
        for event in events:
            self.life.point()
            await super().tell([event])


def run(log: Log, rng: random.Random, path: Path) -> tuple[Worker, int]:
    """The last worker after workers that died at random; and how many did."""
    (path / "alerts.toml").write_text(RULES)
    growing, life, deaths, committed = Log(log.records[:3]), Mortal(), 0, ""
    redis, alerts = Redis(), Alerts()
    redis.life = alerts.life = life
    worker = Worker(growing, redis, alerts, rules=load(path / "alerts.toml")).take()
    while len(growing.records) < len(log.records):
        growing.records = log.records[: len(growing.records) + rng.randint(1, len(log.records) // 25)]
        try:
            worker.take(batch=rng.choice((1, 7, 200)) if worker.publisher.live else 10_000)
        except Death:
            deaths, life.effects = deaths + 1, 10**9
            worker = worker.again(committed=committed)
        else:
            committed = worker.ledger.metadata if rng.random() < 0.7 or not committed else committed
            life.effects = rng.randint(1, 60) if rng.random() < 0.6 else 10**9
    life.effects = 10**9
    return worker.again(committed=committed).take(), deaths


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_alerts_told_are_those_that_plain_figures_give(seed: int, tmp_path: Path) -> None:
    transactions, log, ends = history(seed), Log().begun(), dict[int, int]()
    for n, ops in enumerate(transactions, 1):
        log.transaction(n, ops)
        ends[n] = log.records[-1].offset
    wanted = {told.ident: told for told in expected(transactions, ends)}
    worker, deaths = run(log, random.Random(seed), tmp_path)
    assert deaths > 3
    first: dict[str, Alert] = {}
    ended: dict[str, str] = {}
    for alert in worker.alerts.told:
        first.setdefault(alert.id, alert)
        if not alert.is_open:
            assert ended.setdefault(alert.id, alert.position) == alert.position
    assert len(wanted) > 300
    assert sum("/*/" in ident for ident in wanted) > 3
    assert first.keys() == wanted.keys()
    where = {ident: str(Position(position(told.opened))) for ident, told in wanted.items()}
    assert {ident: (alert.state, alert.position) for ident, alert in first.items()} == {
        ident: ("open", opened) for ident, opened in where.items()
    }
    assert ended == {t.ident: str(Position(position(t.ended))) for t in wanted.values() if t.ended is not None}
    still = {ident for ident, told in wanted.items() if told.ended is None}
    assert worker.redis.alerts_.keys() == worker.alerts.held.keys() == worker.fold.book.open.keys() == still
    assert {replace(a, state="", position="").id: a.facts for a in worker.redis.alerts_.values()} == {
        ident: a.facts for ident, a in worker.fold.book.open.items()
    }
