"""Promise: the audit finds an office of a joint training that adds too little noise or does not clip.

The offices are real processes that add up over TLS, and over MPyC where the sum alone is opened. More faults,
each with 20 seeds: python -m benchmarks.joint_audit. Run as a script, this file is the offices.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).parents[2]
# Fault -> way in which uploads are added up.
CASES = {
    "none": "secret",
    "half_share": "secret",
    "clip_missed_by_3": "secret",
    "no_share": "open",
    "stale_noise": "open",
}
FINDERS = {
    "half_share": "noise_variance",
    "clip_missed_by_3": "sensitivity",
    "no_share": "noise_variance",
    "stale_noise": "noise_independence",
}
OFFICES, FAULTY = 3, 1


def script(fault: str, way: str) -> dict[str, float]:
    import numpy as np

    from benchmarks.joint_audit import FAULTS
    from lexveil.privacy.dp.audit.gate import Claim, audit_noise, audit_sensitivity
    from lexveil.privacy.dp.audit.synthetic_owners import default_probes
    from lexveil.privacy.dp.engine import train, trainable_parameters
    from lexveil.privacy.dp.randomness import SecureRandom
    from lexveil.privacy.joint.audit import _Part  # pyright: ignore[reportPrivateUsage]
    from lexveil.privacy.joint.journal import Journal
    from lexveil.privacy.joint.noise import Sharing, plan_noise
    from lexveil.privacy.joint.offices import Offices
    from lexveil.privacy.joint.summing import OpenSumming, SecretSumming, Summing, bound_upload
    from tests.privacy.joint.offices import Office, found_offices, run_offices

    @dataclass(frozen=True)
    class Processes:
        """Training by three processes; then this one goes through what they have signed."""

        shift: int = 0

        def __call__(
            self,
            model: Any,
            data: Any,
            loss: Any,
            plan: Any,
            random: Any,
            *,
            on_step: Callable[[int], None] | None = None,
            max_items: int = 256,
        ) -> None:
            weights = sum(one.numel() for one in trainable_parameters(model).values())
            noise = plan_noise(plan.noise_multiplier, plan.max_grad_norm, weights, Sharing(OFFICES))
            bounds = [bound_upload(noise, weights, data.n_owners)] * OFFICES

            def build(office: Office, mesh: Any) -> Summing:
                if way == "open":
                    return OpenSumming(office.parties, bounds, mesh, mesh and office.signer)
                return SecretSumming(office.parties, bounds, 1, mesh, mesh and office.signer)

            def work(office: Office) -> str:
                own = SecureRandom(random.derive(f"office {office.index}"))
                with office.mesh(600.0) as mesh:
                    journal = Journal(folder / str(office.index), own.derive("upload"))
                    offices = Offices(build(office, mesh), journal, noise, own, data.n_owners)
                    part = _Part(data, range((office.index - self.shift) % OFFICES, data.n_owners, OFFICES))
                    mine = plan
                    if office.index == FAULTY and fault != "none":
                        mine, offices = FAULTS[fault](plan, offices)
                    train(model, part, loss, mine, offices.random, max_items=max_items, group=offices)
                return "done"

            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                known = found_offices(OFFICES, weights, folder)
                assert (answers := run_offices(OFFICES, weights, work, known)) == ["done"] * OFFICES, answers
                seen = Offices(
                    build(known[0], None), Journal(folder / "0", None), noise, random, data.n_owners
                )
                train(model, data, loss, plan, random, on_step=on_step, group=seen)

    dice = np.random.default_rng(3)
    claim = Claim(1.0, 0.5, 0.5)
    if fault == "clip_missed_by_3":
        # The last of four owners is the one in question.
        probes = default_probes()[:1]
        found = [audit_sensitivity(SecureRandom, dice, claim, probes, Processes((FAULTY - 3) % OFFICES))]
    else:
        found = [*audit_noise(SecureRandom, dice, claim, Processes())]
        if fault == "none":
            found.append(audit_sensitivity(SecureRandom, dice, claim, default_probes()[:1], Processes()))
    return {finding.name: finding.p_value for finding in found}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, float]]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__],
        env=environment, cwd=ROOT, check=True, timeout=3 * HANGS_AFTER, stdout=subprocess.PIPE,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_offices_that_do_as_they_should_are_not_accused(answers: dict[str, dict[str, float]]) -> None:
    assert len(answers["none"]) == 4
    assert min(answers["none"].values()) > 1e-4 / 9


@pytest.mark.parametrize("fault", FINDERS)
def test_an_office_with_a_fault_is_found(answers: dict[str, dict[str, float]], fault: str) -> None:
    assert answers[fault][FINDERS[fault]] < 1e-4 / 9


if __name__ == "__main__":
    print(json.dumps({fault: script(fault, way) for fault, way in CASES.items()}))
