"""YAML whose every value knows its line: what a refusal points at."""

from collections.abc import Collection
from typing import Any, NoReturn

import yaml

from pipeline.domain.errors import PackError

_KINDS = {yaml.MappingNode: "a mapping (name: value)", yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}


class _Loader(yaml.SafeLoader):
    """Without anchors: `*x` could make a small file endless, and a case is read where it stands."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # as in PyYAML's stubs
            raise yaml.MarkedYAMLError(problem="an alias (*name)", problem_mark=mark)
        return super().compose_node(parent, index)


class Document:
    """One YAML file. Every reading method raises PackError with file:line:column where the file says something else."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._loader = _Loader("")
        self.root = self._compose(text)

    def _compose(self, text: str) -> yaml.Node:
        try:
            root = yaml.compose(text, _Loader)
        except yaml.MarkedYAMLError as e:
            mark = e.problem_mark or e.context_mark
            where = f"{self.file}:{mark.line + 1}:{mark.column + 1}" if mark else self.file
            raise PackError(f"is not YAML as cases are written: {e.problem}", "correct that line", where) from None
        except (yaml.YAMLError, RecursionError) as e:
            what = f"is not YAML as cases are written: {str(e).splitlines()[0]}"
            raise PackError(what, "write plain text in UTF-8", self.file) from None
        if root is None:
            raise PackError("is empty", 'write "cases:", or remove the file', self.file)
        return root

    def at(self, node: yaml.Node) -> str:
        """`file:line:column`."""
        return f"{self.file}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"

    def refuse(self, node: yaml.Node, what: str, fix: str) -> NoReturn:
        """Raise PackError at a node."""
        raise PackError(what, fix, self.at(node))

    def mapping(
        self, node: yaml.Node, what: str, allowed: Collection[str] = ()
    ) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Name -> (its node, its value's node), in the file's order; no names but `allowed`, if it is given."""
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in self._check(node, yaml.MappingNode, what):
            name = str(self.value(key, "a name"))
            if name in found:
                self.refuse(key, f"{name} stands twice in {what}", "keep one")
            if allowed and name not in allowed:
                self.refuse(key, f"{name} is no part of {what}", f"write {', '.join(allowed)}")
            found[name] = key, value
        return found

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The parts of a list."""
        return list(self._check(node, yaml.SequenceNode, what))

    def value(self, node: yaml.Node, what: str) -> Any:
        """A text, number, date, truth value or null."""
        self._check(node, yaml.ScalarNode, what)
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self.refuse(node, f"{what} cannot be read", f"quote it: '{node.value}'")

    def plain(self, node: yaml.Node, what: str) -> Any:
        """A value or a list of values."""
        if isinstance(node, yaml.SequenceNode):
            return [self.value(n, what) for n in node.value]
        return self.value(node, what)

    def _check(self, node: yaml.Node, kind: type[yaml.Node], what: str) -> Any:
        if not isinstance(node, kind):
            self.refuse(node, f"{what} is not {_KINDS[kind]}", f"write {_KINDS[kind]}")
        return node.value
