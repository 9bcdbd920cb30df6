"""alerts.toml: what is put together, and what is said of mistakes, with their place."""

from pathlib import Path

import pytest

from pipeline.domain.errors import PackError
from pipeline.domain.items import Items
from pipeline.domain.levels import stock_levels
from pipeline.rules import Known, RuleText, compile_rules, load, unable
from tests.domain.test_levels import Amount, View

SHIPPED = {"negative_on_hand", "negative_available", "below_safety", "item_below_safety", "over_issue", "shortage"}
GOOD = '[low]\nscope = "level"\nwhen = "on_hand < 10"\n'


def loaded(tmp_path: Path, *tomls: str) -> dict[str, RuleText]:
    paths = [tmp_path / f"{n}.toml" for n in range(len(tomls))]
    for path, toml in zip(paths, tomls, strict=True):
        path.write_text(toml)
    return {r.rule.kind: r for r in load(*paths)}


def test_onhand_brings_its_own() -> None:
    assert {r.rule.kind for r in load()} == SHIPPED
    assert all(r.is_shipped for r in load())


def test_a_site_says_what_it_wants_otherwise(tmp_path: Path) -> None:
    pack = '[low]\nscope = "level"\nwhen = "on_hand < 10"\nfor = "2h"\nseverity = "info"\n'
    site = '[low]\nfor = "90s"\ndepartment = "仓库"\nmost = 7\n[negative_on_hand]\nenabled = false\n'
    rules = loaded(tmp_path, pack, site)
    assert rules.keys() == SHIPPED - {"negative_on_hand"} | {"low"}
    low = rules["low"].rule
    assert (low.for_ms, low.department, low.most, low.severity) == (90_000, "仓库", 7, "info")
    assert not rules["low"].is_shipped
    assert {u: loaded(tmp_path, GOOD + f'for = "1{u}"')["low"].rule.for_ms for u in "smhd"} == {
        "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("toml", "place", "says", "fix"),
    [
        ("[low\n", "1:5", "is not TOML", "correct that line"),
        ('low = "x"\n', "1:1", "outside of any kind", "below [kind]"),
        (GOOD.replace("low", "Low"), "1:2", "no name of a kind", "small letters"),
        ('[low]\nwhen = "on_hand < 1"\n', "1:2", "[low] scope: is missing", 'scope = "level"'),
        ('[low]\nscope = "level"\n', "1:2", "[low] when: is missing", 'when = "available < 0"'),
        (GOOD + "sevrity = 'info'\n", "4:1", "[low] sevrity: there is no such key", "write severity"),
        (GOOD + "severity = 'bad'\n", "4:1", "[low] severity: ", "correct severity"),
        (GOOD + "for = 'soon'\n", "4:1", "[low] for: is no span of time", 'for = "90s"'),
        (GOOD + "most = 0\n", "4:1", "[low] most: ", "correct most"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, toml: str, place: str, says: str, fix: str) -> None:
    with pytest.raises(PackError) as error:
        loaded(tmp_path, toml)
    assert error.value.where == f"{tmp_path}/0.toml:{place}"
    assert says in error.value.what
    assert fix in error.value.fix


@pytest.mark.parametrize(
    ("when", "place", "says", "fix"),
    [
        ('when = "on_hand < 10 AND availabel < 3"', "3:26", "there is no such fact: availabel", "available?"),
        ('when = "on_hand"', "3:9", "not a condition", "compare"),
        ('when = "on_hand <"', "3:17", "cannot be read", "write valid"),
        ('  when   =   "SUM(on_hand) < 3"', "3:15", "SUM", ""),
        ("when = 'warehouse < 3'", "3:21", "types differ", "one type"),
        ('when = "on_hand < 1 GROUP BY item"', "3:33", "more than one condition", "joined by AND"),
        ('when = "on_hand < 1; DROP TABLE x"', "3:22", "DROP", ""),
        ('when = "x.on_hand < 1"', "3:11", "there is no such fact", ""),
        ('when = "on_hand = NULL"', "3:9", "never true", "IS NULL"),
        ('when = "lot < CURRENT_DATE"', "3:9", "looks at no calendar", 'for = "2d"'),
        ('when = """\non_hand < 10\n  AND stock < 3"""', "5:7", "there is no such fact: stock", ""),
        ('until = "nothing > 3"', "3:10", "there is no such fact: nothing", ""),
    ],
)
def test_conditions_are_the_mapping_engines(tmp_path: Path, when: str, place: str, says: str, fix: str) -> None:
    other = 'when = "on_hand < 1"\n' if when.startswith("until") else ""
    rules = loaded(tmp_path, f'[low]\nscope = "level"\n{when}\n{other}').values()
    levels = stock_levels("stock", View(), "stock")
    with pytest.raises(PackError) as error:
        compile_rules(list(rules), Known(levels))
    assert says in error.value.what
    assert error.value.where == f"{tmp_path}/0.toml:{place}", error.value.what
    assert fix in error.value.fix


def test_what_the_pack_does_not_yield_is_said_of_a_sites_own_rules(tmp_path: Path) -> None:
    toml = """
        [low]
        scope = "level"
        when = "on_hand < 10 AND item_group = 'A'"
        [any]
        scope = "level"
        when = "COALESCE(available, on_hand) < 3"
        [either]
        scope = "level"
        when = "available < 0 OR on_hand < 0"
        [stale]
        scope = "item"
        when = "available < 0"
    """
    rules, levels = list(loaded(tmp_path, toml).values()), stock_levels("stock", View(), "none")
    assert unable(rules, Known(levels)) == {"low": "item_group", "stale": "available"}
    (scope,) = compile_rules(rules, Known(levels))
    assert {rule.kind for rule in scope.rules} == {"any", "either", "negative_on_hand"}


def test_the_example_of_a_factory_compiles() -> None:
    rules = load(Path(__file__).parents[2] / "examples" / "alerts" / "alerts.toml")
    levels = stock_levels("stock", View(), "stock")
    kinds = {rule.kind for scope in compile_rules(rules, Known(levels)) for rule in scope.rules}
    assert kinds == {"negative_on_hand", "negative_on_line", "negative_available", "negative_bin", "motor_shortage"}
    assert unable(rules, Known(levels)) == {"item_below_safety": "safety_stock"}


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"none\.toml: cannot be read"):
        load(tmp_path / "none.toml")


def test_limits_that_say_what_is_not_served_are_refused() -> None:
    levels = stock_levels("stock", View(), "stock")
    with pytest.raises(PackError, match="org"):
        Items(View(keys=("org", "item"), amounts=(Amount("safety_stock"),)), levels)
    with pytest.raises(PackError, match="must yield item"):
        Items(View(keys=("name",), amounts=(Amount("safety_stock"),)), levels)
