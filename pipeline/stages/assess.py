"""Assess: encoded documents -> whether each is held out, and what the model says of those that are.

Evaluation needs this of every document, every night. It is kept by groups of shards, so that a night reads
the group that is new to it, and an erasure rewrites the group that holds the document.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from lexveil.nlp.encoders.models import FeatureModel
from lexveil.pipeline.models.encoding import encoded_folder, get_encoding, read_encoded
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import SavedModel
from lexveil.pipeline.models.scoring import guess_classes, measure_denoising
from lexveil.pipeline.records import Shard, ShardResult, run_one_by_one
from lexveil.pipeline.stages.extract import read_features
from lexveil.pipeline.training.data import ABOUT, find_held_out
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.shards import read_manifest, run_stage
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace

_SHARDS_A_GROUP = 16
# A night can read all of so few parts of the features, so that nothing lies on disk twice.
_FEW_PARTS = 16
_COMPARED = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("encoded", pa.string(), nullable=False),  # digest of its encoded shard
        pa.field("features", pa.list_(pa.float32()), nullable=False),
    ]
)


def assess(workspace: Workspace, saved: SavedModel, version: str) -> pa.Table:
    """Assess every encoded document.

    Args:
        workspace: the workspace, with the settings of the evaluation.
        saved: the model, whose encoding is the present one.
        version: what `name_version` returns for it.

    Returns:
        The documents in the order of their shards, schema `tables.ASSESSED`.
    """
    encoded = _list_encoded(workspace, saved)
    facts = [version, workspace.settings.train.held_out, code_digest(__name__)]
    groups = {
        number: list(entries)
        for number, entries in itertools.groupby(encoded, lambda entry: entry.index // _SHARDS_A_GROUP)
    }
    shards = [
        Shard(number, compute_digest([*facts, [[entry.index, entry.digest] for entry in entries]]))
        for number, entries in groups.items()
    ]
    work = functools.partial(_assess_group, workspace, saved, version, groups)
    manifest = run_stage(workspace.assessed, "assess", shards, work, run_one_by_one)
    parts = [
        tables.read_part(tables.part_path(workspace.assessed, entry.index), tables.ASSESSED.names)
        for entry in manifest.shards
    ]
    return pa.concat_tables(parts or [tables.ASSESSED.empty_table()])


def _list_encoded(workspace: Workspace, saved: SavedModel) -> Sequence[ShardResult]:
    want = get_encoding(saved.kind)
    return read_manifest(encoded_folder(workspace, want), f"encode-{want}").shards


def _assess_group(
    workspace: Workspace,
    saved: SavedModel,
    version: str,
    groups: Mapping[int, Sequence[ShardResult]],
    group: Shard,
) -> ShardResult:
    """Write the part of a group of shards."""
    model = open_model(saved.folder, workspace.settings)
    folder = encoded_folder(workspace, get_encoding(saved.kind))
    paths = {entry.index: tables.part_path(folder, entry.index) for entry in groups[group.index]}
    about = {index: tables.read_part(path, ABOUT) for index, path in paths.items()}
    table = pa.concat_tables(about.values())
    shards = np.repeat([*about], [part.num_rows for part in about.values()])
    apart = find_held_out(workspace, table)
    rows, doc_ids = np.flatnonzero(apart).tolist(), tables.to_strings(table, "doc_id")
    wanted: dict[int, set[str]] = {}
    for row in rows:
        wanted.setdefault(int(shards[row]), set()).add(doc_ids[row])
    features = read_features(workspace, saved, version, wanted)
    guesses: list[list[int] | None] = [None] * len(apart)
    losses: list[list[float] | None] = [None] * len(apart)
    if model.config.objective == "denoise":
        for row, pair in _measure_topics(model, paths, wanted, doc_ids, rows, features):
            losses[row] = pair
    elif rows:
        logits = _compute_logits(model, [features[doc_ids[row]] for row in rows])
        for row, guess in zip(rows, guess_classes(model.config, logits), strict=True):
            guesses[row] = guess
    columns = [*table.select(ABOUT).columns, shards, apart, guesses, losses]
    out = pa.table(dict(zip(tables.ASSESSED.names, columns, strict=True)), schema=tables.ASSESSED)
    return tables.write_part(workspace.assessed, group, out)


def _measure_topics(
    model: FeatureModel,
    paths: Mapping[int, Path],
    wanted: Mapping[int, Collection[str]],
    doc_ids: Sequence[str],
    rows: Sequence[int],
    features: Mapping[str, NDArray[np.float32]],
) -> list[tuple[int, list[float]]]:
    """Return the losses of the held-out rows that have topics."""
    topics: dict[str, NDArray[np.float32]] = {}
    for index in wanted:
        table, encoded = read_encoded(paths[index], {"topics"})
        for doc_id, document in zip(tables.to_strings(table, "doc_id"), encoded, strict=True):
            if document.topics is not None and document.topics.any():
                topics[doc_id] = document.topics
    usable = [row for row in rows if doc_ids[row] in topics]
    if not usable:
        return []
    logits = _compute_logits(model, [features[doc_ids[row]] for row in usable])
    losses = measure_denoising(logits, np.stack([topics[doc_ids[row]] for row in usable]))
    return [*zip(usable, losses.tolist(), strict=True)]


@torch.inference_mode()
def _compute_logits(model: FeatureModel, features: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return model.head(torch.from_numpy(np.stack(features))).numpy()


def read_compared(
    workspace: Workspace, saved: SavedModel, version: str, assessed: pa.Table, rows: Collection[int]
) -> dict[str, NDArray[np.float32]]:
    """Return the features of some documents, which are kept for the next call if the table has many parts.

    Args:
        workspace: the workspace.
        saved: the model.
        version: what `name_version` returns for it.
        assessed: what `assess` returned.
        rows: rows of the documents in it.

    Returns:
        Features by document, shape (feature_dim,).
    """
    chosen = assessed.select(["doc_id", "shard"]).take(pa.array(sorted({*rows}), pa.int64())).to_pylist()
    digests = {entry.index: entry.digest for entry in _list_encoded(workspace, saved)}
    encoded = {row["doc_id"]: digests[row["shard"]] for row in chosen}
    keep = len(digests) > _FEW_PARTS or not (workspace.features / version).exists()
    found = _read_kept(workspace, version, encoded) if keep else {}
    wanted: dict[int, set[str]] = {}
    for row in chosen:
        if row["doc_id"] not in found:
            wanted.setdefault(row["shard"], set()).add(row["doc_id"])
    if wanted:
        found |= read_features(workspace, saved, version, wanted)
    if not keep:
        tables.part_path(workspace.compared, 0).unlink(missing_ok=True)
    elif wanted:
        vectors = [found[doc_id] for doc_id in encoded]
        columns = [[*encoded], [*encoded.values()], vectors]
        table = pa.table(dict(zip(_COMPARED.names, columns, strict=True)), schema=_COMPARED)
        tables.write_part(workspace.compared, Shard(0, version), table)
    return found


def _read_kept(
    workspace: Workspace, version: str, encoded: Mapping[str, str]
) -> dict[str, NDArray[np.float32]]:
    """Return the kept features of documents whose encoded shards have these digests."""
    path = tables.part_path(workspace.compared, 0)
    made = tables.read_result(path)
    if made is None or made.key != version:
        return {}
    table = tables.read_part(path)
    if not table.num_rows:
        return {}
    column: Any = table.column("features").combine_chunks()
    vectors = column.flatten().to_numpy().reshape(table.num_rows, -1)
    kept = zip(*(tables.to_strings(table, name) for name in ("doc_id", "encoded")), vectors, strict=True)
    return {doc_id: features for doc_id, digest, features in kept if encoded.get(doc_id) == digest}
