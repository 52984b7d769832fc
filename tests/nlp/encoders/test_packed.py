"""Packed linear layers: what plain ones say, and what bfloat16 changes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lexveil.nlp.encoders.config import ModelConfig, Precision
from lexveil.nlp.encoders.inputs import collate_tokens
from lexveil.nlp.encoders.models import build_model
from lexveil.nlp.encoders.packed import PackedLinear, choose_dtype, pack_linear_layers
from lexveil.nlp.encoders.public import PublicEncoder, batch_by_length
from lexveil.nlp.encoders.storage import CONFIG, ModelLoadError, load_model, read_config, save_model

TEXTS = [
    "This Agreement shall be governed by the laws of the state.",
    "The defendant was found guilty.",
    "Rent.",
    "The tenant shall pay rent monthly in advance, and a late charge if it is not received in time. " * 9,
    "The tenant was found guilty.",
    "",
]


@pytest.fixture(scope="session")
def exact() -> PublicEncoder:
    return PublicEncoder.load(None, "float32")


def embeddings(encoder: PublicEncoder, texts: list[str]) -> np.ndarray:
    return encoder.document_features([encoder.chunks(text, 32).ids for text in texts])


@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_in_float32_is_the_plain_one(bias: bool) -> None:
    plain = nn.Linear(48, 40, bias=bias)
    model = nn.Sequential(plain, nn.Tanh(), nn.Sequential(nn.Linear(40, 3)))
    inputs = torch.randn(2, 7, 48)
    expected = model(inputs)
    parameters = list(model.named_parameters())
    pack_linear_layers(model, "float32")
    assert [type(layer) for layer in model.modules()].count(PackedLinear) == 2
    assert all(a is b for (_, a), (_, b) in zip(parameters, model.named_parameters(), strict=True))
    with torch.inference_mode():
        torch.testing.assert_close(model(inputs), expected, rtol=1e-5, atol=1e-5)
    trained = model(inputs)
    assert torch.equal(trained, expected)
    trained.sum().backward()
    assert plain.weight.grad is not None


def test_bfloat16_is_the_float32_encoder_within_its_tolerance(
    encoder: PublicEncoder, exact: PublicEncoder
) -> None:
    assert (encoder.precision, exact.precision) == ("bfloat16", "float32")
    fast, slow = embeddings(encoder, TEXTS), embeddings(exact, TEXTS)
    assert (fast[:-1] * slow[:-1]).sum(axis=1).min() > 0.999
    np.testing.assert_allclose(np.linalg.norm(fast, axis=1), [1, 1, 1, 1, 1, 0], atol=1e-6)
    assert fast.dtype == np.float32


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_a_document_is_the_same_bit_for_bit_in_whatever_company(precision: Precision) -> None:
    encoder = PublicEncoder.load(None, precision)
    alone = np.concatenate([embeddings(encoder, [text]) for text in TEXTS])
    np.testing.assert_array_equal(embeddings(encoder, TEXTS), alone)
    np.testing.assert_array_equal(embeddings(encoder, TEXTS[::-1] * 3)[: len(TEXTS)], alone[::-1])


def test_chunks_of_many_lengths_share_their_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """With AMX, few rows cost as much as a thousand."""
    encoder, counted, forward = PublicEncoder.load(), list[int](), PackedLinear.forward

    def count(layer: PackedLinear, rows: torch.Tensor) -> torch.Tensor:
        counted.append(len(rows))
        return forward(layer, rows)

    monkeypatch.setattr(PackedLinear, "forward", count)
    encoder.embed([[2000] * length for length in range(1, 31)])
    assert set(counted) == {sum(range(3, 33))}


def test_without_bfloat16_instructions_products_are_of_float32(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    monkeypatch.setattr(PublicEncoder, "_loaded", {})
    assert choose_dtype("bfloat16") == torch.float32
    without = [embeddings(PublicEncoder.load(tiny_folder, p), TEXTS) for p in ("bfloat16", "float32")]
    np.testing.assert_array_equal(without[0], without[1])
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert choose_dtype("bfloat16") == torch.bfloat16
    assert choose_dtype("float32") == torch.float32


def test_without_onednn_layers_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    model = nn.Sequential(nn.Linear(4, 4))
    pack_linear_layers(model, "bfloat16")
    assert type(model[0]) is nn.Linear


def test_a_model_says_which_precision_it_was_trained_on(
    tiny: PublicEncoder, tiny_folder: Path, tmp_path: Path
) -> None:
    config = ModelConfig.of("linear", tiny, ("a", "b"))
    save_model(build_model(config, tiny), tmp_path)
    assert read_config(tmp_path).precision == "bfloat16"
    other = PublicEncoder.load(tiny_folder, "float32")
    with pytest.raises(ModelLoadError, match="precision"):
        load_model(tmp_path, other)
    with pytest.raises(ValueError, match="precision"):
        build_model(config, other)
    # Models of before there was a choice don't name it.
    older = (tmp_path / CONFIG).read_text().replace('"precision": "bfloat16",', "")
    (tmp_path / CONFIG).write_text(older)
    assert load_model(tmp_path, other).config.precision == "float32"
    with pytest.raises(ValueError, match="precision"):
        ModelConfig.from_json({**config.to_json(), "precision": "int4"})


def test_the_fused_lstm_says_what_the_trained_one_says(tiny: PublicEncoder) -> None:
    model = build_model(ModelConfig.of("lstm", tiny, ("a", "b"), hidden=8), tiny, seed=5)
    inputs = collate_tokens([[2000, 2001, 2002], [3000], list(range(4000, 4025)), []])
    with torch.no_grad():
        fused = model.features(inputs)
    torch.testing.assert_close(fused, model.features(inputs).detach(), rtol=1e-5, atol=1e-6)


def test_batches_of_equal_lengths() -> None:
    lengths = [3, 9, 3, 4, 3, 9, 40]
    batches = list(batch_by_length(lengths, 8, equal=True))
    assert batches == [[6], [1], [5], [3], [0, 2], [4]]
    assert sorted(i for batch in batch_by_length(lengths, 8) for i in batch) == list(range(7))
