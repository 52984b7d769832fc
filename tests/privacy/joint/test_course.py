"""The noise of a step belongs to one course of the training: no other sums before it get the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.joint.journal import Journal
from lexveil.privacy.joint.noise import Integers, Sharing, plan_noise
from lexveil.privacy.joint.offices import Offices
from lexveil.privacy.joint.summing import Evidence

WEIGHTS = 200


class Others:
    """The other offices, which add to the first step what they like."""

    def __init__(self, first: int) -> None:
        self.first, self.uploads = first, list[Integers]()

    def add_up(self, step: int, upload: Integers | None) -> tuple[Integers, Evidence]:
        assert upload is not None
        self.uploads.append(upload)
        return upload + (self.first if step == 0 else 0), Evidence((), ())

    def recompute(self, step: int, evidence: Evidence) -> Integers:
        raise NotImplementedError


def upload_twice(folder: Path, first: int, weight: float = 1.0, pull: float = 0.0) -> list[Integers]:
    """The uploads of two steps, both over the same gradient."""
    others = Others(first)
    noise = plan_noise(1.0, 0.1, WEIGHTS, Sharing(3, 1))
    offices = Offices(others, Journal(folder, bytes(32)), noise, SecureRandom(bytes(32)), 10, weight=weight)

    def add_nothing(_: Any) -> None: ...

    for step in range(2):
        sums = torch.full((WEIGHTS,), pull, dtype=torch.float64)
        offices.add_up({"weight": sums}, add_nothing, step)
    return others.uploads


def test_an_office_that_has_forgotten_a_step_does_not_repeat_its_noise_over_other_sums(
    tmp_path: Path,
) -> None:
    first, again, other = (upload_twice(tmp_path / str(n), n // 2) for n in range(3))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[0] == other[0]).all()
    # With the same noise, the difference of two uploads would have none.
    assert np.std(first[1] - other[1]) > np.std(first[1])
    assert abs(np.corrcoef(first[1], other[1])[0, 1]) < 0.3


def test_an_office_that_counts_less_puts_in_less_and_all_of_its_noise(tmp_path: Path) -> None:
    noise, whole, part = (
        upload_twice(tmp_path / str(weight), 0, weight, 0.5)[0] for weight in (0.0, 1.0, 0.25)
    )
    bits = plan_noise(1.0, 0.1, WEIGHTS, Sharing(3, 1)).bits
    assert (whole - noise == round(0.5 * 2**bits)).all()
    assert (part - noise == round(0.125 * 2**bits)).all()
    assert np.std(noise) > 100
