"""Promise: at a claimed epsilon of 1, the audit passes the right code and finds each of its faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks.audit import FAULTS, Fault
from lexveil.privacy.dp.audit import gate
from lexveil.privacy.dp.audit.gate import Verdict, run_gate
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
# The functions of the gate, and the findings of each.
PARTS = {
    "audit_one_run": {"one_run", "one_run_profile"},
    "audit_noise": {"noise_variance", "noise_shape", "noise_independence"},
    "audit_sampling": {"sample_rate", "sample_independence"},
    "audit_sensitivity": {"sensitivity"},
}
_NAMES = [fault.name for fault in FAULTS]


@dataclass(frozen=True)
class Right:
    """The verdict on the right code, and what each part of the gate returned for it."""

    verdict: Verdict
    outcomes: dict[str, Any]


@pytest.fixture(scope="module")
def right() -> Right:
    outcomes: dict[str, Any] = {}

    def kept(name: str) -> Any:
        part = getattr(gate, name)

        def run(*arguments: Any) -> Any:
            return outcomes.setdefault(name, part(*arguments))

        return run

    with pytest.MonkeyPatch.context() as patch:
        for name in PARTS:
            patch.setattr(gate, name, kept(name))
        return Right(run_gate(SecureRandom, seed=0), outcomes)


def test_the_right_code_passes(right: Right) -> None:
    verdict = right.verdict
    assert verdict.passed, verdict.failed
    assert (verdict.epsilon, verdict.failed) == (1.0, ())
    assert 0 < verdict.epsilon_lower_bound < verdict.profile_lower_bound < 1
    assert {one.name for one in verdict.findings} == set().union(*PARTS.values())


@pytest.mark.parametrize("fault", FAULTS, ids=_NAMES)
def test_a_fault_is_found(fault: Fault, right: Right, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts that need not find it keep what they said of the right code: a part takes seconds."""
    for name, findings in PARTS.items():
        if not findings & FINDERS[fault.name]:
            monkeypatch.setattr(gate, name, lambda *_, name=name: right.outcomes[name])
    with fault.present():
        verdict = run_gate(fault.randomness, seed=1)
    assert not verdict.passed
    assert set(verdict.failed) >= FINDERS[fault.name]
