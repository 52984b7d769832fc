from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lexveil.privacy.dp.batches import TensorOwners
from lexveil.privacy.dp.checkpoint import Checkpoint, TrainingState
from lexveil.privacy.dp.engine import TrainingPlan, train
from lexveil.privacy.dp.randomness import SecureRandom

KEY, OTHER = bytes(range(32)), bytes(32)
STEPS = 8
ABOUT = {"plan": [1, 2.5], "n_owners": 7}


class Killed(BaseException):
    pass


def position(**more: Tensor) -> TrainingState:
    generator = torch.Generator().manual_seed(3)
    tensors = {
        "a": torch.randn(5, 3, generator=generator),
        "b": torch.randn(4, generator=generator, dtype=torch.float64),
    }
    return TrainingState((0.5, math.nan), tensors | more)


def saved(path: Path, identity: str = "run", key: bytes = KEY) -> Checkpoint:
    checkpoint = Checkpoint(path, identity)
    checkpoint.save(position(), key, ABOUT)
    return checkpoint


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path / "folder" / "run.checkpoint")
    found = checkpoint.load(KEY, ABOUT, position().tensors)
    assert found is not None
    assert found.losses[0] == 0.5
    assert math.isnan(found.losses[1])
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in position().tensors.items())
    assert "0.5" not in repr(found)
    (file,) = (tmp_path / "folder").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700
    checkpoint.discard()
    assert checkpoint.load(KEY, ABOUT, position().tensors) is None
    assert list((tmp_path / "folder").iterdir()) == []


def test_the_losses_are_not_readable_on_the_disk(tmp_path: Path) -> None:
    saved(tmp_path / "x")
    content = (tmp_path / "x").read_bytes()
    assert b"0.5" not in content
    assert position().tensors["a"].numpy().tobytes() not in content


def test_another_run_plan_key_or_model_cannot_go_on_from_it(tmp_path: Path) -> None:
    saved(tmp_path / "x")
    like = position().tensors
    assert Checkpoint(tmp_path / "x", "another run").load(KEY, ABOUT, like) is None
    same = Checkpoint(tmp_path / "x", "run")
    assert same.load(OTHER, ABOUT, like) is None
    assert same.load(KEY, {**ABOUT, "n_owners": 8}, like) is None
    assert same.load(KEY, ABOUT, {"a": like["a"]}) is None
    assert same.load(KEY, ABOUT, like | {"b": like["b"].float()}) is None
    assert same.load(KEY, ABOUT, like | {"a": torch.zeros(3, 5)}) is None
    assert same.load(KEY, ABOUT, like) is not None


@pytest.mark.parametrize("damage", ["cut", "one byte", "empty", "zeros", "doubled", "garbage"])
def test_a_torn_file_is_no_checkpoint(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x"
    checkpoint = saved(path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "cut": whole[:-7],
            "one byte": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "empty": b"",
            "zeros": bytes(len(whole)),
            "doubled": whole + whole,
            "garbage": b"\xff" * 50,
        }[damage]
    )
    assert checkpoint.load(KEY, ABOUT, position().tensors) is None
    checkpoint.save(position(), KEY, ABOUT)
    assert checkpoint.load(KEY, ABOUT, position().tensors) is not None


def test_a_file_that_was_half_written_leaves_the_one_before(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path / "x")
    (tmp_path / "x.partial").write_bytes(b"half")
    assert checkpoint.load(KEY, ABOUT, position().tensors) is not None
    checkpoint.save(position(), KEY, ABOUT)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_large_states_are_sealed_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lexveil.privacy.dp.checkpoint._PIECE", 64)
    checkpoint = saved(tmp_path / "x")
    found = checkpoint.load(KEY, ABOUT, position().tensors)
    assert found is not None
    assert torch.equal(found.tensors["a"], position().tensors["a"])


def trained(checkpoint: Checkpoint | None = None, stop: int | None = None, **more: Any) -> list[Tensor]:
    """A run with momentum, averaging and dropout, killed after step `stop`."""
    generator = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(60, 6, generator=generator), torch.arange(60) % 3
    data = TensorOwners(inputs, labels, torch.arange(60) // 2, 30)
    model = nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.3), nn.Tanh(), nn.Linear(5, 3))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1, generator=generator)
    values: dict[str, Any] = {"steps": STEPS, "learning_rate": 0.5, "momentum": 0.7, "average_last": 0.6}

    def kill(step: int) -> None:
        if step == stop:
            raise Killed

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, targets, reduction="none")

    plan = TrainingPlan(1.5, 1.0, 0.3, **(values | more))
    result = train(
        model, data, loss, plan, SecureRandom(KEY), max_items=5, checkpoint=checkpoint, on_step=kill
    )
    assert len(result.unprotected_loss) == plan.steps
    return [parameter.detach() for parameter in model.parameters()]


def equal(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


@pytest.mark.parametrize("stops", [(0,), (3,), (STEPS - 1,), (2, 2, 5)])
def test_a_killed_run_ends_as_if_it_had_not_been(tmp_path: Path, stops: tuple[int, ...]) -> None:
    undisturbed = trained()
    for stop in stops:
        with pytest.raises(Killed):
            trained(Checkpoint(tmp_path / "x", "run", 0), stop)
    assert equal(trained(Checkpoint(tmp_path / "x", "run", 0)), undisturbed)


def test_it_makes_no_step_again_that_it_kept(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        trained(Checkpoint(tmp_path / "x", "run", 0), 5)
    seen: list[int] = []
    checkpoint = Checkpoint(tmp_path / "x", "run", 0)
    save = checkpoint.save

    def counted(kept: TrainingState, *rest: Any) -> None:
        seen.append(len(kept.losses))
        save(kept, *rest)

    checkpoint.save = counted  # type: ignore[method-assign]
    trained(checkpoint)
    # Killed after step 5, before it was kept.
    assert seen == [6, 7, 8]


def test_it_goes_on_from_no_other_plan(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        trained(Checkpoint(tmp_path / "x", "run", 0), 5)
    other = Checkpoint(tmp_path / "x", "run", 0)
    assert equal(trained(other, learning_rate=0.25), trained(learning_rate=0.25))


def test_it_is_written_when_it_is_time(tmp_path: Path) -> None:
    trained(Checkpoint(tmp_path / "x", "run", every_seconds=3600))
    assert list(tmp_path.iterdir()) == []
