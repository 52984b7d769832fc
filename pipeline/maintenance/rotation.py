"""Rotation of a workspace's master key, without a change of any document."""

from __future__ import annotations

from pathlib import Path

from lexveil.pipeline.errors import WorkspaceKeyError
from lexveil.pipeline.workspace.keys import (
    find_key_file,
    load_given_key,
    next_key_path,
    open_current_store,
    own_key_path,
    read_key_service,
    translate_key_errors,
)
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.files import sync_folder
from lexveil.privacy.key_services import key_service
from lexveil.privacy.keystore import KeyStore
from lexveil.privacy.vault import MasterKey, MasterKeyError


def rotate_master_key(workspace: Workspace) -> int:
    """Create a new master key, wrap all keys with it, and store it where the settings say.

    That may differ from where the old key is: from a file to a key service, back, or from one service to
    another.

    Documents are sealed with their own keys and do not change. The old master key opens nothing in the
    workspace any more, but still opens backups of the key table. An interruption at any point leaves one of
    the two keys in use: the key of a service with its wrapped form in the key table, all in one transaction;
    a key in a file with the other one next to it, and the next opening of the key table finds out which.
    Calling this function again rotates again.

    Returns:
        Number of keys that were wrapped again, of documents and of purposes.

    Raises:
        WorkspaceKeyError: a key cannot be used, or is stored where it cannot be written.
    """
    settings = workspace.settings
    store = open_current_store(workspace, settings)
    at_service = read_key_service(workspace, settings) is not None
    with translate_key_errors():
        if settings.master_key_service is not None:
            count = store.rewrap_keys(key_service(settings.master_key_service))
            if not workspace.remote:
                for path in (own_key_path(workspace), next_key_path(own_key_path(workspace))):
                    path.unlink(missing_ok=True)  # the old key opens nothing any more
            return count
        path = find_key_file(workspace, settings)
        given = load_given_key(settings) if path is None else None
        if given is not None and at_service:
            return store.rewrap_keys(given)
    if path is None:
        raise WorkspaceKeyError(
            "the master key comes from LEXVEIL_MASTER_KEY: only one in a file or at a service is rotated here"
        )
    if workspace.remote and settings.master_key_file is None:
        raise WorkspaceKeyError("a workspace on an object store keeps no key file: set master_key_file")
    return _rotate_in_file(store, path)


def rewrap_master_key(workspace: Workspace) -> None:
    """Let the service wrap the same master key again, after a rotation of the service's own key.

    Raises:
        WorkspaceKeyError: no service keeps the key, or it cannot be used.
    """
    if workspace.settings.master_key_service is None:
        raise WorkspaceKeyError("no service keeps the master key: set master_key_service")
    with translate_key_errors():
        workspace.keys.rewrap_master(key_service(workspace.settings.master_key_service))


def _rotate_in_file(store: KeyStore, path: Path) -> int:
    pending = next_key_path(path)
    pending.unlink(missing_ok=True)  # left by a rotation that was killed before it wrapped anything
    try:
        new_key = MasterKey.from_file(pending)
    except MasterKeyError:
        raise WorkspaceKeyError("the folder of the master key cannot be written") from None
    count = store.rewrap_keys(new_key)
    pending.replace(path)
    sync_folder(path.parent)
    return count
