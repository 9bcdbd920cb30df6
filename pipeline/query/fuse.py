"""Arms of one view over one root table -> one function: what several arms do is done once.

An arm is a path of steps to a leaf, where it has its key and amounts. Equal code is equal meaning: the steps that most
arms share come first, so the paths become a tree. Names in generated code: a3 a column of the root row, b3 the same
of its old version, s2 a joined row, w1 a part of a key, o0 and n0 whether the old and the new version count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.query.writer import Writer


@dataclass(frozen=True)
class Step:
    """Statements, then perhaps a test that ends the path. `reads` are names of columns and of what steps bind.

    `before`: of a test that reads nothing but root columns, the same test on the old version.
    """

    lines: tuple[str, ...] = ()
    test: str = ""
    reads: frozenset[str] = frozenset()
    binds: str = ""
    before: str = ""


@dataclass(frozen=True)
class Path:
    """Steps, then the lines of the leaf, which read `reads`."""

    steps: tuple[Step, ...]
    leaf: tuple[str, ...]
    reads: frozenset[str]


def write_paths(out: Writer, paths: Sequence[Path], known: frozenset[str] = frozenset()) -> None:
    """Write the tree of the paths at the writer's depth; `known` names need not be loaded."""
    while paths:
        for path in (p for p in paths if not p.steps):
            known = _load(out, path.reads, known)
            out.lines_at(path.leaf)
        paths = [p for p in paths if p.steps]
        if paths:
            known, paths = _write_step(out, _next_step(paths, known), paths, known)


def _write_step(
    out: Writer, step: Step, paths: Sequence[Path], known: frozenset[str]
) -> tuple[frozenset[str], list[Path]]:
    """What is known after the step, and the paths that go on beside or after it."""
    known = _load(out, step.reads, known)
    out.lines_at(step.lines)
    shorter = [replace(p, steps=tuple(s for s in p.steps if s != step)) for p in paths]
    if not step.test:
        return known | {step.binds}, shorter
    depth = out.depth
    out.block(f"if {step.test}:")
    write_paths(out, [s for s, p in zip(shorter, paths, strict=True) if step in p.steps], known | {step.binds})
    out.depth = depth
    return known, [p for p in paths if step not in p.steps]


def _next_step(paths: Sequence[Path], known: frozenset[str]) -> Step:
    """The step that most paths share; of these a test of columns, then any test, then the first written."""
    counts: dict[Step, int] = {}
    for path in paths:
        for step in path.steps:
            if all(name in known or is_column(name) for name in step.reads):
                counts[step] = counts.get(step, 0) + 1
    return max(counts, key=lambda s: (counts[s], bool(s.test) + all(map(is_column, s.reads)) if not s.binds else 0))


def is_column(name: str) -> bool:
    """Whether a name is a root column's: loaded where it is first needed, as most rows end at a test."""
    return name[0] in "ab"


def _load(out: Writer, names: Iterable[str], known: frozenset[str]) -> frozenset[str]:
    wanted = sorted((n for n in names if is_column(n) and n not in known), key=lambda n: (int(n[1:]), n[0]))
    for name in wanted:
        out.line(f"{name} = {'row' if name[0] == 'a' else 'old'}[{name[1:]}]")
    return known.union(wanted)
