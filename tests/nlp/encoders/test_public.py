from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexveil.nlp.encoders import public
from lexveil.nlp.encoders.public import (
    PACKAGE_DIGEST,
    EncoderLoadError,
    PublicEncoder,
    batch_by_length,
    compute_weights_digest,
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


def test_chunks_may_begin_with_headings(encoder: PublicEncoder) -> None:
    section = "{}. The rent\n" + "The tenant shall pay the rent monthly in advance. " * 11 + "\n"
    text = "".join(section.format(number) for number in range(1, 9))
    evenly, found = encoder.chunks(text), encoder.chunks(text, ends="paragraphs")
    join = [token for chunk in found.ids for token in chunk]
    assert join == [token for chunk in evenly.ids for token in chunk]
    texts = encoder.vocabulary()
    assert [[texts[token] for token in chunk[1:4]] for chunk in found.ids] == [[".", "the", "rent"]] * 8
    assert encoder.chunks("", ends="paragraphs").ids == []
    short = "1. The rent\nThe tenant shall pay the rent monthly in advance.\n"
    long = encoder.chunks(short * 1000, limit=4, ends="paragraphs")
    assert [texts[chunk[1]] for chunk in long.ids] == ["."] * 4
    assert long.total > 100


def test_a_very_long_text_is_sampled_and_its_length_extrapolated(encoder: PublicEncoder) -> None:
    sentence = "The parties agree that [PERSON_1] shall pay the price. "  # 10 tokens
    chunked = encoder.chunks(sentence * 100_000)
    assert len(chunked.ids) == 16
    assert all(len(ids) == 126 for ids in chunked.ids)
    assert chunked.total == pytest.approx(1_000_000 / 126, rel=0.05)


def test_documents_cannot_write_special_tokens(encoder: PublicEncoder) -> None:
    ids = encoder.chunks("[CLS] [MASK] [SEP] [PAD]").ids[0]
    assert not {101, 102, encoder.mask_id, encoder.pad_id} & set(ids)


def test_document_features_are_centered_by_public_text(encoder: PublicEncoder) -> None:
    documents = [encoder.chunks(text, length=32).ids for text in [*SENTENCES, ""]]
    features = encoder.document_features(documents)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), [1, 1, 1, 1, 1, 0], atol=1e-5)
    mean = encoder.embed(documents[3]).mean(axis=0) - encoder.public_mean
    np.testing.assert_allclose(features[3], mean / np.linalg.norm(mean), atol=1e-5)
    # Of the public text itself, nothing is left in the mean: that is what centring is for.
    passages = encoder.embed([encoder.chunks(text).ids[0] for text in read_public_passages()])
    assert np.linalg.norm(encoder.public_mean) > 0.3
    assert np.linalg.norm((passages - encoder.public_mean).mean(axis=0)) < 0.05


def test_the_public_mean_is_computed_once_per_user(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(PublicEncoder, "_loaded", {})

    def load() -> PublicEncoder:
        PublicEncoder._loaded.clear()
        return PublicEncoder.load(tiny_folder)

    mean = load().public_mean
    (path,) = (tmp_path / "cache" / "lexveil").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(PublicEncoder, "embed", lambda *_: pytest.fail("it was computed again"))
        np.testing.assert_array_equal(load().public_mean, mean)
    archive = io.BytesIO()
    np.savez(archive, mean)
    for damaged in (b"", path.read_bytes()[:-4], b"PK\3\4 no archive", archive.getvalue()):
        path.write_bytes(damaged)
        np.testing.assert_array_equal(load().public_mean, mean)
        assert path.read_bytes() != damaged
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # no cache can be written there
    np.testing.assert_array_equal(load().public_mean, mean)


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
encoder.embed(encoder.chunks("The court held").ids)
assert not {"transformers", "sentence_transformers", "torch._dynamo"} & set(sys.modules)
assert os.environ["HF_HUB_OFFLINE"] == "1"
import hashlib
print(hashlib.sha256(topics.of_token.tobytes()).hexdigest())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(topics.of_token.tobytes()).hexdigest()
    assert done.stderr == ""


def test_the_digest_is_over_all_weights_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "model-2.safetensors").write_bytes(b"second")
    (tmp_path / "model-1.safetensors").write_bytes(b"first")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled weights are never opened")
    assert compute_weights_digest(tmp_path) == hashlib.sha256(b"firstsecond").hexdigest()
    (tmp_path / "model-2.safetensors").rename(tmp_path / "model-0.safetensors")
    assert compute_weights_digest(tmp_path) == hashlib.sha256(b"secondfirst").hexdigest()


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    tokenizer = json.loads((broken / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary |= {f"extra{number}": len(vocabulary) + number for number in range(5)}
    (broken / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(EncoderLoadError, match="unsupported_tokenizer"):
        PublicEncoder.load(broken)


def test_each_precision_of_a_folder_is_loaded_once(tiny: PublicEncoder, tiny_folder: Path) -> None:
    assert PublicEncoder.load(tiny_folder) is PublicEncoder.load(tiny_folder / ".") is tiny
    exact = PublicEncoder.load(tiny_folder, "float32")
    assert exact is not tiny
    assert (exact.digest, exact.precision, tiny.precision) == (tiny.digest, "float32", "bfloat16")


def test_public_text_is_prose_that_names_nobody() -> None:
    passages = read_public_passages()
    assert len(passages) > 20
    assert all(len(passage) > 10 and not passage.startswith("#") for passage in passages)
    assert len(set(passages)) == len(passages)
    assert not [passage for passage in passages if "[" in passage or "@" in passage]


def test_public_moments_are_of_the_features_of_public_text(tiny: PublicEncoder) -> None:
    mean, covariance = tiny.public_moments
    assert (mean.shape, covariance.shape) == ((16,), (16, 16))
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-7)
    # Shrunk halfway to the identity, so that no direction has a variance near zero.
    assert np.linalg.eigvalsh(covariance).min() > 0.4 * np.trace(covariance) / 16
    features = tiny.document_features([tiny.chunks(passage, 64).ids for passage in read_public_passages()])
    np.testing.assert_allclose(mean, features.mean(axis=0), atol=1e-6)


def test_the_vocabulary_is_in_the_order_of_the_ids(tiny: PublicEncoder) -> None:
    vocabulary = tiny.vocabulary()
    assert len(vocabulary) == tiny.vocab_size
    ids = (tiny.pad_id, tiny.cls_id, tiny.sep_id, tiny.mask_id)
    assert [vocabulary[i] for i in ids] == ["[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    assert [vocabulary[i] for i in tiny.chunks("the court held", 32).ids[0]] == ["the", "court", "held"]


@given(st.text(max_size=300), st.integers(3, 64), st.integers(1, 5))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_becomes_bounded_chunks(tiny: PublicEncoder, text: str, length: int, limit: int) -> None:
    chunks = tiny.chunks(text, length, limit)
    assert len(chunks.ids) == min(limit, chunks.total)
    assert all(0 < len(ids) <= length - 2 for ids in chunks.ids)
    specials = {tiny.cls_id, tiny.sep_id, tiny.pad_id, tiny.mask_id}
    assert not specials & {i for ids in chunks.ids for i in ids}
    if len(text) <= 16 * (length - 2) * limit:  # else the total is extrapolated from windows
        everything = tiny.chunks(text, 64, 1000)
        assert chunks.total == -(-sum(map(len, everything.ids)) // (length - 2))


@pytest.mark.parametrize("batch_tokens", [1, 20, 21, 1000])
def test_batches_hold_every_item_once_and_stay_within_bounds(batch_tokens: int) -> None:
    lengths = [7, 1, 20, 7, 3, 20, 1, 1]
    for equal in (False, True):
        batches = list(batch_by_length(lengths, batch_tokens, equal=equal))
        assert sorted(i for batch in batches for i in batch) == list(range(8))
        for batch in batches:
            longest = max(lengths[i] for i in batch)
            assert len(batch) == 1 or len(batch) * longest <= batch_tokens
            assert not equal or {lengths[i] for i in batch} == {longest}
        assert max(lengths[i] for i in batches[0]) == 20
    assert list(batch_by_length([], batch_tokens)) == []
