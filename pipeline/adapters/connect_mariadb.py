"""What Debezium's connector for MariaDB is told of a source; the rest is as for every connector (`connect`)."""

import re
from collections.abc import Mapping

import sqlalchemy as sa

from pipeline.settings import Kafka, Source

PLUGIN = "io.debezium.connector.mariadb.MariaDbConnector"


def database(source: Source, broker: Kafka) -> dict[str, str]:
    """Where the ERP is, and where the connector keeps its tables' definitions."""
    url = sa.make_url(source.database)
    history = "schema.history.internal"
    sides = {
        f"{history}.{side}.{name}": x for side in ("producer", "consumer") for name, x in _security(broker).items()
    }
    password = {"database.password": source.placeholder} if source.placeholder else {}
    return {
        "connector.class": PLUGIN,
        "tasks.max": "1",
        "database.hostname": str(url.host),
        "database.port": str(url.port or source.default_port),
        "database.user": str(url.username),
        **password,
        "database.server.id": str(source.replica_id),
        "database.ssl.mode": "disable",
        f"{history}.kafka.bootstrap.servers": broker.bootstrap_servers,
        f"{history}.kafka.topic": source.history_topic,
        # of other tables nothing is known, and their DDL is not kept
        f"{history}.store.only.captured.tables.ddl": "true",
        f"{history}.store.only.captured.databases.ddl": "true",
        **sides,
    }


def capture(source: Source, captured: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """What is captured, and how values are written: the mapping engine reads them as PostgreSQL's connector does."""
    columns = [f"{re.escape(t)}\\.({'|'.join(map(re.escape, names))})" for t, names in captured.items()]
    return {
        "topic.prefix": source.topic_prefix,
        "database.include.list": ",".join(sorted({re.escape(t.split(".")[0]) for t in captured})),
        "table.include.list": ",".join(re.escape(t) for t in captured),
        "column.include.list": ",".join(columns),
        "snapshot.mode": "initial",
        # the lock lasts while definitions are read; without it a change between two of them would be lost
        "snapshot.locking.mode": "minimal",
        "include.schema.changes": "false",
        "decimal.handling.mode": "string",
        "bigint.unsigned.handling.mode": "long",
        "time.precision.mode": "isostring",
        "skipped.operations": "none",  # truncates too
        "tombstones.on.delete": "true",
        "provide.transaction.metadata": "true",
        "extended.headers.enabled": "false",
        # an idle server sends one when it has sent all there is: see `domain.quiet`
        "heartbeat.interval.ms": "1000",
        # the server is asked for a sign of life each 8 s, which is 80 % of it: with the default idle stock is 96 s old
        "connect.keep.alive.interval.ms": "10000",
    }


def _security(broker: Kafka) -> dict[str, str]:
    """The way to the brokers, as Kafka's Java client is told it; the password's file is named, not read."""
    if broker.security_protocol == "PLAINTEXT":
        return {}
    given: dict[str, str] = {"security.protocol": broker.security_protocol}
    if broker.ssl_cafile is not None:
        given |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(broker.ssl_cafile.absolute())}
    if broker.security_protocol.startswith("SASL"):
        file = broker.sasl_password_file.absolute() if broker.sasl_password_file else None
        password = f"${{dir:{file.parent}:{file.name}}}" if file else ""
        module = "plain.PlainLoginModule" if broker.sasl_mechanism == "PLAIN" else "scram.ScramLoginModule"
        login = f'username="{broker.sasl_username}" password="{password}"'
        given["sasl.mechanism"] = broker.sasl_mechanism
        given["sasl.jaas.config"] = f"org.apache.kafka.common.security.{module} required {login};"
    return given
