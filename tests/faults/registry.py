"""The faults by their numbers (F1-F40), and those that are left out."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.stack import Stack

if TYPE_CHECKING:
    from tests.e2e.source import Source
    from tests.faults.run import Run

Inject = Callable[["Run"], Iterator[None]]


@dataclass(frozen=True)
class Fault:
    """What is done to a source under load. `inject` takes hold, yields, and takes the cause away when resumed."""

    id: str
    title: str
    inject: Inject
    short: bool = False
    """Runs inside `make test`, beside others on one source: leaves the schema and the settings as they were."""
    hold: float = 2.0
    """Seconds of load between cause and cure."""
    bare: bool = False
    """The source is not applied yet: `inject` does it."""
    puts_back: bool = False
    """Redis itself is put back to an older state: until it is projected anew, readers may see versions go back."""
    unsettled: bool = False
    """The clock of the ERP is wrong, so its times prove nothing."""
    prepare: Callable[["Source"], None] = lambda source: None
    """Called before the source is applied."""
    around: Callable[["Source"], AbstractContextManager[object]] = nullcontext
    """Lasts as long as the source does: a proxy before one of its servers."""
    stack: Callable[[], AbstractContextManager[Stack]] | None = None
    """A stack of its own, for what breaks a whole server."""

    @property
    def number(self) -> int:
        """1 to 40."""
        return int("".join(c for c in self.id if c.isdigit()))


FAULTS: dict[str, Fault] = {}
LEFT_OUT = {
    "F10": "an unclean election takes three brokers; the local stack has one",
    "F12": "PostgreSQL 15 has no failover slots; F13 is the failover without one",
    "F17": "the campaign's writers speak PostgreSQL; tests/e2e/test_mariadb.py purges the binary log",
    "F27": "a database server with a wrong clock takes libfaketime, which the local stack does not install",
    "F39": "there are no webhooks yet",
}


class LeftOut(Exception):  # noqa: N818 - no error: this machine lacks what the fault needs
    """Raised by `inject` or `stack`, with the reason."""


def fault(name: str, title: str, **options: object) -> Callable[[Inject], Inject]:
    """Register a fault; several of one number carry a letter: F7a, F7b."""

    def register(inject: Inject) -> Inject:
        assert name not in FAULTS
        FAULTS[name] = Fault(name, title, inject, **options)
        return inject

    return register
