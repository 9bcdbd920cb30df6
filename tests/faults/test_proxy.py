"""The misbehaving proxy does what it says, and nothing once healed."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import HOST, Proxy


class Echo:
    """A server that sends back what it gets; `open` connections."""

    def __init__(self) -> None:
        self._listening = socket.create_server((HOST, 0))
        self.port = self._listening.getsockname()[1]
        self.open = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._echo, args=(connection,)))
            self._threads[-1].start()

    def _echo(self, connection: socket.socket) -> None:
        self.open += 1
        try:
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data)
        except OSError:
            pass
        self.open -= 1

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port, seed=3) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with connect(proxy) as client:
        yield client


def connect(proxy: Proxy) -> socket.socket:
    client = socket.create_connection((HOST, proxy.port), timeout=20)
    assert asked(client, b"hello") == b"hello"
    return client


def asked(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return received(client, len(data))


def received(client: socket.socket, wanted: int) -> bytes:
    got = b""
    while len(got) < wanted and (more := client.recv(wanted - len(got))):
        got += more
    return got


def is_silent(client: socket.socket) -> bool:
    client.settimeout(0.2)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    else:
        return False
    finally:
        client.settimeout(20)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_bytes_pass_both_ways_and_an_end_too(proxy: Proxy, client: socket.socket, echo: Echo) -> None:
    data = bytes(range(256)) * 8000
    threading.Thread(target=client.sendall, args=(data,)).start()
    assert received(client, len(data)) == data
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    wait_for(lambda: proxy.open == echo.open == 0)
    assert proxy.carried == {"up": len(data) + 5, "down": len(data) + 5}


def test_slices_arrive_whole(proxy: Proxy, client: socket.socket) -> None:
    proxy.set(slice=3)
    assert asked(client, bytes(range(256))) == bytes(range(256))


def test_a_delay_is_of_its_way(proxy: Proxy, client: socket.socket) -> None:
    proxy.set("down", delay=0.3)
    begun = time.monotonic()
    client.sendall(b"x")
    wait_for(lambda: proxy.carried["up"] == 6)
    assert asked(client, b"") == b""
    assert client.recv(1) == b"x"
    assert time.monotonic() - begun >= 0.3


def test_a_narrow_line_takes_its_time(proxy: Proxy, client: socket.socket) -> None:
    proxy.set("up", bandwidth=1000, slice=10)
    begun = time.monotonic()
    assert asked(client, bytes(300)) == bytes(300)
    assert time.monotonic() - begun >= 0.25


def test_what_is_stalled_comes_when_healed(proxy: Proxy, client: socket.socket) -> None:
    proxy.set(stall=True)
    client.sendall(b"abc")
    assert is_silent(client)
    proxy.heal()
    assert received(client, 3) == b"abc"


def test_what_is_swallowed_never_comes_and_the_server_does_not_learn_that_the_client_left(
    proxy: Proxy, client: socket.socket, echo: Echo
) -> None:
    proxy.set(swallow=True)
    client.sendall(b"abc")
    assert is_silent(client)
    with socket.create_connection((HOST, proxy.port)) as new:
        new.sendall(b"abc")
        assert is_silent(new)
    client.close()
    wait_for(lambda: proxy.accepted == 2)
    assert echo.open == 2
    proxy.heal()
    wait_for(lambda: echo.open == 0)
    connect(proxy).close()


def test_a_connection_that_lost_bytes_stays_silent_when_healed(proxy: Proxy, client: socket.socket) -> None:
    proxy.set("down", swallow=True)
    client.sendall(b"abc")
    wait_for(lambda: proxy.carried["up"] == 8)
    assert is_silent(client)
    proxy.heal()
    client.sendall(b"abc")
    assert is_silent(client)


def test_a_reset_breaks_what_is_open_and_takes_new_connections(proxy: Proxy, client: socket.socket) -> None:
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    connect(proxy).close()


def test_refusing_leaves_what_is_open_and_keeps_the_port(proxy: Proxy, client: socket.socket) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, proxy.port))
    assert asked(client, b"still") == b"still"
    proxy.heal()
    connect(proxy).close()


def test_a_server_that_is_away_is_a_reset(proxy: Proxy) -> None:
    proxy.target = (HOST, 1)
    with pytest.raises(ConnectionResetError), socket.create_connection((HOST, proxy.port)) as client:
        client.recv(1)
