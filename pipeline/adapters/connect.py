"""Kafka Connect: the connector that captures a source, configured, checked and watched over its REST interface."""

import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import requests
import stamina

from pipeline.adapters import connect_mariadb
from pipeline.domain.errors import NotReadyError, RefusedError
from pipeline.settings import Kafka, Source

PLUGIN = "io.debezium.connector.postgresql.PostgresConnector"
_TIMEOUT_S = (3, 30)  # connecting, answering: `validate` lets Debezium log in to the ERP's database
_STOP_S = 60
# Connect says so while it rebalances (409), and right after its start (500, 503).
_AGAIN = {HTTPStatus.CONFLICT, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE}
_PREDICATE = "org.apache.kafka.connect.transforms.predicates.TopicNameMatches"
_TRANSFORM = "org.apache.kafka.connect.transforms"


class State(NamedTuple):
    """What Connect says of a connector: RUNNING, PAUSED, UNASSIGNED, FAILED, ..; `reason` = a trace's first line."""

    connector: str
    task: str
    reason: str

    @property
    def running(self) -> bool:
        """Changes flow."""
        return self.connector == self.task == "RUNNING"

    @property
    def failed(self) -> bool:
        """It will not run again by itself."""
        return "FAILED" in {self.connector, self.task}


def connector_config(broker: Kafka, source: Source, captured: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The connector's configuration. `captured`: columns by `schema.table`; nothing else leaves the ERP."""
    if source.is_mariadb:
        own = connect_mariadb.database(source, broker) | connect_mariadb.capture(source, captured)
    else:
        own = {**_database(source), **_capture(source, captured)}
    return {
        **own,
        **_delivery(source),
        **_one_topic(source, sorted({table.split(".")[0] for table in captured})),
    }


def _database(source: Source) -> dict[str, str]:
    from sqlalchemy import make_url  # noqa: PLC0415 - only `apply` needs it, and `status` would wait for it

    url = make_url(source.database)
    tls = {
        f"database.{name}": str(url.query[name])
        for name in ("sslmode", "sslrootcert", "sslcert", "sslkey")
        if name in url.query
    }
    password = {"database.password": source.placeholder} if source.placeholder else {}
    return {
        "connector.class": PLUGIN,
        "tasks.max": "1",
        "database.hostname": str(url.host),
        "database.port": str(url.port or 5432),
        "database.user": str(url.username),
        "database.dbname": str(url.database),
        **password,
        **tls,
        "plugin.name": "pgoutput",
        "slot.name": source.slot_name,
        "publication.name": source.publication,
        "publication.autocreate.mode": "disabled",  # making one takes rights over the ERP's tables
    }


def _capture(source: Source, captured: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    tables = [re.escape(table) for table in captured]
    columns = [f"{re.escape(t)}\\.({'|'.join(map(re.escape, names))})" for t, names in captured.items()]
    mark = f"SELECT pg_logical_emit_message(true, '{source.topic_prefix}', clock_timestamp()::text)"
    return {
        "topic.prefix": source.topic_prefix,
        "table.include.list": ",".join(tables),
        "column.include.list": ",".join(columns),
        "snapshot.mode": "initial",
        "decimal.handling.mode": "string",
        "time.precision.mode": "isostring",
        "skipped.operations": "none",  # truncates too
        "tombstones.on.delete": "true",
        "provide.transaction.metadata": "true",
        "extended.headers.enabled": "false",
        # after a broker's power loss the slot is ahead of Connect's own offset: go on, verify finds what is missing
        "offset.mismatch.strategy": "trust_offset",
        # a mark of ours in commit order: an idle slot moves on, and readers learn how fresh the feed is
        "heartbeat.interval.ms": "1000",
        "heartbeat.action.query": mark,
        "message.prefix.include.list": re.escape(source.topic_prefix),
        # rows can be read again beside the stream (`adapters.signals`) with no table of the ERP to write to; that it is
        # done is told through the same queue as rows, so it stands in the log after the rows it is about
        "read.only": "true",
        "notification.enabled.channels": "sink",
        "notification.sink.topic.name": source.log_topic,
        "slot.retry.delay.ms": "1000",
        "slot.max.retries": "60",
        "status.update.interval.ms": "1000",
    }


def _delivery(source: Source) -> dict[str, str]:
    return {
        "poll.interval.ms": str(source.poll_interval_ms),
        "max.batch.size": "8192",
        "max.queue.size": "32768",
        "producer.override.linger.ms": "0",
        "producer.override.batch.size": "262144",
        "producer.override.compression.type": "lz4",
        "producer.override.enable.idempotence": "true",
        "producer.override.max.in.flight.requests.per.connection": "5",
        "producer.override.max.request.size": "8388608",
    }


def _one_topic(source: Source, schemas: list[str]) -> dict[str, str]:
    """Everything into the one log, each kind of record with a key of its own that survives compaction."""
    prefix, log = re.escape(source.topic_prefix), source.log_topic
    beside = {
        "tx": f"{prefix}\\.transaction",
        "heartbeat": f"__debezium-heartbeat\\.{prefix}",
        "message": f"{prefix}\\.message",
    }
    if source.is_mariadb:
        del beside["message"]
    config = {
        "predicates": ",".join(f"is_{name}" for name in beside),
        "transforms": ",".join(["rows", "tx_key", *beside, "hoist"]),
        "transforms.rows.type": "io.debezium.transforms.ByLogicalTableRouter",
        "transforms.rows.topic.regex": f"{prefix}\\.(?:{'|'.join(map(re.escape, schemas))})\\.(.*)",
        "transforms.rows.topic.replacement": log,
        # BEGIN and END without their id: compaction then keeps one of them instead of all
        "transforms.tx_key.type": f"{_TRANSFORM}.ReplaceField$Key",
        "transforms.tx_key.exclude": "id",
        "transforms.tx_key.predicate": "is_tx",
        # last: a truncate's key is null, which a compacted topic refuses; {"row":null} it takes
        "transforms.hoist.type": f"{_TRANSFORM}.HoistField$Key",
        "transforms.hoist.field": "row",
    }
    for name, topic in beside.items():
        config[f"predicates.is_{name}.type"] = _PREDICATE
        config[f"predicates.is_{name}.pattern"] = topic
        config[f"transforms.{name}.type"] = f"{_TRANSFORM}.RegexRouter"
        config[f"transforms.{name}.regex"] = topic
        config[f"transforms.{name}.replacement"] = log
        config[f"transforms.{name}.predicate"] = f"is_{name}"
    return config


class Connect:
    """One Kafka Connect cluster. Every method raises NotReadyError when it does not answer."""

    def __init__(self, kafka: Kafka) -> None:
        self._url = kafka.connect_url

    def check_plugin(self, config: Mapping[str, str]) -> None:
        """Raise RefusedError unless the connector that `config` names is installed."""
        plugin = config["connector.class"]
        if plugin not in {p["class"] for p in self._ask("GET", "/connector-plugins").json()}:
            jar = f"debezium-connector-{'mariadb' if plugin == connect_mariadb.PLUGIN else 'postgres'}"
            what = f"Kafka Connect at {self._url} has no {plugin}"
            raise RefusedError(what, f"unpack {jar} into a folder of its plugin.path, restart it")

    def validate(self, config: Mapping[str, str]) -> None:
        """Let Connect and Debezium judge `config`: RefusedError with every field's complaint. Changes nothing."""
        name = config["connector.class"].rpartition(".")[2]
        answer = self._ask("PUT", f"/connector-plugins/{name}/config/validate", {"name": "validate", **config}).json()
        wrong = [(c["value"]["name"], e) for c in answer["configs"] for e in c["value"]["errors"]]
        if wrong:
            complaints = "".join(f"\n  - {field}: {error}" for field, error in wrong)
            fix = "correct what is named; a password is read by Connect itself, see connect_password in onhand.toml"
            raise RefusedError(f"Kafka Connect refuses the connector:{complaints}", fix)

    def config(self, name: str) -> dict[str, str] | None:
        """The configuration of connector `name`, None where there is none."""
        answer = self._ask("GET", f"/connectors/{name}/config")
        return None if answer.status_code == HTTPStatus.NOT_FOUND else dict(answer.json())

    def apply(self, name: str, config: Mapping[str, str]) -> bool:
        """Make connector `name` be as `config` says; False when it already was."""
        if self.config(name) == {**config, "name": name}:
            return False
        self._change("PUT", f"/connectors/{name}/config", config)
        return True

    def begin(self, name: str, config: Mapping[str, str]) -> bool:
        """Start connector `name` for an empty log: what Connect remembers of an earlier one would skip the snapshot."""
        if self.config(name) is None:
            body = {"name": name, "config": config, "initial_state": "STOPPED"}
            self._change("POST", "/connectors", body)
        else:
            self._change("PUT", f"/connectors/{name}/stop")
            self._change("PUT", f"/connectors/{name}/config", config)
        self._change("DELETE", f"/connectors/{name}/offsets")
        self.resume(name)
        return True

    def state(self, name: str) -> State | None:
        """How connector `name` does, None where there is none."""
        answer = self._ask("GET", f"/connectors/{name}/status")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        said = answer.json()
        task = said["tasks"][0] if said["tasks"] else {"state": "UNASSIGNED"}
        trace = task.get("trace") or said["connector"].get("trace") or ""
        return State(said["connector"]["state"], task["state"], _reason(trace))

    def restart(self, name: str, *, only_failed: bool = True) -> None:
        """Start a connector and its task again: what failed, or all of it."""
        self._change("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed={str(only_failed).lower()}")

    def stop(self, name: str) -> None:
        """End connector `name`'s task; returns when it is gone. NotReadyError when it does not go."""
        self._change("PUT", f"/connectors/{name}/stop")
        deadline = time.monotonic() + _STOP_S
        while (state := self.state(name)) is not None and (state.connector, state.task) != ("STOPPED", "UNASSIGNED"):
            if time.monotonic() > deadline:
                raise NotReadyError(
                    f"connector {name} does not stop: its task is {state.task}", "restart Kafka Connect"
                )
            time.sleep(0.1)

    def offset(self, name: str) -> dict[str, Any]:
        """Where connector `name` stands in its database, as it last stored it; empty when it never did."""
        answer = self._ask("GET", f"/connectors/{name}/offsets")
        held = answer.json()["offsets"] if answer.ok else []
        return dict(held[0]["offset"] or {}) if held else {}

    def put_offset(self, name: str, server: str, offset: Mapping[str, Any]) -> None:
        """Let connector `name`, which is stopped, go on from `offset`. `server` is its topic.prefix."""
        body = {"offsets": [{"partition": {"server": server}, "offset": offset}]}
        self._change("PATCH", f"/connectors/{name}/offsets", body)

    def delete(self, name: str) -> None:
        """Take connector `name` away; its replication slot stays."""
        self._change("DELETE", f"/connectors/{name}")

    def pause(self, name: str) -> None:
        """Stop connector `name` from capturing until `resume`."""
        self._change("PUT", f"/connectors/{name}/pause")

    def resume(self, name: str) -> None:
        """Let connector `name` capture again."""
        self._change("PUT", f"/connectors/{name}/resume")

    def _change(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        answer = self._ask(method, path, body)
        if not answer.ok and answer.status_code != HTTPStatus.NOT_FOUND:
            raise self._refused(path, answer)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        try:
            for attempt in stamina.retry_context(on=_Busy, attempts=20, timeout=20, wait_initial=0.2, wait_max=1.0):
                with attempt:
                    answer = requests.request(method, self._url + path, json=body, timeout=_TIMEOUT_S)
                    if answer.status_code in _AGAIN:
                        raise _Busy(answer)
        except requests.RequestException:
            fix = "start it, or correct connect_url in [kafka]"
            raise NotReadyError(f"Kafka Connect at {self._url} does not answer", fix) from None
        except _Busy as e:
            raise self._refused(path, e.answer) from None
        return answer

    def _refused(self, what: str, answer: requests.Response) -> RefusedError:
        try:
            says = str(answer.json()["message"])
        except (ValueError, KeyError, TypeError):
            says = answer.reason
        return RefusedError(f"Kafka Connect at {self._url} refuses {what}: {says}", "see Kafka Connect's own log")


class _Busy(Exception):  # noqa: N818 - a state that passes, no error
    def __init__(self, answer: requests.Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def _reason(trace: str) -> str:
    """The first line, and the innermost cause's, which is the one that says why."""
    lines = trace.strip().splitlines()
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return " / ".join(dict.fromkeys([*lines[:1], *causes[-1:]]))
