"""Training of one model: reproducible, private or not, with its progress reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from lexveil.nlp.encoders.config import TRANSFORMERS, Kind
from lexveil.nlp.encoders.documents import extract
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training import fit as fit_module
from lexveil.pipeline.training.data import Split, group_by_owner
from lexveil.pipeline.training.fit import (
    build_model_config,
    check_trainable,
    choose_device,
    describe_slow_lstm,
    fit,
)
from lexveil.pipeline.training.recipes import plan_training, plan_without_privacy
from lexveil.privacy.dp.checkpoint import Checkpoint
from lexveil.privacy.dp.clipping import kernel
from lexveil.privacy.dp.randomness import SecureRandom

KEY = bytes(range(32))
MakeSplit = Callable[..., Split]


def train_settings(**more: Any) -> TrainSettings:
    return TrainSettings.model_validate({"steps": 4, "epsilon": 4, **more})


def fitted(settings: TrainSettings, split: Split, key: bytes = KEY, **more: Any) -> dict[str, torch.Tensor]:
    plan = plan_training(settings, split)
    config, data = build_model_config(settings, split), group_by_owner(split, settings)
    model, result = fit(config, data, settings, plan, SecureRandom(key), **more)
    assert len(result.unprotected_loss) == settings.steps
    assert not model.training
    return model.state_dict()


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", ["linear", "square", "lstm"])
def test_the_key_decides_the_model(make_split: MakeSplit, kind: Kind) -> None:
    settings, split = train_settings(model=kind), make_split(12)
    first = fitted(settings, split)
    assert same(first, fitted(settings, split))
    assert not same(first, fitted(settings, split, bytes(32)))


def test_smaller_micro_batches_change_nothing_but_rounding(make_split: MakeSplit) -> None:
    split = make_split(12)
    whole, parts = (fitted(train_settings(micro_batch=size), split) for size in (None, 3))
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "items"), [(kind, 32 if kind in TRANSFORMERS else 256) for kind in ("lstm", *TRANSFORMERS)]
)
def test_kinds_over_tokens_take_few_items_at_once(kind: Kind, items: int) -> None:
    assert fit_module.choose_micro_batch(TrainSettings(model=kind)) == items
    assert fit_module.choose_micro_batch(TrainSettings(model=kind, micro_batch=7)) == 7


def test_every_step_is_reported_once_in_order(make_split: MakeSplit) -> None:
    heard: list[tuple[str, int, int]] = []

    def listen(stage: str, done: int, total: int, documents: int = 0) -> None:
        assert documents == 0
        heard.append((stage, done, total))

    fitted(train_settings(), make_split(8), progress=listen)
    assert heard == [("train", done, 4) for done in (1, 2, 3, 4)]


def test_a_run_that_continues_reports_the_remaining_steps(make_split: MakeSplit, tmp_path: Path) -> None:
    split, heard = make_split(8), []

    def stop(stage: str, done: int, total: int, documents: int = 0) -> None:
        if done == 3:
            raise KeyboardInterrupt

    def listen(stage: str, done: int, total: int, documents: int = 0) -> None:
        heard.append(done)

    checkpoint = Checkpoint(tmp_path / "run.checkpoint", "run", 0)
    with pytest.raises(KeyboardInterrupt):
        fitted(train_settings(), split, progress=stop, checkpoint=checkpoint)
    continued = fitted(train_settings(), split, progress=listen, checkpoint=checkpoint)
    assert heard == [3, 4]
    assert same(continued, fitted(train_settings(), split))


def test_without_privacy_the_model_learns_what_the_labels_say(make_split: MakeSplit) -> None:
    settings, split = train_settings(steps=30), make_split(40, 40)
    plan = plan_without_privacy(plan_training(settings, split), "linear")
    config = build_model_config(settings, split)
    model, _ = fit(config, group_by_owner(split, settings), settings, plan, SecureRandom(KEY), private=False)
    logits = extract(model, [row.encoded for row in split.held_out]).logits
    truth = np.array([split.labels.index(row.label or "") for row in split.held_out])
    assert (logits.argmax(axis=1) == truth).mean() > 0.9


def test_another_activation_can_be_tried_on_the_same_architecture(make_split: MakeSplit) -> None:
    settings, split = train_settings(model="square"), make_split(10)
    relu = fitted(settings, split, activation="relu", private=False)
    square = fitted(settings, split, private=False)
    assert relu.keys() == square.keys()
    assert not same(relu, square)


@pytest.mark.parametrize(
    ("more", "size"),
    [({"model": "lora", "lora_rank": 3}, 3), ({"model": "last_layers", "last_layers": 2}, 2)],
)
def test_the_settings_decide_the_size_of_a_trained_transformer(
    make_split: MakeSplit, more: dict[str, Any], size: int
) -> None:
    config = build_model_config(train_settings(chunk_length=64, chunk_limit=3, **more), make_split(4))
    assert (config.size, config.chunk_length, config.chunk_limit) == (size, 64, 3)
    assert config.labels == ("a", "b")


@pytest.mark.parametrize("objective", ["classify", "multilabel", "denoise"])
@pytest.mark.parametrize("kind", [kind for kind in get_args(Kind) if kind not in TRANSFORMERS])
def test_every_kind_can_be_trained_under_every_objective(
    make_split: MakeSplit, kind: Kind, objective: Any
) -> None:
    settings = train_settings(model=kind)
    state = torch.random.get_rng_state()
    check_trainable(build_model_config(settings, make_split(4, objective=objective)), settings)
    assert torch.equal(state, torch.random.get_rng_state())  # the trial draws from its own generator


def test_the_device_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(train_settings(device="auto")) == torch.device("cpu")
    assert choose_device(train_settings(device="cpu")) == torch.device("cpu")
    with pytest.raises(TrainingRefusedError, match=r"train\.device is cuda"):
        choose_device(train_settings(device="cuda"))


def test_each_process_of_a_machine_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    chosen: list[torch.device] = []
    for rank in range(3):
        monkeypatch.setattr(fit_module, "local_rank", lambda rank=rank: rank)
        chosen.append(choose_device(train_settings(device="auto")))
    assert chosen == [torch.device("cuda", index) for index in (0, 1, 0)]
    assert choose_device(train_settings(device="cpu")) == torch.device("cpu")


@pytest.mark.parametrize("instructions", [None, "AVX2"])
def test_an_lstm_that_trains_more_slowly_than_it_could_says_so(
    monkeypatch: pytest.MonkeyPatch, instructions: str | None
) -> None:
    monkeypatch.setattr(kernel, "find_instructions", lambda: instructions)
    for kind in ("linear", "lstm", "topic_lstm"):
        said = describe_slow_lstm(train_settings(model=kind, device="cpu"))
        assert (said is not None) == (kind != "linear" and instructions is None)
