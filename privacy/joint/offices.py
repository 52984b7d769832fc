"""The offices as the training loop sees them: noisy sums are added up, and nothing else is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.joint.journal import Journal
from lexveil.privacy.joint.mesh import Mesh
from lexveil.privacy.joint.noise import Integers, SharedNoise, discrete_gaussian, round_to_grid
from lexveil.privacy.joint.summing import Evidence, Summing

_COUNT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Offices:
    """`Companions` of the training loop: all offices, of which this is one.

    Formal guarantee:
        What leaves this office in a step is its upload: the sum of its owners' clipped gradients, rounded to
        the grid, plus its share of the noise, drawn from its own key. An upload is on disk before it is sent
        and is never drawn again for other gradients. Losses, gradients that are not finite, and sizes of
        draws stay here. docs/joint-training.md derives what the offices release together.

    Attributes:
        summing: How uploads are added up.
        journal: What is kept of the run.
        noise: The grid and the noise.
        random: Randomness of this office.
        owners: Number of owners of all offices.
        turns: The steps in which this office has an upload; None: all.
    """

    summing: Summing
    journal: Journal
    noise: SharedNoise
    random: SecureRandom = field(repr=False)
    owners: int
    turns: range | None = None
    rank: int = 0
    size: int = 1

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
            share = discrete_gaussian(self.noise.deviation, self.random, "noise-share", step, sums.size)
            upload = round_to_grid(sums, self.noise.bits) + share
            self.journal.keep_upload(step, upload)
        self._add_up(total, upload, step)

    def _add_up(self, total: Mapping[str, Tensor], upload: Integers | None, step: int) -> None:
        numbers, evidence = self.summing.add_up(step, upload)
        self.journal.keep(step, evidence)
        self._fill(total, numbers)

    def _fill(self, total: Mapping[str, Tensor], numbers: Integers) -> None:
        start = 0
        for part in total.values():
            piece = numbers[start : start + part.numel()].astype(np.float64) * 2.0**-self.noise.bits
            part.copy_(torch.from_numpy(piece).view(part.shape))
            start += part.numel()


def catch_up(mesh: Mesh, journal: Journal, summing: Summing, steps: int) -> int:
    """Hand each office the steps that another one has completed; return the number of completed steps.

    Offices call it before they train. So no step that anybody has completed is computed again.

    Args:
        mesh: Connections.
        journal: What this office has kept.
        summing: Checks what others hand over.
        steps: Number of steps of the run.

    Raises:
        ForgedError, EquivocationError, UploadRefusedError: What was handed over is not what offices signed.
        OfficeLeftError: An office does not answer.
    """
    mine = journal.count()
    told = mesh.exchange([mine.to_bytes(_COUNT_BYTES, "big")] * len(mesh.names), "number of completed steps")
    counts = [min(int.from_bytes(one, "big"), steps) for one in told]
    for step in range(min(counts), max(counts)):
        giver = next(index for index, count in enumerate(counts) if count > step)
        own = journal.read(step) if mesh.index == giver else None
        message = b"" if own is None else own.to_bytes()
        given = mesh.exchange([message] * len(mesh.names), "evidence of a completed step")[giver]
        if step >= mine:
            evidence = Evidence.from_bytes(given)
            summing.recompute(step, evidence)
            journal.keep(step, evidence)
    return max(counts)
