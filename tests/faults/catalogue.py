"""Every fault, in the order of its number; importing this registers them."""

from tests.faults import capture, content, documents, loss, network, registry, servers, snapshots, store, worker

_FAMILIES = (worker, servers, capture, loss, snapshots, store, network, documents, content)
FAULTS = dict(sorted(registry.FAULTS.items(), key=lambda pair: (pair[1].number, pair[0])))
