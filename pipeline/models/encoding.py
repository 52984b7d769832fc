"""Encoding of masked text: what each kind of model takes, and the encoded parts of a workspace."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lexveil.nlp.encoders.config import DEFAULT_LANGUAGES, Kind, ModelConfig, takes_tokens
from lexveil.nlp.encoders.documents import EncodedDocument, InputKind, encode_documents
from lexveil.nlp.encoders.multilingual import load_multilingual
from lexveil.nlp.encoders.packaged import check_weights
from lexveil.nlp.encoders.public import EncoderLoadError, PublicEncoder
from lexveil.nlp.encoders.topics import PublicTopics
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.records import CountKind
from lexveil.pipeline.settings import Settings, TrainSettings
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.shards import read_manifest
from lexveil.pipeline.workspace.workspace import Workspace

CONTENTS = ("embedding", "tokens", "topics")
"""What an encoded document may contain."""
_ABOUT = ("doc_id", "owner", "label", "split", "chunks", "chunks_used")
_ENCODING = ("precision", "chunk_length", "chunk_limit", "chunk_ends", "representation")
"""Settings that a model's configuration has, too."""


def load_encoder(train: TrainSettings) -> PublicEncoder:
    """Load the public encoder that the settings name, once per process.

    Raises:
        TrainingRefusedError: its folder, or the weights that the package adds to it, cannot be used; the
            message gives the reason.
    """
    try:
        check_weights()
        if train.chosen_representation == "multilingual-1":
            load_multilingual(train.chosen_precision)
        return PublicEncoder.load(train.encoder, train.chosen_precision)
    except EncoderLoadError as error:
        raise TrainingRefusedError(f"the public encoder cannot be used: {error.code}") from None


def restore_encoding(settings: Settings, config: ModelConfig) -> Settings:
    """Return the settings with the encoding that a model was trained on, the only one that fits its head."""
    own = {name: getattr(config, name) for name in _ENCODING}
    return settings.model_copy(update={"train": settings.train.model_copy(update=own)})


def get_encoding(kind: Kind) -> InputKind:
    """Return the encoding that a model of a kind takes."""
    return "tokens" if takes_tokens(kind) else "embedding"


def count_languages(workspace: Workspace) -> dict[str, int]:
    """Return the number of documents by language, of those in which personal information was looked for."""
    return CountKind.LANGUAGE.select(read_manifest(workspace.found, "find").counts())


def describe_other_languages(train: TrainSettings, languages: Mapping[str, int]) -> str | None:
    """Return the line that advises another representation, if most documents are in other languages.

    Args:
        train: settings that name the representation and the kind of model.
        languages: number of documents by language.
    """
    if train.chosen_representation == "multilingual-1" or get_encoding(train.model) == "tokens":
        return None
    others = sum(n for language, n in languages.items() if language and language not in DEFAULT_LANGUAGES)
    if 2 * others <= sum(languages.values()):
        return None
    return (
        "most documents are in other languages than English and Chinese, which the representation "
        f'"{train.chosen_representation}" knows little of: set train.representation to "multilingual-1"'
    )


def encoded_folder(workspace: Workspace, want: InputKind) -> Path:
    """Folder of the parts of one encoding."""
    return workspace.encoded / want


def encode_texts(texts: list[str], train: TrainSettings, want: InputKind) -> list[EncodedDocument]:
    """Encode masked texts.

    Args:
        texts: the masked texts.
        train: settings that name the public encoder and the chunks.
        want: the encoding.

    Returns:
        One encoded document for each text, in order.

    Raises:
        TrainingRefusedError: the public encoder cannot be used, or takes no chunks of this length.
    """
    encoder = load_encoder(train)
    if train.chunk_length > encoder.max_length:
        raise TrainingRefusedError(
            f"setting train.chunk_length is {train.chunk_length}, this public encoder takes at most "
            f"{encoder.max_length}"
        )
    topics = PublicTopics.load(encoder)
    how = (train.chunk_length, train.chunk_limit, train.chunk_ends, train.chosen_representation)
    return encode_documents(texts, encoder, want, topics, *how)


def read_encoded(path: Path, contents: Collection[str] = CONTENTS) -> tuple[pa.Table, list[EncodedDocument]]:
    """Read an encoded part: its table (ids, owners, labels, splits), and its documents in the same order.

    Args:
        path: the part.
        contents: which of "embedding", "tokens" and "topics" to read; the others are as in a document that
            was not encoded so.
    """
    table = tables.read_part(path, [*_ABOUT, *(name for name in CONTENTS if name in contents)])
    nothing: list[Any] = [None] * table.num_rows
    embeddings, topics = (
        _read_vectors(table.column(name)) if name in contents else nothing for name in ("embedding", "topics")
    )
    tokens: list[Any] = table.column("tokens").to_pylist() if "tokens" in contents else nothing
    counts: list[list[Any]] = [table.column(name).to_pylist() for name in ("chunks_used", "chunks")]
    encoded = [
        EncodedDocument(
            embedding=embedding,
            # Lists of Python integers would take nine times the memory, and training reads the whole corpus.
            tokens=[np.asarray(chunk, np.int32) for chunk in chunks or ()],
            topics=shares,
            chunks=used,
            total_chunks=total,
        )
        for embedding, chunks, shares, used, total in zip(embeddings, tokens, topics, *counts, strict=True)
    ]
    return table, encoded


def _read_vectors(column: pa.ChunkedArray[Any]) -> list[NDArray[np.float32] | None]:
    """Read a column of lists of float32, without a Python object for each number."""
    vectors: list[NDArray[np.float32] | None] = []
    chunks: list[Any] = column.chunks
    for chunk in chunks:
        offsets, values = chunk.offsets.to_numpy(), chunk.values.to_numpy(zero_copy_only=False)
        for index, known in enumerate(chunk.is_valid().to_pylist()):
            vectors.append(values[offsets[index] : offsets[index + 1]] if known else None)
    return vectors
