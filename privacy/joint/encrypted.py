"""Sums by a hub without a key: each office sends its upload under the offices' one CKKS key (`he.sums`)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lexveil.privacy.he.sums import SumKeys, SumScheme
from lexveil.privacy.he.wire_format import MalformedError
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
_UPLOAD, _SUM = "encrypted upload", "encrypted sum"


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
        no trust in hub or offices. Assumption on the hub: it adds. One that hands out something else spoils
        the model, and may find the key from what the offices do with it (whether they go on, the model);
        then it reads uploads, too. An office goes on after no sum that it has refused. All offices get the
        same sum, and each its own upload's receipt: that is signed.
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
            place = Place(self._parties.agreement, _UPLOAD, step, star.index)
            mine = signer.sign(place, self._keys.encrypt(self._scheme, upload))
            star.gather(mine, _UPLOAD)
            opened = star.hand_out([], _SUM)
            if opened[star.index] != make_receipt(mine):
                raise MessageRefusedError(self._hub, "sum of what the offices have sent")
        evidence = confirm(star, signer, self._parties, step, tuple(opened))
        return self.recompute(step, evidence), evidence

    def _add(self, step: int, signer: Signer, received: Sequence[bytes]) -> list[bytes]:
        """Return what the hub hands out: a receipt of each upload, and the signed sum."""
        certificates, agreement = self._parties.certificates, self._parties.agreement
        vectors: list[Sequence[object]] = []
        for sender in range(self._hub):
            payload = certificates[sender].open(Place(agreement, _UPLOAD, step, sender), received[sender])
            try:
                vectors.append(self._scheme.read(payload))
            except MalformedError:
                raise UploadRefusedError(sender, step) from None
        total = signer.sign(Place(agreement, _SUM, step, self._hub), self._scheme.add(vectors))
        return [*(make_receipt(received[sender]) for sender in range(self._hub)), total]

    def recompute(self, step: int, evidence: Evidence) -> Integers:
        """Return the sum of a step, after checking all signatures. Shape: (weights,); at the hub: (0,).

        Raises:
            ForgedError, EquivocationError, SumRefusedError: As in `add_up`.
        """
        parties = self._parties
        opened = (*evidence.opened, *[b""] * (self._hub + 1))
        for sender in range(self._hub):
            place = Place(parties.agreement, _UPLOAD, step, sender)
            parties.certificates[sender].check_receipt(place, opened[sender])
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
        return found
