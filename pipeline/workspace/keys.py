"""The master key of a workspace, and the table of the documents' keys that it opens."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lexveil.pipeline.errors import WorkspaceKeyError
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.database import schema_name
from lexveil.pipeline.workspace.paths import WorkspacePaths
from lexveil.privacy.files import sync_folder
from lexveil.privacy.key_services import key_service
from lexveil.privacy.keystore import KeyStore, has_master, read_service_address
from lexveil.privacy.vault import MasterKey, MasterKeyError

_KEY_PROBLEMS = {
    "missing": "it is missing; put its file back or set LEXVEIL_MASTER_KEY, since no other key fits",
    "none": "there is none yet; `lexveil run` or `lexveil ingest` creates it",
    "no_table": "the table of the documents' keys, which it opens, is missing or empty",
    "unreadable": "it cannot be read",
    "unwritable": "it cannot be written",
    "mode": "others may read it; run chmod 600 on it",
    "length": "it must hold 64 hexadecimal digits",
    "wrong_key": "it is not the key of this workspace",
    "elsewhere": "it is not kept where the settings say; `lexveil rotate-master-key` moves it there",
    "service_unknown": "master_key_service is neither vault://MOUNT/KEY nor aws-kms://KEY",
    "service_package": "its service needs lexveil[vault] or lexveil[aws], which is not installed",
    "service_unreachable": "its service cannot be reached, or fails",
    "service_refused": "its service refuses these credentials, or got none",
    "service_no_key": "its service has no such key, or the key is disabled",
    "service_wrong_key": "its service cannot unwrap it with this key",
}


def open_key_store(paths: WorkspacePaths, settings: Settings, *, create: bool = False) -> KeyStore:
    """Open the table of the documents' keys with the master key, which is where the settings say.

    Args:
        paths: the workspace.
        settings: its settings.
        create: create both in a workspace that has no content yet. A key that is made in place of a lost one
            would open nothing.

    Raises:
        WorkspaceKeyError: the master key cannot be used, or belongs to another workspace.
        SettingsError: the workspace is remote, and no database is configured.
    """
    url, schema = _locate_table(paths, settings)
    with translate_key_errors():
        known = has_master(url, schema)
        if not known:
            _refuse_beginning(paths, create)
        if settings.master_key_service is not None:
            return KeyStore(url, key_service(settings.master_key_service), schema)
        try:
            return KeyStore(url, _find_master_key(paths, settings, create=not known), schema)
        except MasterKeyError as error:
            path = find_key_file(paths, settings)
            if error.code not in ("missing", "wrong_key", "elsewhere") or path is None:
                raise
            if next_key_path(path).exists():
                return _finish_rotation(url, path, schema)
            if read_service_address(url, schema, None) is not None:
                raise MasterKeyError("elsewhere") from None
            raise


def _refuse_beginning(paths: WorkspacePaths, create: bool) -> None:
    """Refuse to begin a table of keys unless that is wanted, and nothing in the workspace needs a former one.

    Raises:
        MasterKeyError: `none` or `no_table`.
    """
    if any(paths.raw.glob("part-*")) or paths.log_file.exists():
        raise MasterKeyError("no_table")
    if not create:
        raise MasterKeyError("none")


def open_current_store(paths: WorkspacePaths, settings: Settings, *, create: bool = False) -> KeyStore:
    """Open the same table with the master key where it is now, even if the settings say another place."""
    address = read_key_service(paths, settings)
    return open_key_store(paths, settings.model_copy(update={"master_key_service": address}), create=create)


def read_key_service(paths: WorkspacePaths, settings: Settings) -> str | None:
    """Read the address of the service that keeps the master key now; None if it is in no service."""
    return read_service_address(*_locate_table(paths, settings), settings.master_key_service)


def load_master_key(paths: WorkspacePaths, settings: Settings, *, create: bool = False) -> MasterKey:
    """Load the master key from `LEXVEIL_MASTER_KEY` (hex), the configured file, or the workspace's own file.

    Args:
        paths: the workspace.
        settings: its settings.
        create: create a file that is missing, with a new key.

    Raises:
        WorkspaceKeyError: it is missing, unreadable, readable by other users, or not a key.
    """
    with translate_key_errors():
        return _find_master_key(paths, settings, create)


def _find_master_key(paths: WorkspacePaths, settings: Settings, create: bool) -> MasterKey:
    key = _find_given_key(settings, create)
    if key is None and paths.remote:
        raise WorkspaceKeyError(
            "a workspace on an object store never stores its master key with the documents: set "
            "master_key_service, master_key_file or LEXVEIL_MASTER_KEY"
        )
    return key or MasterKey.from_file(own_key_path(paths), create=create)


def load_given_key(settings: Settings) -> MasterKey | None:
    """Load the master key from the environment or the configured file; None if neither is set.

    Raises:
        WorkspaceKeyError: it is missing, unreadable, readable by other users, or not a key.
    """
    with translate_key_errors():
        return _find_given_key(settings, create=False)


def _find_given_key(settings: Settings, create: bool) -> MasterKey | None:
    if digits := os.environ.get("LEXVEIL_MASTER_KEY"):
        return MasterKey.from_hex(digits)
    file = settings.master_key_file
    return None if file is None else MasterKey.from_file(file, create=create)


def find_key_file(paths: WorkspacePaths, settings: Settings) -> Path | None:
    """Return the path of the file with the master key; None if the environment contains the key."""
    if os.environ.get("LEXVEIL_MASTER_KEY"):
        return None
    return settings.master_key_file or own_key_path(paths)


def own_key_path(paths: WorkspacePaths) -> Path:
    """Return the path of the workspace's own master key, which is used if no other is configured."""
    return paths.protected / "master.key"


def next_key_path(path: Path) -> Path:
    """Return the path of a new master key during a rotation, until it wraps all keys."""
    return path.with_name(path.name + ".next")


@contextmanager
def translate_key_errors() -> Generator[None, None, None]:
    """Translate errors of the master key into one line.

    Raises:
        WorkspaceKeyError: the master key cannot be used.
    """
    try:
        yield
    except MasterKeyError as error:
        reason = _KEY_PROBLEMS.get(error.code, error.code)
        raise WorkspaceKeyError(f"the master key cannot be used: {reason}") from None


def _locate_table(paths: WorkspacePaths, settings: Settings) -> tuple[str, str]:
    return paths.database_url(settings, "keys.sqlite"), schema_name(paths.id)


def _finish_rotation(url: str, path: Path, schema: str) -> KeyStore:
    """Open the table after a rotation that was killed once the new master key wrapped the keys."""
    new = next_key_path(path)
    store = KeyStore(url, MasterKey.from_file(new, create=False), schema)
    new.replace(path)
    sync_folder(path.parent)
    return store
