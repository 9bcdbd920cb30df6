"""Up to when the feed of an idle source is complete, where nothing may be written that would say so (MariaDB).

MariaDB sends a heartbeat over an idle replication connection only when it has sent all there is. Debezium passes it
on, and also writes one of its own now and then while it works off changes. So of one heartbeat nothing follows. Two in
a row with no transaction open do: every transaction, of any table, would have left its BEGIN between them, hence the
second is the server's, and what was committed before the first is in the log.
"""


class Quiet:
    """Watches the heartbeats of one log. `is_open`: a transaction's BEGIN was seen and not its END."""

    def __init__(self) -> None:
        self.is_open = False
        self._offset, self._time_ms = -2, 0

    def heartbeat(self, offset: int, time_ms: int) -> int | None:
        """Take a heartbeat; the time up to which the feed is complete, None where it does not say."""
        before, self._offset, self._time_ms = (self._offset, self._time_ms), offset, time_ms
        return before[1] if not self.is_open and before[0] == offset - 1 else None
