"""mutmut's mutations of every function of the generator and the fold, and a sample of them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import libcst
from mutmut.mutation.file_mutation import Mutation, create_mutations

ROOT = Path(__file__).parents[2]
QUERY = (
    "plan", "shape", "layout", "branch", "fuse", "unit", "maintain", "generate", "writer", "engine", "tables", "rows",
    "pks", "expressions", "operands", "scalars", "casts", "texts", "types", "values",
)  # fmt: skip
DOMAIN = ("levels", "documents", "codes", "shape", "decimals", "names", "alerts", "visibility")
FILES = (*(f"pipeline/query/{m}.py" for m in QUERY), *(f"pipeline/domain/{m}.py" for m in DOMAIN))


@dataclass(frozen=True)
class Mutant:
    """`function` is its qualified name; `before` and `after` are the lines that differ; `code` is the whole module."""

    file: str
    function: str
    line: int
    before: str
    after: str
    code: str

    @property
    def name(self) -> str:
        """What tells it apart from others whichever line it stands in."""
        return f"{self.file} {self.function} | {self.before} | {self.after}"


def sample(count: int, seed: int, files: Sequence[str] = FILES) -> list[Mutant]:
    """`count` of all mutants. Which is drawn hangs on its own function only: an edit elsewhere leaves it drawn."""
    drawn = sorted((sha256(f"{seed} {d.name}".encode()).digest(), d) for f in files for d in _Module(f).drafts())
    return [draft.mutant() for _, draft in drawn[:count]]


def total(files: Sequence[str] = FILES) -> int:
    """How many there are to draw from."""
    return sum(1 for f in files for _ in _Module(f).drafts())


@dataclass(frozen=True, order=True)
class _Draft:
    name: str
    module: "_Module"
    function: str
    mutation: Mutation

    def mutant(self) -> Mutant:
        tree = self.module.tree.deep_replace(self.mutation.original_node, self.mutation.mutated_node)
        code = _decorated(tree.code)
        before, after = self.module.text.splitlines(), code.splitlines()
        start = next(i for i, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1])
        shared = len(before) - start, len(after) - start
        end = next(i for i in range(1, min(shared) + 2) if i > min(shared) or before[-i] != after[-i]) - 1
        lines = before[start : len(before) - end], after[start : len(after) - end]
        return Mutant(self.module.file, self.function, start + 1, *(" ".join(" ".join(x).split()) for x in lines), code)


class _Module:
    """A file as mutmut is given it: without decorators, because it leaves decorated functions and classes out."""

    def __init__(self, file: str) -> None:
        self.file, self.text = file, (ROOT / file).read_text()
        plain = re.sub(r"(?m)^( *)@", r"\1#@", self.text)
        self.tree, self._mutations, *_ = create_mutations(file, plain)

    def drafts(self) -> Iterator[_Draft]:
        functions, words = _functions(self.tree), _words(self.tree)
        seen = Counter[str]()
        for m in self._mutations:
            function = functions.get(m.contained_by_top_level_function)
            if function is not None and m.original_node not in words:
                name = f"{self.file} {function} {self._text(m.original_node)} -> {self._text(m.mutated_node)}"
                seen[name] += 1
                yield _Draft(f"{name} {seen[name]}", self, function, m)

    def _text(self, node: libcst.CSTNode) -> str:
        return self.tree.code_for_node(node)


def _decorated(code: str) -> str:
    return re.sub(r"(?m)^( *)#@", r"\1@", code)


def _functions(tree: libcst.Module) -> dict[libcst.CSTNode | None, str]:
    """Functions and methods by their qualified names; what stands outside them is run when a module is imported."""
    found: dict[libcst.CSTNode | None, str] = {}
    for node in tree.body:
        if isinstance(node, libcst.FunctionDef):
            found[node] = node.name.value
        elif isinstance(node, libcst.ClassDef):
            methods = (m for m in node.body.body if isinstance(m, libcst.FunctionDef))
            found |= {m: f"{node.name.value}.{m.name.value}" for m in methods}
    return found


def _words(tree: libcst.Module) -> set[libcst.CSTNode]:
    """What stands in `raise`, in a call of `refuse`, and in `fix = ..`: where and how an error is told."""

    class Visitor(libcst.CSTVisitor):
        def __init__(self) -> None:
            self.found: set[libcst.CSTNode] = set()
            self.inside = 0

        def on_visit(self, node: libcst.CSTNode) -> bool:
            self.inside += _tells(node)
            if self.inside:
                self.found.add(node)
            return True

        def on_leave(self, original_node: libcst.CSTNode) -> None:
            self.inside -= _tells(original_node)

    visitor = Visitor()
    tree.visit(visitor)
    return visitor.found


def _tells(node: libcst.CSTNode) -> bool:
    if isinstance(node, libcst.Call) and isinstance(node.func, libcst.Attribute):
        return node.func.attr.value == "refuse"
    if isinstance(node, libcst.Assign):
        return isinstance(target := node.targets[0].target, libcst.Name) and target.value == "fix"
    return isinstance(node, libcst.Raise)
