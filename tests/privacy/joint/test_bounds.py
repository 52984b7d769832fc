"""The bound of an upload lets every honest one through; the journal keeps what it is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.joint.journal import Journal
from lexveil.privacy.joint.noise import Sharing, discrete_gaussian, plan_noise
from lexveil.privacy.joint.summing import Evidence, bound_upload


def test_noise_and_all_owners_stay_within_the_bound() -> None:
    weights, owners = 2000, 7
    noise = plan_noise(1.0, 0.1, weights, Sharing(3, 1))
    bound = bound_upload(noise, weights, owners)
    direction = np.ones(weights) / np.sqrt(weights)
    pulled = np.rint(direction * owners * 0.1 * 2.0**noise.bits).astype(np.int64)
    for seed in range(20):
        drawn = discrete_gaussian(noise.deviation, SecureRandom(bytes([seed]) * 32), "n", 0, weights)
        squared = sum(int(one) ** 2 for one in drawn + pulled)
        assert 0.5 * bound < squared < bound
    far = discrete_gaussian(noise.deviation, SecureRandom(bytes(32)), "n", 0, weights) + 30 * pulled
    assert sum(int(one) ** 2 for one in far) > bound


def test_a_person_in_two_offices_does_not_widen_what_an_office_may_send() -> None:
    once, twice = (plan_noise(1.0, 0.1, 100, Sharing(3, 0, k)) for k in (1, 2))
    assert twice.sensitivity == 2 * once.sensitivity
    apart = bound_upload(twice, 100, 50, 2) ** 0.5 - bound_upload(twice, 100, 0, 2) ** 0.5
    assert apart <= 50 * once.sensitivity + 1


def test_an_upload_is_read_at_its_step_and_under_its_key_only(tmp_path: Path) -> None:
    upload = np.array([1, -(2**50), 0], dtype=np.int64)
    journal = Journal(tmp_path / "run", bytes(32))
    assert journal.read_upload(0) is None
    journal.keep_upload(3, upload)
    assert upload.tobytes() not in (tmp_path / "run" / "upload.sealed").read_bytes()
    kept = journal.read_upload(3)
    assert kept is not None
    assert (kept == upload).all()
    assert journal.read_upload(4) is None
    assert Journal(tmp_path / "run", bytes([1] * 32)).read_upload(3) is None
    journal.discard_upload()
    assert journal.read_upload(3) is None


def test_evidence_is_counted_from_the_start_without_a_gap(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run", None)
    evidence = Evidence((b"one", b""), (b"two", b"three"))
    for step in (0, 1, 3):
        journal.keep(step, evidence)
    assert journal.count() == 2
    assert journal.read(1) == evidence
    assert journal.read(2) is None
