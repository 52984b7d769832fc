"""Where a workspace's master key is kept, and the table of the documents' keys that it opens."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lexveil.pipeline.errors import WorkspaceKeyError
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace import storage
from lexveil.pipeline.workspace.database import schema_name
from lexveil.pipeline.workspace.paths import WorkspacePaths
from lexveil.privacy.key_services import key_service
from lexveil.privacy.keystore import KeyStore, read_service_address
from lexveil.privacy.vault import MasterKey, MasterKeyError

_KEY_HELP = {
    "missing": "there is none",
    "unreadable": "it can't be read",
    "unwritable": "it can't be written",
    "mode": "others may read it; run chmod 600 on it",
    "length": "it must hold 64 hexadecimal digits",
    "wrong_key": "it isn't the key of this workspace",
    "elsewhere": "it isn't kept where the settings say; `lexveil rotate-master-key` moves it there",
    "service_unknown": "master_key_service is neither vault://MOUNT/KEY nor aws-kms://KEY",
    "service_package": "its service needs lexveil[vault] or lexveil[aws], which isn't installed",
    "service_unreachable": "its service can't be reached, or fails",
    "service_refused": "its service refuses these credentials, or got none",
    "service_no_key": "its service has no such key, or has it disabled",
    "service_wrong_key": "its service can't open it with this key",
}


def open_key_store(paths: WorkspacePaths, settings: Settings) -> KeyStore:
    """The table of the documents' keys, opened by the master key where the settings say that it is kept.

    Raises:
        WorkspaceKeyError: the master key can't be used, or belongs to another paths.
        SettingsError: the workspace is remote, and no database is configured.
    """
    url, schema = _table_of(paths, settings)
    with translate_key_errors():
        if settings.master_key_service is not None:
            return KeyStore(url, key_service(settings.master_key_service), schema)
        key = load_master_key(paths, settings)
        try:
            return KeyStore(url, key, schema)
        except MasterKeyError as error:
            path = find_key_file(paths, settings)
            if (
                error.code not in ("wrong_key", "elsewhere")
                or path is None
                or not next_key_path(path).exists()
            ):
                raise
            return _rotated(url, path, schema)


def open_current_store(paths: WorkspacePaths, settings: Settings) -> KeyStore:
    """The same table, opened by the master key where it is kept now, wherever the settings want it."""
    kept = read_key_service(paths, settings)
    return open_key_store(paths, settings.model_copy(update={"master_key_service": kept}))


def read_key_service(paths: WorkspacePaths, settings: Settings) -> str | None:
    """The address of the service that keeps the master key now; None where none does."""
    return read_service_address(*_table_of(paths, settings), settings.master_key_service)


def load_master_key(paths: WorkspacePaths, settings: Settings) -> MasterKey:
    """The master key: `LEXVEIL_MASTER_KEY` (hex), else the configured file, else the workspace's own file.

    Raises:
        WorkspaceKeyError: unreadable, open to other users, or not a key.
    """
    found = load_given_key(settings)
    if found is None and paths.remote:
        raise WorkspaceKeyError(
            "a workspace on an object store never keeps its master key beside the documents: set "
            "master_key_service, master_key_file or LEXVEIL_MASTER_KEY"
        )
    with translate_key_errors():
        return found or MasterKey.from_file(own_key_path(paths))


def load_given_key(settings: Settings) -> MasterKey | None:
    """The master key that the environment or the settings' file holds; None where there is neither.

    Raises:
        WorkspaceKeyError: unreadable, open to other users, or not a key.
    """
    with translate_key_errors():
        if digits := os.environ.get("LEXVEIL_MASTER_KEY"):
            return MasterKey.from_hex(digits)
        return None if settings.master_key_file is None else MasterKey.from_file(settings.master_key_file)


def find_key_file(paths: WorkspacePaths, settings: Settings) -> Path | None:
    """Where a master key in a file lies; None where the environment holds it."""
    if os.environ.get("LEXVEIL_MASTER_KEY"):
        return None
    return settings.master_key_file or own_key_path(paths)


def own_key_path(paths: WorkspacePaths) -> Path:
    """Where the master key lies that nobody has given."""
    return paths.protected / "master.key"


def next_key_path(path: Path) -> Path:
    """Where a new master key waits until all keys are wrapped by it."""
    return path.with_name(path.name + ".next")


@contextmanager
def translate_key_errors() -> Generator[None, None, None]:
    """Say in one line why the master key can't be used. Raises WorkspaceKeyError."""
    try:
        yield
    except MasterKeyError as error:
        help_ = _KEY_HELP.get(error.code, error.code)
        raise WorkspaceKeyError(f"the master key can't be used: {help_}") from None


def _table_of(paths: WorkspacePaths, settings: Settings) -> tuple[str, str]:
    return paths.database_url(settings, "keys.sqlite"), schema_name(paths.id)


def _rotated(url: str, path: Path, schema: str) -> KeyStore:
    """The table after a rotation that was killed once the keys were wrapped by the new one."""
    waiting = next_key_path(path)
    store = KeyStore(url, MasterKey.from_file(waiting, create=False), schema)
    waiting.replace(path)
    storage.sync_folder(path.parent)
    return store
