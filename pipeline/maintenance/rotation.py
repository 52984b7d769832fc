"""Another master key for a workspace, without touching a document."""

from __future__ import annotations

from pathlib import Path

from lexveil.pipeline.errors import WorkspaceKeyError
from lexveil.pipeline.workspace import storage
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
from lexveil.privacy.key_services import key_service
from lexveil.privacy.keystore import KeyStore
from lexveil.privacy.vault import MasterKey, MasterKeyError


def rotate_master_key(workspace: Workspace) -> int:
    """Make a new master key, wrap all keys by it, and have it kept where the settings say.

    That may be another place than the old one's: from a file to a key service, back, or from one service to
    another. Returns how many keys were wrapped anew, those of documents and of purposes.

    Documents are sealed under keys of their own and stay as they are. The old master key opens nothing of
    the workspace any more; backups of the key table it still opens. A kill anywhere leaves one of the two
    keys in use: a service's with its wrapped form in the key table, all in one transaction; one in a file
    with the other beside it, and `key_store` finds out which. Calling again rotates again.

    Raises:
        WorkspaceKeyError: a key can't be used, or lies where it can't be written.
    """
    settings = workspace.settings
    store, at_service = (
        open_current_store(workspace, settings),
        read_key_service(workspace, settings) is not None,
    )
    with translate_key_errors():
        if settings.master_key_service is not None:
            count = store.rewrap_keys(key_service(settings.master_key_service))
            if not workspace.remote:
                for path in (own_key_path(workspace), next_key_path(own_key_path(workspace))):
                    path.unlink(missing_ok=True)  # it opens nothing any more
            return count
        given = load_given_key(settings)
        path = find_key_file(workspace, settings)
        if path is None and given is not None and at_service:
            return store.rewrap_keys(given)
    if path is None:
        raise WorkspaceKeyError(
            "the master key comes from LEXVEIL_MASTER_KEY: only one in a file or at a service is rotated here"
        )
    if workspace.remote and settings.master_key_file is None:
        raise WorkspaceKeyError("a workspace on an object store keeps no key file: set master_key_file")
    return _to_file(store, path)


def rewrap_master_key(workspace: Workspace) -> None:
    """Have the service wrap the same master key anew, after the service's own key was rotated.

    Raises:
        WorkspaceKeyError: no service keeps the key, or it can't be used.
    """
    if workspace.settings.master_key_service is None:
        raise WorkspaceKeyError("no service keeps the master key: set master_key_service")
    with translate_key_errors():
        workspace.keys.rewrap_master(key_service(workspace.settings.master_key_service))


def _to_file(store: KeyStore, path: Path) -> int:
    waiting = next_key_path(path)
    waiting.unlink(missing_ok=True)  # of a rotation that was killed before it began
    try:
        renewed = MasterKey.from_file(waiting)
    except MasterKeyError:
        raise WorkspaceKeyError("the folder of the master key can't be written") from None
    count = store.rewrap_keys(renewed)
    waiting.replace(path)
    storage.sync_folder(path.parent)
    return count
