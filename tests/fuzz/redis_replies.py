"""A server that speaks Redis's protocol and answers nonsense, to the worker's writer and to readers.

The writer either asks again, and says so, until it is answered, or raises Gap, Fenced or an OnhandError; what it takes
for written was answered `ok`. A reader gets an answer or an OnhandError. Nothing else is ever raised.
"""

import asyncio
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import hiredis
import stamina

from pipeline.adapters import patience
from pipeline.adapters.look import Look
from pipeline.adapters.redis import Cut, Fenced, Gap, Projection, version
from pipeline.adapters.served import Reader, check_server
from pipeline.domain.documents import Document, Level
from pipeline.domain.errors import OnhandError

PARTS = ("writer", "reader")
COVERED = (
    "pipeline.adapters.redis", "pipeline.adapters.redis_replies", "pipeline.adapters.patience",
    "pipeline.adapters.served", "pipeline.adapters.look",
)  # fmt: skip
AS_OF = "2026-11-22T22:47:37.661Z"
OK = b"*3\r\n$2\r\nok\r\n"
ERRORS = [
    b"ERR foo", b"ERR unknown command 'FCALL', with args beginning with: 'secret'", b"MOVED", b"MOVED 1 x:y", b"ASK",
    b"OOM command not allowed", b"READONLY x", b"NOAUTH", b"WRONGPASS x", b"NOPERM x", b"WRONGTYPE x", b"LOADING x",
    b"BUSY x", b"MISCONF x", b"CLUSTERDOWN", b"TRYAGAIN", b"MASTERDOWN x", b"EXECABORT", b"NOSCRIPT", b"", b" ",
    b"\xff\xfe\x00", b"ERR Function not found", b"ERR max number of clients reached", b"NOREPLICAS x",
    b"ERR " + b"x" * 9000,
]  # fmt: skip
WRONG = [
    b":0\r\n", b":1\r\n", b":-1\r\n", b"+OK\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n", b"$0\r\n\r\n",
    b"$3\r\n\xff\xfe\xfd\r\n",
    b"*1\r\n*1\r\n*1\r\n:1\r\n", b"*3\r\n$4\r\nokay\r\n:1\r\n*0\r\n", b"*3\r\n$2\r\nok\r\n$1\r\nx\r\n*0\r\n",
    b"*3\r\n$2\r\nok\r\n:1\r\n:1\r\n", b"*2\r\n$2\r\nok\r\n:1\r\n", b"*3\r\n$2\r\nok\r\n:1\r\n*1\r\n:1\r\n",
    b"*3\r\n$3\r\ngap\r\n:0\r\n*0\r\n", b"*3\r\n$5\r\nnewer\r\n:0\r\n*0\r\n", b"*2\r\n$4\r\nbusy\r\n*0\r\n",
    b"*2\r\n$1\r\nx\r\n*0\r\n", b"*2\r\n$1\r\n0\r\n:5\r\n", b"*1\r\n$1\r\na\r\n",
    b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
    b"%1\r\n+a\r\n:1\r\n", b"_\r\n", b",1.5\r\n", b"#t\r\n", b"(12345678901234567890\r\n", b"=7\r\ntxt:abc\r\n",
    b">2\r\n+message\r\n:1\r\n", b">0\r\n", b"~1\r\n:1\r\n", b"*1\r\n-ERR inner\r\n", b"*2\r\n-LOADING x\r\n:1\r\n",
]  # fmt: skip
HUGE = [b"$99999999999\r\nx", b"*5000000\r\n:1\r\n", b"*1000000\r\n", b"$-5\r\n", b":99999999999999999999\r\n",
        b"*9999999999999999999\r\n", b"*1\r\n" * 60 + b":1\r\n"]  # fmt: skip


def bulk(*texts: bytes) -> bytes:
    return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%b\r\n" % (len(t), t) for t in texts)


class Stub:
    """Answers so many times badly, then well. `answers`: the last reply to each call that writes, by its payload."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.bad, self.count = rng, 0, 0
        self.answers: dict[bytes, bytes] = {}
        self.sent: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        commands = hiredis.Reader()
        with connection:
            try:
                while data := connection.recv(1 << 20):
                    commands.feed(data)
                    while (command := commands.gets()) is not False:
                        reply, goes_on = self._reply(command)
                        connection.sendall(reply)
                        if not goes_on:
                            return
            except OSError:
                return

    def _reply(self, command: list[bytes]) -> tuple[bytes, bool]:
        reply, goes_on = self._good(command), True
        self.count += 1
        if self.bad > 0:
            self.bad -= 1
            reply, goes_on = self._spoilt(reply)
        self.sent.append(reply)
        if command[0] == b"FCALL":
            self.answers[command[-1]] = reply
        return reply, goes_on

    def _spoilt(self, good: bytes) -> tuple[bytes, bool]:
        match self.rng.randrange(7):
            case 0:
                return self.rng.randbytes(self.rng.randrange(1, 60)), False
            case 1:
                return good[: self.rng.randrange(len(good))], False
            case 2 | 3:
                return self.rng.choice(WRONG), True
            case 4 | 5:
                return b"-" + self.rng.choice(ERRORS) + b"\r\n", True
        return self.rng.choice(HUGE), False

    def _good(self, command: list[bytes]) -> bytes:
        match command:
            case [b"FCALL", b"onhand_publish", *_]:
                return OK + b":1\r\n*0\r\n"
            case [b"FCALL", *_]:
                return b"*2\r\n$2\r\nok\r\n" + bulk(b"changed", b"stock:{A}")
            case [b"HGETALL", *_]:
                return bulk(b"v", b"1", b"state", b"live")
            case [b"HVALS" | b"SPOP", *_]:
                return bulk()
            case [b"SCAN" | b"ZSCAN", *_]:
                return b"*2\r\n$1\r\n0\r\n" + bulk(b"stock:{A}", b"stock:{B}")
            case [b"INFO", *_]:
                return b"$29\r\nmaxmemory_policy:noeviction\r\n\r\n"
            case [b"HEXISTS" | b"HSET" | b"SADD" | b"SCARD", *_]:
                return b":0\r\n"
        return b"+OK\r\n"


class Writer:
    """The projection, asked at random. `retries`: how often it said that it asks again."""

    def __init__(self, stub: Stub, rng: random.Random) -> None:
        self.stub, self.rng, self.retries, self.n = stub, rng, 0, 0
        self.runner = asyncio.Runner()
        self.projection = Projection(stub.url, "stock", 1, None, self._retried)

    def _retried(self) -> None:
        self.retries += 1

    def close(self) -> None:
        self.runner.run(self.projection.close())
        self.runner.close()

    def ask(self) -> str:
        """What came of it. Raises AssertionError for what must not be."""
        self.n += 1
        self.stub.answers.clear()
        self.stub.sent.clear()
        bad = self.stub.bad
        try:
            self.runner.run(self.rng.choice([self._publish, self._rebuild, self._look, self._scan])())
        except Gap:
            assert self._was_told(b"gap")
            return "gap"
        except Fenced:
            assert self._was_told(b"newer")
            return "fenced"
        except OnhandError as e:
            keeps_silent(e)
            assert self._was_told(b"-"), e  # noqa: PT017  # a message
            return "refused"
        assert not bad or self.stub.bad < bad
        told = list(self.stub.answers.values())
        if told and told[-1].startswith(OK):  # the last cut stands there, so an earlier one is only sent once more
            told = [reply for reply in told if b"newer" not in reply]
        for reply in told:
            assert reply.startswith((OK, b"*2\r\n$2\r\nok\r\n", b"*2\r\n$4\r\nbusy\r\n")), f"taken for ok: {reply!r}"
        return "answered"

    def _was_told(self, word: bytes) -> bool:
        return any(word in reply for reply in self.stub.sent)

    def _cut(self, prev: str | None) -> Cut:
        v = version(1, self.n)
        documents = [Document(f"stock:{{{i}}}", self.n, 0, ["on_hand", "1"], Level((i, "W"))) for i in range(3)]
        return Cut(v, prev, documents, {"v": v, "as_of": AS_OF})

    async def _publish(self) -> None:
        cuts = [self._cut("x"), self._cut("y")]
        await self.projection.publish(cuts[: self.rng.randint(1, 2)])

    async def _rebuild(self) -> None:
        cut = self._cut(None)
        await self.projection.rebuild(cut, cut.documents, [])

    async def _look(self) -> None:
        cut = self._cut(None)
        await self.projection.suspects(5)
        await self.projection.mend(Look(cut.meta, documents=cut.documents, strangers=["stock:{X}"]))

    async def _scan(self) -> None:
        await self.projection.start()
        assert isinstance(await self.projection.meta(), dict)
        assert isinstance(await self.projection.alerts(), dict)
        assert isinstance((await self.projection.names(0))[0], int)
        assert isinstance(await self.projection.policy(), str)
        await self.projection.members(0)
        await self.projection.state("live")
        await self.projection.scrubbed({"keys": "1"})


def read(stub: Stub, reader: Reader, rng: random.Random) -> str:
    """One question of a reader: what came of it; raises what is not an OnhandError."""
    asks: list[Callable[[], Any]] = [
        reader.meta, reader.alerts, reader.documents, reader.keys, lambda: reader.item("A"), reader.scrubbed,
        reader.complaints, reader.suspects, lambda: reader.suspect(["x"]), lambda: check_server(stub.url),
    ]  # fmt: skip
    try:
        rng.choice(asks)()
    except OnhandError as e:
        keeps_silent(e)
        return "refused"
    return "answered"


def keeps_silent(e: OnhandError) -> None:
    """An error never repeats what was sent."""
    assert "secret" not in str(e), e


def run(seconds: float, seed: int, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Ask for so long; the figures."""
    rng = random.Random(seed)
    stub = Stub(rng)
    writer, reader = Writer(stub, rng), Reader(stub.url, "stock")
    failures, outcomes = list[str](), Counter[str]()
    stamina.set_testing(True, attempts=1000)  # does not wait
    stamina.instrumentation.set_on_retry_hooks([])
    answer_seconds, patience.ANSWER_SECONDS = patience.ANSWER_SECONDS, 0.5
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline and len(failures) < 10:
            stub.bad = rng.randrange(6)
            try:
                done = f"writer {writer.ask()}" if rng.random() < 0.6 else f"reader {read(stub, reader, rng)}"
            except Exception as e:  # noqa: BLE001  # this is what is looked for
                failures.append(f"{type(e).__name__}: {e} after {stub.sent[-3:]}"[:500])
            else:
                outcomes[done] += 1
                if not outcomes.total() % 1000:
                    say(f"redis_replies: {outcomes.total()} questions, seed {seed}")
    finally:
        patience.ANSWER_SECONDS = answer_seconds
        stamina.set_testing(False)
        writer.close()
        reader._redis.close()
        stub.close()
    return {
        "target": "redis_replies", "seed": seed, "seconds": seconds, "count": outcomes.total(),
        "replies": stub.count, "retries": writer.retries, "failures": failures,
        "outcomes": dict(sorted(outcomes.items())),
    }  # fmt: skip
