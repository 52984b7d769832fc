"""The offices as the training loop sees them: noisy sums are added up, and nothing else is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.joint.journal import Journal
from lexveil.privacy.joint.mesh import MessageRefusedError
from lexveil.privacy.joint.noise import Integers, SharedNoise, discrete_gaussian, round_to_grid
from lexveil.privacy.joint.secret_sharing import InconsistentSharesError
from lexveil.privacy.joint.signing import ForgedError
from lexveil.privacy.joint.star import Connections
from lexveil.privacy.joint.summing import EquivocationError, Evidence, Summing, UploadRefusedError

_COUNT_BYTES = 4


class RecordsDifferError(Exception):
    """Two offices have different records of a step: one has signed two lists, and it is not known which."""

    def __init__(self) -> None:
        super().__init__(
            "the offices have different records of completed steps: one has not followed the protocol"
        )


@dataclass(frozen=True, slots=True)
class Offices:
    """`Companions` of the training loop: all offices, of which this is one.

    Formal guarantee:
        What leaves this office in a step is its upload: the sum of its owners' clipped gradients, times the
        office's public weight of at most 1, rounded to the grid, plus its share of the noise, drawn from its
        own key. An upload is on disk before it is sent and is never drawn again for other gradients: the
        noise of a step follows from all sums before it, so offices that bring about another course of the
        training do not see the same noise twice. Losses, gradients that are not finite, and sizes of draws
        stay here. docs/joint-training.md derives what the offices release together.

    Attributes:
        summing: How uploads are added up.
        journal: What is kept of the run.
        noise: The grid and the noise.
        random: Randomness of this office.
        owners: Number of owners of all offices, as far as they count.
        weight: What this office's owners count, in [0, 1].
        turns: The steps in which this office has an upload; None: all.
        course: Digest of all sums so far.
    """

    summing: Summing
    journal: Journal
    noise: SharedNoise
    random: SecureRandom = field(repr=False)
    owners: int
    turns: range | None = None
    weight: float = 1.0
    rank: int = 0
    size: int = 1
    course: Any = field(default_factory=hashlib.sha256, repr=False)

    def count_owners(self, n_owners: int) -> int:
        """Return the number of owners of all offices, as they agreed on it."""
        del n_owners
        return self.owners

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Do nothing: each office starts from the same public model."""

    def add_figures(self, figures: Tensor) -> None:
        """Do nothing: figures without noise stay in the office."""

    def recall(self, total: Mapping[str, Tensor], step: int) -> bool:
        """Replace `total` by the sum of a step without this office's documents: a completed or another's one.

        Raises:
            ForgedError, EquivocationError, UploadRefusedError: What was kept or sent was changed.
            OfficeLeftError: The office whose turn it is does not answer.
        """
        evidence = self.journal.read(step)
        if evidence is not None:
            self._fill(total, self.summing.recompute(step, evidence))
            return True
        if self.turns is None or step in self.turns:
            return False
        self._add_up(total, None, step)
        return True

    def add_up(
        self, total: Mapping[str, Tensor], add_noise: Callable[[Mapping[str, Tensor]], None] | None, step: int
    ) -> None:
        """Replace `total` by the sum of all offices' uploads.

        Raises:
            ValueError: Training without privacy, which offices do not do together.
        """
        if add_noise is None:
            raise ValueError("offices train together under differential privacy only")
        upload = self.journal.read_upload(step)
        if upload is None:
            sums = np.concatenate([part.detach().cpu().numpy().ravel() for part in total.values()])
            label = f"noise-share/{self.course.hexdigest()}"
            share = discrete_gaussian(self.noise.deviation, self.random, label, step, sums.size)
            upload = round_to_grid(self.weight * sums, self.noise.bits) + share
            self.journal.keep_upload(step, upload)
        self._add_up(total, upload, step)

    def _add_up(self, total: Mapping[str, Tensor], upload: Integers | None, step: int) -> None:
        numbers, evidence = self.summing.add_up(step, upload)
        self.journal.keep(step, evidence)
        self._fill(total, numbers)

    def _fill(self, total: Mapping[str, Tensor], numbers: Integers) -> None:
        self.course.update(numbers.astype("<i8").tobytes())
        fill(total, numbers, self.noise.bits)


def fill(total: Mapping[str, Tensor], numbers: Integers, bits: int) -> None:
    """Write whole multiples of 2**-bits into tensors, one after the other."""
    start = 0
    for part in total.values():
        piece = numbers[start : start + part.numel()].astype(np.float64) * 2.0**-bits
        part.copy_(torch.from_numpy(piece).view(part.shape))
        start += part.numel()


def catch_up(mesh: Connections, journal: Journal, summing: Summing, steps: int) -> int:
    """Hand each office the steps that another one has completed; return the number of completed steps.

    Offices call it before they train. So no step that anybody has completed is computed again.

    Args:
        mesh: Connections.
        journal: What this office has kept.
        summing: Checks what others hand over.
        steps: Number of steps of the run.

    Raises:
        RecordsDifferError: The records of steps that all have completed differ.
        MessageRefusedError: What an office has handed over is not what all have signed.
        OfficeLeftError: An office does not answer.
    """
    mine = journal.count()
    told = mesh.exchange([mine.to_bytes(_COUNT_BYTES, "big")] * len(mesh.names), "number of completed steps")
    counts = [min(int.from_bytes(one, "big"), steps) for one in told]
    try:
        compare_records(mesh, journal, min(counts))
    except RecordsDifferError:
        for step in range(min(counts)):  # if a signature fails, its office is named
            if (kept := journal.read(step)) is not None:
                summing.recompute(step, kept)
        raise
    for step in range(min(counts), max(counts)):
        giver = next(index for index, count in enumerate(counts) if count > step)
        own = journal.read(step) if mesh.index == giver else None
        message = b"" if own is None else own.to_bytes()
        given = mesh.exchange([message] * len(mesh.names), "evidence of a completed step")[giver]
        if step >= mine:
            evidence = Evidence.from_bytes(given)
            try:
                summing.recompute(step, evidence)
            except (ForgedError, EquivocationError, UploadRefusedError, InconsistentSharesError):
                raise MessageRefusedError(giver, f"record of step {step}") from None
            journal.keep(step, evidence)
    return max(counts)


def compare_records(mesh: Connections, journal: Journal, steps: int) -> None:
    """Compare this office's record of the first steps with the others'; all call it at the same point.

    Raises:
        RecordsDifferError: They differ.
        OfficeLeftError: An office does not answer.
    """
    mine = journal.digest(steps)
    if set(mesh.exchange([mine] * len(mesh.names), "digest of completed steps")) != {mine}:
        raise RecordsDifferError
