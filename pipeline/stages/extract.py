"""Extract: encoded documents -> the features table that analysts read."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from nlp.encoders.documents import extract as extract_features
from nlp.encoders.models import FeatureModel
from nlp.encoders.storage import ModelRefused, load, read_config
from pipeline import tables
from pipeline.models import SavedModel, find_model, refusal
from pipeline.records import ForEach, Manifest, Shard, ShardResult, one_by_one
from pipeline.settings import Settings
from pipeline.stages.encode import encode, encoded_folder, encoding_of, load_encoder, read_encoded
from pipeline.tables import digest_of
from pipeline.workspace import Workspace, code_digest, run_stage

_CODE = ("nlp/encoders", "pipeline/stages/extract")


def extract(
    workspace: Workspace, settings: Settings, name: str | None = None, each: ForEach = one_by_one
) -> Manifest:
    """Features of every masked document by the named model (None: the newest of the configured kind).

    The features are NOT differentially private: the model's weights are. Each row depends on its own
    document, and a reader of the features may learn of it what they show.

    Raises:
        TrainingRefused: there is no such model, or its folder can't be used.
        WorkspaceError: nothing has been masked.
    """
    saved = find_model(workspace, name or settings.train.model)
    try:
        read_config(saved.folder)  # before any worker starts
    except ModelRefused as error:
        raise refusal(error) from None
    want = encoding_of(saved.kind)
    facts = [saved.name, saved.digest, code_digest(*_CODE)]
    shards = [
        Shard(entry.index, digest_of([entry.digest, *facts]))
        for entry in encode(workspace, settings, want, each).shards
    ]
    work = functools.partial(extract_shard, workspace, settings, saved)
    return run_stage(workspace.features, "extract", shards, work, each)


def extract_shard(workspace: Workspace, settings: Settings, saved: SavedModel, shard: Shard) -> ShardResult:
    """Features of one shard's documents."""
    model = open_model(saved.folder, settings)
    path = tables.part_path(encoded_folder(workspace, encoding_of(saved.kind)), shard.index)
    table, encoded = read_encoded(path)
    features = extract_features(model, encoded).features
    dimension = model.config.feature_dim
    out = pa.table(
        {
            "doc_id": table.column("doc_id"),
            "owner": table.column("owner"),
            "features": pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), dimension),
            "model": pa.array([saved.name] * table.num_rows, pa.string()),
            "created": pa.array([datetime.now(UTC)] * table.num_rows, pa.timestamp("us", tz="UTC")),
        },
        schema=tables.features_schema(dimension),
    )
    notes = {"privacy_statement": saved.statement, "model": saved.name}
    return tables.write_part(workspace.features, shard, out, {"documents": table.num_rows}, notes)


@functools.lru_cache(maxsize=2)
def _open(folder: Path, encoder: Path | None, changed: int) -> FeatureModel:
    del changed
    settings = Settings.model_validate({"train": {"encoder": encoder}})
    return load(folder, load_encoder(settings.train))


def open_model(folder: Path, settings: Settings) -> FeatureModel:
    """A saved model, loaded once per process and version.

    Raises:
        TrainingRefused: the folder can't be used; the line says why.
    """
    try:
        return _open(folder, settings.train.encoder, (folder / "model.safetensors").stat().st_mtime_ns)
    except ModelRefused as error:
        raise refusal(error) from None
    except OSError:
        raise refusal(ModelRefused("missing")) from None
