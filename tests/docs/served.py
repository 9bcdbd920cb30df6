"""What the worker serves, made by its own code without an ERP: for documents and examples to be held against."""

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from pipeline.adapters.redis import Cut, Projection
from pipeline.domain.alert_book import AlertBook
from pipeline.domain.alerts import Alert
from pipeline.domain.change import Position
from pipeline.domain.documents import Document
from pipeline.domain.levels import StockLevels, stock_levels
from pipeline.rules import Known, compile_rules, load
from streams.fold import Place, StockFold
from streams.ledger import Ledger
from streams.ports import Identity
from streams.publish import Publisher

EPOCH, OFFSET = 1795391273, 953
BOOK = ("item", "warehouse", "location", "lot", "status")


@dataclass(frozen=True)
class Amount:
    name: str
    scale: int = 0
    approx: bool = False


@dataclass(frozen=True)
class View:
    """A stock query with every kind of column that changes what is served."""

    keys: tuple[str, ...] = BOOK
    amounts: tuple[Amount, ...] = (Amount("on_hand"), Amount("reserved"))


def levels_of(*rows: tuple[str, str, int, int], time_ms: int, degraded: str = "") -> StockLevels:
    """Levels of (item, warehouse, on hand, reserved), all in one place, lot and status; `degraded`: why all are."""
    levels = stock_levels("stock", View(), "stock")
    levels.absorb([((i, w, "A-1", "L-7", "free"), 1, (n, r)) for i, w, n, r in rows], OFFSET, time_ms)
    if degraded:
        levels.mark({(i, w, "A-1", "L-7", "free"): degraded for i, w, _, _ in rows}, OFFSET, time_ms)
    return levels


@dataclass(frozen=True)
class _Quarantine:
    whole: bool

    def __len__(self) -> int:
        return int(self.whole)


def meta(time_ms: int, *, quarantined: bool = False) -> dict[str, str]:
    """`stock:meta` of a feed complete up to `time_ms`."""
    fold = cast("StockFold", SimpleNamespace(quarantine=_Quarantine(quarantined), quarantined=int(quarantined)))
    nobody = cast("Any", None)
    publisher = Publisher(
        Identity("erp", EPOCH, EPOCH, "0ea9"), fold, nobody, ledger=Ledger(), alerts=nobody, notes=nobody
    )
    return publisher._meta(Place(OFFSET, Position(0x23AD468), time_ms))


def alerts_of(levels: StockLevels, time_ms: int) -> list[Alert]:
    """What opens with these levels."""
    changed = [level for level in levels.levels.values() if len(level.idents) == 2]
    book = AlertBook(compile_rules(load(), Known(levels)))
    book.epoch = EPOCH
    return book.evaluate(changed, Place(OFFSET, Position(0x23AD468), time_ms))


def publish(url: str, documents: list[Document], meta: dict[str, str], alerts: list[Alert]) -> None:
    """Write one cut the way the worker does: into an empty Redis, so that levels show up in the changes stream."""

    async def run() -> None:
        projection = Projection(url, "stock", EPOCH, None, lambda: None)
        await projection.start()
        await projection.publish([Cut(meta["v"], "", documents, meta, alerts)])
        await projection.close()

    asyncio.run(run())
