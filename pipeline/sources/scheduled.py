"""The sources that a schedule works on, kept sealed in the workspace.

A source's path may tell a client's name, and a scheduler keeps a deployment's parameters in its database,
so that its parameters hold the workspace's place and no source.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.workspace.storage import UnknownStorageError, locate, write_bytes
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import seal, unseal

_NAME = "standing"


def save_scheduled_sources(workspace: Workspace, sources: Sequence[str]) -> None:
    """Write down what every scheduled run of this workspace works on; replaces what was kept."""
    key = workspace.keys.purpose_key(_NAME)
    write_bytes(workspace.protected / _NAME, seal(key, json.dumps(list(sources)).encode(), _NAME), 0o600)


def read_scheduled_sources(workspace: Workspace) -> list[str]:
    """What was written down. Raises SourceError where nothing was."""
    try:
        sealed = (workspace.protected / _NAME).read_bytes()
    except FileNotFoundError:
        raise SourceError(
            "this workspace has no scheduled sources; `lexveil deploy` writes them down"
        ) from None
    return json.loads(unseal(workspace.keys.purpose_key(_NAME), sealed, _NAME))


def locate_sources(names: Iterable[str | Path]) -> list[Path]:
    """Folders, files, or what stands at a URL. Raises SourceError for a URL of no known kind."""
    try:
        return [locate(name) for name in names]
    except UnknownStorageError as error:
        raise SourceError(str(error)) from None
