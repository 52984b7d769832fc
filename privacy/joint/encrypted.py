"""Sums by a hub without a key: each office sends its upload under the offices' one CKKS key (`he.sums`)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lexveil.privacy.he.sums import SumKeys, SumScheme
from lexveil.privacy.he.wire_format import MalformedError
from lexveil.privacy.joint.checksums import MODULUS, Checksums
from lexveil.privacy.joint.mesh import MessageRefusedError
from lexveil.privacy.joint.noise import Integers, SharedNoise
from lexveil.privacy.joint.signing import Place, Signer, make_receipt
from lexveil.privacy.joint.star import Star
from lexveil.privacy.joint.summing import (
    EquivocationError,
    Evidence,
    Parties,
    SumRefusedError,
    UploadRefusedError,
    confirm,
    digest_all,
    open_seen,
)

# The noise on any weight exceeds what the scheme holds with a probability below 2 to the minus this.
_UNLIKELY_BITS = 80
_UPLOAD, _CHECKSUM, _SUM = "encrypted upload", "checksum of an upload", "encrypted sum"
# A receipt of an upload; steps of earlier versions have nothing else. A signed and sealed checksum.
_RECEIPT_BYTES, _CHECKSUM_BYTES = 96, 109


def plan_scheme(noise: SharedNoise, weights: int, owners: int, offices: int) -> SumScheme:
    """Return the scheme for sums of uploads that have all the noise each.

    Args:
        noise: The grid and the noise of each office.
        weights: Number of weights.
        owners: Number of owners of all offices, all of which may be drawn.
        offices: Number of offices.

    Raises:
        ValueError: The sums are too large.
    """
    unlikely = 2 * ((_UNLIKELY_BITS + 1) * math.log(2) + math.log(weights * offices))
    drawn = offices * noise.deviation * math.sqrt(unlikely)
    return SumScheme(weights, math.ceil(owners * noise.sensitivity + drawn), offices)


class EncryptedSumming:
    """The hub adds encrypted uploads, and hands out the encrypted sum.

    Formal guarantee:
        The hub, and whoever sees what passes without having the key, learns sizes and times (`SumKeys`). An
        office that follows the protocol learns the sum. Who has the key and sees uploads, which are the hub
        and any one office together, reads each upload. So each upload has all the noise, and epsilon needs
        no trust in hub or offices. A hub without key that hands out another sum than that of all uploads is
        found by every office, but for the probability of `Checksums`; of one that leaves a single upload
        out, also whose. It could find the key from whether offices accept such sums, so an office goes on
        after no sum that it has refused. All offices get the same sum, and each its own upload's receipt:
        that is signed. To an office, the checksums of others are functions of uploads, which epsilon covers
        one by one. With two or more other offices and 40 weights or more they tell nothing beyond the sum, up
        to 2**-100: given the sum, the noise of an upload has more than 10 bits of min-entropy a weight, and
        secret factors drawn for all uploads alike make an almost uniform number of it (leftover hash lemma).
    """

    def __init__(
        self,
        parties: Parties,
        bounds: Sequence[int],
        scheme: SumScheme,
        keys: SumKeys | None,
        star: Star | None,
        signer: Signer | None,
    ) -> None:
        """Prepare.

        Args:
            parties: The offices, and the hub as the last one.
            bounds: Largest squared norm of each office's uploads.
            scheme: How uploads are encrypted.
            keys: The offices' key; None: this is the hub.
            star: Connections; None: to recompute only.
            signer: This party's key; None: to recompute only.
        """
        self._parties, self._bounds, self._scheme, self._keys = parties, bounds, scheme, keys
        self._star, self._signer = star, signer
        self._hub = len(parties.certificates) - 1
        self._checksums = None if keys is None else Checksums(keys.to_bytes(), parties.agreement)

    def add_up(self, step: int, upload: Integers | None) -> tuple[Integers, Evidence]:
        """Return the sum of a step, checked, with its evidence. Shape: (weights,); at the hub: (0,).

        Raises:
            ForgedError: A message was changed.
            UploadRefusedError: At the hub: an upload is none.
            EquivocationError: The hub has handed out different things.
            SumRefusedError: The sum is no sum of uploads.
            OfficeLeftError: A party does not answer.
        """
        star, signer = self._star, self._signer
        assert star is not None
        assert signer is not None
        if self._keys is None:
            opened = star.hand_out(self._add(step, signer, star.gather(b"", _UPLOAD)), _SUM)
        else:
            assert upload is not None  # every office has an upload in every step
            assert self._checksums is not None
            agreement, sealed = self._parties.agreement, self._checksums.seal(step, star.index, upload)
            place = Place(agreement, _UPLOAD, step, star.index)
            mine = signer.sign(place, self._keys.encrypt(self._scheme, upload))
            checksum = signer.sign(Place(agreement, _CHECKSUM, step, star.index), sealed)
            star.gather(checksum + mine, _UPLOAD)
            opened = star.hand_out([], _SUM)
            if opened[star.index] != make_receipt(mine) + checksum:
                raise MessageRefusedError(self._hub, "sum of what the offices have sent")
            if any(len(one) == _RECEIPT_BYTES for one in opened[: self._hub]):
                raise MessageRefusedError(self._hub, "list of checksums")
        evidence = confirm(star, signer, self._parties, step, tuple(opened))
        return self.recompute(step, evidence), evidence

    def _add(self, step: int, signer: Signer, received: Sequence[bytes]) -> list[bytes]:
        """Return what the hub hands out: receipt and checksum of each upload, and the signed sum."""
        certificates, agreement = self._parties.certificates, self._parties.agreement
        vectors: list[Sequence[object]] = []
        handed: list[bytes] = []
        for sender in range(self._hub):
            checksum, signed = received[sender][:_CHECKSUM_BYTES], received[sender][_CHECKSUM_BYTES:]
            certificates[sender].open(Place(agreement, _CHECKSUM, step, sender), checksum)
            payload = certificates[sender].open(Place(agreement, _UPLOAD, step, sender), signed)
            try:
                vectors.append(self._scheme.read(payload))
            except MalformedError:
                raise UploadRefusedError(sender, step) from None
            handed.append(make_receipt(signed) + checksum)
        total = signer.sign(Place(agreement, _SUM, step, self._hub), self._scheme.add(vectors))
        return [*handed, total]

    def recompute(self, step: int, evidence: Evidence) -> Integers:
        """Return the sum of a step, after checking all signatures. Shape: (weights,); at the hub: (0,).

        Raises:
            ForgedError, EquivocationError, SumRefusedError, MessageRefusedError: As in `add_up`.
        """
        parties = self._parties
        opened = (*evidence.opened, *[b""] * (self._hub + 1))
        checksums = [self._open_checksum(step, sender, opened[sender]) for sender in range(self._hub)]
        total = parties.certificates[self._hub].open(
            Place(parties.agreement, _SUM, step, self._hub), opened[self._hub]
        )
        if any(seen != digest_all(evidence.opened) for seen in open_seen(parties, step, evidence)):
            raise EquivocationError(self._hub, step)
        if self._keys is None:
            return np.zeros(0, np.int64)
        try:
            found = self._keys.decrypt(self._scheme, total)
        except ValueError:  # MalformedError is one
            raise SumRefusedError(step) from None
        if sum(int(one) ** 2 for one in found) > sum(math.isqrt(bound) + 1 for bound in self._bounds) ** 2:
            raise SumRefusedError(step)
        known = [one for one in checksums if one is not None]
        if self._checksums is not None and len(known) == self._hub:
            lacks = (sum(known) - self._checksums.compute(step, found)) % MODULUS
            if lacks:
                raise SumRefusedError(step, known.index(lacks) if known.count(lacks) == 1 else None)
        return found

    def _open_checksum(self, step: int, sender: int, handed: bytes) -> int | None:
        """Return the checksum of an upload, after checking its receipt; None: this party has no key.

        None also for a step of an earlier version, whose record all offices have signed.
        """
        certificate, agreement = self._parties.certificates[sender], self._parties.agreement
        receipt, signed = handed[:_RECEIPT_BYTES], handed[_RECEIPT_BYTES:]
        certificate.check_receipt(Place(agreement, _UPLOAD, step, sender), receipt)
        if len(handed) == _RECEIPT_BYTES:
            return None
        sealed = certificate.open(Place(agreement, _CHECKSUM, step, sender), signed)
        if self._checksums is None:
            return None
        found = self._checksums.open(step, sender, sealed)
        if found is None:
            raise MessageRefusedError(sender, _CHECKSUM)
        return found
