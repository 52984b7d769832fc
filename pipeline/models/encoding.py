"""TODO docstring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from lexveil.nlp.encoders.config import Kind, ModelConfig, takes_tokens
from lexveil.nlp.encoders.documents import EncodedDocument, InputKind, encode_documents
from lexveil.nlp.encoders.public import EncoderLoadError, PublicEncoder
from lexveil.nlp.encoders.topics import PublicTopics
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.settings import Settings, TrainSettings
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace


def load_encoder(train: TrainSettings) -> PublicEncoder:
    """The public encoder of the settings, once per process.

    Raises:
        TrainingRefusedError: its folder can't be used; the line says why.
    """
    try:
        return PublicEncoder.load(train.encoder, train.precision)
    except EncoderLoadError as error:
        raise TrainingRefusedError(f"the public encoder can't be used: {error.code}") from None


def as_trained(settings: Settings, config: ModelConfig) -> Settings:
    """The settings with the encoding that a model was trained on: of another one its head knows nothing."""
    own = {name: getattr(config, name) for name in ("precision", "chunk_length", "chunk_limit")}
    return settings.model_copy(update={"train": settings.train.model_copy(update=own)})


def encoding_of(kind: Kind) -> InputKind:
    """What a model of this kind takes."""
    return "tokens" if takes_tokens(kind) else "embedding"


def encoded_folder(workspace: Workspace, want: InputKind) -> Path:
    """Where the encoded parts of one sort lie."""
    return workspace.encoded / want


def encode_texts(texts: list[str], train: TrainSettings, want: InputKind) -> list[EncodedDocument]:
    """Masked texts as a model takes them, in order.

    Raises:
        TrainingRefusedError: the public encoder can't be used, or takes no chunks of this length.
    """
    encoder = load_encoder(train)
    if train.chunk_length > encoder.max_length:
        raise TrainingRefusedError(
            f"setting train.chunk_length is {train.chunk_length}, this public encoder takes at most "
            f"{encoder.max_length}"
        )
    topics = PublicTopics.load(encoder)
    return encode_documents(texts, encoder, want, topics, train.chunk_length, train.chunk_limit)


def read_encoded(path: Path) -> tuple[pa.Table, list[EncodedDocument]]:
    """One encoded part: its table (ids, owners, labels, splits), and the documents as a model takes them."""
    table = tables.read_part(path)
    encoded = [
        EncodedDocument(
            embedding=None if row["embedding"] is None else np.asarray(row["embedding"], np.float32),
            # Python's integers would take nine times the room, over the whole corpus where training reads it.
            tokens=[np.asarray(chunk, np.int32) for chunk in row["tokens"]],
            topics=None if row["topics"] is None else np.asarray(row["topics"], np.float32),
            chunks=row["chunks_used"],
            total_chunks=row["chunks"],
        )
        for row in table.to_pylist()
    ]
    return table, encoded
