"""When all faults are over: what Redis, the alerts topic and the log itself must say."""

from typing import TYPE_CHECKING, Any

import msgspec

from pipeline.adapters.quarantine import Noted
from pipeline.adapters.redis import version
from pipeline.domain.levels import stock_levels
from pipeline.domain.times import iso
from streams.fold import StockFold
from streams.quarantine import Quarantine
from tests.simulation.engines import engines
from tests.simulation.reader import Lie, compare, negative_of
from tests.streams.erp import PREFIX, Record, Served

if TYPE_CHECKING:
    from tests.simulation.world import World


def check(world: "World") -> None:
    """Raises Lie."""
    truth = world.history.cuts[max(world.history.cuts)]
    documents = world.reader.documents()
    mended = sum(p.scrub.mended for p in world.processes)
    if mended and not any(f.kind == "foreign hand" for f in world.plan.faults):
        raise Lie(f"the scrub mended {mended} keys that nobody but workers wrote")
    world.reader.look()
    meta = world.server.data["stock:meta"]
    if meta["state"] not in ("live", "degraded") or int(meta["offset"]) != max(world.history.cuts):
        raise Lie(f"ended as {meta}, the log's last cut is {max(world.history.cuts)}")
    compare(truth, documents, "in the end")
    whole, alerts = _folded(world, world.history.log.records, {}, {})
    again, _ = _folded(world, world.records, world.swept, world.noted())
    compare(truth, again, "replayed from the log as it is left")
    if truth.bad:
        return
    if not world.compacted:
        _equal(whole, {key: d for key, d in documents.items() if "deleted" not in d}, "served")
    _equal(negative_of(truth.served), world.server.data.get("stock:negative", {}), "negative")
    served = sorted(world.server.data.get("stock:alerts", {}))
    _equal(_open_in(world.alerts), served, "alerts in Redis, beside their topic")
    if world.compacted:  # before any worker told it, compaction may have taken the cut at which one began
        alerts, served = ([ident.rpartition("/")[0] for ident in some] for some in (alerts, served))
    _equal(alerts, served, "alerts")


def _equal(wanted: Any, found: Any, what: str) -> None:
    if wanted == found:
        return
    if isinstance(wanted, dict):
        keys = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
        wanted, found = ({k: d.get(k) for k in keys[:2]} for d in (wanted, found))
    else:
        wanted, found = (sorted(set(a) - set(b)) for a, b in ((wanted, found), (found, wanted)))
    raise Lie(f"{what}: is {found}, should be {wanted}")


def _folded(
    world: "World", records: list[Record], swept: dict[str, int], noted: dict[bytes, Noted | None]
) -> tuple[Served, list[str]]:
    """What a worker without any fault serves: documents byte for byte, and the open alerts."""
    with engines.one() as engine:
        levels = stock_levels(PREFIX, engine.views["stock"], "stock")
        reader = engines.reader(engine)
        quarantine = Quarantine(engine, reader, noted, world.identity.log_epoch)
        fold = StockFold(engine, levels, reader, swept, quarantine)
        for record in records:
            fold.fold(record)
        fold.end_replay()
        epoch = world.identity.epoch
        found = {
            d.key: {"v": version(epoch, d.offset), "changed": iso(d.time_ms)}
            | dict(zip(d.fields[::2], d.fields[1::2], strict=True))
            for d in levels.all_documents()
        }
        return found, sorted(fold.book.open)


def _open_in(topic: list[tuple[str, bytes]]) -> list[str]:
    latest = {key: msgspec.json.decode(value)["state"] for key, value in topic}
    return sorted(key for key, state in latest.items() if state != "resolved")
