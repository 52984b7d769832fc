"""The lock of a workspace, and removal of what killed processes left in it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.workspace.database import database_lock
from lexveil.pipeline.workspace.workspace import Workspace


@contextmanager
def lock(workspace: Workspace) -> Generator[None, None, None]:
    """Keep all other processes out of the workspace. The system frees the lock when this process dies.

    If a database is configured, it has a lock too, which holds on all machines that use the database.

    Raises:
        WorkspaceError: another process holds the lock.
        SettingsError: the workspace is remote, and no database is configured.
    """
    with ExitStack() as held:
        if not workspace.remote:
            held.enter_context(_file_lock(workspace.root))
        if workspace.remote or workspace.settings.database.url is not None:
            url = workspace.database_url(workspace.settings, "")
            held.enter_context(database_lock(url, workspace.id))
        yield


@contextmanager
def _file_lock(root: Path) -> Generator[None, None, None]:
    handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise WorkspaceError(f"another run is working on {root}; wait for it to end") from None
        yield
    finally:
        os.close(handle)


def remove_partial_files(workspace: Workspace) -> None:
    """Remove the partial files of killed processes. The caller holds the workspace's lock."""
    if workspace.remote:  # an object appears whole or not at all
        return
    # The endpoint does not take the lock: a file that it is writing must stay.
    for path in workspace.root.rglob("*.partial"):
        if path.is_relative_to(workspace.protected / "endpoint"):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
