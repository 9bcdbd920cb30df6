"""What rules may look at: a scope is one kind of thing, such as an item in a warehouse, and facts that it has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.domain.alerts import Rule
from pipeline.domain.documents import Level


@dataclass(frozen=True, slots=True)
class Scope:
    """The compiled rules about one kind of thing; each thing has an attribute `alert`, None while no rule holds.

    `find`: those of a cut's things of which a rule holds or held, given the (item, warehouse) levels that changed;
    `judge`: bits of the rules that hold of a thing, and of those that have not ended (`until` is false); `key`: what an
    id calls it; `facts`: what is told of it.
    """

    rules: tuple[Rule, ...]
    find: Callable[[Sequence[Level]], list[Any]]
    judge: Callable[[Any], tuple[int, int]]
    key: Callable[[Any], str]
    facts: Callable[[Any, Rule], dict[str, str]]
