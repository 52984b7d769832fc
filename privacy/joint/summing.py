"""The sum of all offices' uploads, and the evidence of it: each office signs what it sends.

`OpenSumming`: each office shows its upload to the others. `SecretSumming`: each office splits its upload
into shares; the norm of each upload is checked unseen, and only the sum is opened. Either way each office
then signs what it has received from each other one, so that nobody can show two different things.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lexveil.privacy.joint.mesh import Mesh, join_messages, split_messages
from lexveil.privacy.joint.noise import Integers, SharedNoise
from lexveil.privacy.joint.secret_sharing import Field, InconsistentSharesError, NormCheck, Share
from lexveil.privacy.joint.signing import Certificate, Place, Signer
from lexveil.privacy.joint.star import Connections

if TYPE_CHECKING:
    from numpy.typing import NDArray

# An honest office's noise exceeds the bound of the norm with a probability below 2 to the minus this.
_UNLIKELY_BITS = 80
_UPLOAD, _SHARE, _SUM_SHARE, _SEEN = "upload", "share of an upload", "share of the sum", "list of uploads"


class UploadRefusedError(Exception):
    """An office's upload is longer than its owners and its noise can make it, or it is not its turn.

    Attributes:
        office: Index of the office.
    """

    def __init__(self, office: int, step: int) -> None:
        super().__init__(
            f"the upload of step {step} is longer than its owners and noise can make it, or out of turn"
        )
        self.office = office


class EquivocationError(Exception):
    """An office has sent different offices different messages of one step.

    Attributes:
        office: Index of the office.
    """

    def __init__(self, office: int, step: int) -> None:
        super().__init__(f"step {step}: not the same message was sent to all offices")
        self.office = office


class SumRefusedError(Exception):
    """What the hub has handed out is no sum of what the offices have sent; it is not known who is at fault.

    Attributes:
        lacking: Index of the office whose upload alone is not in the sum; None: that is not it.
    """

    def __init__(self, step: int, lacking: int | None = None) -> None:
        super().__init__(f"the sum of step {step} is not that of what all offices have sent")
        self.lacking = lacking


@dataclass(frozen=True, slots=True)
class Parties:
    """Who takes part, and what is signed with.

    Attributes:
        agreement: Digest of the agreement, 32 bytes.
        certificates: Certificate of each office.
        weights: Number of weights.
    """

    agreement: bytes
    certificates: tuple[Certificate, ...] = field(repr=False)
    weights: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Signed messages from which anybody who has the certificates recomputes the sum of a step.

    Attributes:
        opened: What each office has opened: its upload, or its share of the sum.
        seen: What each office has signed that it received.
    """

    opened: tuple[bytes, ...] = field(repr=False)
    seen: tuple[bytes, ...] = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the messages as bytes."""
        return join_messages((*self.opened, *self.seen))

    @classmethod
    def from_bytes(cls, content: bytes) -> Evidence:
        """Return what `to_bytes` wrote; whatever was changed, the signatures show it."""
        found = split_messages(content)
        half = len(found) // 2
        return cls(tuple(found[:half]), tuple(found[half:]))


class Summing(Protocol):
    """A way to add up uploads."""

    def add_up(self, step: int, upload: Integers | None) -> tuple[Integers, Evidence]:
        """Return the sum of a step, checked, with its evidence; no upload: it is another office's turn."""
        ...

    def recompute(self, step: int, evidence: Evidence) -> Integers:
        """Return the sum of a step, after checking all signatures. Shape: (weights,)."""
        ...


def select_largest(upload: Integers, count: int) -> Integers:
    """Return an upload with all but its largest entries set to 0; of entries of one size, the first.

    Source: Shokri & Shmatikov 2015, "Privacy-Preserving Deep Learning", section 4.3, where the selection
    comes before any noise.

    Args:
        upload: What an office adds, noise included. Shape: (weights,).
        count: Number of entries to keep.

    Formal guarantee:
        None of its own. It reads nothing but the upload, so where the upload has all the noise that its
        guarantee rests on, the selection is post-processing.
    """
    return np.where(_find_largest(upload, count), upload, 0)


def _find_largest(upload: Integers, count: int) -> NDArray[np.bool_]:
    largest = np.zeros(upload.size, np.bool_)
    largest[np.argsort(-np.abs(upload), kind="stable")[:count]] = True
    return largest


def bound_upload(noise: SharedNoise, weights: int, owners: float, offices_per_owner: int = 1) -> int:
    """Return the largest squared norm of an upload that is accepted.

    Args:
        noise: The grid and the noise.
        weights: Number of weights.
        owners: Number of owners of the office, as far as they count.
        offices_per_owner: The most offices in which one owner has documents.

    Formal guarantee:
        An honest office's upload exceeds it with probability below 2**-80, whatever its documents are: at
        most all of its owners are drawn, and the norm of the noise is bounded by Hsu, Kakade & Zhang 2012 ("A
        tail inequality for quadratic forms of subgaussian random vectors", theorem 1); discrete Gaussians are
        subgaussian (Canonne, Kamath & Steinke 2020, corollary 17).
    """
    unlikely = _UNLIKELY_BITS * math.log(2)
    drawn = noise.deviation * math.sqrt(weights + 2 * math.sqrt(weights * unlikely) + 2 * unlikely)
    # Of less than one owner, the rounding to the grid is still that of one.
    return math.ceil(max(owners, 1) * noise.sensitivity / offices_per_owner + drawn) ** 2


class OpenSumming:
    """Each office shows its upload to all others: in every step, or in turns."""

    def __init__(
        self,
        parties: Parties,
        bounds: Sequence[int],
        mesh: Mesh | None,
        signer: Signer | None,
        *,
        in_turns: bool = False,
        entries: int | None = None,
    ) -> None:
        """Prepare.

        Args:
            parties: The offices.
            bounds: Largest squared norm of each office's uploads.
            mesh: Connections; None: to recompute only.
            signer: This office's key; None: to recompute only.
            in_turns: True: in step s, the office s modulo the number of offices alone has an upload.
            entries: Number of the largest entries of each upload that are sent; None: all.
        """
        self._entries = parties.weights if entries is None else entries
        self._parties, self._bounds, self._mesh, self._signer = parties, bounds, mesh, signer
        self._in_turns = in_turns

    def add_up(self, step: int, upload: Integers | None) -> tuple[Integers, Evidence]:
        """Return the sum of a step, checked, with its evidence. Shape: (weights,).

        Args:
            step: Number of the step.
            upload: What this office adds; None: it is another one's turn.

        Raises:
            ForgedError: A message was changed.
            UploadRefusedError: An upload is too long.
            EquivocationError: An office has sent different things.
            OfficeLeftError: An office does not answer.
        """
        assert self._mesh is not None
        assert self._signer is not None
        payload = b"" if upload is None else _encode(upload, self._entries)
        opened = _broadcast(self._mesh, self._signer, self._parties, _UPLOAD, step, payload)
        evidence = confirm(self._mesh, self._signer, self._parties, step, opened)
        return self.recompute(step, evidence), evidence

    def recompute(self, step: int, evidence: Evidence) -> Integers:
        """Return the sum of a step, after checking all signatures. Shape: (weights,).

        Raises:
            ForgedError, UploadRefusedError, EquivocationError: As in `add_up`.
        """
        total = np.zeros(self._parties.weights, np.int64)
        for sender, payload in enumerate(_open_all(self._parties, _UPLOAD, step, evidence.opened)):
            if not payload and not self._has_turn(sender, step):
                continue
            upload = _decode(payload, self._parties.weights, self._entries)
            late = not self._has_turn(sender, step)
            if upload is None or late or sum(int(one) ** 2 for one in upload) > self._bounds[sender]:
                raise UploadRefusedError(sender, step)
            total += upload
        _check_seen(self._parties, step, evidence)
        return total

    def _has_turn(self, office: int, step: int) -> bool:
        return not self._in_turns or step % len(self._parties.certificates) == office


class SecretSumming:
    """Each office splits its upload into shares; the sum alone is opened.

    Formal guarantee:
        Up to `threshold` offices together learn the sum of the others' uploads, and, of each upload, whether
        its norm is within the bound, which an honest one is but for a probability below 2**-80: nothing else,
        up to the 2**-79 of `NormCheck`. Assumptions: all follow the protocol; those of `Mesh` and
        `NormCheck`. Offices that do not can make the sum wrong only by adding a vector of their own: shares
        of the sum that do not fit together are refused, if more than `threshold` offices follow the protocol.
    """

    def __init__(
        self,
        parties: Parties,
        bounds: Sequence[int],
        threshold: int,
        mesh: Mesh | None,
        signer: Signer | None,
        *,
        colluders: int = 1,
    ) -> None:
        """Prepare, and connect the secret computation; the offices call it at the same point.

        Args:
            parties: The offices.
            bounds: Largest squared norm of each office's uploads.
            threshold: Number of offices that learn nothing but the sum.
            mesh: Connections; None: to recompute only.
            signer: This office's key; None: to recompute only.
            colluders: Number of offices that may collude; with it, who has sent a wrong share of a sum is
                named only where no agreement among them could accuse another one (`Field.find_wrong`).

        Raises:
            JoinExtraMissingError: The extra is not installed.
            OfficeLeftError: An office does not answer.
        """
        self._parties, self._bounds, self._mesh, self._signer = parties, bounds, mesh, signer
        self._colluders = colluders
        bits = max(max(bounds).bit_length() + 2, 64)
        self._field = Field(bits, len(parties.certificates), threshold)
        self._norms = None if mesh is None else NormCheck(mesh, self._field)

    def add_up(self, step: int, upload: Integers | None) -> tuple[Integers, Evidence]:
        """Return the sum of a step, checked, with its evidence. Shape: (weights,).

        Raises:
            ForgedError: A message was changed.
            UploadRefusedError: An upload is too long.
            EquivocationError: An office has sent different things.
            InconsistentSharesError: Shares of the sum do not fit together.
            OfficeLeftError: An office does not answer.
        """
        mesh, signer, parties = self._mesh, self._signer, self._parties
        assert mesh is not None
        assert signer is not None
        assert self._norms is not None
        assert upload is not None  # a sum of one is not hidden
        places = [
            Place(parties.agreement, _SHARE, step, mesh.index, other) for other in range(len(mesh.names))
        ]
        signed = mesh.exchange(
            [
                signer.sign(place, share)
                for place, share in zip(places, self._field.split(upload), strict=True)
            ],
            _SHARE,
        )
        shares: list[Share] = []
        for sender, message in enumerate(signed):
            place = Place(parties.agreement, _SHARE, step, sender, mesh.index)
            shares.append(self._read(sender, step, parties.certificates[sender].open(place, message)))
        for sender, within in enumerate(self._norms.are_within(self._field, shares, self._bounds)):
            if not within:
                raise UploadRefusedError(sender, step)
        opened = _broadcast(mesh, signer, parties, _SUM_SHARE, step, self._field.add(shares))
        evidence = confirm(mesh, signer, parties, step, opened)
        return self.recompute(step, evidence), evidence

    def recompute(self, step: int, evidence: Evidence) -> Integers:
        """Return the sum of a step, after checking all signatures. Shape: (weights,).

        Raises:
            ForgedError, UploadRefusedError, EquivocationError, InconsistentSharesError: As in `add_up`.
        """
        opened = _open_all(self._parties, _SUM_SHARE, step, evidence.opened)
        shares = [self._read(sender, step, share) for sender, share in enumerate(opened)]
        _check_seen(self._parties, step, evidence)
        try:
            total = self._field.combine(shares)
        except InconsistentSharesError:
            office = self._field.find_wrong(shares, self._colluders)
            raise InconsistentSharesError("sum", office) from None
        # A norm beyond the field's numbers may pass for a short one in the comparison, but not here.
        if sum(int(one) ** 2 for one in total) > sum(math.isqrt(bound) + 1 for bound in self._bounds) ** 2:
            raise InconsistentSharesError
        return total

    def _read(self, sender: int, step: int, share: bytes) -> Share:
        try:
            return self._field.read(share, self._parties.weights)
        except ValueError:
            raise UploadRefusedError(sender, step) from None


def _broadcast(
    mesh: Connections, signer: Signer, parties: Parties, kind: str, step: int, payload: bytes
) -> tuple[bytes, ...]:
    """Sign a message and send it to all offices; return what each has sent, once its signature is checked."""
    mine = signer.sign(Place(parties.agreement, kind, step, mesh.index), payload)
    signed = tuple(mesh.exchange([mine] * len(parties.certificates), kind))
    _open_all(parties, kind, step, signed)
    return signed


def _open_all(parties: Parties, kind: str, step: int, signed: Sequence[bytes]) -> list[bytes]:
    opened: list[bytes] = []
    for sender, certificate in enumerate(parties.certificates):
        message = signed[sender] if sender < len(signed) else b""
        opened.append(certificate.open(Place(parties.agreement, kind, step, sender), message))
    return opened


def confirm(
    mesh: Connections, signer: Signer, parties: Parties, step: int, opened: tuple[bytes, ...]
) -> Evidence:
    """Sign what was opened in a step, for all others; return it with what they have signed.

    Raises:
        ForgedError: A signature is none.
        OfficeLeftError, MessageRefusedError: As in `Connections.exchange`.
    """
    seen = _broadcast(mesh, signer, parties, _SEEN, step, digest_all(opened))
    return Evidence(opened, seen)


def open_seen(parties: Parties, step: int, evidence: Evidence) -> list[bytes]:
    """Return the digests of what each party has signed that it received.

    Raises:
        ForgedError: It has not signed it.
    """
    return _open_all(parties, _SEEN, step, evidence.seen)


def _check_seen(parties: Parties, step: int, evidence: Evidence) -> None:
    mine = digest_all(evidence.opened)
    size = hashlib.sha256().digest_size
    for theirs in open_seen(parties, step, evidence):
        for sender in range(len(parties.certificates)):
            place = slice(sender * size, (sender + 1) * size)
            if theirs[place] != mine[place]:
                raise EquivocationError(sender, step)


def digest_all(signed: Sequence[bytes]) -> bytes:
    """Return the digests of messages, one after the other."""
    return b"".join(hashlib.sha256(message).digest() for message in signed)


def _encode(numbers: Integers, entries: int) -> bytes:
    """Return all numbers, or which the largest ones are, a bit for each, and these."""
    if entries == numbers.size:
        return numbers.astype("<i8").tobytes()
    sent = _find_largest(numbers, entries)
    return np.packbits(sent).tobytes() + numbers[sent].astype("<i8").tobytes()


def _decode(payload: bytes, weights: int, entries: int) -> Integers | None:
    """Return what `_encode` wrote; None: it is nothing such."""
    size = 0 if entries == weights else (weights + 7) // 8
    if len(payload) != size + 8 * entries:
        return None
    numbers = np.frombuffer(payload[size:], dtype="<i8").astype(np.int64)
    if not size:
        return numbers
    sent = np.unpackbits(np.frombuffer(payload[:size], np.uint8)).astype(bool)
    if sent[weights:].any() or int(sent.sum()) != entries:
        return None
    upload = np.zeros(weights, np.int64)
    upload[sent[:weights]] = numbers
    return upload
