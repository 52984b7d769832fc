from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from lexveil.nlp.encoders.config import Kind, ModelConfig
from lexveil.nlp.encoders.documents import encode_document, encode_documents, extract, get_input_kind
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
    alone = [encode_document(text, tiny, topics, model.config) for text in TEXTS]
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
    document = encode_document(TEXTS[0], tiny, None, model.config)
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
