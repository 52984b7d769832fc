"""MPyC behind a narrow door: shares of whole numbers, and a comparison of a norm that nobody sees.

The only importer of MPyC. Its connections are replaced by those of `Mesh`. MPyC sends arrays as pickles,
which would let each office run code in every other one; here it is told to send plain numbers, and its module
finds no pickle at all.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexveil.privacy.joint.mesh import Mesh
from lexveil.privacy.joint.noise import Integers

# Numbers modulo a prime, as Python's whole numbers: shape (weights,), object.
Share = NDArray[np.object_]

# Statistical security of comparisons: what they open is within 2**-80 of independent of what they compare.
_SECURITY_BITS = 80
_PARTS = ("sectypes", "asyncoro", "mpctools", "seclists", "secpols", "secgroups", "random", "statistics")


class JoinExtraMissingError(ImportError):
    """MPyC is not installed."""

    def __init__(self) -> None:
        super().__init__("joint training needs the extra: pip install lexveil[join]")


class InconsistentSharesError(Exception):
    """The shares of a sum do not fit together: an office has not followed the protocol."""

    def __init__(self) -> None:
        super().__init__("the shares of the sum do not fit together: an office has not followed the protocol")


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
        first, rest = points[: self.threshold + 1], points[self.threshold + 1 :]
        found, *others = (self._interpolate(first, at) for at in (0, *(index for index, _ in rest)))
        if not all(np.array_equal(one, share) for one, (_, share) in zip(others, rest, strict=True)):
            raise InconsistentSharesError
        signed = np.where(found > self.modulus // 2, found - self.modulus, found)
        if (np.abs(signed) >= 2**62).any():
            raise InconsistentSharesError
        return signed.astype(np.int64)

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
        mesh.run(self._connect(importlib.import_module("mpyc.asyncoro")))

    async def _connect(self, asyncoro: Any) -> None:
        parties, me = self._runtime.parties, self._mesh.index
        for party in parties:
            party.protocol = self._mesh.loop.create_future() if party.pid == me else None
        ready = parties[me].protocol
        for other in self._mesh.others:
            # The earlier one begins: it sends its index and its keys of pseudorandom sharing.
            protocol = asyncoro.MessageExchanger(self._runtime, other if me < other else None)
            protocol.connection_made(_Stream(self._mesh, other))
            self._mesh.read_stream(other, protocol.data_received)
        await ready

    def are_within(self, field: Field, shares: Sequence[Share], squared_bounds: Sequence[int]) -> list[bool]:
        """Return, for each office, whether the squared norm of its vector is at most its bound.

        Args:
            field: Field of the shares.
            shares: This office's shares of the vectors of all offices.
            squared_bounds: The bound of each office.
        """

        async def compare() -> list[bool]:
            vectors = [self._number.array(field.elements.array(share, check=False)) for share in shares]
            within = [one @ one <= bound for one, bound in zip(vectors, squared_bounds, strict=True)]
            return [bool(answer) for answer in await self._runtime.output(within)]

        return self._mesh.run(compare())


class _Stream:
    """What MPyC takes for a transport of asyncio."""

    def __init__(self, mesh: Mesh, office: int) -> None:
        self._mesh, self._office = mesh, office

    def write(self, content: bytes) -> None:
        self._mesh.write_stream(self._office, bytes(content))

    def writelines(self, contents: Sequence[bytes]) -> None:
        self.write(b"".join(bytes(content) for content in contents))
