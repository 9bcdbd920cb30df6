"""A TCP proxy that misbehaves on command: between any client and any server, from any test thread.

    with Proxy(server.port, seed=7) as proxy:       # the client is told proxy.port
        proxy.set(delay=2.0, jitter=0.5)            # both ways; way="up" is client to server, "down" server to client
        proxy.set(swallow=True)                     # half-open: nothing arrives, nobody is told
        proxy.reset(); proxy.refuse(); proxy.heal()

Every call has taken effect when it returns. What was swallowed is lost, so a connection that lost bytes stays
silent until it is closed, even after `heal`: it is for its owner to give it up.
"""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

HOST = "127.0.0.1"
WAYS = ("up", "down")
PIECE = 64 * 1024
BUFFERED = 64
"""Pieces on their way at a time; then the sender is held up, as a full link does."""
Way = Literal["up", "down", "both"]


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to bytes on their way. Times in seconds, bandwidth in bytes per second; 0 = none.

    `slice`: bytes go on in pieces of random length up to it. `stall`: held back until healed, as a short partition
    does. `swallow`: lost for good.
    """

    delay: float = 0.0
    jitter: float = 0.0
    bandwidth: float = 0.0
    slice: int = 0
    stall: bool = False
    swallow: bool = False


class Proxy:
    """Forwards a port that the kernel chose to `host:port`. The same seed slices and delays alike."""

    def __init__(self, port: int, host: str = HOST, seed: int = 0) -> None:
        self.target = (host, port)
        self.accepted = 0
        """Connections ever taken."""
        self.carried = {"up": 0, "down": 0}
        """Bytes that arrived, by way."""
        self._weather = dict.fromkeys(WAYS, Weather())
        self._random = random.Random(seed)
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._held = _bound(0)  # never listens: keeps the port while connections are refused
        self.port: int = self._held.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy to {port}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._held.close()

    @property
    def open(self) -> int:
        """Connections now."""
        return len(self._links)

    def set(self, way: Way = "both", **weather: Any) -> None:
        """Change what happens from now on; what is not named stays as it is."""

        async def change() -> None:
            for each in WAYS if way == "both" else (way,):
                self._weather[each] = replace(self._weather[each], **weather)
            self._wake()

        self._do(change)

    def heal(self) -> None:
        """Good weather both ways, and connections are taken again."""

        async def heal() -> None:
            self._weather = dict.fromkeys(WAYS, Weather())
            self._wake()
            await self._listen()

        self._do(heal)

    def reset(self) -> None:
        """Break every connection with a RST to both sides; new ones are taken."""

        async def reset() -> None:
            for link in list(self._links):
                link.abort()

        self._do(reset)

    def refuse(self) -> None:
        """Take no new connections until `heal`; open ones go on."""

        async def refuse() -> None:
            if self._server is not None:
                self._server.close()
                self._server = None

        self._do(refuse)

    # -- on the loop's thread

    def _do(self, what: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(what(), self._loop).result(30)

    def _wake(self) -> None:
        for link in self._links:
            link.changed.set()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, sock=_bound(self.port))

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = [link.task for link in self._links]
        for link in list(self._links):
            link.abort()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(self, writer)
        self._links.add(link)
        try:
            await link.run(reader)
        finally:
            self._links.discard(link)


class _Link:
    """One client's connection and ours to the server."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter) -> None:
        self._proxy, self._writers = proxy, [client]
        self.changed = asyncio.Event()
        self.task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]  # we are in one
        self._lost = dict.fromkeys(WAYS, False)

    async def run(self, from_client: asyncio.StreamReader) -> None:
        try:
            from_server, server = await asyncio.open_connection(*self._proxy.target)
        except OSError:
            self.abort()
            return
        self._writers.append(server)
        pumps = [
            asyncio.create_task(self._pump("up", from_client, server)),
            asyncio.create_task(self._pump("down", from_server, self._writers[0])),
        ]
        try:
            await asyncio.gather(*pumps)
        except OSError:
            self.abort()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for writer in self._writers:
                writer.close()

    def abort(self) -> None:
        """RST both ways."""
        for writer in self._writers:
            raw = writer.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self.changed.set()

    async def _pump(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read as fast as they come; another task lets them arrive when they are due."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(BUFFERED)
        arriving = asyncio.create_task(self._arrive(way, pieces, writer))
        try:
            while data := await reader.read(PIECE):
                await pieces.put((self._due(way), data))
            await pieces.put((self._due(way), b""))  # the end
            await arriving
        finally:
            arriving.cancel()

    def _due(self, way: str) -> float:
        weather = self._weather(way)
        return asyncio.get_running_loop().time() + weather.delay + self._proxy._random.random() * weather.jitter

    async def _arrive(self, way: str, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            if not data:
                await self._end(way, writer)
                return
            for piece in self._sliced(way, data):
                if await self._passes(way):
                    await self._write(way, piece, writer)

    async def _passes(self, way: str) -> bool:
        """Wait while stalled. False: lost, and with it all that comes after on this connection."""
        while self._weather(way).stall:
            await self._change()
        self._lost[way] |= self._weather(way).swallow
        return not self._lost[way]

    async def _end(self, way: str, writer: asyncio.StreamWriter) -> None:
        if await self._passes(way):
            writer.write_eof()
            return
        while self._weather(way).swallow:  # the other side does not learn of it before the line is back
            await self._change()
        self.abort()

    async def _write(self, way: str, piece: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(piece)
        await writer.drain()
        self._proxy.carried[way] += len(piece)
        if bandwidth := self._weather(way).bandwidth:
            await asyncio.sleep(len(piece) / bandwidth)

    async def _change(self) -> None:
        self.changed.clear()
        await self.changed.wait()

    def _weather(self, way: str) -> Weather:
        return self._proxy._weather[way]

    def _sliced(self, way: str, data: bytes) -> list[bytes]:
        limit, pieces = self._weather(way).slice, []
        while limit and data:
            n = self._proxy._random.randint(1, limit)
            pieces.append(data[:n])
            data = data[n:]
        return pieces or [data]


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound
