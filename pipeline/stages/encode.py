"""Encode: masked text -> input of the models (public embeddings, or token ids).

Training and extraction read the same parts, so the expensive public encoder reads every document once.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pyarrow as pa

from lexveil.nlp.encoders.config import DEFAULT_CHUNK_ENDS
from lexveil.nlp.encoders.documents import InputKind
from lexveil.nlp.encoders.public import EncoderLoadError, compute_weights_digest
from lexveil.pipeline.errors import TrainingRefusedError, WorkspaceError
from lexveil.pipeline.models.encoding import encode_texts, encoded_folder
from lexveil.pipeline.records import ForEach, Manifest, Shard, ShardResult, run_one_by_one
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.shards import read_manifest, run_stage
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace


def encode(workspace: Workspace, want: InputKind, each: ForEach = run_one_by_one) -> Manifest:
    """Encode every masked document.

    Args:
        workspace: the workspace.
        want: the encoding.
        each: runs the shards.

    Returns:
        The manifest, with the counts `chunks`, `chunks_used` and `truncated` (documents).

    Raises:
        WorkspaceError: nothing has been masked.
        TrainingRefusedError: the public encoder cannot be used.
    """
    masked = read_manifest(workspace.masked, "mask")
    if not masked.shards:
        raise WorkspaceError("nothing has been masked in this workspace; run `lexveil mask` first")
    facts = describe_encoding(workspace.settings.train, want)
    shards = [Shard(entry.index, compute_digest([entry.digest, *facts.values()])) for entry in masked.shards]
    work = functools.partial(encode_shard, workspace, want)
    return run_stage(encoded_folder(workspace, want), f"encode-{want}", shards, work, each, facts)


def describe_encoding(train: TrainSettings, want: InputKind) -> dict[str, Any]:
    """Return what an encoded document depends on, apart from its text.

    Raises:
        TrainingRefusedError: the public encoder cannot be used.
    """
    chunks: list[Any] = [want, train.chunk_length, train.chunk_limit]
    if train.chunk_ends != DEFAULT_CHUNK_ENDS:  # or the parts of earlier versions would be made again
        chunks.append(train.chunk_ends)
    if want == "embedding" and train.chosen_representation != "embedding":
        chunks.append(train.chosen_representation)
    return {
        "settings": [*chunks, train.chosen_precision] if want == "embedding" else chunks,
        "encoder": _compute_encoder_digest(train),
        "code": code_digest(__name__),
    }


def encode_shard(workspace: Workspace, want: InputKind, shard: Shard) -> ShardResult:
    """Encode the documents of one shard."""
    table = tables.read_part(tables.part_path(workspace.masked, shard.index))
    encoded = encode_texts(tables.to_strings(table, "text"), workspace.settings.train, want)
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


def _compute_encoder_digest(train: TrainSettings) -> str:
    # The weights of the default package are checked against a fixed digest when they are loaded.
    return "default" if train.encoder is None else _compute_folder_digest(train.encoder)


@functools.cache
def _compute_folder_digest(folder: Path) -> str:
    try:
        return compute_weights_digest(folder)
    except EncoderLoadError as error:
        raise TrainingRefusedError(f"the public encoder cannot be used: {error.code}") from None
