"""`onhand verify`: what is served against what the ERP itself says.

The ERP answers the same mapping query in one consistent read; a mark written to its change log afterwards tells when
the feed has passed that read. A key counts as different only when it stays so while neither side moves.
"""

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

import typer

from pipeline.adapters import erp, kafka
from pipeline.adapters.served import Documents, Reader
from pipeline.applied import Applied
from pipeline.cli.common import Output, OutputOption, SourceArgument, emit, load_source, reader, say
from pipeline.domain.change import Position
from pipeline.domain.errors import DiffersError, UsageError
from pipeline.domain.levels import expected_documents
from pipeline.query import compile_source
from pipeline.settings import Settings, Source

ROUNDS = 5
TOLERANCE = Decimal("1e-6")  # where the ERP keeps doubles, its sums depend on the order of adding
_NUMBERS = ("on_hand", "usable", "reserved", "available")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}

_NOWHERE = str(Position(0))
_POLL_S = 0.02

Both = tuple[Mapping[str, str], Mapping[str, str]]


def verify(
    ctx: typer.Context,
    source: SourceArgument = None,
    timeout: Annotated[str, typer.Option(help="How long to wait for the feed to pass the ERP's answer.")] = "15s",
    output: OutputOption = Output.TABLE,
) -> None:
    """Compare what is served with the ERP's own answer. Leaves with 0 when equal, 10 when keys differ.

    Examples: onhand verify · onhand verify erp --timeout 60s · onhand verify erp -o json
    """
    patience = _seconds(timeout)
    settings, chosen = load_source(ctx, source)
    comparison = Comparison(settings, chosen, time.monotonic() + patience)
    differing = comparison.differing()
    emit([row for key, both in sorted(differing.items()) for row in _rows(key, *both)], output)
    result = f"verify: {chosen.name}: {comparison.keys} keys compared at {comparison.position}, {len(differing)} differ"
    if output is Output.TABLE:
        print(result, flush=True)  # noqa: T201 - the result is data
    else:
        say(result)
    raise typer.Exit(DiffersError.exit_code if differing else 0)


class Comparison:
    """One source's served stock against the ERP's; `keys` and `position` are the last round's."""

    def __init__(self, settings: Settings, source: Source, deadline: float) -> None:
        self._source, self._deadline = source, deadline
        self._applied: Applied = kafka.load_applied(settings.kafka, source.name)
        self._reader: Reader = reader(settings, source)
        engine = compile_source(self._applied.mapping_texts, self._applied.schema, self._applied.params)
        self._view = engine.views["stock"]
        self._tolerance = TOLERANCE if any(a.approx for a in self._view.amounts) else Decimal(0)
        self.keys, self.position = 0, _NOWHERE

    def differing(self) -> dict[str, Both]:
        """The keys that differ for good: served and ERP both unchanged between two rounds, and still apart."""
        last = self._round()
        for _ in range(ROUNDS):
            now = self._round() if last else {}
            settled = {key: both for key, both in now.items() if last.get(key) == both}
            if len(settled) == len(now):
                return settled
            last = now
        say(f"{len(last) - len(settled)} keys kept changing while they were compared; they do not count")
        return settled

    def _round(self) -> dict[str, Both]:
        groups = erp.read_groups(self._source, self._view)
        self._wait_for(erp.mark(self._source, "verify"))
        served = self._reader.documents()
        expected = expected_documents(
            self._applied.prefix, self._view, self._applied.stock["reserved"] or "none", groups
        )
        self.keys = len(expected.keys() | served.keys())
        return self._compare(expected, served)

    def _compare(self, expected: Documents, served: Documents) -> dict[str, Both]:
        pairs = {k: (numbers(expected.get(k, {})), numbers(served.get(k, {}))) for k in expected.keys() | served.keys()}
        return {key: both for key, both in pairs.items() if not equal(*both, self._tolerance)}

    def _wait_for(self, mark: int) -> None:
        """Until readers see everything up to `mark`; a feed that stays behind is compared as it is."""
        while (behind := mark - self._reached()) > 0:
            if time.monotonic() > self._deadline:
                say(f"the feed is behind the ERP: served up to {self.position}, {behind} bytes of its change log to go")
                break
            time.sleep(_POLL_S)

    def _reached(self) -> int:
        self.position = self._reader.meta().get("position", _NOWHERE)
        return Position.parse(self.position).order


def numbers(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields that verify compares."""
    return {n: x for n, x in fields.items() if n in _NUMBERS or n.startswith(("on_hand:", "w:"))}


def equal(expected: Mapping[str, str], served: Mapping[str, str], tolerance: Decimal) -> bool:
    """The same fields with the same numbers; 1.50 is 1.5."""
    return expected.keys() == served.keys() and all(_near(x, served[n], tolerance) for n, x in expected.items())


def _near(a: str, b: str, tolerance: Decimal) -> bool:
    try:
        return a == b or abs(Decimal(a) - Decimal(b)) <= tolerance
    except ArithmeticError:  # somebody wrote what is no number
        return False


def _rows(key: str, expected: Mapping[str, str], served: Mapping[str, str]) -> list[dict[str, str]]:
    """What differs of a key, number by number."""
    fields = [n for n in {**expected, **served} if expected.get(n) != served.get(n)]
    return [{"key": key, "field": n, "erp": expected.get(n, "none"), "served": served.get(n, "none")} for n in fields]


def _seconds(text: str) -> float:
    number = text.rstrip("ms")
    try:
        return float(number) * _UNITS[text[len(number) :] or "s"]
    except (ValueError, KeyError):
        raise UsageError(f"--timeout {text}: not a time", "write it as 15s, 500ms or 2m") from None
