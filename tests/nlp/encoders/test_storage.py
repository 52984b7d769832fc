from __future__ import annotations

import errno
import json
import random
import resource
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lexveil.nlp.encoders.config import Kind, ModelConfig
from lexveil.nlp.encoders.documents import encode_documents, extract, get_input_kind
from lexveil.nlp.encoders.inputs import collate_tokens
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.storage import (
    CONFIG,
    WEIGHTS,
    ModelLoadError,
    load_extractor,
    load_model,
    read_config,
    save_extractor,
    save_model,
)
from lexveil.nlp.encoders.transformer import get_trained_state


def trained(kind: Kind, encoder: PublicEncoder) -> FeatureModel:
    model = build_model(ModelConfig.of(kind, encoder, ("a", "b"), hidden=4), encoder, seed=3)
    torch.nn.init.normal_(model.output.weight)
    return model


def code(folder: Path, encoder: PublicEncoder) -> str:
    with pytest.raises(ModelLoadError) as refused:
        load_model(folder, encoder)
    return refused.value.code


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_model_comes_back_as_it_was(kind: Kind, tiny: PublicEncoder, tmp_path: Path) -> None:
    model = trained(kind, tiny)
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model", tiny)
    assert again.config == model.config
    assert not again.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    encoded = encode_documents(["The lease ends.", "Rent."], tiny, get_input_kind(model.config), None, 32)
    np.testing.assert_allclose(extract(model, encoded).logits, extract(again, encoded).logits, atol=1e-5)


def test_a_full_disk_is_an_error_of_the_system(tiny: PublicEncoder, tmp_path: Path) -> None:
    """It used to be an internal error: safetensors' own writing of files hides what the system says."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))  # no file grows beyond
    try:
        with pytest.raises(OSError) as raised:
            save_model(trained("linear", tiny), tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert raised.value.errno == errno.EFBIG


@pytest.mark.parametrize("kind", get_args(Kind))
def test_an_extractor_holds_no_head(kind: Kind, tiny: PublicEncoder, tmp_path: Path) -> None:
    model = trained(kind, tiny)
    save_extractor(model, tmp_path)
    assert not [name for name in load_file(tmp_path / WEIGHTS) if name.startswith("head")]
    again = load_extractor(tmp_path, tiny)
    for name, value in model.body.state_dict().items():
        assert torch.equal(value, again.body.state_dict()[name])
    assert not again.output.weight.any()
    assert code(tmp_path, tiny) == "weights"


@pytest.mark.parametrize("kind", ["lstm", "lora", "last_layers", "full"])
def test_only_what_was_trained_is_saved(kind: Kind, tiny: PublicEncoder, tmp_path: Path) -> None:
    model = trained(kind, tiny)
    save_model(model, tmp_path)
    assert set(load_file(tmp_path / WEIGHTS)) == set(get_trained_state(model))
    assert {path.name for path in tmp_path.iterdir()} == {WEIGHTS, CONFIG}


def test_refusals_say_why(tiny: PublicEncoder, encoder: PublicEncoder, tmp_path: Path) -> None:
    assert code(tmp_path / "absent", tiny) == "missing"
    save_model(trained("mlp", tiny), tmp_path)
    assert code(tmp_path, encoder) == "encoder_digest"
    config = json.loads((tmp_path / CONFIG).read_text())
    for broken, expected in [
        ({**config, "schema_version": 99}, "schema_version"),
        ({**config, "labels": ["a"]}, "config"),
        ([], "config"),
        ({**config, "hidden": 5, "feature_dim": 5}, "weights"),
    ]:
        (tmp_path / CONFIG).write_text(json.dumps(broken))
        assert code(tmp_path, tiny) == expected
    (tmp_path / CONFIG).write_text("{")
    assert code(tmp_path, tiny) == "config"
    (tmp_path / CONFIG).write_text(json.dumps(config))
    state = load_file(tmp_path / WEIGHTS)
    save_file({**state, "head.bias": torch.tensor([float("nan"), 0.0])}, tmp_path / WEIGHTS)
    assert code(tmp_path, tiny) == "weights"
    (tmp_path / WEIGHTS).write_bytes(b"\x80\x04pickle")
    assert code(tmp_path, tiny) == "weights"
    (tmp_path / WEIGHTS).unlink()
    assert code(tmp_path, tiny) == "missing"


class StoredPath:
    """A path of an object store: like `pathlib.Path` in its methods, but nothing that the system can open."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __truediv__(self, name: str) -> StoredPath:
        return StoredPath(self._path / name)

    def __getattr__(self, name: str) -> Any:
        if name in ("mkdir", "is_file", "read_bytes", "write_bytes", "read_text", "write_text"):
            return getattr(self._path, name)
        raise AttributeError(name)


@pytest.mark.parametrize("kind", ["linear", "cubic", "lora"])
def test_an_object_store_holds_the_same_model_as_a_folder(
    kind: Kind, tiny: PublicEncoder, tmp_path: Path
) -> None:
    model = trained(kind, tiny)
    save_model(model, tmp_path / "local")
    stored = StoredPath(tmp_path / "remote")
    save_model(model, stored)  # type: ignore[arg-type]
    assert (tmp_path / "remote" / CONFIG).read_bytes() == (tmp_path / "local" / CONFIG).read_bytes()
    again = load_model(stored, tiny)  # type: ignore[arg-type]
    for name, value in get_trained_state(load_model(tmp_path / "local", tiny)).items():
        assert torch.equal(value, get_trained_state(again)[name])


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_saved_model_gives_the_logits_of_training(kind: Kind, tiny: PublicEncoder, tmp_path: Path) -> None:
    model = trained(kind, tiny).eval()
    rows = encode_documents(["The lease ends.", "Rent."], tiny, get_input_kind(model.config), None, 32)
    with torch.no_grad():
        if rows[0].embedding is None:
            inputs = collate_tokens([row.tokens[0] for row in rows])
        else:
            inputs = torch.from_numpy(np.stack([row.embedding for row in rows if row.embedding is not None]))
        expected = model(inputs).numpy()
    save_model(model, tmp_path)
    np.testing.assert_allclose(
        extract(load_model(tmp_path, tiny), rows).logits, expected, rtol=1e-3, atol=1e-4
    )


def test_saving_twice_writes_the_same_bytes(tiny: PublicEncoder, tmp_path: Path) -> None:
    model = trained("square", tiny)
    for name in ("one", "two"):
        save_model(model, tmp_path / name)
    for file in (CONFIG, WEIGHTS):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_configuration_is_legible_and_can_be_read_alone(tiny: PublicEncoder, tmp_path: Path) -> None:
    config = ModelConfig.of("linear", tiny, ("租约", "Kündigung"))
    save_model(build_model(config, tiny), tmp_path)
    (tmp_path / WEIGHTS).unlink()
    assert "租约" in (tmp_path / CONFIG).read_text(encoding="utf-8")
    assert read_config(tmp_path) == config


def test_an_extractor_ignores_the_head_of_a_whole_model(tiny: PublicEncoder, tmp_path: Path) -> None:
    save_model(trained("mlp", tiny), tmp_path)
    state = load_file(tmp_path / WEIGHTS)
    save_file({**state, "head.weight": torch.full((2, 4), float("nan"))}, tmp_path / WEIGHTS)
    extractor = load_extractor(tmp_path, tiny)
    assert not extractor.output.weight.any()
    assert not extractor.output.bias.any()
    assert code(tmp_path, tiny) == "weights"


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {},
        lambda state: {name: value for name, value in state.items() if name != "head.weight"},
        lambda state: {**state, "extra": torch.zeros(1)},
        lambda state: {**state, "head.weight": state["head.weight"].T.contiguous()},
        lambda state: {**state, "head.weight": torch.zeros(3, 4)},
        lambda state: {**state, "body.linear.weight": torch.full((4, 16), float("inf"))},
    ],
    ids=["empty", "missing", "extra", "transposed", "other shape", "infinite"],
)
def test_weights_that_do_not_belong_are_refused(
    change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], tiny: PublicEncoder, tmp_path: Path
) -> None:
    save_model(trained("mlp", tiny), tmp_path)
    save_file(change(load_file(tmp_path / WEIGHTS)), tmp_path / WEIGHTS)
    assert code(tmp_path, tiny) == "weights"


def test_damaged_files_are_refused_and_never_crash(tiny: PublicEncoder, tmp_path: Path) -> None:
    save_model(trained("linear", tiny), tmp_path)
    files = {name: (tmp_path / name).read_bytes() for name in (CONFIG, WEIGHTS)}
    rng = random.Random(7)
    codes: Counter[str] = Counter()
    for name, data in files.items():
        for _ in range(60):
            damaged = bytearray(data[: rng.randrange(1, len(data))] if rng.random() < 0.5 else data)
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            (tmp_path / name).write_bytes(damaged)
            try:
                load_model(tmp_path, tiny)
                codes["loaded"] += 1  # a bit of a label or of a weight
            except ModelLoadError as error:
                codes[error.code] += 1
        (tmp_path / name).write_bytes(data)
    assert set(codes) <= {"loaded", "config", "schema_version", "encoder_digest", "precision", "weights"}
    assert codes["config"] > 20
    assert codes["weights"] > 20


def test_the_message_of_a_refusal_is_its_code_alone(tiny: PublicEncoder, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text('{"labels": ["Ann Other v Acme"]')
    with pytest.raises(ModelLoadError) as refused:
        load_model(tmp_path, tiny)
    assert str(refused.value) == refused.value.code == "config"
