"""Extract: encoded documents -> the features table that analysts read."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lexveil.nlp.encoders.documents import extract as extract_features
from lexveil.nlp.encoders.storage import ModelLoadError, read_config
from lexveil.pipeline.models.card import describe_learning
from lexveil.pipeline.models.encoding import (
    encoded_folder,
    get_encoding,
    read_encoded,
    restore_encoding,
)
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import SavedModel, find_model, translate_load_error
from lexveil.pipeline.records import ForEach, Manifest, Shard, ShardResult, now, run_one_by_one
from lexveil.pipeline.stages.encode import describe_encoding, encode
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.features import (
    Lineage,
    switch_version,
)
from lexveil.pipeline.workspace.shards import read_manifest, run_stage
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace


def extract(
    workspace: Workspace,
    name: str | None = None,
    each: ForEach = run_one_by_one,
    run: str | None = None,
) -> Manifest:
    """Extract the features of every masked document.

    Documents are encoded as for the model's training, whatever the settings are now.

    One model, one encoding and one way of masking make one version of the features. New and changed documents
    are added to the existing version. Another version is written next to it, and readers get it when it is
    complete (`lexveil.pipeline.workspace.features`).

    The features are NOT differentially private: the model's weights are. Each row depends on its own
    document, and a reader of the features may learn from it what it shows.

    Args:
        workspace: the workspace.
        name: name or kind of the model; None: the newest of the configured kind.
        each: runs the shards.
        run: id of the run, for the lineage.

    Returns:
        The manifest, with the count `documents`.

    Raises:
        TrainingRefusedError: there is no such model, or its folder cannot be used.
        WorkspaceError: nothing has been masked.
    """
    saved = find_model(workspace, name or workspace.settings.train.model)
    try:
        # Before any worker starts, so that a broken model is one error.
        workspace = workspace.with_settings(restore_encoding(workspace.settings, read_config(saved.folder)))
    except ModelLoadError as error:
        raise translate_load_error(error) from None
    encoded_now = encode(workspace, get_encoding(saved.kind), each)
    lineage = _build_lineage(workspace, saved, run)
    folder = workspace.features / lineage.version
    shards = [
        Shard(entry.index, compute_digest([entry.digest, lineage.version])) for entry in encoded_now.shards
    ]
    work = functools.partial(extract_shard, workspace, saved, lineage)
    manifest = run_stage(folder, "extract", shards, work, each)
    manifest = replace(manifest, redone={**encoded_now.redone, **manifest.redone})
    masked = [entry.digest for entry in read_manifest(workspace.masked, "mask").shards]
    switch_version(workspace, lineage, compute_digest(masked), manifest.rows, now())
    return manifest


def extract_shard(workspace: Workspace, saved: SavedModel, lineage: Lineage, shard: Shard) -> ShardResult:
    """Extract the features of the documents of one shard."""
    model = open_model(saved.folder, workspace.settings)
    path = tables.part_path(encoded_folder(workspace, get_encoding(saved.kind)), shard.index)
    table, encoded = read_encoded(path)
    features = extract_features(model, encoded).features
    dimension = model.config.feature_dim
    created = datetime.now(UTC)
    out = pa.table(
        {
            "doc_id": table.column("doc_id"),
            "owner": table.column("owner"),
            "features": pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), dimension),
            "model": pa.array([saved.name] * table.num_rows, pa.string()),
            "created": pa.array([created] * table.num_rows, pa.timestamp("us", tz="UTC")),
        },
        schema=tables.build_features_schema(dimension),
    )
    source = tables.read_result(tables.part_path(workspace.masked, shard.index))
    notes = {
        **lineage.notes(),
        "source": source.digest if source else "",
        "created": created.isoformat(timespec="milliseconds"),
    }
    folder = workspace.features / lineage.version
    return tables.write_part(folder, shard, out, {"documents": table.num_rows}, notes)


def read_features(
    workspace: Workspace, saved: SavedModel, version: str, wanted: Mapping[int, Collection[str]]
) -> dict[str, NDArray[np.float32]]:
    """Return the features of some encoded documents: of the table, or computed where it has others.

    Args:
        workspace: the workspace.
        saved: the model.
        version: what `name_version` returns for it.
        wanted: the documents of each shard; unknown ones are left out.

    Returns:
        Features by document, shape (feature_dim,).
    """
    model = open_model(saved.folder, workspace.settings)
    workspace = workspace.with_settings(restore_encoding(workspace.settings, model.config))
    want = get_encoding(saved.kind)
    features: dict[str, NDArray[np.float32]] = {}
    for entry in read_manifest(encoded_folder(workspace, want), f"encode-{want}").shards:
        if not (mine := wanted.get(entry.index)):
            continue
        part = tables.part_path(workspace.features / version, entry.index)
        made = tables.read_result(part)
        if made is not None and made.key == compute_digest([entry.digest, version]):
            table = tables.read_part(part, ["doc_id", "features"])
            table = table.filter(pc.is_in(table.column("doc_id"), value_set=pa.array(sorted(mine))))
            read: list[Any] = table.column("features").chunks
            chunks = [chunk.flatten().to_numpy() for chunk in read]
            rows = np.concatenate([*chunks, np.empty(0, np.float32)]).reshape(-1, model.config.feature_dim)
            features.update(zip(tables.to_strings(table, "doc_id"), rows, strict=True))
        else:
            table, encoded = read_encoded(tables.part_path(encoded_folder(workspace, want), entry.index))
            pairs = zip(tables.to_strings(table, "doc_id"), encoded, strict=True)
            found = {doc_id: document for doc_id, document in pairs if doc_id in mine}
            if found:
                computed = extract_features(model, list(found.values())).features
                features.update(zip(found, computed, strict=True))
    return features


def name_version(workspace: Workspace, saved: SavedModel) -> str:
    """Return the version of the features that a model makes of this workspace's documents."""
    settings = restore_encoding(workspace.settings, read_config(saved.folder))
    return _build_lineage(workspace.with_settings(settings), saved, None).version


def _build_lineage(workspace: Workspace, saved: SavedModel, run: str | None) -> Lineage:
    masked = tables.part_path(workspace.masked, read_manifest(workspace.masked, "mask").shards[0].index)
    made_by = [
        tables.read_notes(masked).get("settings"),
        describe_encoding(workspace.settings.train, get_encoding(saved.kind)),
    ]
    try:
        with (saved.folder / "model.safetensors").open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise translate_load_error(ModelLoadError("missing")) from None
    version = compute_digest([saved.digest, weights, code_digest(__name__), made_by])
    return Lineage(
        version=f"{saved.name}-{version[:8]}",
        model=saved.name,
        weights=weights,
        statement=saved.statement,
        learned=describe_learning(saved.kind),
        settings=compute_digest(made_by),
        code=code_digest(__name__),
        program=metadata.version("lexveil"),
        run=run,
    )
