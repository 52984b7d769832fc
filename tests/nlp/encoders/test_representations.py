"""Representations: what models that take embeddings read, alone and together, and what earlier ones read."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lexveil.nlp.e5 import PACKAGE, open_e5
from lexveil.nlp.encoders.config import Kind, ModelConfig, Representation
from lexveil.nlp.encoders.documents import EncodedDocument, encode_documents, encode_for_model, extract
from lexveil.nlp.encoders.label_start import start_from_labels
from lexveil.nlp.encoders.models import build_model
from lexveil.nlp.encoders.multilingual import load_multilingual
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.representations import compute_public_moments, represent
from lexveil.nlp.encoders.storage import load_model, save_model
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.encoding import load_encoder
from lexveil.pipeline.settings import TrainSettings

TEXTS = ["The lessee shall pay the rent.", "", "Zzkqj 12", "The court dismissed the appeal."]


def embedding_of(document: EncodedDocument) -> NDArray[np.float32]:
    assert document.embedding is not None
    return document.embedding


def represent_exactly(
    texts: Sequence[str], encoder: PublicEncoder, representation: Representation
) -> NDArray[np.float32]:
    """Rows as they are before `encode_documents` cuts them."""
    chunks = [encoder.chunks(text, 32).ids for text in texts]
    return represent(texts, chunks, encoder, representation, 32)


@pytest.mark.parametrize("representation", ["embedding", "legal-1", "multilingual-1"])
def test_an_embedding_is_cut_to_steps(tiny: PublicEncoder, representation: Representation) -> None:
    """Less than bfloat16 moves it by; no norm becomes larger; half of its bytes compress to nothing."""
    encoded = encode_documents(TEXTS, tiny, length=32, representation=representation)
    for exact, cut in zip(
        represent_exactly(TEXTS, tiny, representation), map(embedding_of, encoded), strict=True
    ):
        assert cut.dtype == np.float32
        np.testing.assert_array_equal(cut * 2**13, np.trunc(exact * 2**13))
        assert np.all(np.abs(cut) <= np.abs(exact))
        assert exact @ cut >= (1 - 3e-6) * np.linalg.norm(exact) * np.linalg.norm(cut)


def test_the_words_stand_beside_the_embedding(tiny: PublicEncoder) -> None:
    bare = represent_exactly(TEXTS, tiny, "embedding")
    both = represent_exactly(TEXTS, tiny, "legal-1")
    for text, one, other in zip(TEXTS, bare, both, strict=True):
        assert other.shape == (16 + 512,)
        # Without a word that the table knows, the embedding alone; without a token, nothing.
        share = {"": 0.0, "Zzkqj 12": 1.0}.get(text, math.sqrt(0.5))
        np.testing.assert_allclose(other[:16], share * one, atol=1e-6)
        assert np.linalg.norm(other) == pytest.approx(float(bool(text)), abs=1e-5)


def test_each_document_is_represented_by_itself(tiny: PublicEncoder) -> None:
    together = encode_documents(TEXTS, tiny, length=32, representation="legal-1")
    for text, document in zip(TEXTS, together, strict=True):
        alone = encode_documents([text], tiny, length=32, representation="legal-1")[0]
        np.testing.assert_array_equal(alone.embedding, document.embedding)


SENTENCES = (
    "The court dismissed the claim of the tenant.",
    "The witness saw a red car at the corner.",
    "Sąd oddalił powództwo najemcy.",
    "Świadek widział na rogu czerwony samochód.",
)


def test_the_multilingual_encoder_takes_the_place_of_the_other(tiny: PublicEncoder) -> None:
    own = represent_exactly(SENTENCES, tiny, "legal-1")
    nothing, *rows = represent_exactly(["", *SENTENCES], tiny, "multilingual-1")
    assert not nothing.any()
    found = np.stack(rows)
    assert found.shape == (4, 384 + 512)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found[:, 384:], own[:, 16:], atol=1e-5)
    likeness = found[:2, :384] @ found[2:, :384].T
    assert likeness.argmax(axis=1).tolist() == [0, 1]


def test_a_document_is_the_same_in_many_languages_in_any_company(tiny: PublicEncoder) -> None:
    text = " ".join(SENTENCES) * 4
    together = encode_documents([*SENTENCES, text], tiny, length=32, limit=3, representation="multilingual-1")
    alone = encode_documents([text], tiny, length=32, limit=3, representation="multilingual-1")
    np.testing.assert_array_equal(embedding_of(alone[0]), embedding_of(together[-1]))
    longer = encode_documents([text], tiny, length=32, limit=9, representation="multilingual-1")
    assert not np.array_equal(embedding_of(alone[0]), embedding_of(longer[0]))


def test_names_in_one_language_start_a_model_of_texts_in_another(tiny: PublicEncoder) -> None:
    labels = ("lease", "traffic accident", "insolvency")
    texts = (
        "Najemca nie zapłacił czynszu.",
        "Wynajmujący wypowiedział umowę najmu lokalu.",
        "Pojazd potrącił pieszego.",
        "Sąd ogłosił upadłość spółki.",
    )
    config = ModelConfig.of("linear", tiny, labels, chunk_length=32, representation="multilingual-1")
    assert config.input_dim == 896
    assert ModelConfig.from_json(config.to_json()) == config
    model = build_model(config, tiny)
    start_from_labels(model, tiny)
    encoded = encode_for_model(texts, tiny, None, config)
    assert extract(model, encoded).logits.argmax(axis=1).tolist() == [0, 0, 1, 2]


def test_without_the_package_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == PACKAGE else found(name))
    open_e5.cache_clear()
    load_multilingual.cache_clear()
    train = TrainSettings(representation="multilingual-1")
    with pytest.raises(TrainingRefusedError, match=r"^the public encoder cannot be used: missing$"):
        load_encoder(train)
    load_encoder(TrainSettings(representation="legal-1"))


@pytest.mark.parametrize("kind", ["linear", "mlp", "square", "cubic"])
def test_a_model_is_saved_with_its_representation(tiny: PublicEncoder, tmp_path: Path, kind: Kind) -> None:
    config = ModelConfig.of(kind, tiny, ("lease", "judgment"), chunk_length=32, representation="legal-1")
    assert config.input_dim == 16 + 512
    assert config.to_json()["representation"] == "legal-1"
    model = build_model(config, tiny)
    with torch.no_grad():
        model.output.weight.normal_()
    before = extract(model, encode_for_model(TEXTS, tiny, None, config)).logits
    save_model(model, tmp_path)
    loaded = load_model(tmp_path, tiny)
    assert loaded.config == config
    after = extract(loaded, encode_for_model(TEXTS, tiny, None, loaded.config)).logits
    np.testing.assert_allclose(after[[0, 3]], before[[0, 3]], rtol=1e-3, atol=1e-3)


def test_names_of_classes_are_represented_as_documents_are(tiny: PublicEncoder) -> None:
    config = ModelConfig.of("linear", tiny, ("rent", "appeal"), chunk_length=32, representation="legal-1")
    model = build_model(config, tiny)
    start_from_labels(model, tiny)
    assert model.output.weight.shape == (2, 528)
    named = encode_for_model(["rent", "appeal"], tiny, None, config)
    assert extract(model, named).logits.argmax(axis=1).tolist() == [0, 1]


def test_public_moments_cover_the_words(tiny: PublicEncoder) -> None:
    mean, covariance = compute_public_moments(tiny, "legal-1")
    assert (mean.shape, covariance.shape) == ((528,), (528, 528))
    assert np.linalg.eigvalsh(covariance).min() > 0
    assert compute_public_moments(tiny, "embedding")[0].shape == (16,)


def test_tokens_are_what_they_were(tiny: PublicEncoder) -> None:
    assert ModelConfig.of("lstm", tiny, ("a", "b"), representation="legal-1").representation == "embedding"
