"""Faust's Kafka transport, changed in four points: batches, replay, what is committed, and bare records.

Stock Faust spends 73-99 us on each event and acknowledges an event whose agent raised. Here the agent gets one whole
fetched batch (3-4 us an event), a log is replayed from its start when it is newly assigned, and the offset committed
is the one the fold says it published, never an acknowledgement's. Records come as aiokafka's codec yields them: a
ConsumerRecord around each costs 2 us. It leans on private names of Faust and aiokafka: their versions are pinned, and
`tests/streams/test_transport.py` holds the contract.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from aiokafka.consumer import fetcher
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.ledger import Ledger


class BareRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    """A fetched partition whose records have key, value, offset and timestamp, and no wrapper."""

    def _consumer_record(self, tp: Any, record: Any) -> Any:  # noqa: ARG002  # aiokafka's signature
        return record


fetcher.PartitionRecords = BareRecords


class Thread(driver.AIOKafkaConsumerThread):
    """Commits with metadata; a broker that is away is tried again at the next interval."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        assigned = self.assignment()
        wanted = {
            driver.ensure_aiokafka_TP(tp): OffsetAndMetadata(offset, Consumer.ledgers[tp].metadata)
            for tp, offset in offsets.items()
            if tp in assigned
        }
        try:
            await self._ensure_consumer().commit(wanted)
        except KafkaError as e:
            # the log is replayed from its start anyway: a late commit only makes the reported lag old
            self.log.warning("committing offsets: %r, trying again", e)
            return False
        return True

    async def committed_metadata(self, tp: TP) -> str:
        """The metadata of the group's last commit, '' if there is none."""
        return str(await self.call_thread(self._committed_metadata, tp))

    async def _committed_metadata(self, tp: TP) -> str:
        wanted = driver.ensure_aiokafka_TP(tp)
        found = await self._ensure_consumer()._coordinator.fetch_committed_offsets([wanted])  # noqa: SLF001  # no public way
        return found[wanted].metadata if wanted in found else ""


class Consumer(driver.Consumer):
    """Hands over batches of the logs in `ledgers`; other topics are not expected."""

    ledgers: ClassVar[dict[TP, Ledger]] = {}
    _thread: Thread

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """To the start of a log newly assigned; after the last folded record where we still hold the state."""
        await super().perform_seek()
        for tp in self.assignment():
            ledger = self.ledgers.get(tp)
            if ledger is None:
                continue
            if ledger.replay_until is None:
                ledger.committed_metadata = await self._thread.committed_metadata(tp)
                ledger.replay_until = (await self.highwaters(tp))[tp]
            await self._seek(tp, ledger.folded + 1)
            self._read_offset[tp] = None

    async def _drain_messages(self, fetcher: Any) -> None:
        # Faust's own loop does this per record; the checks are the same
        while not (self.should_stop or fetcher.should_stop):
            records, active = await self._wait_next_records(1.0)
            await self.sleep(0)
            if not records or self.should_stop:
                continue
            if not self.flow_active:
                await self.perform_seek()
                continue
            generation = self.app.consumer_generation_id
            for aiokafka_tp, batch in records.items():
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    break
                tp = ensure_TP(aiokafka_tp)
                if active is None or tp in active:
                    await self._hand_over(tp, batch, generation)

    async def _hand_over(self, tp: TP, batch: Any, generation: int) -> None:
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        last = batch[-1].offset
        message = ConsumerMessage(
            tp.topic, tp.partition, last, batch[-1].timestamp / 1000, batch[-1].timestamp_type,
            None, None, batch, None, 0, 0, tp, generation_id=generation,
        )  # fmt: skip
        conductor: Any = self.app.topics
        channels = conductor._tp_index[tp]  # noqa: SLF001  # where Faust itself looks up who reads a partition
        message.incref(len(channels))
        for channel in channels:
            event = channel._create_event(None, batch, None, message)  # noqa: SLF001  # Faust's own constructor
            await self.wait_first(channel.queue.put(event), self.suspend_flow.wait())
        self._read_offset[tp] = last

    def _new_offset(self, tp: TP) -> int | None:
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        ledger = self.ledgers.get(tp)
        return None if ledger is None else ledger.published


class Transport(driver.Transport):
    """The driver with our consumer."""

    Consumer = Consumer
