"""The public weights that an LSTM starts from, and the script that trains such weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lexveil.nlp.encoders import lstm
from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.distill_lstm import compute_targets, cut_windows, distill
from lexveil.nlp.encoders.documents import encode_documents, extract
from lexveil.nlp.encoders.lstm import read_start
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.storage import load_model, read_config, save_model

LABELS = ("Governing Laws", "Base Salary")
# Two of each subject.
TEXTS = [
    "This Agreement shall be governed by and construed in accordance with the laws of the State.",
    "The laws of the Province govern this lease, without regard to rules on conflicts of laws.",
    "The Company shall pay the Executive an annual salary in equal monthly instalments.",
    "The base salary of the Employee is reviewed once a year by the board of directors.",
]


def compute_features(model: FeatureModel, encoder: PublicEncoder) -> np.ndarray:
    return extract(model, encode_documents(TEXTS, encoder, "tokens")).features


def test_public_weights_bring_texts_of_one_subject_together(encoder: PublicEncoder) -> None:
    public = ModelConfig.of("lstm", encoder, LABELS)
    assert public.start == "legal-1"
    margins: dict[str, float] = {}
    for config in (public, replace(public, start="random")):
        rows = compute_features(build_model(config, encoder), encoder)
        alike = rows @ rows.T
        margins[config.start] = float(min(alike[0, 1], alike[2, 3]) - alike[:2, 2:].max())
    assert margins["legal-1"] > 0.1
    assert margins["legal-1"] > margins["random"] + 0.1


def test_a_model_from_public_weights_comes_back_with_their_center(
    encoder: PublicEncoder, tmp_path: Path
) -> None:
    model = build_model(ModelConfig.of("lstm", encoder, LABELS), encoder)
    before = compute_features(model, encoder)
    save_model(model, tmp_path)
    assert "center" not in load_file(tmp_path / "model.safetensors")
    np.testing.assert_allclose(before, compute_features(load_model(tmp_path, encoder), encoder), atol=1e-6)


def test_a_model_of_an_earlier_version_keeps_its_random_start(encoder: PublicEncoder, tmp_path: Path) -> None:
    random = replace(ModelConfig.of("lstm", encoder, LABELS), start="random")
    save_model(build_model(random, encoder), tmp_path)
    assert "start" not in (tmp_path / "config.json").read_text()  # as earlier versions wrote it
    assert read_config(tmp_path) == random
    model = load_model(tmp_path, encoder)
    torch.testing.assert_close(
        model.body.get_buffer("center"), build_model(random, encoder).body.get_buffer("center")
    )


def test_over_another_encoder_the_start_is_random(tiny: PublicEncoder) -> None:
    config = ModelConfig.of("lstm", tiny, LABELS)
    assert config.start == "random"
    with pytest.raises(ValueError, match="start"):
        replace(config, start="legal-1")
    with pytest.raises(ValueError, match="start"):
        replace(ModelConfig.of("linear", tiny, LABELS), start="legal-1")


def test_public_weights_are_small_and_finite() -> None:
    weights = read_start()
    assert sum(value.numel() for value in weights.values()) < 600_000
    assert all(bool(value.isfinite().all()) for value in weights.values())


def test_the_script_learns_which_texts_are_alike(
    tiny: PublicEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    passages = [f"{text} {text.upper()} {number}" for number in range(30) for text in TEXTS]
    windows = cut_windows(passages, 7)
    assert windows == cut_windows(passages, 7)
    targets = compute_targets(windows, 8, 7)
    np.testing.assert_allclose(np.linalg.norm(targets, axis=1), 1, rtol=1e-5)
    weights = distill(tiny, windows, 4, 2, 7)
    again = distill(tiny, windows, 4, 2, 7)
    assert weights.keys() == read_start().keys()
    assert all(torch.equal(value, again[name]) for name, value in weights.items())
    assert "1 - cosine" in capsys.readouterr().out


def test_states_are_padded_as_torch_does() -> None:
    torch.manual_seed(4)
    lengths = torch.tensor([3, 7, 1, 5, 5])
    packed = pack_padded_sequence(torch.randn(5, 7, 2), lengths, batch_first=True, enforce_sorted=False)
    expected = pad_packed_sequence(packed, batch_first=True, total_length=9)[0]
    assert torch.equal(lstm._pad(packed, 5, 9), expected)
