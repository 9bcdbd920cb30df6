"""Every metric's name and labels, once. Base units, `source` on all but the process's own, never an item."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
STATES = ("replaying", "snapshot", "live", "applying", "rebuilding", "degraded", "stale")
_SOURCE = ("source",)
_RULE = ("kind", "severity", "department")
_BUCKETS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)


def _counter(name: str, says: str, *labels: str) -> Counter:
    return Counter(f"onhand_{name}", says, (*_SOURCE, *labels), registry=REGISTRY)


def _gauge(name: str, says: str, *labels: str) -> Gauge:
    return Gauge(f"onhand_{name}", says, (*_SOURCE, *labels), registry=REGISTRY)


RECORDS = _counter("records_total", "Log records folded since the worker started, replay included.")
TRANSACTIONS = _counter("transactions_total", "Source transactions that changed captured rows, made visible.")
PUBLISHED = _counter("published_keys_total", "Documents written to Redis.")
REDIS_RETRIES = _counter("redis_retries_total", "Calls to Redis that had to be repeated.")
REDIS_WAITING = _gauge("redis_waiting", "1 while Redis does not take our writes.")
REDIS_MAY_EVICT = _gauge("redis_may_evict", "1 while Redis would drop keys when its memory is full.")
FOREIGN_KINDS = ("changed", "missing", "expiring", "ghost", "negative", "alert", "meta")
REDIS_FOREIGN = _counter("redis_foreign_keys_total", "Keys in Redis that were not what we wrote, mended.", "kind")
SCRUBBED = _counter("redis_scrubbed_keys_total", "Keys in Redis compared with what the worker remembers.")
SCRUB_FINISHED = _gauge("redis_scrub_finished_timestamp_seconds", "When all keys had been compared once more.")
ALERTS_RAISED = _counter("alerts_raised_total", "Alerts that opened.", *_RULE)
ALERTS_OPEN = _gauge("alerts_open", "What alerts are open of now, those within sums too.", *_RULE)
AS_OF = _gauge("feed_as_of_timestamp_seconds", "Source time up to which readers see everything.")
STATE = _gauge("worker_state", "1 for the state the worker is in.", "state")
OFFSET = _gauge("log_offset", "Offset of the last record folded.")
END_OFFSET = _gauge("log_end_offset", "Offset the next record of the log will get.")
QUARANTINED = _gauge("quarantined_rows", "Rows that could not be read or mapped, and are not right yet or dropped.")
ROWS = _gauge("rows_remembered", "Rows remembered.")
LEVELS = _gauge("stock_levels", "Stock levels: details, (item, warehouse) and items.")
NEGATIVE = _gauge("negative_on_hand_levels", "Pairs of item and warehouse with less than nothing on hand.")
FINDING = _gauge("finding", "1 for what the watchdog finds not to be as it must be.", "kind")
CONNECTOR_STATE = _gauge("connector_state", "1 for the state the connector is in.", "state")
RESTARTS = _counter("connector_restarts_total", "Starts of a connector that had failed, or stood still.")
HEARTBEAT = _gauge("heartbeat_timestamp_seconds", "When something was captured last; a heartbeat comes every second.")
SLOT_STATE = _gauge("slot_state", "1 for the state the replication slot is in.", "state")
SLOT_RETAINED = _gauge("slot_retained_bytes", "What the ERP's server keeps of its log for us.")
SLOT_REMAINING = _gauge("slot_remaining_bytes", "What it will still keep before changes are lost. +Inf: no limit.")
SOURCE_LOG_KEPT = _gauge(
    "source_log_kept_seconds", "How long the ERP's server keeps changes nobody has read. +Inf: for as long as it takes."
)
LOG_SIZE = _gauge("log_size_bytes", "The log in Kafka, on the broker whose disk is the fullest.")
LOG_DISK = _gauge("log_disk_bytes", "The disk it lies on.")
LOG_DISK_FREE = _gauge("log_disk_free_bytes", "What is free there.")
CATALOG_DRIFT = _gauge("catalog_drift", "Ways in which the ERP's tables are not what was applied.")
VERIFIED = _counter("verify_rounds_total", "Comparisons with the ERP that came to their end.", "result")
VERIFY_FINISHED = _gauge("verify_finished_timestamp_seconds", "When the last comparison with the ERP came to its end.")
VERIFY_INTERVAL = _gauge("verify_interval_seconds", "How often a comparison with the ERP is due.")
VERIFY_KEYS = _gauge("verify_keys", "Keys that the last comparison with the ERP was about.")
VERIFY_COVERAGE = _gauge("verify_coverage_ratio", "The share of them that was compared at a standstill.")
VERIFY_DIFFERING = _gauge("verify_differing_keys", "Keys that differed in the last comparison with the ERP.")
VERIFY_REPAIRED = _counter("verify_repaired_keys_total", "Keys that were mended by verify --repair.")
VISIBLE = Histogram(
    "onhand_commit_to_readable_seconds",
    "From the commit in the ERP to readable in Redis, while live.",
    _SOURCE,
    registry=REGISTRY,
    buckets=_BUCKETS,
)


def begin(source: str, rules: Iterable[tuple[str, str, str]]) -> None:
    """Let what a worker counts begin at 0: an increase from nothing to 1 would be no increase to Prometheus.

    `rules`: kind, severity and department of each.
    """
    for counter in (RECORDS, TRANSACTIONS, PUBLISHED, REDIS_RETRIES, SCRUBBED, RESTARTS):
        counter.labels(source)
    for kind in FOREIGN_KINDS:
        REDIS_FOREIGN.labels(source, kind)
    for rule in rules:
        ALERTS_RAISED.labels(source, *rule)
    REDIS_WAITING.labels(source)
    VISIBLE.labels(source)
