"""The folder where Prefect keeps its files: in the workspace, so that nothing is left in the user's home."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.workspace.workspace import Workspace


def locate_own_home(workspace: Workspace) -> Path:
    """Return the folder in the workspace where Prefect keeps its files, unless PREFECT_HOME is set."""
    return workspace.local / "prefect"


def keep_prefect_in(workspace: Workspace) -> Path:
    """Have Prefect keep its files in the workspace; a PREFECT_HOME that is set is kept.

    Call it before Prefect is imported. Prefect's own default, `~/.prefect`, would keep records of a workspace
    that has long been deleted, and a server that cannot write there is restarted again and again.

    Returns:
        The folder, which exists and can be written.

    Raises:
        WorkspaceError: The folder cannot be written.
    """
    home = Path(os.environ.get("PREFECT_HOME") or locate_own_home(workspace)).absolute()
    with suppress(OSError):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(home, os.W_OK | os.X_OK):
        raise WorkspaceError(f"Prefect cannot write to {home}; set PREFECT_HOME to a folder that it can use")
    os.environ["PREFECT_HOME"] = str(home)
    return home
