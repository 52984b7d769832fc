"""Promise: at a claimed epsilon of 1, the audit passes the right code and finds each of its faults."""

from __future__ import annotations

import pytest

from benchmarks.audit import FAULTS, Fault
from lexveil.privacy.dp.audit.gate import run_gate
from lexveil.privacy.dp.randomness import SecureRandom

# Which tests must find a fault, whatever else does. Rates over many seeds: python -m benchmarks.audit
FINDERS = {
    "no_noise": {"one_run", "one_run_profile", "noise_variance", "noise_shape"},
    "clip_missed_by_3": {"one_run", "one_run_profile", "sensitivity"},
    "twice_the_rate": {"sample_rate"},
    "clipped_item_by_item": {"one_run", "sensitivity"},
    "large_owner_unclipped": {"sensitivity"},
    "half_noise": {"noise_variance", "noise_shape"},
    "same_noise_each_step": {"noise_independence"},
}
_NAMES = [fault.name for fault in FAULTS]


def test_the_right_code_passes() -> None:
    verdict = run_gate(SecureRandom, seed=0)
    assert verdict.passed, verdict.failed
    assert (verdict.epsilon, verdict.failed) == (1.0, ())
    assert 0 < verdict.epsilon_lower_bound < verdict.profile_lower_bound < 1


@pytest.mark.parametrize("fault", FAULTS, ids=_NAMES)
def test_a_fault_is_found(fault: Fault) -> None:
    with fault.present():
        verdict = run_gate(fault.randomness, seed=1)
    assert not verdict.passed
    assert set(verdict.failed) >= FINDERS[fault.name]
