"""Two processes train one model: the same as one process does, whoever draws nothing and whoever fails.

Run as a script, this file is both processes: it forks them once torch is loaded.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).parents[3]
KEY = bytes(range(32))
STEPS = 6
CASES = ("dropout", "few", "one owner", "without privacy", "truncated")


def setting(case: str) -> dict[str, Any]:
    """Changes to the first case. Few: a draw has fewer owners than there are processes, or none."""
    return {
        "dropout": {},
        "few": {"sample_rate": 0.03},
        "one owner": {"max_items": 1000},
        "without privacy": {"private": False, "learning_rate": 0.05},
        "truncated": {"max_batch": 5},
    }[case]


class Killed(BaseException):
    pass


def trained(
    group: Any, checkpoint: Any = None, stop: int | None = None, broken: bool = False, **more: Any
) -> Any:
    """Weights after a run, or what stopped it."""
    import torch
    from torch import nn
    from torch.nn import functional

    from lexveil.privacy.dp.batches import TensorOwners
    from lexveil.privacy.dp.engine import NonFiniteWeightsError, TrainingPlan, train
    from lexveil.privacy.dp.randomness import SecureRandom
    from lexveil.privacy.dp.sampled_gaussian import Truncation

    generator = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(80, 6, generator=generator), torch.arange(80) % 3
    owner_of = torch.arange(80) // 3  # the last has two items, and three owners have none
    if broken:
        inputs[40] = torch.inf
    model = nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.3), nn.Tanh(), nn.Linear(5, 3))
    for parameter in model.parameters():
        # Only the first process's start counts.
        nn.init.normal_(parameter, std=0.1 + group.rank, generator=generator)
    max_batch = more.get("max_batch")
    plan = TrainingPlan(
        1.5, 1.0, more.get("sample_rate", 0.4), STEPS, more.get("learning_rate", 0.5), momentum=0.7,
        truncation=None if max_batch is None else Truncation(max_batch, 30),
    )  # fmt: skip
    # The key alone decides: another state of torch's generator in each process must not matter.
    torch.manual_seed(group.rank)

    def kill(step: int) -> None:
        if step == stop:
            raise Killed

    try:
        result = train(
            model,
            TensorOwners(inputs, labels, owner_of, 30),
            lambda outputs, targets: functional.cross_entropy(outputs, targets, reduction="none"),
            plan,
            SecureRandom(KEY),
            max_items=more.get("max_items", 7),
            private=more.get("private", True),
            checkpoint=checkpoint,
            group=group,
            on_step=kill,
        )
    except NonFiniteWeightsError as error:
        return f"stopped at {error.step}"
    except Killed:
        return "killed"
    weights = [parameter.tolist() for parameter in model.parameters()]
    return [weights, result.unprotected_zeros] if broken else weights


def everything(folder: Path, group: Any) -> dict[str, Any]:
    from lexveil.privacy.dp.checkpoint import Checkpoint

    found: dict[str, Any] = {case: trained(group, **setting(case)) for case in CASES}
    found["broken"] = trained(group, broken=True)
    found["diverged"] = trained(group, learning_rate=1e45)

    def checkpoint() -> Checkpoint:
        return Checkpoint(folder / f"of-{group.size}-{group.rank}", "run", 0)

    killed = trained(group, checkpoint(), stop=3)
    found["resumed"] = [killed, trained(group, checkpoint())]
    found["files"] = sorted(path.name for path in folder.glob(f"of-{group.size}-*"))
    found["agrees"] = [group.agree_on(b"same"), group.agree_on(bytes([group.rank]))]
    found["received"] = [group.broadcast_bytes(message).hex() for message in (b"", bytes([group.rank]) * 40)]
    return found


def fork(folder: Path, rank: int) -> int:
    child = os.fork()
    if child == 0:
        from lexveil.privacy.dp.group import Group

        os.environ["RANK"] = str(rank)
        code = 1
        try:
            group = Group.join()
            (folder / f"{rank}.json").write_text(json.dumps(everything(folder, group)))
            group.leave()
            code = 0
        finally:
            os._exit(code)
    return child


def script(folder: Path) -> None:
    import torch  # noqa: F401  once, for both

    import lexveil.privacy.dp.engine  # noqa: F401
    from lexveil.privacy.dp.group import SINGLE_PROCESS

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    os.environ["WORLD_SIZE"] = "2"
    children = [fork(folder, rank) for rank in range(2)]
    (folder / "alone.json").write_text(json.dumps(everything(folder, SINGLE_PROCESS)))
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("group")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, __file__, str(folder)], env=environment, cwd=ROOT, check=True, timeout=HANGS_AFTER
    )
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def flat(weights: Any) -> list[float]:
    return [number for part in weights for number in flat(part)] if isinstance(weights, list) else [weights]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_what_one_trains(found: dict[str, dict[str, Any]], case: str) -> None:
    assert found["0"][case] == found["1"][case]
    assert flat(found["0"][case]) == pytest.approx(flat(found["alone"][case]), rel=1e-5, abs=1e-7)
    assert found["0"][case] != found["0"]["broken"][0]


def test_an_owner_that_is_not_finite_counts_as_zero_in_any_process(found: dict[str, dict[str, Any]]) -> None:
    (weights, zeros), (alone, zeros_alone) = found["0"]["broken"], found["alone"]["broken"]
    assert found["1"]["broken"] == [weights, zeros]
    assert flat(weights) == pytest.approx(flat(alone), rel=1e-5, abs=1e-7)
    assert 0 < zeros == zeros_alone <= STEPS


def test_both_stop_where_a_weight_is_not_finite(found: dict[str, dict[str, Any]]) -> None:
    assert [found[who]["diverged"] for who in ("0", "1", "alone")] == ["stopped at 0"] * 3


def test_both_go_on_from_the_first_one_s_checkpoint(found: dict[str, dict[str, Any]]) -> None:
    for who in ("0", "1"):
        assert found[who]["resumed"] == ["killed", found[who]["dropout"]]
    assert found["0"]["files"] == ["of-2-0"]


def test_what_the_first_says_is_heard_by_all(found: dict[str, dict[str, Any]]) -> None:
    for who in ("0", "1"):
        assert found[who]["agrees"] == [True, False]
        assert found[who]["received"] == ["", (b"\0" * 40).hex()]
    assert found["alone"]["agrees"] == [True, True]


if __name__ == "__main__":
    script(Path(sys.argv[1]))
