"""Versions of the features table: built in separate folders, switched atomically.

features/
  <model>-<digest>/part-*.parquet   one version: one model, one encoding, one way of masking
  current.json                      the version to read, and its lineage; written last
  current -> <version>              a link to that version, for readers of local files

The former version stays until the next switch, for readers that have not finished with it. New documents are
added to the current version; another model, encoding or masking makes a new one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.workspace.storage import is_remote, read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace

_LINK = "current"
_SWITCH = "current.json"
_CHANGES_WITH_EACH_RUN = {"run", "created"}


@dataclass(frozen=True, slots=True)
class Lineage:
    """Lineage of a version of the features, stored in `current.json` and in each part's metadata.

    Attributes:
        version: name of its folder.
        model: name of the model.
        weights: SHA-256 of the model's weights.
        statement: which guarantees hold and which do not.
        learned: what the features owe to the training.
        settings: digest of all settings that a row depends on: masking, encoding, extraction.
        code: digest of the program.
        program: version of the program.
        run: id of the run that made it; None outside a run.
    """

    version: str
    model: str
    weights: str
    statement: str
    learned: str
    settings: str
    code: str
    program: str
    run: str | None

    def notes(self) -> dict[str, str]:
        """Return the notes for a part's metadata, where each name gets the prefix `lexveil.`."""
        notes = {**asdict(self), "privacy_statement": self.statement}
        del notes["statement"]
        return {name: value for name, value in notes.items() if value is not None}


def find_current_features(workspace: Workspace) -> Path:
    """Return the folder of the version to read: `<workspace>/features/<version>`.

    To read several parts, call it once: the folder stays until the second switch from now.

    Raises:
        WorkspaceError: nothing has been extracted.
    """
    current = read_current_version(workspace)
    if current is None:
        raise WorkspaceError("nothing has been extracted in this workspace; run `lexveil extract` first")
    return workspace.features / current["version"]


def read_current_version(workspace: Workspace) -> dict[str, Any] | None:
    """Read `current.json`; None if nothing has been extracted.

    It has the lineage, `source` (digest of all masked shards), `documents`, `former` (the version before) and
    `created`.
    """
    return read_json(workspace.features / _SWITCH)


def format_features_path(workspace: Workspace) -> str:
    """Return the absolute path or URL of the features, to show to people.

    It is that of the link, which remains valid after a switch; on an object store, and on a file system
    without links, it is that of the version's folder.
    """
    current = read_current_version(workspace)
    link = workspace.features / _LINK
    linked = not workspace.remote and current and _points_to(link, current["version"])
    name = _LINK if linked or current is None else current["version"]
    return f"{workspace.url}/{workspace.features.name}/{name}"


def list_versions(workspace: Workspace) -> list[Path]:
    """List the folders of all versions, finished or not."""
    if not workspace.features.exists():
        return []
    return sorted(path for path in workspace.features.iterdir() if path.is_dir() and not path.is_symlink())


def switch_version(workspace: Workspace, lineage: Lineage, source: str, documents: int, created: str) -> None:
    """Make a finished version the current one, and remove those that nobody reads any more.

    After a kill at any point, one whole version is current, and the next call finishes the work.

    Args:
        workspace: the workspace.
        lineage: lineage of the version.
        source: digest of all masked shards.
        documents: number of rows.
        created: time at which the version was made, ISO 8601.
    """
    current = read_current_version(workspace) or {}
    before = current.get("version")
    entry: dict[str, Any] = {
        **asdict(lineage),
        "source": source,
        "documents": documents,
        "former": current.get("former") if before == lineage.version else before,
        "created": created,
    }
    _set_link(workspace, lineage.version)
    # A run with nothing to do leaves the file as it is.
    if _select_lasting_facts(current) != _select_lasting_facts(entry):
        write_json(workspace.features / _SWITCH, entry)
    for folder in list_versions(workspace):
        if folder.name not in (entry["version"], entry["former"]):
            _remove(folder)
    for part in workspace.features.glob("part-*.parquet"):  # of a Lexveil without versions
        part.unlink(missing_ok=True)


def _select_lasting_facts(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in _CHANGES_WITH_EACH_RUN}


def _points_to(link: Path, version: str) -> bool:
    return link.is_symlink() and link.readlink().name == version


def _set_link(workspace: Workspace, version: str) -> None:
    link = workspace.features / _LINK
    if is_remote(link) or _points_to(link, version):
        return
    if not link.is_symlink():
        shutil.rmtree(link, ignore_errors=True)  # a program that follows links has copied the workspace
    new = link.with_name(f".{_LINK}.{os.getpid()}.partial")
    with suppress(OSError):  # a file system without links: current.json names the version
        new.unlink(missing_ok=True)
        new.symlink_to(version)
        new.replace(link)


def _remove(folder: Path) -> None:
    if not is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.rglob("*"):
        path.unlink(missing_ok=True)
