"""F20d-F24: what Redis may do to us while it runs."""

import contextlib
from collections.abc import Iterator

import redis

from infra.stack.redis import Redis
from tests.e2e.source import wait_for
from tests.faults.registry import fault
from tests.faults.run import Run


class Replica(Redis):
    """A second Redis beside the stack's."""

    name = "redis-replica"


@fault("F21a", "FLUSHALL", hold=0.5)
def flushed(run: Run) -> Iterator[None]:
    assert run.source.meta()["source"] == run.source.name, "this run's own Redis"
    run.source.redis.flushall()
    yield


@fault(
    "F22", "Redis fails over to a replica that stopped following long ago; read-only at first", puts_back=True, hold=3
)
def failed_over(run: Run) -> Iterator[None]:
    with _replica(run) as replica:
        second = redis.Redis.from_url(replica.url, decode_responses=True)
        second.replicaof(run.stack.redis.host, run.stack.redis.port)
        wait_for(lambda: second.info("replication").get("master_link_status") == "up", "a copy")
        second.replicaof("NO", "ONE")
        run.work(150)
        # the address stays, what stands behind it is the copy: the older data, and no writing yet
        run.source.redis.replicaof(replica.host, replica.port)
        yield
        wait_for(lambda: run.source.redis.info("replication").get("master_link_status") == "up", "the copy's data")
        run.source.redis.replicaof("NO", "ONE")
        second.close()


@contextlib.contextmanager
def _replica(run: Run) -> Iterator[Replica]:
    replica = Replica(run.stack._site)
    replica.launch()
    try:
        wait_for(replica.is_ready, "the replica answers")
        yield replica
    finally:
        replica.kill()


@fault("F23a", "Redis out of memory", short=True, hold=4)
def out_of_memory(run: Run) -> Iterator[None]:
    run.source.redis.config_set("maxmemory", "1mb")
    yield
    assert "does not take our writes" in run.source.tail()
    run.source.redis.config_set("maxmemory", "0")


@fault("F23b", "Redis set to evict: a worker refuses to start", hold=0)
def evicting(run: Run) -> Iterator[None]:
    run.source.redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        run.source.kill_worker()
        run.source.start_worker()
        assert run.source.worker.wait(60) == 1
        assert "may evict keys" in run.source.tail()
        yield
    finally:
        run.source.redis.config_set("maxmemory-policy", "noeviction")
    run.source.start_worker()


@fault("F24a", "Redis takes no writes, as without replicas or disk", short=True, hold=4)
def refusing(run: Run) -> Iterator[None]:
    run.source.redis.config_set("min-replicas-to-write", "1")
    yield
    assert "does not take our writes" in run.source.tail()
    run.source.redis.config_set("min-replicas-to-write", "0")


@fault("F24b", "Redis stands still for 8 s", hold=0)
def standing_still(run: Run) -> Iterator[None]:
    run.source.redis.client_pause(8000, all=True)
    yield
