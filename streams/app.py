"""The Faust app of one source: its log in batches to the publisher, its alerts topic, and the turn of the day."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import faust
import msgspec
from faust.types import TP

from pipeline import telemetry
from pipeline.adapters import control, kafka
from pipeline.applied import TOPIC, Swept
from pipeline.domain.alerts import Alert
from pipeline.settings import Kafka, Source
from streams.publish import Publisher
from streams.scrub import Scrub
from streams.transport import Consumer, Transport

FETCH_BYTES = 2 * 1024 * 1024
DAY_CHECK_SECONDS = 10.0
SCRUB_SECONDS = 1.0


class App(faust.App):
    """Faust's app without its folders: no table here is kept on disk, and the working folder stays as it was."""

    async def on_first_start(self) -> None:
        """Nothing: Faust would make its tables' folders."""


def make_app(settings: Kafka, source: Source) -> Any:
    """An app whose consumer hands over batches; nothing is declared, nothing listens."""
    app = App(
        source.group,
        broker=[f"kafka://{server}" for server in settings.bootstrap_servers.split(",")],
        broker_credentials=_credentials(settings),
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_BYTES,
        producer_max_request_size=int(kafka.QUARANTINE["max.message.bytes"]),
        stream_buffer_maxsize=16,
        broker_commit_interval=1.0,
        # a killed worker's log is handed on after the session, so it is short; Redis may be away for long,
        # and the agent waits for it, so the poll interval is not
        broker_session_timeout=10,
        broker_heartbeat_interval=2,
        broker_max_poll_interval=24 * 3600.0,
    )
    app.transport = Transport(app.conf.broker_consumer, app)
    return app


def _credentials(settings: Kafka) -> Any:
    context = ssl.create_default_context(cafile=settings.ssl_cafile) if "SSL" in settings.security_protocol else None
    if settings.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.sasl_username, password=settings.secret, mechanism=settings.sasl_mechanism,
            ssl_context=context,
        )  # fmt: skip
    return faust.SSLCredentials(context) if context else None


class Alerts:
    """The compacted alerts topic: latest state by alert id."""

    def __init__(self, app: Any, settings: Kafka, topic: str) -> None:
        self._app, self._settings, self._topic = app, settings, topic

    async def open(self) -> dict[str, Alert]:
        """The alerts it holds open, by id."""
        held = await asyncio.to_thread(kafka.latest, self._settings, self._topic)
        alerts = (Alert.from_dict(msgspec.json.decode(value)) for value in held.values())
        return {a.id: a for a in alerts if a.is_open}

    async def tell(self, events: list[Alert]) -> None:
        """Write events; returns when they are acknowledged."""
        records = ((a.id.encode(), msgspec.json.encode(a.to_dict())) for a in events)
        sent = [await self._app.producer.send(self._topic, key, value, 0, None, None) for key, value in records]
        await asyncio.gather(*sent)


class Topic:
    """A topic of orders or of movements."""

    def __init__(self, app: Any, settings: Kafka, topic: str) -> None:
        self._app, self._settings, self._topic = app, settings, topic

    async def held(self) -> dict[bytes, bytes]:
        """The newest value of each key that has one."""
        latest = await asyncio.to_thread(kafka.latest, self._settings, self._topic)
        return {key: value for key, value in latest.items() if value is not None}

    async def tell(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Write records, None = gone; returns when all are acknowledged."""
        sent = [await self._app.producer.send(self._topic, k, v, 0, None, None) for k, v in records]
        await asyncio.gather(*sent)


class Notes:
    """What a worker notes of its source in the topic of applied sources."""

    def __init__(self, app: Any, source: Source, epoch: int) -> None:
        self._app, self._source, self._epoch = app, source.name, epoch
        self._quarantine = source.quarantine_topic

    async def sweep(self, tables: Mapping[str, int]) -> None:
        """From which offset on a table's rows count; returns when it is acknowledged."""
        value = Swept(self._epoch, dict(tables)).to_json()
        await self._app.producer.send_and_wait(TOPIC, Swept.key(self._source), value, 0, None, None)

    async def quarantine(self, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Rows in quarantine by log key, None = right again; returns when all are acknowledged."""
        sent = [await self._app.producer.send(self._quarantine, k, v, 0, None, None) for k, v in records]
        await asyncio.gather(*sent)


def wire(app: Any, source: Source, publisher: Publisher, scrub: Scrub, fatal: Callable[[BaseException], None]) -> None:
    """Connect the log to the publisher. `fatal` ends the process: an exception that leaves an agent is acknowledged."""
    tp = TP(source.log_topic, 0)
    Consumer.ledgers[tp] = publisher.ledger
    changes = app.topic(source.log_topic, value_type=bytes, value_serializer="raw", key_serializer="raw")

    async def fold(batches: Any) -> None:
        async for records in batches:
            try:
                await publisher.take(records)
            except asyncio.CancelledError:
                raise
            except BaseException as e:  # noqa: BLE001  # whatever it is, nothing may be committed after it
                fatal(e)

    app.agent(changes, name=f"{source.name}.stock")(fold)
    app.timer(DAY_CHECK_SECONDS)(_day_keeper(app, source, publisher))
    app.timer(1.0)(_lag_gauge(app, source, tp))
    app.timer(SCRUB_SECONDS)(_scrubber(publisher, scrub, fatal))


def _scrubber(
    publisher: Publisher, scrub: Scrub, fatal: Callable[[BaseException], None]
) -> Callable[[], Awaitable[None]]:
    async def compare() -> None:
        try:
            await publisher.at_standstill(scrub.look)
        except asyncio.CancelledError:
            raise
        except BaseException as e:  # noqa: BLE001  # as in the agent
            fatal(e)

    return compare


def _day_keeper(app: Any, source: Source, publisher: Publisher) -> Callable[[], Awaitable[None]]:
    async def turn_the_day() -> None:
        """CURRENT_DATE turns by the log, so that a replay turns it at the same place."""
        today = datetime.now(source.zone).date().isoformat()
        if publisher.live and today > publisher.fold.today:
            value = msgspec.json.encode({"control": "day", "date": today})
            await app.producer.send_and_wait(source.log_topic, control.DAY_KEY, value, 0, None, None)

    return turn_the_day


def _lag_gauge(app: Any, source: Source, tp: TP) -> Callable[[], Awaitable[None]]:
    async def log_end() -> None:
        if tp in app.consumer.assignment():
            telemetry.END_OFFSET.labels(source.name).set(app.consumer.highwater(tp) or 0)

    return log_end
