from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lexveil.nlp.encoders import public
from lexveil.nlp.encoders.public import (
    PACKAGE_DIGEST,
    EncoderLoadError,
    PublicEncoder,
    find_package_folder,
    read_public_passages,
)
from lexveil.nlp.encoders.topics import PublicTopics

SENTENCES = [
    "This Agreement shall be governed by the laws of the state.",
    "The defendant was found guilty.",
    "Rent.",
    "The tenant shall pay rent monthly in advance, and a late charge if it is not received in time. " * 3,
    "被告人犯盗窃罪，判处有期徒刑一年。",
]


def whole(encoder: PublicEncoder, texts: list[str]) -> list[list[int]]:
    return [encoder.chunks(text).ids[0] for text in texts]


def test_default_is_the_published_model_once_per_process(encoder: PublicEncoder) -> None:
    assert encoder.digest == PACKAGE_DIGEST
    assert encoder.token_embeddings.shape == (encoder.vocab_size, encoder.dimension) == (30522, 384)
    assert not encoder.token_embeddings.requires_grad
    assert (encoder.pad_id, encoder.mask_id) == (0, 103)
    assert PublicEncoder.load() is encoder


def test_embeddings_equal_sentence_transformers(encoder: PublicEncoder) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder = str(find_package_folder())
    expected = sentence_transformers.SentenceTransformer(folder, device="cpu").encode(
        SENTENCES, normalize_embeddings=True
    )
    cosine = (encoder.embed(whole(encoder, SENTENCES)) * expected).sum(axis=1)
    assert cosine.min() > 0.9999


def test_batching_changes_nothing(encoder: PublicEncoder) -> None:
    chunks = whole(encoder, SENTENCES)
    together = encoder.embed(chunks)
    alone = np.concatenate([encoder.embed([chunk], batch_tokens=1) for chunk in chunks])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert encoder.embed([]).shape == (0, encoder.dimension)


def test_chunks_count_what_was_left_out(encoder: PublicEncoder) -> None:
    text = "The parties agree. " * 400  # 1,600 tokens
    everything = encoder.chunks(text, length=128, limit=16)
    assert everything.total == len(everything.ids) == 13
    selected = encoder.chunks(text, length=128, limit=4)
    assert selected.total == 13
    assert selected.ids == [everything.ids[i] for i in (0, 4, 8, 12)]
    assert encoder.chunks("  \n ").ids == []


@pytest.mark.parametrize(("length", "limit"), [(2, 16), (513, 16), (128, 0)])
def test_impossible_chunks_are_refused(encoder: PublicEncoder, length: int, limit: int) -> None:
    with pytest.raises(ValueError, match="chunk"):
        encoder.chunks("text", length, limit)


def test_a_very_long_text_is_sampled_and_its_length_extrapolated(encoder: PublicEncoder) -> None:
    sentence = "The parties agree that [PERSON_1] shall pay the price. "  # 10 tokens
    chunked = encoder.chunks(sentence * 100_000)
    assert len(chunked.ids) == 16
    assert all(len(ids) == 126 for ids in chunked.ids)
    assert chunked.total == pytest.approx(1_000_000 / 126, rel=0.05)


def test_documents_cannot_write_special_tokens(encoder: PublicEncoder) -> None:
    ids = encoder.chunks("[CLS] [MASK] [SEP] [PAD]").ids[0]
    assert not {101, 102, encoder.mask_id, encoder.pad_id} & set(ids)


def test_document_features_are_centred_by_public_text(encoder: PublicEncoder) -> None:
    documents = [encoder.chunks(text, length=32).ids for text in [*SENTENCES, ""]]
    features = encoder.document_features(documents)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), [1, 1, 1, 1, 1, 0], atol=1e-5)
    mean = encoder.embed(documents[3]).mean(axis=0) - encoder.public_mean
    np.testing.assert_allclose(features[3], mean / np.linalg.norm(mean), atol=1e-5)
    # Of the public text itself, nothing is left in the mean: that is what centring is for.
    passages = encoder.embed([encoder.chunks(text).ids[0] for text in read_public_passages()])
    assert np.linalg.norm(encoder.public_mean) > 0.3
    assert np.linalg.norm((passages - encoder.public_mean).mean(axis=0)) < 0.05


def test_any_local_folder_can_be_named(tiny: PublicEncoder, tiny_folder: Path) -> None:
    weights = (tiny_folder / "model.safetensors").read_bytes()
    assert tiny.digest == hashlib.sha256(weights).hexdigest() != PACKAGE_DIGEST
    assert tiny.dimension == 16
    assert tiny.embed(tiny.chunks("The court held", length=32).ids).shape == (1, 16)
    with pytest.raises(ValueError, match=r"within 3\.\.64"):
        tiny.chunks("text", length=65)


def test_refusals_say_why(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def code(folder: Path | None) -> str:
        with pytest.raises(EncoderLoadError) as refused:
            PublicEncoder.load(folder)
        return refused.value.code

    assert code(tmp_path / "absent") == "missing"
    assert code(tmp_path) == "no_safetensors"
    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    assert code(broken) == "unreadable"
    monkeypatch.setattr(public, "PACKAGE_DIGEST", "0" * 64)
    assert code(None) == "digest"


def test_loading_is_quiet_light_and_the_same_everywhere(encoder: PublicEncoder, topics: PublicTopics) -> None:
    program = """
import os, sys
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.topics import PublicTopics
encoder = PublicEncoder.load()
topics = PublicTopics.load(encoder)
assert "sentence_transformers" not in sys.modules
assert os.environ["HF_HUB_OFFLINE"] == "1"
import hashlib
print(hashlib.sha256(topics.of_token.tobytes()).hexdigest())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(topics.of_token.tobytes()).hexdigest()
    assert done.stderr == ""
