"""Each layer, broken by hand in a fold of the log, is the one that is named."""

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.cli.comparison import Both, Comparison, numbers
from pipeline.cli.layers import ERP, QUARANTINED, REDIS, ROWS, layers_of
from pipeline.domain.levels import expected_documents
from streams.fold import StockFold
from tests.streams.erp import PREFIX, Log, item, new_fold, place, quant, states, truth

HISTORY = [[item(1, "A"), place(1, "x", "W1"), quant(1, 1, 1, 5), quant(2, 1, 1, 2)]]
KEY = "stock:{A}:W1"


def wrong_row(fold: StockFold) -> None:
    """The log says 6 where the ERP says 5."""
    table = fold.engine.tables["public.quant"]
    table.upsert(table.row_type(**quant(1, 1, 1, 6).row))
    fold.levels.absorb(fold.engine.views["stock"].drain(), 99, 99)


def wrong_level(fold: StockFold) -> None:
    """Rows are right, and a level adds them wrongly."""
    level = fold.levels.levels[1, "W1"]
    level.on_hand += 1
    level.text = ""


def nothing_wrong(fold: StockFold) -> None:
    """What is served is wrong all the same."""


@pytest.mark.parametrize(("plant", "layer"), [(wrong_row, ERP), (wrong_level, ROWS), (nothing_wrong, REDIS)], ids=str)
def test_the_first_layer_that_departs_is_named(plant: Callable[[StockFold], None], layer: str) -> None:
    log, fold, state = Log().begun(), new_fold(), states(HISTORY)[-1]
    log.transaction(1, HISTORY[0])
    for record in log.records:
        fold.fold(record)
    plant(fold)
    view = fold.engine.views["stock"]
    comparison = SimpleNamespace(
        expected=lambda groups: expected_documents(PREFIX, view, "stock", groups), tolerance=Decimal(0)
    )
    differing: dict[str, Both] = {KEY: (numbers(truth(state)[KEY]), {"on_hand": "4711"})}
    assert layers_of(cast("Comparison", comparison), fold, differing) == {KEY: layer}


@pytest.mark.parametrize(("on_hand", "layer"), [("7.00", QUARANTINED), ("4711", REDIS)])
def test_a_key_that_says_itself_that_it_may_be_wrong_is_named_so(on_hand: str, layer: str) -> None:
    log, fold, state = Log().begun(), new_fold(), states(HISTORY)[-1]
    log.transaction(1, HISTORY[0])
    log.transaction(2, [quant(1, 1, 1, "NaN")])
    for record in log.records:
        fold.fold(record)
    view = fold.engine.views["stock"]
    comparison = SimpleNamespace(
        expected=lambda groups: expected_documents(PREFIX, view, "stock", groups), tolerance=Decimal(0)
    )
    served = numbers(truth(state)[KEY]) | {"on_hand": on_hand}
    by_erp = served | {"on_hand": "not a number"} if layer == QUARANTINED else numbers(truth(state)[KEY])
    differing: dict[str, Both] = {KEY: (by_erp, served)}
    assert layers_of(cast("Comparison", comparison), fold, differing, {KEY}) == {KEY: layer}
    fold.quarantine.stock.whole = True
    if layer == QUARANTINED:
        fold.levels.mark({}, 99, 99)
    assert layers_of(cast("Comparison", comparison), fold, differing, {KEY}) == {KEY: layer}, "all keys are"
    unsaid = ERP if layer == QUARANTINED else layer
    assert layers_of(cast("Comparison", comparison), fold, differing) == {KEY: unsaid}, "it is served as if right"
