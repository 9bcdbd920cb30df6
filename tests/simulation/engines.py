"""Compiled engines, used again: compiling one costs more than a whole simulation. Conditions are parsed once too."""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.adapters.debezium import LogReader
from pipeline.query import Engine, MappingText
from pipeline.query.parse import parse_condition
from tests.streams.erp import SERVER, compiled

BEFORE_ANY_DAY = "1970-01-01"


class Conditions:
    """The conditions of alerts, parsed: a worker's start compiles them, and a simulation starts some."""

    def __init__(self) -> None:
        self._parsed: dict[Any, Any] = {}

    def parse(self, text: MappingText, dialect: str, names: Container[str]) -> Any:
        """As the parser does it, which refuses what it does not know: none of these is wrong."""
        if text not in self._parsed:
            self._parsed[text] = parse_condition(text, dialect, names)
        return self._parsed[text]


class Engines:
    """A pool of empty engines over the small ERP."""

    def __init__(self) -> None:
        self._free: list[Engine] = []
        self._readers: dict[int, LogReader] = {}

    def reader(self, engine: Engine) -> LogReader:
        """What reads a log into an engine of ours: it remembers nothing, and making one takes long."""
        if id(engine) not in self._readers:
            self._readers[id(engine)] = LogReader(SERVER, engine.tables)
        return self._readers[id(engine)]

    def take(self) -> Engine:
        """One that remembers nothing."""
        return self._free.pop() if self._free else compiled()

    def give_back(self, engine: Engine) -> None:
        """Empty it for the next."""
        for table in engine.tables.values():
            table.clear()
        for view in engine.views.values():
            view.drain()
        engine.set_today(BEFORE_ANY_DAY)
        assert not any(list(view.groups()) for view in engine.views.values())
        self._free.append(engine)

    @contextmanager
    def one(self) -> Iterator[Engine]:
        """One for a while."""
        engine = self.take()
        try:
            yield engine
        finally:
            self.give_back(engine)


engines = Engines()
conditions = Conditions()
