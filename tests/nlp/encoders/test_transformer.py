"""A public encoder that is trained further: what is trained, what is shared, what a text decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from lexveil.nlp.encoders.config import Kind, ModelConfig
from lexveil.nlp.encoders.documents import encode_documents, extract
from lexveil.nlp.encoders.inputs import TokenBatch, collate_tokens
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.transformer import NotTrainableError, TokenTransformer, get_trained_state

KINDS: tuple[Kind, ...] = ("lora", "last_layers", "full")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, bert_in: Callable[..., Path]) -> PublicEncoder:
    # In float32, as what is trained on top of it.
    return PublicEncoder.load(bert_in(tmp_path_factory.mktemp("bert")), "float32")


def model_of(kind: Kind, encoder: PublicEncoder, size: int | None = None) -> FeatureModel:
    return build_model(ModelConfig.of(kind, encoder, ("a", "b", "c"), size=size, chunk_length=24), encoder)


def trained_names(model: FeatureModel) -> set[str]:
    return {name.removeprefix("body.transformer.") for name in get_trained_state(model)}


def test_an_untrained_body_says_what_the_public_encoder_says(small: PublicEncoder) -> None:
    texts = ["The lease ends.", "A court of appeal affirmed the judgment below."]
    public = small.document_features([small.chunks(text, 24, 1).ids for text in texts])
    tokens = encode_documents(texts, small, "tokens", None, 24, 1)
    for kind in KINDS:
        features = extract(model_of(kind, small), tokens).features
        torch.testing.assert_close(torch.from_numpy(features), torch.from_numpy(public), atol=1e-5, rtol=0)


def test_what_is_trained(small: PublicEncoder) -> None:
    adapters = trained_names(model_of("lora", small, size=3))
    inside = {name for name in adapters if not name.startswith("head")}
    assert len(inside) == 2 * 2 * 2
    assert all(".query.lora_" in name or ".value.lora_" in name for name in inside)
    last = trained_names(model_of("last_layers", small))
    assert {n.split(".")[2] for n in last if "layer" in n} == {"1"}
    assert {n.split(".")[2] for n in trained_names(model_of("last_layers", small, 2)) if "layer" in n} == {
        "0",
        "1",
    }
    full = trained_names(model_of("full", small))
    assert last < full
    assert "embeddings.word_embeddings.weight" in full
    assert "embeddings.LayerNorm.weight" in full
    # Broadcast over the items of a batch; and what no feature depends on.
    assert not [n for n in full if "position" in n or "token_type" in n or "pooler" in n]


@pytest.mark.parametrize("kind", KINDS)
def test_the_public_encoder_keeps_its_weights(kind: Kind, small: PublicEncoder) -> None:
    before = {name: value.clone() for name, value in small.copy_transformer().state_dict().items()}
    model = model_of(kind, small)
    with torch.no_grad():
        for value in get_trained_state(model).values():
            value.add_(1.0)
    model.double()
    after = small.copy_transformer().state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert after["embeddings.word_embeddings.weight"].dtype == torch.float32


def test_frozen_weights_are_shared_not_copied(small: PublicEncoder) -> None:
    one, other = (model_of("lora", small).body for _ in range(2))
    table = "transformer.embeddings.word_embeddings.weight"
    assert one.get_parameter(table).data_ptr() == other.get_parameter(table).data_ptr()


@pytest.mark.parametrize("kind", KINDS)
def test_training_has_no_dropout_and_padding_no_influence(kind: Kind, small: PublicEncoder) -> None:
    model = model_of(kind, small).train()
    inputs = collate_tokens([[2000, 2001, 2002], [3000], list(range(2100, 2120))])
    once, twice = model.features(inputs), model.features(inputs)
    assert torch.equal(once, twice)
    torch.testing.assert_close(once.norm(dim=1), torch.ones(3))
    padded = TokenBatch(nn.functional.pad(inputs.ids, (0, 4), value=77), inputs.lengths)
    torch.testing.assert_close(model.features(padded), once)


def test_parts_that_are_not_there(tmp_path: Path, bert_in: Callable[..., Path]) -> None:
    encoder = PublicEncoder.load(bert_in(tmp_path))
    for layer in encoder.copy_transformer().encoder.layer:
        assert isinstance(layer, nn.Module)
    inner = encoder._transformer  # pyright: ignore[reportPrivateUsage]
    inner.encoder.layer = nn.Sequential(*inner.encoder.layer)
    with pytest.raises(NotTrainableError, match="no list of its 2 layers"):
        TokenTransformer(encoder, "last_layers", 1)


def test_an_encoder_without_projections_of_query_and_value_takes_no_adapters() -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixer = nn.Linear(4, 4)

    fake = SimpleNamespace(
        cls_id=0, sep_id=1, pad_id=2, mask_id=3, public_mean=np.zeros(4, np.float32), copy_transformer=Encoder
    )
    with pytest.raises(NotTrainableError, match="Encoder has no linear query or value projection"):
        TokenTransformer(fake, "lora", 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_a_chunk_does_not_depend_on_its_batch(kind: Kind, small: PublicEncoder) -> None:
    model = model_of(kind, small).eval()
    chunks = [[2000, 2001, 2002], [3000], list(range(2100, 2120)), []]
    with torch.no_grad():
        together = model.features(collate_tokens(chunks))
        alone = torch.cat([model.features(collate_tokens([chunk])) for chunk in chunks])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_two_models_over_one_encoder_train_apart(kind: Kind, small: PublicEncoder) -> None:
    one, other = model_of(kind, small), model_of(kind, small)
    untouched = {name: value.clone() for name, value in get_trained_state(other).items()}
    with torch.no_grad():
        for value in get_trained_state(one).values():
            value.add_(1.0)
    assert all(torch.equal(untouched[name], value) for name, value in get_trained_state(other).items())


@pytest.mark.parametrize("rank", [1, 4])
def test_adapters_start_without_an_effect_and_only_their_second_factor_is_trained(
    rank: int, small: PublicEncoder
) -> None:
    named = dict(model_of("lora", small, rank).body.named_parameters())
    first = {name: value for name, value in named.items() if ".lora_A." in name}
    second = {name: value for name, value in named.items() if ".lora_B." in name}
    assert len(first) == len(second) == 4
    assert all(value.shape[0] == rank and not value.requires_grad and value.any() for value in first.values())
    assert all(
        value.shape[1] == rank and value.requires_grad and not value.any() for value in second.values()
    )
