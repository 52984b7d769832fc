"""MPyC behind a narrow door: shares of whole numbers, and a comparison of a norm that nobody sees.

The only importer of MPyC. Its connections are replaced by those of `Mesh`. MPyC sends arrays as pickles,
which would let each office run code in every other one; here it is told to send plain numbers, and its module
finds no pickle at all.
"""

from __future__ import annotations

import asyncio
import importlib
import struct
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexveil.privacy.joint.mesh import Mesh, MessageRefusedError
from lexveil.privacy.joint.noise import Integers

# Numbers modulo a prime, as Python's whole numbers: shape (weights,), object.
Share = NDArray[np.object_]

# Statistical security of comparisons: what they open is within 2**-80 of independent of what they compare.
_SECURITY_BITS = 80
# MPyC's messages begin with their place in the computation and their size; a connection, with an index.
_HEADER, _INDEX_BYTES = struct.Struct("<qI"), 2
_PARTS = ("sectypes", "asyncoro", "mpctools", "seclists", "secpols", "secgroups", "random", "statistics")


class JoinExtraMissingError(ImportError):
    """MPyC is not installed."""

    def __init__(self) -> None:
        super().__init__("joint training needs the extra: pip install lexveil[join]")


class InconsistentSharesError(Exception):
    """Shares do not fit together: an office has not followed the protocol.

    Attributes:
        office: Index of the office; None: it is not known which.
    """

    def __init__(self, what: str = "sum", office: int | None = None) -> None:
        super().__init__(
            f"the shares of the {what} do not fit together: an office has not followed the protocol"
            if office is None
            else f"its share of the {what} does not fit those of the others"
        )
        self.office = office


def load_mpyc() -> Any:
    """Return MPyC's module `runtime`.

    Raises:
        JoinExtraMissingError: It is not installed.
    """
    arguments, sys.argv = sys.argv, [sys.argv[0], "--no-log", "--no-uvloop"]  # it reads them when imported
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "numpy.core is deprecated", DeprecationWarning)
            return importlib.import_module("mpyc.runtime")
    except ModuleNotFoundError:
        raise JoinExtraMissingError from None
    finally:
        sys.argv = arguments


class Field:
    """Shamir's shares of vectors of whole numbers, modulo a prime.

    Formal guarantee:
        Shares of `threshold` offices are independent of the numbers, and any `threshold` + 1 determine them.
    """

    def __init__(self, bits: int, offices: int, threshold: int) -> None:
        """Create a field.

        Args:
            bits: Numbers and their squared norms are below 2**(bits - 1).
            offices: Number of offices.
            threshold: Number of offices whose shares tell nothing.

        Raises:
            JoinExtraMissingError: MPyC is not installed.
            ValueError: Norms could not be computed: that takes more than twice as many offices.
        """
        if not 0 < 2 * threshold < offices:
            raise ValueError(f"{offices} offices cannot share with a threshold of {threshold}")
        load_mpyc()
        self.bits, self.offices, self.threshold = bits, offices, threshold
        self._sharing = importlib.import_module("mpyc.thresha")
        fields = importlib.import_module("mpyc.finfields")
        self.modulus = int(fields.find_prime_root(bits + _SECURITY_BITS + 2)[0])
        self.elements: Any = fields.GF(self.modulus)

    def split(self, numbers: Integers) -> list[bytes]:
        """Return a share for each office, from the system's randomness."""
        shares = self._sharing.np_random_split(
            self.elements, numbers.astype(object) % self.modulus, self.threshold, self.offices
        )
        return [self._to_bytes(share) for share in shares]

    def read(self, share: bytes, size: int) -> Share:
        """Return the numbers of a share.

        Raises:
            ValueError: It is no share of this field, or has another length.
        """
        if len(share) != size * self.elements.byte_length:
            raise ValueError("not a share")
        numbers = np.array(self.elements.from_bytes(share), dtype=object)
        if (numbers >= self.modulus).any():
            raise ValueError("not a share")
        return numbers

    def add(self, shares: Sequence[Share]) -> bytes:
        """Return this office's share of the sum, from its shares of the numbers of all offices."""
        return self._to_bytes(sum(shares[1:], shares[0]) % self.modulus)

    def combine(self, shares: Sequence[Share]) -> Integers:
        """Return the numbers whose shares, of all offices, are given.

        Raises:
            InconsistentSharesError: They are the shares of no numbers.
        """
        points = [(index + 1, share) for index, share in enumerate(shares)]
        if not self._fit(points):
            raise InconsistentSharesError
        found = self._interpolate(points[: self.threshold + 1], 0)
        signed = np.where(found > self.modulus // 2, found - self.modulus, found)
        if (np.abs(signed) >= 2**62).any():
            raise InconsistentSharesError
        return signed.astype(np.int64)

    def find_wrong(self, shares: Sequence[Share], colluders: int) -> int | None:
        """Return the office whose share alone does not fit; None if that does not show who is at fault.

        Formal guarantee:
            If at most `colluders` offices have sent wrong shares, which they may have agreed on, no other
            one is named: the shares of all offices but the named one are those of one vector, and at least
            threshold + 1 of them are right, so it is the right one.
        """
        if self.offices < self.threshold + 2 + max(colluders, 1):
            return None
        points = [(index + 1, share) for index, share in enumerate(shares)]
        if self._fit(points):  # the numbers are too large
            return None
        for accused in range(self.offices):
            others = points[:accused] + points[accused + 1 :]
            if self._fit(others):
                return accused
        return None

    def _fit(self, points: Sequence[tuple[int, Share]]) -> bool:
        first, rest = points[: self.threshold + 1], points[self.threshold + 1 :]
        return all(np.array_equal(self._interpolate(first, at), share) for at, share in rest)

    def _interpolate(self, points: Sequence[tuple[int, Share]], at: int) -> Share:
        return np.asarray(self._sharing.np_recombine(self.elements, points, at).value) % self.modulus

    def _to_bytes(self, numbers: Share) -> bytes:
        return self.elements.to_bytes(numbers)


class NormCheck:
    """Comparisons, by MPyC over a mesh, of the norms of shared vectors with a bound.

    Formal guarantee:
        Besides the answer, up to `threshold` offices together learn nothing of a vector but with a
        probability below 2**-79 for each comparison, if all follow the protocol (MPyC 0.11: Shamir's sharing,
        pseudorandom sharing by keyed SHAKE128, comparison of Toft with statistical masking). One process has
        one such object at a time.
    """

    def __init__(self, mesh: Mesh, field: Field) -> None:
        """Start MPyC; every office does so at the same point of its exchanges.

        Raises:
            OfficeLeftError: An office does not answer.
        """
        self._mesh, module = mesh, load_mpyc()
        module.pickle = None
        asyncio.set_event_loop(mesh.loop)
        options = module.mpc.options
        options.threshold, options.sec_param = field.threshold, _SECURITY_BITS
        options.mix32_64bit, options.no_async = True, False
        parties = [module.Party(index) for index in range(field.offices)]
        self._runtime: Any = module.Runtime(mesh.index, parties, options)
        for part in _PARTS:
            vars(importlib.import_module(f"mpyc.{part}"))["runtime"] = self._runtime
        self._number: Any = self._runtime.SecInt(field.bits, field.modulus)
        self._sizes = _Sizes()
        mesh.loop.set_exception_handler(lambda _loop, _context: None)  # MPyC's prints what came from others
        mesh.run(self._connect(importlib.import_module("mpyc.asyncoro")))

    async def _connect(self, asyncoro: Any) -> None:
        parties, me = self._runtime.parties, self._mesh.index
        for party in parties:
            party.protocol = self._mesh.loop.create_future() if party.pid == me else None
        ready = parties[me].protocol
        for other in self._mesh.others:
            # The earlier one begins: it sends its index and its keys of pseudorandom sharing.
            protocol = asyncoro.MessageExchanger(self._runtime, other if me < other else None)
            link = _Link(self._mesh, other, self._sizes, protocol)
            protocol.connection_made(link)
            if other < me:
                link.expected = _INDEX_BYTES + self._runtime._prss_keys_from_peer(other)
            self._mesh.read_stream(other, link.receive)
        await ready

    def are_within(self, field: Field, shares: Sequence[Share], squared_bounds: Sequence[int]) -> list[bool]:
        """Return, for each office, whether the squared norm of its vector is at most its bound.

        Args:
            field: Field of the shares.
            shares: This office's shares of the vectors of all offices.
            squared_bounds: The bound of each office.

        Raises:
            OfficeLeftError: An office does not answer.
            MessageRefusedError: An office has sent what is no message of a comparison.
            InconsistentSharesError: What they have sent does not fit together.
        """

        async def compare() -> list[int]:
            vectors = [self._number.array(field.elements.array(share, check=False)) for share in shares]
            within = [one @ one <= bound for one, bound in zip(vectors, squared_bounds, strict=True)]
            return [int(answer) for answer in await self._runtime.output(within)]

        try:
            answers = self._mesh.run(compare())
        except RuntimeError:  # MPyC stops the loop over numbers that make no sense
            self._mesh.raise_refused()
            raise InconsistentSharesError("comparison") from None
        self._sizes.forget()
        # Neither yes nor no: a norm beyond the field's numbers, or shares that do not fit together.
        if sum(answer not in (0, 1) for answer in answers) > 1:
            raise InconsistentSharesError("comparison")
        return [answer == 1 for answer in answers]


class _Sizes:
    """The sizes of the messages of a comparison: in each of its places, all offices send as much."""

    def __init__(self) -> None:
        self._sent: dict[int, int] = {}
        self._received: dict[int, list[tuple[int, int]]] = {}

    def note_sent(self, place: int, size: int) -> None:
        self._sent[place] = size
        for office, received in self._received.pop(place, []):
            self.check(office, place, received)

    def check(self, office: int, place: int, size: int) -> None:
        """Refuse a message of another size than this office's own in the same place.

        Raises:
            MessageRefusedError: It has another size.
        """
        if place not in self._sent:
            self._received.setdefault(place, []).append((office, size))
        elif size != self._sent[place]:
            raise MessageRefusedError(office, "message of a comparison")

    def forget(self) -> None:
        self._sent.clear()
        self._received.clear()


class _Link:
    """What MPyC takes for the transport to an office. What comes from there is checked before MPyC gets it.

    MPyC believes whoever says which office it is: one that took another's name would get its shares too.
    """

    def __init__(self, mesh: Mesh, office: int, sizes: _Sizes, protocol: Any) -> None:
        self._mesh, self._office, self._sizes, self._protocol = mesh, office, sizes, protocol
        self._came = bytearray()
        self.expected = 0

    def write(self, content: bytes) -> None:
        try:
            self._sizes.note_sent(*_HEADER.unpack_from(content))
        except MessageRefusedError as error:
            self._mesh.refuse(error)  # MPyC tells nobody
            raise
        self._mesh.write_stream(self._office, bytes(content))

    def writelines(self, contents: Sequence[bytes]) -> None:
        """Send the index of this office and its keys."""
        self._mesh.write_stream(self._office, b"".join(bytes(content) for content in contents))

    def receive(self, content: bytes) -> None:
        """Take what has come, and hand on whole messages.

        Raises:
            MessageRefusedError: It is no message.
        """
        self._came += content
        if self.expected and len(self._came) >= self.expected:
            if int.from_bytes(self._came[:_INDEX_BYTES], "little") != self._office:
                raise MessageRefusedError(self._office, "index of this office")
            self._hand_on(self.expected)
            self.expected = 0
        while not self.expected and len(self._came) >= _HEADER.size:
            place, size = _HEADER.unpack_from(self._came)
            self._sizes.check(self._office, place, size)
            if len(self._came) < _HEADER.size + size:
                return
            self._hand_on(_HEADER.size + size)

    def _hand_on(self, size: int) -> None:
        packet = bytes(self._came[:size])
        del self._came[:size]
        try:
            self._protocol.data_received(packet)
        except AttributeError:  # MPyC has a message of this place already
            raise MessageRefusedError(self._office, "message of a comparison") from None
