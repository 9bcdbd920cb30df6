"""A reader that checks while a fault lasts what no reader may ever see, and that no wrong number is served as right."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import redis

from pipeline.domain.times import milliseconds
from tests.e2e.load import Writers
from tests.e2e.source import Source

PAIR = 1_000_000
STALE_S = 60  # as onhand status has it: what is older is called unhealthy
_WHOLE = {"live", "degraded"}
_HEALTHY = {"live", "applying"}
Fields = Mapping[str, str]


@dataclass
class Judge:
    """What one reader has seen so far. `committed`: when a value of the probe was acknowledged, None = not known.

    `wrong`: a number that was never true, or went back. `lies`: an older number than the age beside it says.
    """

    committed: Callable[[int], float | None]
    highest: Callable[[], int]
    puts_back: bool = False
    unsettled: bool = False
    reads: int = 0
    max_age: float = 0.0
    last: int = -1
    v: str = ""
    wrong: list[str] = field(default_factory=list)
    lies: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    def see(self, at: float, meta: Fields, probe: Fields, left: Fields, right: Fields) -> None:
        """Take one read of `meta` and three levels, all of one moment `at`."""
        self.reads += 1
        state = meta.get("state", "")
        if state and state not in self.states:
            self.states.append(state)
        if "on_hand" in probe and "deleted" not in probe:
            self._probe(at, meta, probe)
        if left and right and state in _WHOLE and "deleted" not in {*left, *right}:
            total = float(left["on_hand"]) + float(right["on_hand"])
            if total != PAIR:
                self.wrong.append(f"half a transfer: {left['on_hand']} + {right['on_hand']} ({state})")

    def _probe(self, at: float, meta: Fields, probe: Fields) -> None:
        value, highest = float(probe["on_hand"]), self.highest()
        if value != int(value) or not 0 <= value <= highest:
            self.wrong.append(f"the probe shows {value}, of {highest} written")
            return
        goes_on = probe["v"].partition(".")[0] == self.v.partition(".")[0]  # a new epoch is a new truth
        if not self.puts_back and (probe["v"] < self.v or (goes_on and value < self.last)):
            self.wrong.append(f"the probe went back from {self.last} ({self.v}) to {value} ({probe['v']})")
        self.last, self.v = int(value), probe["v"]
        if "as_of" in meta:
            self._age(at, meta, self.committed(self.last + 1))

    def _age(self, at: float, meta: Fields, superseded: float | None) -> None:
        as_of = milliseconds(meta["as_of"]) / 1000
        age = at - as_of
        self.max_age = max(self.max_age, age)
        if superseded is None or meta.get("state") == "degraded":
            return  # not known; or the reader is told that figures may be wrong
        if superseded < as_of and not self.unsettled:
            self.lies.append(
                f"complete up to {meta['as_of']}, without what was committed {as_of - superseded:.3f} s before"
            )
        if at - superseded > STALE_S and age <= STALE_S and meta.get("state") in _HEALTHY:
            self.lies.append(f"{at - superseded:.0f} s old and called healthy")


def observe(source: Source, writers: Writers, **tolerated: bool) -> "Observer":
    """A reader of a source that these writers, and nobody else, write to."""
    return Observer(source, Judge(writers.committed.get, lambda: writers.highest, **tolerated))


class Observer:
    """A thread that reads meta, probe and pair in one transaction, as fast as a hundred times a second."""

    def __init__(self, source: Source, judge: Judge) -> None:
        self.judge = judge
        self._source, self._stop = source, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._failure: BaseException | None = None

    def __enter__(self) -> "Observer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        prefix = self._source.prefix
        keys = [
            f"{prefix}:meta",
            *(f"{prefix}:{{{i}}}:{w}" for i, w in (("PROBE", "W1"), ("PAIR", "W1"), ("PAIR", "W3"))),
        ]
        client = redis.Redis.from_url(self._source.stack.redis.url, decode_responses=True, socket_timeout=2)
        try:
            while not self._stop.wait(0.01):
                self._look(client, keys)
        except BaseException as e:  # noqa: BLE001 - told by the thread that waits for us
            self._failure = e
        finally:
            client.close()

    def _look(self, client: redis.Redis, keys: list[str]) -> None:
        pipe = client.pipeline(transaction=True)
        for key in keys:
            pipe.hgetall(key)
        try:
            read = pipe.execute()
        except redis.RedisError:
            return  # the fault itself: nothing is read while Redis is away
        self.judge.see(time.time(), *read)
