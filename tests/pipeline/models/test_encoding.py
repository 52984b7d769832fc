"""Encoding of masked text: as the kind of a model takes it, and as the model was trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from lexveil.nlp.encoders.config import LSTMS, TRANSFORMERS, Kind, ModelConfig
from lexveil.nlp.encoders.documents import InputKind
from lexveil.nlp.encoders.packaged import DIGESTS, PackagedWeights, read_weights
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.encoding import (
    encode_texts,
    encoded_folder,
    get_encoding,
    load_encoder,
    read_encoded,
    restore_encoding,
)
from lexveil.pipeline.settings import Settings, TrainSettings
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace

TEXTS = ["The tenant pays the rent on the first day.", "", "Notice is given in writing. " * 40]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_kinds_with_layers_over_tokens_take_tokens(kind: Kind) -> None:
    expected = "tokens" if kind in (*LSTMS, *TRANSFORMERS) else "embedding"
    assert get_encoding(kind) == expected


def test_a_models_own_encoding_replaces_that_of_the_settings() -> None:
    settings = Settings.model_validate(
        {"train": {"precision": "float32", "chunk_length": 64, "chunk_limit": 2, "epsilon": 5}}
    )
    config = ModelConfig(
        "linear", "0" * 64, 8, 8, ("a", "b"), "classify", 0, 32, 4, 0, "bfloat16", "paragraphs"
    )
    train = restore_encoding(settings, config).train
    assert (train.precision, train.chunk_length, train.chunk_limit) == ("bfloat16", 32, 4)
    assert train.chunk_ends == "paragraphs"
    assert train.epsilon == 5
    assert settings.train.chunk_length == 64


@pytest.mark.parametrize("want", get_args(InputKind))
def test_texts_are_encoded_in_order_and_each_by_itself(want: InputKind, tiny_folder: Path) -> None:
    train = TrainSettings(encoder=tiny_folder, chunk_length=32, chunk_limit=2)
    together = encode_texts(TEXTS, train, want)
    assert [document.chunks for document in together] == [1, 0, 2]
    assert together[2].total_chunks > 2
    for text, document in zip(TEXTS, together, strict=True):
        (alone,) = encode_texts([text], train, want)
        assert (document.embedding is None) == (want == "tokens")
        if want == "tokens":
            assert [list(chunk) for chunk in document.tokens] == [list(chunk) for chunk in alone.tokens]
        else:
            np.testing.assert_allclose(document.embedding, alone.embedding, atol=1e-5)  # type: ignore[arg-type]


def test_chunks_that_the_encoder_cannot_read_are_refused(tiny_folder: Path) -> None:
    train = TrainSettings(encoder=tiny_folder, chunk_length=128)
    with pytest.raises(TrainingRefusedError, match=r"train\.chunk_length is 128.*at most 64"):
        encode_texts(TEXTS, train, "embedding")


@pytest.mark.parametrize("content", [{}, {"config.json": "{}"}], ids=["empty", "broken"])
def test_a_folder_that_holds_no_encoder_is_refused_in_one_line(
    content: dict[str, str], tmp_path: Path
) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(TrainingRefusedError, match="the public encoder cannot be used: ") as caught:
        load_encoder(TrainSettings(encoder=tmp_path))
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", get_args(PackagedWeights))
def test_damaged_weights_of_the_package_are_refused_in_one_line(
    name: PackagedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DIGESTS, name, "0" * 64)  # as if the file had another
    read_weights.cache_clear()
    try:
        with pytest.raises(TrainingRefusedError, match="the public encoder cannot be used: packaged_weights"):
            load_encoder(TrainSettings())
    finally:
        read_weights.cache_clear()


@pytest.mark.parametrize("want", get_args(InputKind))
def test_an_encoded_part_is_read_as_the_model_takes_it(
    want: InputKind, masked: Workspace, tiny_folder: Path
) -> None:
    settings = Settings.model_validate(
        {"train": {"encoder": tiny_folder, "chunk_length": 32, "chunk_limit": 2}}
    )
    workspace = masked.with_settings(settings)
    shard = encode(workspace, want).shards[0]
    table, documents = read_encoded(tables.part_path(encoded_folder(workspace, want), shard.index))
    assert table.num_rows == len(documents) == shard.rows > 0
    texts = tables.to_strings(tables.read_part(tables.part_path(workspace.masked, shard.index)), "text")
    for document, again in zip(documents, encode_texts(texts, settings.train, want), strict=True):
        assert (document.chunks, document.total_chunks) == (again.chunks, again.total_chunks)
        assert [list(chunk) for chunk in document.tokens] == [list(chunk) for chunk in again.tokens]
        if want == "embedding":
            assert document.embedding is not None
            assert document.embedding.dtype == np.float32
            np.testing.assert_allclose(document.embedding, again.embedding, atol=1e-5)  # type: ignore[arg-type]
