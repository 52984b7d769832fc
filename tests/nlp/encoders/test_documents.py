from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from lexveil.nlp.encoders.config import Kind, ModelConfig
from lexveil.nlp.encoders.documents import (
    EncodedDocument,
    encode_documents,
    extract,
    get_input_kind,
)
from lexveil.nlp.encoders.inputs import collate_tokens
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.topics import PublicTopics

TEXTS = [
    "[PERSON_1] leases the premises to [PERSON_2] from [DATE_1]. " * 30,
    "The court dismissed the appeal.",
    "",
    "本院认为，被告人[PERSON_1]犯盗窃罪。",
]


def encode_one(
    text: str, encoder: PublicEncoder, topics: PublicTopics | None, config: ModelConfig
) -> EncodedDocument:
    kind = get_input_kind(config)
    return encode_documents([text], encoder, kind, topics, config.chunk_length, config.chunk_limit)[0]


def trained(kind: Kind, encoder: PublicEncoder) -> FeatureModel:
    config = ModelConfig.of(kind, encoder, ("a", "b", "c"), hidden=4, chunk_length=32, chunk_limit=4)
    model = build_model(config, encoder)
    torch.nn.init.normal_(model.output.weight)
    torch.nn.init.normal_(model.output.bias)
    return model


@pytest.mark.parametrize("kind", get_args(Kind))
def test_one_by_one_or_together_is_the_same(kind: Kind, tiny: PublicEncoder) -> None:
    model = trained(kind, tiny)
    topics = PublicTopics.load(tiny, 8)
    together = encode_documents(TEXTS, tiny, get_input_kind(model.config), topics, 32, 4)
    alone = [encode_one(text, tiny, topics, model.config) for text in TEXTS]
    assert [d.chunks for d in together] == [4, 1, 0, 1]
    assert [d.total_chunks for d in together] == [d.total_chunks for d in alone]
    assert together[0].total_chunks > 4
    for one, other in zip(together, alone, strict=True):
        assert one.tokens == other.tokens
        assert one.topics is not None
        assert other.topics is not None
        np.testing.assert_array_equal(one.topics, other.topics)
    np.testing.assert_allclose(
        extract(model, together).features,
        extract(model, alone).features,
        atol=1e-5,
    )


@pytest.mark.parametrize("kind", get_args(Kind))
def test_logits_are_the_head_of_the_features(kind: Kind, tiny: PublicEncoder) -> None:
    model = trained(kind, tiny)
    encoded = encode_documents(TEXTS, tiny, get_input_kind(model.config), None, 32, 4)
    extracted = extract(model, encoded, batch_tokens=40)
    assert extracted.features.shape == (4, model.config.feature_dim)
    logits = model.head(torch.from_numpy(extracted.features)).detach().numpy()
    np.testing.assert_allclose(extracted.logits, logits, atol=1e-5)
    assert np.linalg.norm(extracted.features, axis=1).max() < 1 + 1e-5
    assert not extracted.features[2].any()
    assert extract(model, []).logits.shape == (0, 3)


def test_a_document_is_the_mean_of_its_chunks(tiny: PublicEncoder) -> None:
    model = trained("lstm", tiny)
    document = encode_one(TEXTS[0], tiny, None, model.config)
    with torch.no_grad():
        expected = model.features(collate_tokens(document.tokens)).mean(dim=0).numpy()
    np.testing.assert_allclose(extract(model, [document]).features[0], expected, atol=1e-6)


def test_features_do_not_depend_on_the_numbers_of_masks(encoder: PublicEncoder) -> None:
    one, other = encode_documents(["[PERSON_1] sued [PERSON_2].", "[PERSON_77] sued [PERSON_1]."], encoder)
    assert one.embedding is not None
    assert other.embedding is not None
    np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-6)


def test_documents_encoded_for_another_kind_are_refused(tiny: PublicEncoder) -> None:
    for kind, other in (("linear", "tokens"), ("lstm", "embedding")):
        model = trained(kind, tiny)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="another kind of model"):
            extract(model, encode_documents(TEXTS, tiny, other, None, 32, 4))  # type: ignore[arg-type]


def test_repr_shows_no_content(tiny: PublicEncoder) -> None:
    for want in ("embedding", "tokens"):
        document = encode_documents([TEXTS[1]], tiny, want, PublicTopics.load(tiny, 8), 32)[0]
        assert repr(document) == "EncodedDocument(chunks=1, total_chunks=1)"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("linear", "embedding"),
        ("mlp", "embedding"),
        ("square", "embedding"),
        ("lstm", "tokens"),
        ("full", "tokens"),
    ],
)
def test_each_kind_takes_one_kind_of_input(kind: Kind, expected: str, tiny: PublicEncoder) -> None:
    assert get_input_kind(ModelConfig.of(kind, tiny, ("a", "b"))) == expected


def test_a_document_has_an_embedding_or_tokens_and_topics_only_on_request(tiny: PublicEncoder) -> None:
    embedded = encode_documents([TEXTS[1]], tiny, "embedding", None, 32)[0]
    assert embedded.embedding is not None
    assert embedded.embedding.shape == (16,)
    assert (list(embedded.tokens), embedded.topics) == ([], None)
    tokens = encode_documents([TEXTS[1]], tiny, "tokens", PublicTopics.load(tiny, 8), 32)[0]
    assert tokens.embedding is None
    assert tokens.tokens == tiny.chunks(TEXTS[1], 32).ids
    assert tokens.topics is not None
    assert tokens.topics.shape == (8,)


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b", "\u0000"])
@pytest.mark.parametrize("kind", ["linear", "lstm", "lora"])
def test_a_document_without_text_has_no_features_and_the_bias_as_logits(
    kind: Kind, text: str, tiny: PublicEncoder
) -> None:
    model = trained(kind, tiny)
    document = encode_one(text, tiny, PublicTopics.load(tiny, 8), model.config)
    assert (document.chunks, document.total_chunks) == (0, 0)
    assert document.topics is not None
    assert not document.topics.any()
    extracted = extract(model, [document])
    assert not extracted.features.any()
    np.testing.assert_allclose(extracted.logits[0], model.output.bias.detach().numpy())


def test_topics_are_those_of_the_chunks_that_were_read(tiny: PublicEncoder) -> None:
    text = "contract lease tenant rent " * 100 + "theft murder robbery assault " * 100
    topics = PublicTopics.load(tiny, 8)
    whole = encode_documents([text], tiny, "tokens", topics, 32, 100)[0]
    first = encode_documents([text], tiny, "tokens", topics, 32, 1)[0]
    assert (first.chunks, first.total_chunks) == (1, whole.chunks)
    assert first.topics is not None
    assert whole.topics is not None
    np.testing.assert_allclose(first.topics, topics.histogram(first.tokens[0]))
    assert not np.array_equal(first.topics, whole.topics)


@pytest.mark.parametrize("kind", ["lstm", "full"])
def test_the_size_of_a_batch_changes_no_feature(kind: Kind, tiny: PublicEncoder) -> None:
    model = trained(kind, tiny)
    encoded = encode_documents(TEXTS, tiny, "tokens", None, 32, 4)
    expected = extract(model, encoded).features
    for batch_tokens in (1, 33, 100_000):
        np.testing.assert_allclose(extract(model, encoded, batch_tokens).features, expected, atol=1e-5)


def test_tokens_as_they_are_stored_give_the_same_features(tiny: PublicEncoder) -> None:
    model = trained("lstm", tiny)
    fresh = encode_documents(TEXTS, tiny, "tokens", None, 32, 4)
    stored = [
        EncodedDocument(None, [np.asarray(ids, np.int32) for ids in d.tokens], None, d.chunks, d.total_chunks)
        for d in fresh
    ]
    np.testing.assert_array_equal(extract(model, stored).features, extract(model, fresh).features)


def test_extraction_leaves_the_gradients_and_the_mode_of_a_model_alone(tiny: PublicEncoder) -> None:
    model = trained("mlp", tiny).train()
    extracted = extract(model, encode_documents(TEXTS, tiny, length=32))
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert extracted.features.dtype == extracted.logits.dtype == np.float32
    assert repr(extracted) == "ExtractedFeatures()"


@pytest.mark.parametrize(("length", "limit"), [(2, 4), (65, 4), (32, 0)])
def test_impossible_chunks_are_refused_for_every_document(
    tiny: PublicEncoder, length: int, limit: int
) -> None:
    with pytest.raises(ValueError, match="chunk"):
        encode_documents(TEXTS, tiny, "tokens", None, length, limit)
    assert encode_documents([], tiny, "embedding", None) == []
