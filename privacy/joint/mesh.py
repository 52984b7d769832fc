"""Connections between all offices: mutual TLS, where each office knows the others by their very certificates.

Messages are bytes; nothing that arrives is ever unpickled or run. What the sums need is `exchange` and a
stream of bytes to each office, so that another transport can take the place of this one.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

_MESSAGE, _STREAM = b"m", b"s"
_STREAMED = "comparison of norms"
_HEADER_BYTES, _LENGTH_BYTES = 9, 8
# Whoever speaks another version of this protocol is named as such, whatever follows.
_VERSION = "lexveil-joint/3"
_MOST_BYTES = 2**31
# Messages of one office that wait to be read; further ones stay in its own connection.
_MOST_WAITING = 8
_MOST_STOPS = 100
# OpenSSL: a pinned certificate is compared, so no clock decides whether it is valid.
_NO_CHECK_TIME = 0x200000
_RETRY_SECONDS = 0.2
# What an office that has left had sent before is in memory: enough time to use it.
_GRACE_SECONDS = 5.0
# Where Linux puts the bytes that a connection has received, sent, and sent again into `tcp_info`.
_TCP_INFO_BYTES, _COUNTS_AT = 216, (128, 200, 208)


class OfficeLeftError(ConnectionError):
    """An office's connection has ended, or nothing came from it in time.

    Attributes:
        office: Index of the office; None: it is not known which.
    """

    def __init__(self, office: int | None, line: str) -> None:
        super().__init__(line)
        self.office = office


class CannotListenError(OSError):
    """This office cannot listen at its address: it is another machine's, or another program listens there."""


class MessageRefusedError(Exception):
    """An office has sent what is no part of the protocol.

    Attributes:
        office: Index of the office.
    """

    def __init__(self, office: int, what: str) -> None:
        super().__init__(f"what it has sent is no {what}")
        self.office = office


@dataclass(frozen=True, slots=True)
class Identity:
    """What this office shows to the others.

    Attributes:
        index: Its index.
        certificate: File of its certificate, PEM.
        key: File of its private key, PEM, encrypted.
        password: What opens the key.
    """

    index: int
    certificate: Path
    key: Path
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Peer:
    """An office, as the agreement has it.

    Attributes:
        name: Its name.
        host: Host at which it listens.
        port: Port at which it listens.
        certificate: Its certificate, DER.
        role: What it is, for people.
    """

    name: str
    host: str
    port: int
    certificate: bytes
    role: str = "office"

    @property
    def title(self) -> str:
        """Its role and name."""
        return f"{self.role} {self.name}"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went between this office and another one.

    Attributes:
        sent: Bytes that were sent, by what they were.
        received: Bytes that were received, by what they were.
        sent_on_wire: Bytes that the kernel has sent over the connection, TLS's own included; 0 where the
            kernel does not count them.
        received_on_wire: Those that it has received.
    """

    sent: Counter[str]
    received: Counter[str]
    sent_on_wire: int = 0
    received_on_wire: int = 0


class Mesh:
    """The open connections of one office to all others, or to some.

    Formal guarantee:
        TLS 1.3 with both certificates required; a peer is whoever shows the very certificate of the
        agreement, whoever has signed it. So what is sent to an office is read by it alone. Assumptions: those
        of TLS, and that offices keep their keys.
    """

    def __init__(
        self,
        identity: Identity,
        peers: Sequence[Peer],
        patience: float = 600.0,
        most_bytes: int = _MOST_BYTES,
        others: Sequence[int] | None = None,
    ) -> None:
        """Prepare; `with` connects.

        Args:
            identity: This office.
            peers: All offices, this one included.
            patience: Seconds to wait for another office before giving up.
            most_bytes: Length of the longest message, and of all that one office may send in its stream
                during one `run`: another office cannot fill this one's memory.
            others: Indices of the offices to connect with; None: all others.
        """
        self.index = identity.index
        self.names = tuple(peer.name for peer in peers)
        self.loop = asyncio.new_event_loop()
        self._identity, self._peers, self._patience = identity, peers, patience
        known = range(len(peers)) if others is None else others
        self.others = [index for index in known if index != identity.index]
        self._most_bytes = most_bytes
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._inbox: dict[int, asyncio.Queue[bytes]] = {}
        self._streams: dict[int, Callable[[bytes], None]] = {}
        self._early: dict[int, list[bytes]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._left: dict[int, asyncio.Event] = {}
        self._refused: dict[int, MessageRefusedError] = {}
        self._streamed: dict[int, int] = {}
        self._sent: dict[int, Counter[str]] = {index: Counter() for index in self.others}
        self._received: dict[int, Counter[str]] = {index: Counter() for index in self.others}
        self._on_wire: dict[int, tuple[int, int]] = {}
        self._sockets: dict[int, Any] = {}

    def __enter__(self) -> Self:
        try:
            self.loop.run_until_complete(self._connect())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            with suppress(OfficeLeftError):  # the others have everything when all have come here
                self.exchange([b""] * len(self._peers), "farewell")
        self.close()

    def run(self, work: Awaitable[T]) -> T:
        """Carry out work that waits for what comes in the streams of other offices.

        Raises:
            OfficeLeftError: A connection has ended, or nothing came in time.
            MessageRefusedError: An office has sent what is no message.
        """
        self._streamed.clear()
        return self.loop.run_until_complete(self._guard(work))

    def exchange(self, messages: Sequence[bytes], about: str = "message") -> list[bytes]:
        """Send each office its message, and return what each has sent; the own one is returned as it is.

        Of an office without a connection, the own message is returned, too. Offices call it equally often:
        the k-th call of one meets the k-th of each other.

        Args:
            messages: The message for each office.
            about: What the messages are, for `traffic`; it is not sent.

        Raises:
            OfficeLeftError: A connection has ended, or nothing came in time.
            MessageRefusedError: An office has sent what is no message.
        """

        async def trade() -> list[bytes]:
            for index in self.others:
                self._send(index, _MESSAGE, messages[index], about)
            received = await asyncio.gather(*(self._receive(index) for index in self.others))
            there = dict(zip(self.others, received, strict=True))
            for index, message in there.items():
                self._received[index][about] += _HEADER_BYTES + len(message)
            return [there.get(index, messages[self.index]) for index in range(len(self._peers))]

        return self.loop.run_until_complete(trade())

    def write_stream(self, office: int, content: bytes) -> None:
        """Send bytes of the stream to an office."""
        self._send(office, _STREAM, content, _STREAMED)

    def read_stream(self, office: int, receive: Callable[[bytes], None]) -> None:
        """Hand what comes in the stream of an office to `receive`, from the first byte on.

        `receive` raises MessageRefusedError for what is no message.
        """
        self._streams[office] = receive
        for content in self._early.pop(office, []):
            receive(content)

    def traffic(self, office: int) -> Traffic:
        """Return what went between this office and another one so far, or until the connection was closed."""
        self._count_on_wire(office)
        wire = self._on_wire.get(office, (0, 0))
        return Traffic(Counter(self._sent[office]), Counter(self._received[office]), *wire)

    def _count_on_wire(self, office: int) -> None:
        """Ask the kernel; of a connection that has been closed, the last answer stays."""
        if (connection := self._sockets.get(office)) is not None:
            self._on_wire[office] = _count_on_wire(connection) or self._on_wire.get(office, (0, 0))

    def close(self) -> None:
        """Close all connections."""
        if self.loop.is_closed():
            return
        for office in self._writers:
            self._count_on_wire(office)
        for _ in range(_MOST_STOPS):
            with suppress(RuntimeError):  # MPyC stops the loop over numbers that make no sense
                self.loop.run_until_complete(self._close())
                break
        self.loop.close()

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers.values():
            with suppress(OSError, ssl.SSLError):
                writer.close()
                await asyncio.wait_for(writer.wait_closed(), 1.0)

    def _send(self, office: int, kind: bytes, content: bytes, about: str) -> None:
        if self._left[office].is_set():  # whoever waits for an answer is told
            return
        self._sent[office][about] += _HEADER_BYTES + len(content)
        self._writers[office].write(kind + len(content).to_bytes(8, "big") + content)

    async def _receive(self, office: int) -> bytes:
        """Return the next message of an office; those that it sent before it left count."""
        getting = asyncio.ensure_future(self._inbox[office].get())
        leaving = asyncio.ensure_future(self._left[office].wait())
        try:
            await asyncio.wait(
                {getting, leaving}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED
            )
            if getting.done():
                return getting.result()
            raise self._describe_loss(office, left=leaving.done())
        finally:
            getting.cancel()
            leaving.cancel()

    async def _guard(self, work: Awaitable[T]) -> T:
        task = asyncio.ensure_future(work)
        leaving = {asyncio.ensure_future(self._left[office].wait()): office for office in self.others}
        try:
            await asyncio.wait({task, *leaving}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
            gone = [office for one, office in leaving.items() if one.done()]
            if not task.done() and gone and not self._refused:
                await asyncio.wait({task}, timeout=_GRACE_SECONDS)
            self.raise_refused()
            if task.done():
                return task.result()
            raise self._describe_loss(gone[0] if gone else None, left=bool(gone))
        finally:
            for one in (task, *leaving):
                one.cancel()

    def refuse(self, error: MessageRefusedError) -> None:
        """Note what was found wrong with what an office has sent."""
        self._refused.setdefault(error.office, error)

    def raise_refused(self) -> None:
        """Raise what was found wrong with what an office has sent.

        Raises:
            MessageRefusedError: Something was.
        """
        if self._refused:
            raise next(iter(self._refused.values()))

    def _describe_loss(self, office: int | None, left: bool) -> OfficeLeftError | MessageRefusedError:
        if office in self._refused:
            return self._refused[office]
        who = "an office" if office is None else self._peers[office].title
        if left:
            return OfficeLeftError(office, f"the connection to {who} has ended")
        return OfficeLeftError(office, f"{who} has sent nothing for {self._patience:.0f} seconds")

    async def _connect(self) -> None:
        accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await accepted.put((reader, writer))

        callers = [index for index in self.others if index < self.index]
        server = await self._listen_for_calls(accept) if callers else None
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.gather(*(self._call(index) for index in self.others if index > self.index))
                while len(self._writers) < len(self.others):
                    self._welcome(*await accepted.get())
        except TimeoutError:
            missing = [self._peers[i].title for i in self.others if i not in self._writers]
            line = f"no connection to {', '.join(missing)} in {self._patience:.0f} seconds"
            raise OfficeLeftError(None, line) from None
        finally:
            if server is not None:
                server.close()

    async def _listen_for_calls(
        self, accept: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> asyncio.Server:
        me, context = self._peers[self.index], self._context(ssl.Purpose.CLIENT_AUTH)
        try:
            return await asyncio.start_server(accept, me.host, me.port, ssl=context)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "unknown host"
            raise CannotListenError(
                f"this office cannot listen at the address of its offer, port {me.port}: {reason}"
            ) from None

    async def _call(self, index: int) -> None:
        peer, context = self._peers[index], self._context(ssl.Purpose.SERVER_AUTH)
        while True:
            try:
                reader, writer = await asyncio.open_connection(peer.host, peer.port, ssl=context)
            except ssl.SSLCertVerificationError:
                raise OfficeLeftError(
                    index, f"{peer.title} shows another certificate than the agreement's"
                ) from None
            except OSError:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if _certificate(writer) != peer.certificate:
                raise OfficeLeftError(index, f"{peer.title} shows another certificate than the agreement's")
            self._keep(index, reader, writer)
            return

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keep a connection from an earlier office of the agreement; close any other."""
        shown = _certificate(writer)
        callers = [i for i in self.others if i < self.index and self._peers[i].certificate == shown]
        if callers and callers[0] not in self._writers:
            self._keep(callers[0], reader, writer)
        else:
            writer.close()

    def _keep(self, index: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
        if secured.selected_alpn_protocol() != _VERSION:
            title = self._peers[index].title
            raise OfficeLeftError(index, f"{title} has another version of lexveil, whose messages differ")
        self._writers[index], self._inbox[index] = writer, asyncio.Queue(_MOST_WAITING)
        self._sockets[index] = writer.get_extra_info("socket")
        self._left[index] = asyncio.Event()
        self._tasks.append(self.loop.create_task(self._listen(index, reader)))

    async def _listen(self, index: int, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                header = await reader.readexactly(_HEADER_BYTES)
                kind, length = header[:1], int.from_bytes(header[1:], "big")
                if kind not in (_MESSAGE, _STREAM) or length > self._most_bytes:
                    raise MessageRefusedError(index, "message")
                content = await reader.readexactly(length)
                self._count_on_wire(index)  # after the last message the other one closes the connection
                if kind == _MESSAGE:
                    await self._inbox[index].put(content)
                else:
                    self._receive_stream(index, content)
        except MessageRefusedError as error:
            self.refuse(error)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._left[index].set()

    def _receive_stream(self, index: int, content: bytes) -> None:
        self._received[index][_STREAMED] += _HEADER_BYTES + len(content)
        self._streamed[index] = self._streamed.get(index, 0) + len(content)
        if self._streamed[index] > self._most_bytes:
            raise MessageRefusedError(index, "message of a comparison")
        if (receive := self._streams.get(index)) is not None:
            receive(content)
        else:
            self._early.setdefault(index, []).append(content)

    def _context(self, purpose: ssl.Purpose) -> ssl.SSLContext:
        pinned = "".join(ssl.DER_cert_to_PEM_cert(peer.certificate) for peer in self._peers)
        context = ssl.create_default_context(purpose, cadata=pinned)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([_VERSION])
        context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
        context.check_hostname = False  # the very certificate is compared
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(
            self._identity.certificate, self._identity.key, lambda: self._identity.password
        )
        return context


def join_messages(messages: Sequence[bytes]) -> bytes:
    """Return several messages as one."""
    return b"".join(len(one).to_bytes(_LENGTH_BYTES, "big") + one for one in messages)


def split_messages(content: bytes) -> list[bytes]:
    """Return what `join_messages` joined; of other bytes, what can be found in them."""
    found: list[bytes] = []
    start = 0
    while start < len(content):
        end = start + _LENGTH_BYTES
        length = int.from_bytes(content[start:end], "big")
        found.append(content[end : end + length])
        start = end + length
    return found


def _certificate(writer: asyncio.StreamWriter) -> bytes | None:
    secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
    return secured.getpeercert(binary_form=True)


def _count_on_wire(connection: Any) -> tuple[int, int] | None:
    """Return the bytes that the kernel has sent and received over a connection; None if it does not say."""
    option: int | None = getattr(socket, "TCP_INFO", None)
    if option is None or connection.fileno() < 0:
        return None
    known: bytes = connection.getsockopt(socket.IPPROTO_TCP, option, _TCP_INFO_BYTES)
    if len(known) < _TCP_INFO_BYTES:
        return None
    received, sent, again = (int.from_bytes(known[at : at + 8], sys.byteorder) for at in _COUNTS_AT)
    return sent - again, received
