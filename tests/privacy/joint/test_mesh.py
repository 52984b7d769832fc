"""Offices say what they have exchanged as the wire has it, and in one line why they cannot listen."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from lexveil.privacy.joint.mesh import CannotListenError, Traffic
from tests.privacy.joint.offices import Office, found_offices

PARTING = 55  # bytes: the last record, and TLS's goodbye


class Wire:
    """Forwards connections to a port, and counts the bytes of each direction."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.forth = self.back = 0
        self.ready, self.over = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve()))
        self.thread.start()
        self.ready.wait()

    async def serve(self) -> None:
        server = await asyncio.start_server(self.forward, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        while not self.over.is_set():
            await asyncio.sleep(0.01)
        server.close()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: str) -> None:
            while content := await source.read(2**16):
                setattr(self, way, getattr(self, way) + len(content))
                sink.write(content)
            sink.close()

        await asyncio.gather(pump(reader, back, "forth"), pump(there, writer, "back"), return_exceptions=True)
        self.over.set()


@pytest.mark.parametrize("size", [0, 100, 3_000_000])
def test_both_offices_and_the_wire_agree(tmp_path: Path, size: int) -> None:
    offices = found_offices(2, 1, tmp_path)
    wire = Wire(offices[1].peers[1].port)
    dialed = [offices[0].peers[0], replace(offices[0].peers[1], port=wire.port)]
    meshes = [replace(offices[0], peers=dialed).mesh(), offices[1].mesh()]
    seen: list[tuple[Traffic, int, int]] = []
    both = threading.Barrier(2)

    def run(index: int) -> None:
        with meshes[index] as mesh:
            mesh.exchange([bytes(size), bytes(2 * size)], "upload")
            mesh.write_stream(1 - index, bytes(50))
            mesh.exchange([b"", b""], "list")  # what was streamed has come, too
            both.wait()
            if index == 0:
                seen.append((mesh.traffic(1), wire.forth, wire.back))
            both.wait()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wire.thread.join()
    (during, forth, back), (after, other) = seen[0], (meshes[0].traffic(1), meshes[1].traffic(0))
    assert during.sent == Counter({"upload": 9 + 2 * size, "comparison of norms": 59, "list": 9})
    assert (during.sent_on_wire, during.received_on_wire) == (forth, back)
    # What closes a connection counts or not, depending on who closes first.
    assert abs(other.received_on_wire - after.sent_on_wire) <= PARTING
    assert abs(after.received_on_wire - other.sent_on_wire) <= PARTING
    assert (after.sent, after.received) == (other.received, other.sent)
    assert abs(wire.forth - after.sent_on_wire) <= PARTING


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("127.0.0.1", "already in use"),
        ("192.0.2.1", "assign requested address"),
        ("court.invalid", "unknown host"),
    ],
)
def test_an_office_that_cannot_listen_says_so_in_one_line(tmp_path: Path, host: str, says: str) -> None:
    office = found_offices(2, 1, tmp_path)[1]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        me = replace(office.peers[1], host=host, port=taken.getsockname()[1])
        with (
            pytest.raises(CannotListenError, match=says) as raised,
            replace(office, peers=[office.peers[0], me]).mesh(1.0),
        ):
            pass
    assert "\n" not in str(raised.value)
    assert str(me.port) in str(raised.value)


def test_the_first_office_calls_and_needs_no_port(tmp_path: Path) -> None:
    first, second = found_offices(2, 1, tmp_path)
    nowhere = [replace(first.peers[0], host="192.0.2.1"), first.peers[1]]
    assert meet(replace(first, peers=nowhere), second) == [[b"0", b"1"]] * 2


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_offices_meet_over_ipv6(tmp_path: Path) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    first, second = found_offices(2, 1, tmp_path)
    there = [first.peers[0], replace(first.peers[1], host="::1")]
    assert meet(replace(first, peers=there), replace(second, peers=there)) == [[b"0", b"1"]] * 2


def meet(*offices: Office) -> list[list[bytes]]:
    """Return what each office has received from all, itself included."""
    received: dict[int, list[bytes]] = {}

    def run(office: Office) -> None:
        with office.mesh() as mesh:
            received[office.index] = mesh.exchange([str(office.index).encode()] * 2)

    threads = [threading.Thread(target=run, args=(office,)) for office in offices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [received[index] for index in sorted(received)]
