"""The lock of a workspace, and removal of what killed processes left in it."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.logs import log
from lexveil.pipeline.workspace.database import database_lock
from lexveil.pipeline.workspace.workspace import Workspace


@contextmanager
def lock(workspace: Workspace) -> Generator[None, None, None]:
    """Keep all other processes out of the workspace. The system frees the lock when this process dies.

    If a database is configured, it has a lock too, which holds on all machines that use the database.

    Raises:
        WorkspaceError: another process holds the lock, or the workspace cannot be written.
        SettingsError: the workspace is remote, and no database is configured.
    """
    with ExitStack() as held:
        if not workspace.remote:
            held.enter_context(_file_lock(workspace.root))
            _close_to_others(workspace)
        if workspace.remote or workspace.settings.database.url is not None:
            url = workspace.database_url(workspace.settings, "")
            held.enter_context(database_lock(url, workspace.id))
        yield


def _close_to_others(workspace: Workspace) -> None:
    """Take from other users what folders of earlier versions allowed them; what a group may do stays."""
    for folder in (workspace.root, workspace.masked, workspace.runs):
        if folder.exists() and folder.stat().st_mode & stat.S_IRWXO:
            with suppress(PermissionError):  # another user's, who has opened it to this one
                folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~stat.S_IRWXO)
                log.warning("%s is no longer open to other users of this machine", folder)


@contextmanager
def _file_lock(root: Path) -> Generator[None, None, None]:
    try:
        handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        raise WorkspaceError(f"{root} cannot be written; nothing was done") from None
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
        if path.is_relative_to(workspace.endpoint):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
