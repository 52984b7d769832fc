"""Versions of the features: made side by side, switched at once, each with its lineage."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq
import pytest

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.records import Shard, ShardResult, Work
from lexveil.pipeline.stages.extract import extract
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.features import (
    find_current_features,
    format_features_path,
    list_versions,
    read_current_version,
)
from lexveil.pipeline.workspace.shards import read_manifest
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace

if TYPE_CHECKING:
    from tests.conftest import Finished


class Killed(BaseException):
    pass


def another_model(workspace: Workspace, name: str) -> str:
    """A model of other weights, newer than those there are; named only, it has not been trained."""
    (folder,) = [path for path in workspace.models.iterdir() if not path.name.endswith("-twin")][:1]
    twin = workspace.models / f"{name}-twin"
    shutil.copytree(folder, twin)
    card = read_json(twin / "card.json") or {}
    write_json(
        twin / "card.json",
        {**card, "name": twin.name, "reservation": name, "created": "2999-01-01T00:00:00+00:00"},
    )
    return twin.name


def rows_in(folder: Path) -> dict[str, str]:
    """The model of each document."""
    found = [tables.read_part(path) for path in sorted(folder.glob("part-*.parquet"))]
    return {
        row["doc_id"]: row["model"] for part in found for row in part.select(["doc_id", "model"]).to_pylist()
    }


def test_another_model_is_extracted_beside_and_read_from_then_on(finished: Finished) -> None:
    workspace, settings, first = finished.workspace, finished.settings, finished.first
    former = find_current_features(workspace)
    before = {path.name: path.read_bytes() for path in former.iterdir()}
    second = another_model(workspace, "b")
    extract(workspace.with_settings(settings), second, run="run-2")
    assert set(rows_in(find_current_features(workspace)).values()) == {second}
    assert len(rows_in(find_current_features(workspace))) == first["feature_rows"]
    # Who was reading goes on reading what was there.
    assert {path.name: path.read_bytes() for path in former.iterdir()} == before
    assert (read_current_version(workspace) or {})["former"] == former.name
    third = another_model(workspace, "c")
    extract(workspace.with_settings(settings), third)
    assert {path.name for path in list_versions(workspace)} == {
        find_current_features(workspace).name,
        (read_current_version(workspace) or {})["former"],
    }
    assert not former.exists()
    extract(workspace.with_settings(settings), second)  # back again: nothing is computed anew
    assert set(rows_in(Path(format_features_path(workspace))).values()) == {second}


def test_killed_anywhere_one_whole_version_is_read(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, settings = finished.workspace, finished.settings
    first, second = finished.first["model"], another_model(workspace, "b")
    n = finished.first["feature_rows"]
    shards = len(read_manifest(workspace.masked, "mask").shards)
    assert shards > 1

    def dying_after(most: int) -> Any:
        def each(stage: str, work: Work, asked: Sequence[Shard]) -> Iterator[ShardResult]:
            del stage
            for done, shard in enumerate(asked):
                if done == most:
                    raise Killed
                yield work(shard)

        return each

    def die(*_: Any) -> None:
        raise Killed

    for most in range(shards - 1):
        with pytest.raises(Killed):
            extract(workspace.with_settings(settings), second, dying_after(1 if most else 0))
        for folder in (find_current_features(workspace), Path(format_features_path(workspace))):
            assert list(rows_in(folder).values()) == [first] * n
    for step in ("_set_link", "write_json", "_remove"):
        if step == "_remove":  # something to remove: a version that nobody reads
            shutil.copytree(find_current_features(workspace), workspace.features / "left-00000000")
        with monkeypatch.context() as patched:
            patched.setattr(f"lexveil.pipeline.workspace.features.{step}", die)
            with pytest.raises(Killed):
                extract(workspace.with_settings(settings), second)
        for folder in (
            find_current_features(workspace),
            Path(format_features_path(workspace)),
            workspace.features / "current",
        ):
            assert len(set(rows_in(folder).values())) == 1
            assert len(rows_in(folder)) == n
    extract(workspace.with_settings(settings), second)
    assert set(rows_in(workspace.features / "current").values()) == {second}
    assert len(list_versions(workspace)) == 2


def test_a_part_says_where_it_comes_from(finished_once: Finished) -> None:
    workspace, first = finished_once.workspace, finished_once.first
    masked = {shard.index: shard.digest for shard in read_manifest(workspace.masked, "mask").shards}
    weights = (workspace.models / first["model"] / "model.safetensors").read_bytes()
    switch = read_current_version(workspace) or {}
    assert switch["documents"] == first["feature_rows"]
    for shard in read_manifest(find_current_features(workspace), "extract").shards:
        notes = tables.read_notes(tables.part_path(find_current_features(workspace), shard.index))
        assert notes["source"] == masked[shard.index]
        assert notes["model"] == first["model"]
        assert notes["weights"] == hashlib.sha256(weights).hexdigest()
        assert notes["run"] == first["run_id"]
        assert notes["privacy_statement"] == first["card"]["statement"]
        told = {name for name in notes if name in switch and name not in ("source", "created")}
        assert {name: notes[name] for name in told} == {name: switch[name] for name in told}
        assert {"settings", "code", "program", "version", "created"} <= notes.keys()


def test_duckdb_shows_the_lineage(finished_once: Finished) -> None:
    pattern = f"{finished_once.first['features']}/part-*.parquet"
    query = (
        f"select file_name, decode(key) as name, decode(value) from parquet_kv_metadata('{pattern}') "
        "where name in ('lexveil.source', 'lexveil.model', 'lexveil.weights', 'lexveil.run')"
    )
    found = duckdb.execute(query).fetchall()
    parts = len(read_manifest(finished_once.workspace.masked, "mask").shards)
    assert len(found) == 4 * parts
    assert len({value for _, name, value in found if name == "lexveil.source"}) == parts


def test_another_way_of_masking_is_another_version(finished: Finished) -> None:
    workspace, settings = finished.workspace, finished.settings
    before = read_current_version(workspace) or {}
    other = settings.model_copy(update={"mask": settings.mask.model_copy(update={"dates": "month"})})
    mask(workspace.with_settings(other))
    extract(workspace.with_settings(other))
    after = read_current_version(workspace) or {}
    assert after["version"] != before["version"]
    assert after["former"] == before["version"]
    assert after["settings"] != before["settings"]
    assert after["weights"] == before["weights"]


def test_an_erasure_reaches_every_version(finished: Finished) -> None:
    workspace, settings = finished.workspace, finished.settings
    extract(workspace.with_settings(settings), another_model(workspace, "b"))
    doc_id = tables.to_strings(workspace.with_settings(settings).catalogue.read(), "doc_id")[3]
    assert [doc_id in rows_in(folder) for folder in list_versions(workspace)] == [True, True]
    assert erase(workspace.with_settings(settings), doc_id).scan.left == 0
    assert [doc_id in rows_in(folder) for folder in list_versions(workspace)] == [False, False]
    for folder in list_versions(workspace):
        assert read_manifest(folder, "extract").rows == finished.first["feature_rows"] - 1


def test_a_copy_that_followed_the_link_is_put_right(finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished.workspace.root, tmp_path / "copy")
    workspace = Workspace.open(tmp_path / "copy")
    assert not (workspace.features / "current").is_symlink()
    assert Path(format_features_path(workspace)) == find_current_features(workspace).resolve()
    extract(workspace.with_settings(finished.settings))
    assert (workspace.features / "current").is_symlink()
    assert len(list_versions(workspace)) == 1


def test_parts_of_a_lexveil_without_versions_leave_with_the_first_switch(finished: Finished) -> None:
    workspace = finished.workspace
    for path in find_current_features(workspace).glob("part-*"):
        path.rename(workspace.features / path.name)
    for folder in list_versions(workspace):
        shutil.rmtree(folder)
    (workspace.features / "current.json").unlink()
    extract(workspace.with_settings(finished.settings))
    assert list(workspace.features.glob("part-*")) == []
    assert len(rows_in(find_current_features(workspace))) == finished.first["feature_rows"]


def test_nothing_extracted(tmp_path: Path) -> None:
    workspace = Workspace.create_or_open(tmp_path / "workspace")
    with pytest.raises(WorkspaceError, match="lexveil extract"):
        find_current_features(workspace)
    assert list_versions(workspace) == []
    assert format_features_path(workspace) == str(tmp_path.resolve() / "workspace" / "features" / "current")


def test_the_metadata_is_utf_8_json_beside_plain_notes(finished_once: Finished) -> None:
    path = next(find_current_features(finished_once.workspace).glob("part-*.parquet"))
    metadata = pq.read_metadata(path).metadata or {}
    assert set(json.loads(metadata[b"lexveil"])) == {"schema", "index", "key", "rows", "digest", "counts"}
