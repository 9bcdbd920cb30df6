"""The arms of one view over one root table as functions of a row: add it, subtract it, shift it to a newer version."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pipeline.query.branch import Arm
from pipeline.query.fuse import Path, Step, write_paths
from pipeline.query.layout import TablePlan
from pipeline.query.operands import Value
from pipeline.query.writer import Writer


@dataclass(frozen=True)
class Unit:
    """`arms` of view number `view`, whose sums have `scales` decimals, over the rows of `root`."""

    view: int
    root: TablePlan
    arms: tuple[Arm, ...]
    scales: tuple[int, ...]

    def of(self, arms: tuple[Arm, ...]) -> "Unit":
        """The same with some of its arms."""
        return replace(self, arms=arms)

    @property
    def fixed(self) -> frozenset[str]:
        """The columns that join or group some arm's rows: while they are the same, a row's groups are."""
        pk = (f"a{self.root.position(c)}" for c in self.root.pk)
        return frozenset(pk).union(*(a.fixed for a in self.arms))

    @property
    def varies(self) -> bool:
        """Whether an arm reads other columns."""
        return any(a.columns - self.fixed for a in self.arms)

    # ---- one version of a row

    def contribution(self, name: str, sign: str) -> list[str]:
        """`name(row)` adds the row to the groups (sign +) or takes it out again (-)."""
        out = Writer()
        out.block(f"def {name}(row):")
        write_paths(
            out, [Path(a.steps, tuple(self._counted(a, sign)), a.key_reads | a.amount_reads) for a in self.arms]
        )
        return out.lines

    def _counted(self, arm: Arm, sign: str) -> Iterator[str]:
        yield self._key(arm)
        if sign == "+":
            amounts = self._amounts(arm.amounts)
            first = "".join(f", {amounts.get(at, 0)}" for at in range(1, len(self.scales) + 1))
            yield f"L = L_{self.view}.get(k)"
            yield "if L is None:"
            # With the row's own ints: they need not be held twice while it is the group's only one.
            yield f"    L = L_{self.view}[k] = [1{first}, True]"
            yield f"    D_{self.view}.append((k, L))"
            yield "else:"
            yield from _deeper([*self._add(arm.amounts, sign), *self._touch()])
        else:  # it was added, so the group is there
            yield f"L = L_{self.view}[k]"
            yield from self._add(arm.amounts, sign)
            yield from self._touch()

    @staticmethod
    def _key(arm: Arm) -> str:
        return f"k = ({', '.join(v.code for v in arm.keys)},)"

    def _add(self, amounts: tuple[Value, ...], sign: str) -> Iterator[str]:
        yield f"L[0] {sign}= 1"
        for at, amount in self._amounts(amounts).items():
            yield f"L[{at}] {sign}= {amount}"

    def _amounts(self, amounts: tuple[Value, ...]) -> dict[int, str]:
        """Place in the group -> code of what is added there; a constant 0 or NULL adds nothing."""
        found = {}
        for at, (value, scale) in enumerate(zip(amounts, self.scales, strict=True), 1):
            factor = 10 ** (scale - value.type.scale)
            if not value.is_constant:
                code = f"({value.code} or 0)" if value.nullable else value.code
                found[at] = f"{code} * {factor}" if factor > 1 else code
            elif value.constant:
                found[at] = str(value.constant * factor)
        return found

    def _touch(self) -> Iterator[str]:
        # A flag in the group instead of a set of keys: a key is hashed once.
        flag = f"L[{len(self.scales) + 1}]"
        yield f"if not {flag}:"
        yield f"    {flag} = True"
        yield f"    D_{self.view}.append((k, L))"

    # ---- two versions of a row, equal in all fixed columns

    def shift(self, name: str) -> list[str]:
        """`name(old, row)` counts the new version instead of the old one; [] where nothing else than `fixed` matters.

        Joins and key are evaluated once for both versions, and for all arms that differ only in tests of the root row
        and in amounts. Arms are left out when all they read is as it was.
        """
        if not self.varies:
            return []
        families: dict[tuple[object, ...], list[Arm]] = {}
        for arm in self.arms:
            if arm.columns - self.fixed:
                shared = tuple(s for s in arm.steps if not s.before)
                families.setdefault((shared, *(v.code for v in arm.keys)), []).append(arm)
        out = Writer()
        out.block(f"def {name}(old, row):")
        write_paths(out, [self._shifted(arms) for arms in families.values()])
        return out.lines

    def _shifted(self, arms: list[Arm]) -> Path:
        """The path of arms that count in one group."""
        varying = frozenset[str]().union(*(a.columns for a in arms)) - self.fixed
        common = [s for s in arms[0].steps if all(s in a.steps for a in arms) and not self._is_flag(s)]
        flags = [[s for s in a.steps if s not in common] for a in arms]
        others = {f"a{at}" for at in range(len(self.root.remembered))} - self.fixed - varying
        steps = [_differs(varying), *common] if others else common  # without others, the rows would be equal
        if all(flags):
            steps.append(_either(flags))
        reads = _flag_reads(flags).union(arms[0].key_reads, *(a.amount_reads | _old(a.amount_reads) for a in arms))
        return Path(tuple(steps), tuple(self._recounted(arms, flags)), reads)

    def _is_flag(self, step: Step) -> bool:
        return bool(step.before) and not step.reads <= self.fixed

    def _recounted(self, arms: list[Arm], flags: list[list[Step]]) -> Iterator[str]:
        if all(flags):
            yield self._key(arms[0])
            yield f"L = L_{self.view}.get(k)"
            yield f"if L is None: L = L_{self.view}[k] = [0{', 0' * len(self.scales)}, False]"
        else:  # both versions count in the group, so it is there
            yield from _flag_lines(flags)
            yield self._key(arms[0])
            yield f"L = L_{self.view}[k]"
        for i, (arm, tests) in enumerate(zip(arms, flags, strict=True)):
            if not tests:
                yield from self._exchange(arm)
                continue
            yield f"if n{i} and o{i}:"
            yield from _deeper(self._exchange(arm) or ["pass"])
            yield f"elif n{i}:"
            yield from _deeper(self._add(arm.amounts, "+"))
            yield f"elif o{i}:"
            yield from _deeper(self._add(arm.before, "-"))
        yield from self._touch()

    def _exchange(self, arm: Arm) -> list[str]:
        """Both versions count."""
        new, old = self._amounts(arm.amounts), self._amounts(arm.before)
        return [f"L[{at}] += {new[at]} - {old[at]}" for at in new if new[at] != old[at]]


def _deeper(lines: Iterable[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def _differs(columns: frozenset[str]) -> Step:
    """Something that an arm reads is not as it was."""
    test = " or ".join(f"{c} != b{c[1:]}" for c in sorted(columns, key=lambda c: int(c[1:])))
    return Step(test=test, reads=columns | _old(columns))


def _either(flags: list[list[Step]]) -> Step:
    """The old or the new version counts in one arm at least."""
    either = " or ".join(f"o{i} or n{i}" for i in range(len(flags)))
    return Step(tuple(_flag_lines(flags)), either, _flag_reads(flags))


def _flag_lines(flags: list[list[Step]]) -> Iterator[str]:
    """o0, n0, ..: whether the old and the new version count in each arm."""
    for i, tests in enumerate(flags):
        if tests:
            yield f"o{i} = {' and '.join(t.before for t in tests)}"
            yield f"n{i} = {' and '.join(t.test for t in tests)}"


def _flag_reads(flags: list[list[Step]]) -> frozenset[str]:
    reads = frozenset[str]().union(*(t.reads for tests in flags for t in tests))
    return reads | _old(reads)


def _old(names: frozenset[str]) -> frozenset[str]:
    return frozenset(f"b{n[1:]}" for n in names if n[0] == "a")
