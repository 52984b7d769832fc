"""Encode: a model's documents are encoded as those were that it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.stages.encode import describe_encoding
from lexveil.pipeline.stages.extract import extract

if TYPE_CHECKING:
    from tests.conftest import Finished


def test_extraction_keeps_to_the_encoding_of_the_model(finished_once: Finished) -> None:
    settings = finished_once.settings
    train = settings.train.model_copy(update={"precision": "float32", "chunk_length": 64, "chunk_limit": 3})
    changed = settings.model_copy(update={"train": train})
    manifest = extract(finished_once.workspace.with_settings(changed), finished_once.first["model"])
    assert (manifest.done_now, manifest.rows) == (0, finished_once.first["ingested"])


def test_another_precision_is_another_encoding_of_embeddings_only() -> None:
    fast, exact = TrainSettings(), TrainSettings(precision="float32")
    assert describe_encoding(fast, "embedding") != describe_encoding(exact, "embedding")
    assert describe_encoding(fast, "tokens") == describe_encoding(exact, "tokens")
