"""Encode: masked text -> what the models take (public embeddings, or token ids), shard by shard.

Training and extraction both read it, so the costly public encoder sees every document once.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nlp.encoders.documents import Encoded, Want, encode_documents
from nlp.encoders.models import Kind, ModelConfig, takes_tokens
from nlp.encoders.public import EncoderRefused, PublicEncoder, weights_digest
from nlp.encoders.topics import PublicTopics
from pipeline import tables
from pipeline.code import code_digest
from pipeline.errors import TrainingRefused, WorkspaceError
from pipeline.records import ForEach, Manifest, Shard, ShardResult, one_by_one
from pipeline.settings import Settings, TrainSettings
from pipeline.tables import digest_of
from pipeline.workspace import Workspace, read_manifest, run_stage


def load_encoder(train: TrainSettings) -> PublicEncoder:
    """The public encoder of the settings, once per process.

    Raises:
        TrainingRefused: its folder can't be used; the line says why.
    """
    try:
        return PublicEncoder.load(train.encoder, train.precision)
    except EncoderRefused as error:
        raise TrainingRefused(f"the public encoder can't be used: {error.code}") from None


def as_trained(settings: Settings, config: ModelConfig) -> Settings:
    """The settings with the encoding that a model was trained on: of another one its head knows nothing."""
    own = {name: getattr(config, name) for name in ("precision", "chunk_length", "chunk_limit")}
    return settings.model_copy(update={"train": settings.train.model_copy(update=own)})


def encoding_of(kind: Kind) -> Want:
    """What a model of this kind takes."""
    return "tokens" if takes_tokens(kind) else "embedding"


def encoded_folder(workspace: Workspace, want: Want) -> Path:
    """Where the encoded parts of one sort lie."""
    return workspace.encoded / want


def encode(workspace: Workspace, settings: Settings, want: Want, each: ForEach = one_by_one) -> Manifest:
    """Encode every masked document as `want`. The manifest's counts: chunks, chunks_used, truncated.

    Raises:
        WorkspaceError: nothing has been masked.
        TrainingRefused: the public encoder can't be used.
    """
    masked = read_manifest(workspace.masked, "mask")
    if not masked.shards:
        raise WorkspaceError("nothing has been masked in this workspace; run `lexveil mask` first")
    facts = encoding_facts(settings.train, want)
    shards = [Shard(entry.index, digest_of([entry.digest, *facts.values()])) for entry in masked.shards]
    work = functools.partial(encode_shard, workspace, settings, want)
    return run_stage(encoded_folder(workspace, want), f"encode-{want}", shards, work, each, facts)


def encoding_facts(train: TrainSettings, want: Want) -> dict[str, Any]:
    """What an encoded document depends on beside its text.

    Raises:
        TrainingRefused: the public encoder can't be used.
    """
    chunks: list[Any] = [want, train.chunk_length, train.chunk_limit]
    return {
        "settings": [*chunks, train.precision] if want == "embedding" else chunks,
        "encoder": _encoder_digest(train),
        "code": code_digest(__name__),
    }


def encode_shard(workspace: Workspace, settings: Settings, want: Want, shard: Shard) -> ShardResult:
    """Encode one shard's documents."""
    table = tables.read_part(tables.part_path(workspace.masked, shard.index))
    encoded = encode_texts(tables.strings(table, "text"), settings.train, want)
    columns = {name: table.column(name) for name in ("doc_id", "owner", "label", "split")}
    out = pa.table(
        {
            **columns,
            "embedding": [None if e.embedding is None else e.embedding.tolist() for e in encoded],
            "tokens": [e.tokens for e in encoded],
            "topics": [None if e.topics is None else e.topics.tolist() for e in encoded],
            "chunks": [e.total_chunks for e in encoded],
            "chunks_used": [e.chunks for e in encoded],
        },
        schema=tables.ENCODED,
    )
    counts = {
        "chunks": sum(e.total_chunks for e in encoded),
        "chunks_used": sum(e.chunks for e in encoded),
        "truncated": sum(e.total_chunks > e.chunks for e in encoded),
    }
    return tables.write_part(encoded_folder(workspace, want), shard, out, counts)


def encode_texts(texts: list[str], train: TrainSettings, want: Want) -> list[Encoded]:
    """Masked texts as a model takes them, in order.

    Raises:
        TrainingRefused: the public encoder can't be used, or takes no chunks of this length.
    """
    encoder = load_encoder(train)
    if train.chunk_length > encoder.max_length:
        raise TrainingRefused(
            f"setting train.chunk_length is {train.chunk_length}, this public encoder takes at most "
            f"{encoder.max_length}"
        )
    topics = PublicTopics.load(encoder)
    return encode_documents(texts, encoder, want, topics, train.chunk_length, train.chunk_limit)


def read_encoded(path: Path) -> tuple[pa.Table, list[Encoded]]:
    """One encoded part: its table (ids, owners, labels, splits), and the documents as a model takes them."""
    table = tables.read_part(path)
    encoded = [
        Encoded(
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


@functools.cache
def _folder_digest(folder: Path) -> str:
    try:
        return weights_digest(folder)
    except EncoderRefused as error:
        raise TrainingRefused(f"the public encoder can't be used: {error.code}") from None


def _encoder_digest(train: TrainSettings) -> str:
    # The default package's weights are checked against a fixed digest at load, so hashing them here is idle.
    return "default" if train.encoder is None else _folder_digest(train.encoder)
