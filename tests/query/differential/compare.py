"""The maintained answer beside the database's, as held and as handed out bit by bit."""

from collections.abc import Iterable
from typing import Any

from pipeline.query import Engine, View

TOLERANCE = 1e-6
Group = tuple[Any, int, tuple[int, ...]]


class Drained:
    """What a reader knows who only ever sees what drain() hands out."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.groups: dict[str, dict[Any, Group]] = {kind: {} for kind in engine.views}

    def read(self) -> dict[str, list[Group]]:
        """Take what changed; by kind."""
        drained = {kind: view.drain() for kind, view in self.engine.views.items()}
        for kind, groups in drained.items():
            known = self.groups[kind]
            for key, count, sums in groups:
                if count or any(sums):  # without rows, but with amounts: left for the comparison to find
                    known[key] = (key, count, sums)
                else:
                    known.pop(key, None)
        return drained


def difference(view: View, maintained: Iterable[Group], expected: Iterable[Group]) -> str:
    """What differs, "" when nothing does. Amounts of doubles may differ by a millionth."""
    held, theirs = list(maintained), {key: (count, sums) for key, count, sums in expected}
    ours = {key: (count, sums) for key, count, sums in held}
    if len(ours) != len(held):
        return "a key is held twice"
    if ours.keys() != theirs.keys():
        return f"only ours: {sorted(map(str, ours.keys() - theirs.keys()))}, only theirs: {theirs.keys() - ours.keys()}"
    for key, (count, sums) in ours.items():
        if count != theirs[key][0]:
            return f"{key}: {count} rows, the database has {theirs[key][0]}"
        for amount, mine, erps in zip(view.amounts, sums, theirs[key][1], strict=True):
            if abs(mine - erps) > (TOLERANCE * 10**amount.scale if amount.approx else 0):
                return f"{key}: {amount.name} {mine}, the database has {erps} (scale {amount.scale})"
    return ""
