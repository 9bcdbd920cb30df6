"""Where served stock departs from the ERP's: the log, folded anew, stands between the two.

The log is the table: what a throw-away fold of it remembers is what a worker that starts now would.
"""

import logging
from collections.abc import Collection, Mapping

import structlog

from pipeline.adapters import kafka, quarantine, sources
from pipeline.adapters.served import Documents
from pipeline.applied import Applied
from pipeline.cli.comparison import Both, Comparison
from pipeline.cli.figures import equal, expected_orders, numbers
from pipeline.settings import Kafka
from streams.applied_fold import new_fold
from streams.fold import StockFold

ERP, ROWS, REDIS = "the ERP against the rows remembered", "rows against levels", "levels against Redis"
QUARANTINED = "quarantined row"


def fold_log(settings: Kafka, applied: Applied, topic_prefix: str) -> StockFold:
    """The source's log, folded up to its end."""
    # what is wrong in the log is the worker's to tell
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    noted = quarantine.noted(settings, f"{topic_prefix}.quarantine", applied.epoch)
    fold = new_fold(applied, topic_prefix, sources.load_swept(settings, applied.name, applied.epoch), noted=noted)
    kafka.replay(settings, applied.topics["log"], fold.fold)
    fold.end_replay()
    return fold


def layers_of(
    comparison: Comparison, fold: StockFold, differing: Mapping[str, Both], degraded: Collection[str] = ()
) -> dict[str, str]:
    """The first layer at which each differing key departs from the ERP; `degraded`: those served as such."""
    view = fold.engine.views["stock"]
    rows = comparison.expected(list(view.groups()))
    if "orders" in fold.engine.views:
        orders = fold.engine.views["orders"].groups()
        rows |= expected_orders(comparison.applied, fold.engine, view.groups(), orders)
    levels: Documents = {d.key: dict(zip(d.fields[::2], d.fields[1::2], strict=True)) for d in fold.all_documents()}

    def layer(key: str, by_erp: Mapping[str, str], served: Mapping[str, str]) -> str:
        remembered, rolled_up = numbers(rows.get(key, {})), numbers(levels.get(key, {}))
        is_doubtful = fold.quarantine.whole or "degraded" in levels.get(key, {})
        if key in degraded and is_doubtful and equal(rolled_up, served, comparison.tolerance):
            return QUARANTINED
        if not equal(by_erp, remembered, comparison.tolerance):
            return ERP
        return REDIS if equal(remembered, rolled_up, comparison.tolerance) else ROWS

    return {key: layer(key, *both) for key, both in differing.items()}
