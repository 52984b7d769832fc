from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lexveil.nlp.encoders.config import Kind, ModelConfig
from lexveil.nlp.encoders.documents import encode_documents, extract, get_input_kind
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.storage import (
    CONFIG,
    WEIGHTS,
    ModelLoadError,
    load_extractor,
    load_model,
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
