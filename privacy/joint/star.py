"""Offices around a hub: each office opens one connection, and the hub hands on what all of them say."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from lexveil.privacy.joint.mesh import (
    Mesh,
    MessageRefusedError,
    Traffic,
    join_messages,
    split_messages,
)


class Connections(Protocol):
    """One office's ways to all others: directly (`Mesh`), or through a hub (`Star`)."""

    @property
    def index(self) -> int:
        """Index of this office."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parties, this one included."""
        ...

    @property
    def others(self) -> list[int]:
        """Indices of those with whom there is a connection."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def exchange(self, messages: Sequence[bytes], about: str = "message") -> list[bytes]:
        """Send each party its message, and return what each has sent."""
        ...

    def traffic(self, office: int) -> Traffic:
        """Return what went over a connection so far."""
        ...


class Star:
    """`Connections` of an office with the hub alone, or of the hub, the last party, with all offices.

    Formal guarantee:
        That of `Mesh` between an office and the hub. The hub reads all that passes and may change it: nothing
        goes over a star that the hub must not read, and what an office believes is signed.
    """

    def __init__(self, mesh: Mesh) -> None:
        """Create the star.

        Args:
            mesh: Connections of this party: an office's to the hub, the hub's to all offices.
        """
        self._mesh = mesh
        self.index, self.names = mesh.index, mesh.names
        self.hub = len(mesh.names) - 1

    @property
    def others(self) -> list[int]:
        """Indices of the parties with whom this one has a connection."""
        return self._mesh.others

    def __enter__(self) -> Self:
        self._mesh.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mesh.__exit__(kind, error, trace)

    def exchange(self, messages: Sequence[bytes], about: str = "message") -> list[bytes]:
        """Tell all parties this one's message, and return what each has told.

        Args:
            messages: As in `Mesh`; over a star all parties get the same.
            about: As in `Mesh`.

        Raises:
            OfficeLeftError: A connection has ended, or nothing came in time.
            MessageRefusedError: The hub has not handed on what all have said.
        """
        mine = messages[self.index]
        told = self.hand_out(self.gather(mine, about), about)
        if told[self.index] != mine:
            raise MessageRefusedError(self.hub, "list of what all have said")
        return told

    def gather(self, mine: bytes, about: str) -> list[bytes]:
        """Give the hub a message; at the hub, return that of each party.

        Raises:
            OfficeLeftError, MessageRefusedError: As in `Mesh.exchange`.
        """
        messages = [b""] * len(self.names)
        messages[self.hub] = mine
        return self._mesh.exchange(messages, about)

    def hand_out(self, messages: Sequence[bytes], about: str) -> list[bytes]:
        """Return the list of messages, one of each party, that the hub hands out; others give none.

        Raises:
            OfficeLeftError: A connection has ended, or nothing came in time.
            MessageRefusedError: The hub has handed out no such list.
        """
        if self.index == self.hub:
            self._mesh.exchange([join_messages(messages)] * len(self.names), about)
            return list(messages)
        told = split_messages(self._mesh.exchange([b""] * len(self.names), about)[self.hub])
        if len(told) != len(self.names):
            raise MessageRefusedError(self.hub, "list of what all have said")
        return told

    def traffic(self, office: int) -> Traffic:
        """Return what went between this party and another one, as `Mesh` does."""
        return self._mesh.traffic(office)
