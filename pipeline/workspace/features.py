"""The versions of the features table: made side by side, switched at once.

features/
  <model>-<digest>/part-*.parquet   one version: one model, one encoding, one way of masking
  current.json                      which version is read, and where it comes from; written last
  current -> <version>              the same for whoever reads files of this machine

The version before stays until the next switch, for readers who are in the middle of it. New documents are
added to the version there is; what was made otherwise is another one.
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
_OF_A_MOMENT = {"run", "created"}


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a version of the features comes from; stands in `current.json` and in each part's metadata.

    Attributes:
        version: name of its folder.
        model: name of the model.
        weights: SHA-256 of the model's weights.
        statement: what is and what is not private.
        settings: digest of all settings that a row depends on: masking, encoding, extraction.
        code: digest of the program.
        program: version of the program.
        run: id of the run that made it; None where nobody gave one.
    """

    version: str
    model: str
    weights: str
    statement: str
    settings: str
    code: str
    program: str
    run: str | None

    def notes(self) -> dict[str, str]:
        """For the metadata of a part, where each name has the prefix `lexveil.`."""
        told = {**asdict(self), "privacy_statement": self.statement}
        del told["statement"]
        return {name: value for name, value in told.items() if value is not None}


def find_current_features(workspace: Workspace) -> Path:
    """The folder of the version that is to be read: `<workspace>/features/<version>`.

    Who reads several parts asks once: it stays until the next switch but one.

    Raises:
        WorkspaceError: nothing has been extracted.
    """
    found = read_current_version(workspace)
    if found is None:
        raise WorkspaceError("nothing has been extracted in this workspace; run `lexveil extract` first")
    return workspace.features / found["version"]


def read_current_version(workspace: Workspace) -> dict[str, Any] | None:
    """What `current.json` says: the lineage, `source` (digest of all masked shards), `documents`, `former`
    (the version before) and `created`. None where nothing has been extracted."""
    return read_json(workspace.features / _SWITCH)


def format_features_path(workspace: Workspace) -> str:
    """What people are told: where the features lie, absolute. The link where it is one's, since it outlives
    a switch; on an object store, and where links can't be made, the folder of the version."""
    found = read_current_version(workspace)
    link = workspace.features / _LINK
    linked = not workspace.remote and link.is_symlink() and found and link.readlink().name == found["version"]
    name = _LINK if linked or found is None else found["version"]
    return f"{workspace.url}/{workspace.features.name}/{name}"


def list_versions(workspace: Workspace) -> list[Path]:
    """The folders of all versions, finished or not."""
    if not workspace.features.exists():
        return []
    return sorted(path for path in workspace.features.iterdir() if path.is_dir() and not path.is_symlink())


def switch_version(workspace: Workspace, lineage: Lineage, source: str, documents: int, created: str) -> None:
    """Have the finished version read from now on, and remove those that nobody reads any more.

    Killed anywhere, one whole version is read, and the next call finishes the work.
    """
    found = read_current_version(workspace) or {}
    before = found.get("version")
    entry: dict[str, Any] = {
        **asdict(lineage),
        "source": source,
        "documents": documents,
        "former": found.get("former") if before == lineage.version else before,
        "created": created,
    }
    _link(workspace, lineage.version)
    if _lasting(found) != _lasting(entry):  # a run that found nothing to do leaves the file as it is
        write_json(workspace.features / _SWITCH, entry)
    for folder in list_versions(workspace):
        if folder.name not in (entry["version"], entry["former"]):
            _remove(folder)
    for part in workspace.features.glob("part-*.parquet"):  # of a Lexveil that knew no versions
        part.unlink(missing_ok=True)


def _lasting(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in _OF_A_MOMENT}


def _link(workspace: Workspace, version: str) -> None:
    link = workspace.features / _LINK
    if is_remote(link) or (link.is_symlink() and link.readlink().name == version):
        return
    if not link.is_symlink():
        shutil.rmtree(link, ignore_errors=True)  # the workspace was copied by something that follows links
    new = link.with_name(f".{_LINK}.{os.getpid()}.partial")
    with suppress(OSError):  # a file system without links: current.json says the same
        new.unlink(missing_ok=True)
        new.symlink_to(version)
        new.replace(link)


def _remove(folder: Path) -> None:
    if not is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.rglob("*"):
        path.unlink(missing_ok=True)
