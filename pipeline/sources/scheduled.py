"""The sources of scheduled runs, sealed in the workspace.

A source's path may contain a client's name, and a scheduler stores a deployment's parameters in its database.
So the parameters contain the location of the workspace and no source.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.workspace.storage import UnknownStorageError, locate, write_bytes
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import seal, unseal

SCHEDULED = "standing"


def save_scheduled_sources(workspace: Workspace, sources: Sequence[str]) -> None:
    """Save the sources of all scheduled runs of this workspace, instead of those that were saved before."""
    key = workspace.keys.purpose_key(SCHEDULED)
    write_bytes(
        workspace.protected / SCHEDULED, seal(key, json.dumps(list(sources)).encode(), SCHEDULED), 0o600
    )


def read_scheduled_sources(workspace: Workspace) -> list[str]:
    """Read the sources of scheduled runs.

    Raises:
        SourceError: none were saved.
    """
    try:
        sealed = (workspace.protected / SCHEDULED).read_bytes()
    except FileNotFoundError:
        raise SourceError("this workspace has no scheduled sources; `lexveil deploy` saves them") from None
    return open_scheduled_sources(workspace, sealed)


def open_scheduled_sources(workspace: Workspace, sealed: bytes) -> list[str]:
    """Open the sources of scheduled runs.

    Raises:
        TamperedError: they are of another workspace, or were altered.
    """
    return json.loads(unseal(workspace.keys.purpose_key(SCHEDULED), sealed, SCHEDULED))


def drop_scheduled_sources(workspace: Workspace, erased: Container[str]) -> None:
    """Drop those sources of scheduled runs that are files which were erased."""
    if not (workspace.protected / SCHEDULED).exists():
        return
    sources = read_scheduled_sources(workspace)
    kept = [source for source in sources if source not in erased]
    if kept != sources:
        save_scheduled_sources(workspace, kept)


def locate_sources(names: Iterable[str | Path]) -> list[Path]:
    """Return the paths of sources: folders, files, or prefixes of object stores.

    Raises:
        SourceError: a URL is of an unknown kind, or its package is not installed.
    """
    try:
        return [locate(name) for name in names]
    except UnknownStorageError as error:
        raise SourceError(str(error)) from None
