"""Three real processes train what one process trains on all their owners, and the same bits after a kill.

Run as a script, this file is the offices.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).parents[3]
FEATURES, CLASSES, OWNERS, STEPS = 6, 3, 24, 5
WEIGHTS = FEATURES * CLASSES + CLASSES
QUIET = 0.01  # so little noise that the joint run is compared with one on all owners


def owned_by(index: int) -> tuple[Any, Any, Any, int]:
    """Inputs, classes and owners of an office; offices differ in size, and one owner has several items."""
    import torch

    generator = torch.Generator().manual_seed(index)
    count = OWNERS - 4 * index
    inputs = torch.randn(2 * count, FEATURES, generator=generator)
    return inputs, (inputs[:, :CLASSES].argmax(1) + index) % CLASSES, torch.arange(2 * count) // 2, count


def train_model(
    data: Any, noise: float, rate: float, group: Any, key: bytes, on_step: Any = None
) -> list[float]:
    import torch
    from torch import nn
    from torch.nn import functional

    from lexveil.privacy.dp.batches import TensorOwners
    from lexveil.privacy.dp.engine import TrainingPlan, train
    from lexveil.privacy.dp.randomness import SecureRandom

    model = nn.Linear(FEATURES, CLASSES)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    plan = TrainingPlan(noise, 0.5, rate, STEPS, 2.0)
    more = {} if group is None else {"group": group}
    inputs, targets, owners, count = data
    train(
        model, TensorOwners(inputs, targets, owners, count),
        lambda outputs, targets: functional.cross_entropy(outputs, targets, reduction="none"),
        plan, SecureRandom(key), on_step=on_step, **more,
    )  # fmt: skip
    return [
        float(one) for parameter in model.parameters() for one in parameter.detach().to(torch.float64).ravel()
    ]


def script(folder: Path) -> dict[str, Any]:
    import torch

    from lexveil.privacy.dp.randomness import SecureRandom
    from lexveil.privacy.joint.journal import Journal
    from lexveil.privacy.joint.noise import Sharing, plan_noise
    from lexveil.privacy.joint.offices import Offices, catch_up
    from lexveil.privacy.joint.summing import OpenSumming, SecretSumming, Summing, bound_upload
    from tests.privacy.joint.offices import Office, found_offices, run_offices

    known = found_offices(3, WEIGHTS, folder)

    def build(office: Office, mesh: Any, way: str, noise: float) -> tuple[Summing, Any]:
        planned = plan_noise(noise, 0.5, WEIGHTS, Sharing(3, 1 if way == "secret" else 2))
        bounds = [bound_upload(planned, WEIGHTS, owned_by(index)[3]) for index in range(3)]
        signer = office.signer
        if way != "secret":
            return OpenSumming(office.parties, bounds, mesh, signer, in_turns=way == "turns"), planned
        return SecretSumming(office.parties, bounds, 1, mesh, signer), planned

    def work(case: str, way: str, noise: float, rate: float, die: Any = None) -> Any:
        def run(office: Office) -> Any:
            key = bytes([office.index]) * 32
            journal = Journal(folder / case / str(office.index), key)
            with office.mesh() as mesh:
                summing, planned = build(office, mesh, way, noise)
                done = catch_up(mesh, journal, summing, STEPS)
                owners = sum(owned_by(index)[3] for index in range(3))
                turns = range(office.index, STEPS, 3) if way == "turns" else None
                group = Offices(summing, journal, planned, SecureRandom(key), owners, turns)
                if die is not None:
                    die(office.index, group)
                weights = train_model(owned_by(office.index), noise, rate, group, key)
                return [weights, done]

        return run_offices(3, WEIGHTS, run, known)

    def die_at(index: int, step: int, moment: str) -> Any:
        """Exit as a killed process does, before or after an upload of a step is sent or a step is kept."""

        def prepare(mine: int, group: Any) -> None:
            if mine != index:
                return
            journal = group.journal
            methods = {"upload": "keep_upload", "evidence": "keep"}
            for name in methods.values():
                original = getattr(journal, name)

                def wrapped(at: int, content: Any, name: str = name, original: Any = original) -> None:
                    if at == step and methods[moment.split()[1]] == name and moment.startswith("before"):
                        os._exit(9)
                    original(at, content)
                    if at == step and methods[moment.split()[1]] == name and moment.startswith("after"):
                        os._exit(9)

                setattr(journal, name, wrapped)

        return prepare

    parts = [owned_by(index) for index in range(3)]
    starts = np.cumsum([0, *(part[3] for part in parts)])
    pooled = (
        torch.cat([part[0] for part in parts]),
        torch.cat([part[1] for part in parts]),
        torch.cat([part[2] + int(start) for part, start in zip(parts, starts, strict=False)]),
        int(starts[-1]),
    )
    found: dict[str, Any] = {"pooled": train_model(pooled, 1e-6, 1.0, None, bytes(32))}
    for way in ("open", "secret", "turns"):
        found[f"quiet {way}"] = work(f"quiet {way}", way, QUIET, 1.0)
        found[f"noisy {way}"] = work(f"noisy {way}", way, 1.5, 0.5)
    for number, moment in enumerate(("before upload", "after upload", "before evidence", "after evidence")):
        case = f"killed {moment}"
        first = work(case, "secret", 1.5, 0.5, die_at(number % 3, 2, moment))
        found[case] = [first, work(case, "secret", 1.5, 0.5)]
    for index, moment in ((0, "before upload"), (0, "after upload"), (1, "before evidence")):
        case = f"killed {moment} {index} in turns"
        work(case, "turns", 1.5, 0.5, die_at(index, 3, moment))
        found[case] = work(case, "turns", 1.5, 0.5)
    case = "changed"
    work(case, "secret", 1.5, 0.5, die_at(0, 3, "before upload"))
    path = folder / case / "1" / "000001.evidence"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(bytes(content))
    found[case] = work(case, "secret", 1.5, 0.5)
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path_factory.mktemp("joint"))],
        env=environment, cwd=ROOT, check=True, timeout=2 * HANGS_AFTER, stdout=subprocess.PIPE,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.parametrize("way", ["open", "secret"])
def test_offices_train_what_one_process_trains_on_all_owners(found: dict[str, Any], way: str) -> None:
    first, *others = (answer[0] for answer in found[f"quiet {way}"])
    assert all(other == first for other in others)
    shares = math.sqrt(3) if way == "open" else math.sqrt(3 / 2)
    allowed = 6 * STEPS * 2.0 * QUIET * 0.5 * shares / 60
    assert np.abs(np.subtract(first, found["pooled"])).max() < allowed
    assert np.abs(found["pooled"]).max() > 20 * allowed


def test_all_offices_have_the_same_model_and_its_noise_is_not_that_of_one(found: dict[str, Any]) -> None:
    for way in ("open", "secret"):
        first, *others = (answer[0] for answer in found[f"noisy {way}"])
        assert all(other == first for other in others)
        assert np.abs(np.subtract(first, found["pooled"])).max() > 0.01


@pytest.mark.parametrize("moment", ["before upload", "after upload", "before evidence", "after evidence"])
def test_a_killed_office_goes_on_with_the_same_bits(found: dict[str, Any], moment: str) -> None:
    first, second = found[f"killed {moment}"]
    assert first.count(None) == 1  # the killed one
    assert {answer[0] for answer in first if answer} == {"OfficeLeftError"}
    assert [answer[0] for answer in second] == [answer[0] for answer in found["noisy secret"]]
    assert {answer[1] for answer in second} == {3 if "evidence" in moment else 2}


def train_in_turns() -> list[float]:
    """One step of one office's owners after the other, without noise and engine."""
    import torch
    from torch.nn import functional

    weight, bias = torch.zeros(CLASSES, FEATURES), torch.zeros(CLASSES)
    iterates: list[Any] = []
    for step in range(STEPS):
        inputs, targets, owner_of, count = owned_by(step % 3)
        total = torch.zeros(WEIGHTS)
        for owner in range(count):
            parts = [one.clone().requires_grad_() for one in (weight, bias)]
            mine = owner_of == owner
            functional.cross_entropy(inputs[mine] @ parts[0].T + parts[1], targets[mine]).backward()
            gradient = torch.cat([one.grad.ravel() for one in parts if one.grad is not None])
            total += gradient * min(1.0, 0.5 / float(gradient.norm()))
        moved = torch.cat([weight.ravel(), bias]) - 2.0 * total / 60
        weight, bias = moved[: FEATURES * CLASSES].view(CLASSES, FEATURES), moved[FEATURES * CLASSES :]
        iterates.append(moved)
    return torch.stack(iterates[-2:]).mean(0).tolist()


def test_in_turns_each_step_is_that_of_one_office(found: dict[str, Any]) -> None:
    first, *others = (answer[0] for answer in found["quiet turns"])
    assert all(other == first for other in others)
    allowed = 6 * STEPS * 2.0 * QUIET * 0.5 / 60
    expected = train_in_turns()
    assert np.abs(np.subtract(first, expected)).max() < allowed
    assert np.abs(expected).max() > 20 * allowed


@pytest.mark.parametrize("case", ["before upload 0", "after upload 0", "before evidence 1"])
def test_an_office_that_was_killed_in_its_turn_or_another_one_goes_on(
    found: dict[str, Any], case: str
) -> None:
    noisy = [answer[0] for answer in found["noisy turns"]]
    assert [answer[0] for answer in found[f"killed {case} in turns"]] == noisy


def test_changed_evidence_is_refused_by_name(found: dict[str, Any]) -> None:
    assert found["changed"][1][:2] == ["ForgedError", 0]
    assert all(
        answer[0] in ("ForgedError", "RecordsDifferError", "OfficeLeftError") for answer in found["changed"]
    )


if __name__ == "__main__":
    print(json.dumps(script(Path(sys.argv[1]))))
