"""The fold of an applied source."""

from collections.abc import Mapping, Sequence

from pipeline.adapters.debezium import LogReader
from pipeline.adapters.quarantine import Noted
from pipeline.applied import Applied
from pipeline.domain.levels import stock_levels
from pipeline.domain.movements import movement_book
from pipeline.domain.orders import order_book
from pipeline.query import compile_source
from pipeline.query.rows import Store
from pipeline.rules import RuleText
from streams.fold import StockFold
from streams.quarantine import Quarantine


def new_fold(
    applied: Applied,
    topic_prefix: str,
    swept: Mapping[str, int],
    store: Store | None = None,
    noted: Mapping[bytes, Noted | None] | None = None,
    *,
    rules: Sequence[RuleText] | None = None,
) -> StockFold:
    """An empty fold of an applied source; `swept` and `noted` as noted beside its log, `store` is where rows live.

    `rules`: those of alerts; None = those that come with onhand.
    """
    engine = compile_source(applied.mapping_texts, applied.schema, applied.params, store=store)
    levels = stock_levels(applied.prefix, engine.views["stock"], applied.stock["reserved"] or "none")
    reader = LogReader(topic_prefix, engine.tables, has_marks=applied.dialect == "postgres")
    # rows of a table that was read again for this mapping count from there on
    known = {t: max(swept.get(t, 0), applied.since.get(t, 0)) for t in {*swept, *applied.since}}
    views, quarantine = engine.views, Quarantine(engine, reader, noted or {}, applied.epoch)
    orders = order_book(applied.prefix, views["orders"], levels) if "orders" in views else None
    movements = movement_book(views["movements"], levels) if "movements" in views else None
    fold = StockFold(engine, levels, reader, known, quarantine, orders=orders, movements=movements, rules=rules)
    fold.since = applied.since
    return fold
