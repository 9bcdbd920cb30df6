"""What any app reads, looked at after each write: every value true at some cut, whole cuts, no version back."""

from collections.abc import Collection
from typing import Any

from tests.simulation.history import History, Truth
from tests.simulation.server import Server
from tests.streams.erp import Served

OURS = ("v", "changed")


class Lie(Exception):  # noqa: N818  # what the simulation is there to find
    """Readers saw, or could have seen, what was never true."""


def fields_of(document: dict[str, str]) -> dict[str, str]:
    """A document without what says when it changed."""
    return {name: value for name, value in document.items() if name not in OURS}


class Reader:
    """Follows one Redis. `highest`: the newest cut that was ever shown whole."""

    def __init__(self, history: History, server: Server) -> None:
        self._history, self._server = history, server
        self.highest = ""
        self.wounds: set[str] = set()
        """Keys that a foreign hand changed, until they are right again: no worker can know before its scrub looks."""
        self._versions: dict[str, str] = {}
        self._ever: dict[str, set[tuple[tuple[str, str], ...]]] = {}
        for truth in {id(t): t for t in history.cuts.values()}.values():
            for key, fields in truth.served.items():
                self._ever.setdefault(key, set()).add(tuple(sorted(fields.items())))
        self._doubtful = frozenset[str]().union(*(t.doubtful for t in history.cuts.values()))

    def forget(self) -> None:
        """Redis was emptied, put back or distrusted: versions may go back once."""
        self._versions.clear()

    def wound(self, key: str) -> None:
        """A foreign hand is about to change it."""
        self.wounds.add(key)
        self._versions.pop(key, None)

    def hurts(self) -> bool:
        """A wound is left where it can be told from what a row in quarantine leaves open."""
        doubtful = self._history.cuts[max(self._history.cuts)].doubtful
        return any(not is_doubtful(doubtful, key) for key in self.wounds)

    def look(self) -> None:
        """Raises Lie."""
        documents, meta = self.documents(), self._server.data.get("stock:meta", {})
        for key, document in (*documents.items(), ("the whole", meta)):
            v, before = document.get("v", ""), self._versions.get(key, "")
            if v < before and key not in self.wounds:
                raise Lie(f"{key} went back from {before} to {v}")
            self._versions[key] = v
        if meta.get("state") in ("live", "degraded") and "v" in meta:
            self.highest = max(self.highest, meta["v"])
            self._whole(meta, documents)
        else:
            self._each(documents)

    def documents(self) -> Served:
        server = self._server
        for key in [key for key in list(server.expires) if not server._get(key, None)]:
            self._versions.pop(key, None)  # a level that was gone is gone for good
        return {key: document for key, document in server.data.items() if key.startswith("stock:{")}

    def truth_at(self, v: str) -> Truth:
        """What holds at a version: that of the last cut up to it."""
        offset = int(v.rpartition(".")[2])
        at = max((o for o in self._history.cuts if o <= offset), default=None)
        if at is None:
            raise Lie(f"shown at {offset}, before any cut")
        return self._history.cuts[at]

    def _whole(self, meta: dict[str, str], documents: Served) -> None:
        truth = self.truth_at(meta["v"])
        compare(truth, documents, f"at {meta['v']}", self.wounds)
        if self.wounds:
            self.wounds = {key for key in self.wounds if not _heals(truth, key, documents.get(key))}
        if meta["quarantined"] != str(truth.bad) or meta["state"] == "degraded":
            raise Lie(f"{truth.bad} bad rows at {meta['v']}, told: {meta['state']} {meta['quarantined']}")

    def _each(self, documents: Served) -> None:
        for key, document in documents.items():
            fields = fields_of(document)
            known = "deleted" in document or tuple(sorted(fields.items())) in self._ever.get(key, ())
            if not known and key not in self.wounds and not is_doubtful(self._doubtful, key):
                raise Lie(f"{key} was never {fields}")


def is_doubtful(codes: frozenset[str], key: str) -> bool:
    """A row that cannot be read may stand behind it."""
    return bool(codes) and ("{~" in key or any(code in key for code in codes))


def _heals(truth: Truth, key: str, document: dict[str, str] | None) -> bool:
    if document is None or "deleted" in document:
        return key not in truth.served
    return "v" in document and fields_of(document) == truth.served.get(key)


def compare(truth: Truth, documents: Served, where: str, wounds: Collection[str] = ()) -> None:
    """All that is served, but for `wounds`, against all that is true. Raises Lie."""
    live = {key: fields_of(d) for key, d in documents.items() if "deleted" not in d}
    if live == truth.served:
        return
    for key in sorted(live.keys() | truth.served.keys()):
        wrong = live.get(key) != truth.served.get(key) and key not in wounds
        if wrong and not is_doubtful(truth.doubtful, key):
            raise Lie(f"{key} {where} is {live.get(key)}, should be {truth.served.get(key)}")


def negative_of(served: Served) -> dict[str, Any]:
    """What the sorted set of negative levels must hold."""
    return {
        key: float(fields["available"])
        for key, fields in served.items()
        if "available" in fields and float(fields["available"]) < 0 and key.partition("}")[2]
    }
