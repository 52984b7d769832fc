"""An opened workspace: its paths, the settings it is used with, and what they open."""

from __future__ import annotations

import re
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.outages import STORAGE_FAILED, describe_outage
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace import storage
from lexveil.pipeline.workspace.audit_log import AuditLog
from lexveil.pipeline.workspace.catalogue import Catalogue
from lexveil.pipeline.workspace.database import open_tables
from lexveil.pipeline.workspace.keys import open_key_store
from lexveil.pipeline.workspace.paths import WorkspacePaths
from lexveil.pipeline.workspace.storage import read_json, to_json
from lexveil.privacy.dp.ledger.ledger import Ledger
from lexveil.privacy.keystore import KeyStore

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Workspace(WorkspacePaths):
    """A workspace and the settings it is used with. Create or open it; never build it by hand.

    Keys, catalogue, log and ledger are opened when they are first asked for, and once. Workers get it by
    pickle: they open their own.

    Attributes:
        settings: the settings that every stage works by.
    """

    settings: Settings = field(default_factory=Settings, compare=False, repr=False)

    @classmethod
    def create_or_open(cls, place: str | Path, settings: Settings | None = None) -> Workspace:
        """Open the workspace at `place`, a folder or an fsspec URL, or lay out a new one.

        Raises:
            WorkspaceError: the folder is another thing, or of another schema version; or the storage of a URL
                can't be reached, refuses, or has no such bucket.
        """
        root = _locate(place)
        with translate_storage_errors(root):
            if (root / "workspace.json").exists():
                return cls.open(root, settings)
            if root.exists() and not _is_free(root):
                raise WorkspaceError(
                    f"{root} is neither a workspace nor an empty folder; name another with -w"
                )
            try:
                root.mkdir(parents=True, exist_ok=True)
                (root / "protected").mkdir(mode=0o700, exist_ok=True)
            except OSError:
                raise WorkspaceError(f"can't create a workspace at {root}") from None
            storage.put_if_absent(
                root / "workspace.json", to_json({"schema": SCHEMA_VERSION, "id": secrets.token_hex(8)})
            )
        return cls.open(root, settings)

    @classmethod
    def open(cls, place: str | Path, settings: Settings | None = None) -> Workspace:
        """Open an existing workspace, a folder or an fsspec URL.

        Raises:
            WorkspaceError: there is none, or it is of another schema version; or the storage of a URL can't
                be reached or refuses.
        """
        root = _locate(place)
        with translate_storage_errors(root):
            found = read_json(root / "workspace.json")
        if found is None:
            raise WorkspaceError(
                f"there is no workspace at {root}; `lexveil run` or `lexveil ingest` makes one"
            )
        if found.get("schema") != SCHEMA_VERSION:
            raise WorkspaceError(
                f"{root} is of workspace version {found.get('schema')}, this Lexveil reads {SCHEMA_VERSION}: "
                "use the Lexveil that made it, or a new workspace"
            )
        return cls(root, found["id"], settings or Settings())

    @staticmethod
    def exists(place: str | Path) -> bool:
        """Whether there is a workspace at `place`, a folder or an fsspec URL.

        Raises:
            WorkspaceError: the storage of a URL can't be reached or refuses.
        """
        root = _locate(place)
        with translate_storage_errors(root):
            return (root / "workspace.json").exists()

    def with_settings(self, settings: Settings) -> Workspace:
        """Return the same workspace, used with other settings."""
        return Workspace(self.root, self.id, settings)

    def __reduce__(self) -> tuple[Any, ...]:
        return Workspace, (self.root, self.id, self.settings)

    @cached_property
    def keys(self) -> KeyStore:
        """The table of the documents' keys, opened by the master key. Makes both on first use.

        Raises:
            WorkspaceKeyError: the master key can't be used, or belongs to another workspace.
            SettingsError: the workspace is remote, and no database is configured.
        """
        return open_key_store(self, self.settings)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The kept documents.

        Raises:
            SettingsError: the workspace is remote, and no database is configured.
        """
        return Catalogue(self.catalogue_file, open_tables(self, self.settings))

    @cached_property
    def log(self) -> AuditLog:
        """The signed log of what was done to the workspace."""
        return AuditLog(self, self.settings)

    @cached_property
    def ledger(self) -> Ledger:
        """The privacy ledger. Closing it frees its connections; the next use opens new ones.

        Raises:
            SettingsError: the workspace is remote, and no database is configured.
        """
        return Ledger(self.ledger_url(self.settings))


def _locate(place: str | Path) -> Path:
    try:
        return storage.locate(place)
    except storage.UnknownStorageError as error:
        raise WorkspaceError(str(error)) from None


@contextmanager
def translate_storage_errors(root: Path) -> Generator[None, None, None]:
    """Say in one line what an object store refuses; on a folder of this machine nothing is changed.

    Raises:
        WorkspaceError: the store can't be reached or refuses.
    """
    try:
        yield
    except Exception as error:
        if not storage.is_remote(root):
            raise
        missing = "there is no such bucket" if isinstance(error, FileNotFoundError) else None
        if (told := missing or describe_outage(error)) is None:
            raise
        raise WorkspaceError(f"{STORAGE_FAILED} {told} ({root})") from None


def _is_free(folder: Path) -> bool:
    """Whether a folder is empty, or holds no more than what a kill left of laying a workspace out."""
    try:
        entries = {entry.name: entry for entry in folder.iterdir()}
        protected = entries.pop("protected", None)
        unused = protected is None or not any(protected.iterdir())
    except OSError:
        return False
    return unused and all(re.fullmatch(r"workspace\.\d+\.partial", name) for name in entries)
