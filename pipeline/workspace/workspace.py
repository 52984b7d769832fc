"""The opened workspace: its paths, its settings, and what they open."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lexveil.nlp.encoders.config import (
    DEFAULT_LANGUAGES,
    DEFAULT_PRECISION,
    DEFAULT_REPRESENTATION,
    PACKAGE_PRECISION,
)
from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.outages import STORAGE_FAILED, describe_outage
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace import storage
from lexveil.pipeline.workspace.audit_log import AuditLog
from lexveil.pipeline.workspace.catalogue import Catalogue
from lexveil.pipeline.workspace.database import open_tables
from lexveil.pipeline.workspace.keys import open_current_store, open_key_store
from lexveil.pipeline.workspace.paths import WorkspacePaths
from lexveil.pipeline.workspace.storage import read_json, to_json
from lexveil.privacy.dp.ledger.ledger import Ledger
from lexveil.privacy.keystore import KeyStore

SCHEMA_VERSION = 1
_LOG_PURPOSE = "audit-log"


@dataclass(frozen=True)
class Workspace(WorkspacePaths):
    """A workspace with the settings of its stages. Create it with `create_or_open` or `open`.

    Keys, catalogue, log and ledger are opened on first use, once. A pickled workspace takes none of them
    along: each worker opens its own.

    Attributes:
        settings: settings of the stages.
        may_begin: a master key is created in a workspace that has no content. Commands that only read an
            existing workspace create none.
    """

    settings: Settings = field(default_factory=Settings, compare=False, repr=False)
    may_begin: bool = field(default=False, compare=False, repr=False)

    @classmethod
    def create_or_open(cls, location: str | Path, settings: Settings | None = None) -> Workspace:
        """Open the workspace at a location, or create a new one.

        Args:
            location: a folder or an fsspec URL.
            settings: settings of the stages; None: the defaults.

        Raises:
            WorkspaceError: the location is not a workspace and not empty, cannot be written, or is of another
                schema version; or the storage of a URL cannot be reached, refuses access, or has no such
                bucket.
        """
        root = _locate(location)
        with translate_storage_errors(root):
            if (root / "workspace.json").exists():
                _refuse_read_only(root)
                return replace(cls.open(root, settings), may_begin=True)
            if root.exists() and not _is_free(root):
                raise WorkspaceError(
                    f"{root} is neither a workspace nor an empty folder; name another with -w"
                )
            try:
                root.mkdir(mode=0o700, parents=True, exist_ok=True)
                (root / "protected").mkdir(mode=0o700, exist_ok=True)
            except OSError:
                raise WorkspaceError(f"cannot create a workspace at {root}") from None
            storage.put_if_absent(
                root / "workspace.json", to_json(_describe_new_workspace(settings or Settings()))
            )
        workspace = replace(cls.open(root, settings), may_begin=True)
        if not workspace.remote:
            for folder in (workspace.masked, workspace.runs):
                folder.mkdir(mode=0o700, exist_ok=True)
        return workspace

    @classmethod
    def open(cls, location: str | Path, settings: Settings | None = None) -> Workspace:
        """Open an existing workspace.

        Args:
            location: a folder or an fsspec URL.
            settings: settings of the stages; None: the defaults.

        Raises:
            WorkspaceError: there is no workspace, or it is of another schema version; or the storage of a URL
                cannot be reached or refuses access.
        """
        root = _locate(location)
        with translate_storage_errors(root):
            content = read_json(root / "workspace.json")
        if content is None:
            raise WorkspaceError(
                f"there is no workspace at {root}; `lexveil run` or `lexveil ingest` creates one"
            )
        if content.get("schema") != SCHEMA_VERSION:
            raise WorkspaceError(
                f"{root} has workspace version {content.get('schema')}, this Lexveil reads {SCHEMA_VERSION}: "
                "use the Lexveil that created it, or a new workspace"
            )
        return cls(root, content["id"], _settle(settings or Settings(), content))

    @classmethod
    def preview(cls, location: str | Path, settings: Settings) -> Workspace:
        """Return the workspace that `create_or_open` would create at a free location. Nothing is created."""
        return cls(_locate(location), "", _settle(settings, _describe_new_workspace(settings)))

    @staticmethod
    def exists(location: str | Path) -> bool:
        """Return True if there is a workspace at a folder or an fsspec URL.

        Raises:
            WorkspaceError: the storage of a URL cannot be reached or refuses access.
        """
        root = _locate(location)
        with translate_storage_errors(root):
            return (root / "workspace.json").exists()

    def with_settings(self, settings: Settings) -> Workspace:
        """Return the same workspace with other settings."""
        return replace(self, settings=_settle(settings, self.settings.train.model_dump()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Workspace, (self.root, self.id, self.settings, self.may_begin)

    @cached_property
    def keys(self) -> KeyStore:
        """The table of the documents' keys, opened with the master key. `may_begin` says who creates both.

        Raises:
            WorkspaceKeyError: the master key is missing, cannot be used, or belongs to another workspace.
            SettingsError: the workspace is remote, and no database is configured.
        """
        return open_key_store(self, self.settings, create=self.may_begin)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The catalogue: the documents that are kept.

        Raises:
            SettingsError: the workspace is remote, and no database is configured.
        """
        return Catalogue(self.catalogue_file, open_tables(self, self.settings))

    @cached_property
    def log(self) -> AuditLog:
        """The signed log of what was done to the workspace."""

        def load_key() -> Ed25519PrivateKey:  # it outlives a rotation of the master key
            keys = open_current_store(self, self.settings, create=self.may_begin)
            return Ed25519PrivateKey.from_private_bytes(keys.purpose_key(_LOG_PURPOSE))

        return AuditLog(self.log_file, load_key, lambda: open_tables(self, self.settings))

    @cached_property
    def ledger(self) -> Ledger:
        """The privacy ledger. `close` frees its connections; the next use opens new ones.

        Raises:
            SettingsError: the workspace is remote, and no database is configured.
        """
        return Ledger(self.ledger_url(self.settings))


def _describe_new_workspace(settings: Settings) -> dict[str, Any]:
    by_default = settings.mask.language is None or settings.mask.language in DEFAULT_LANGUAGES
    return {
        "schema": SCHEMA_VERSION,
        "id": secrets.token_hex(8),
        # So that a workspace keeps them if a later version has other defaults.
        "representation": DEFAULT_REPRESENTATION if by_default else "multilingual-1",
        "precision": PACKAGE_PRECISION,
    }


def _settle(settings: Settings, made_with: Mapping[str, Any]) -> Settings:
    """Return settings that name representation and precision: if not their own, those of the workspace."""
    train = settings.train
    known = made_with if train.encoder is None else {}
    chosen = {
        "representation": train.representation or known.get("representation") or "embedding",
        "precision": train.precision or known.get("precision") or DEFAULT_PRECISION,
    }
    return settings.model_copy(update={"train": train.model_copy(update=chosen)})


def _locate(location: str | Path) -> Path:
    try:
        root = storage.locate(location)
        if not storage.is_remote(root):
            str(root).encode()  # its databases and tables take no other path
    except storage.UnknownStorageError as error:
        raise WorkspaceError(str(error)) from None
    except UnicodeEncodeError:
        raise WorkspaceError("the path of the workspace is not UTF-8; name another with -w") from None
    return root


def _refuse_read_only(root: Path) -> None:
    if not storage.is_remote(root) and not os.access(root / "protected", os.W_OK):
        raise WorkspaceError(f"{root} cannot be written; nothing was done")


@contextmanager
def translate_storage_errors(root: Path) -> Generator[None, None, None]:
    """Translate errors of an object store into `WorkspaceError`s of one line; local errors pass unchanged.

    Args:
        root: root of the workspace.

    Raises:
        WorkspaceError: the store cannot be reached or refuses access.
    """
    try:
        yield
    except Exception as error:
        if not storage.is_remote(root):
            raise
        missing = "there is no such bucket" if isinstance(error, FileNotFoundError) else None
        outage = missing or describe_outage(error)
        if outage is None:
            raise
        raise WorkspaceError(f"{STORAGE_FAILED} {outage} ({root})") from None


def _is_free(folder: Path) -> bool:
    """Return True if a folder is empty, or contains only leftovers of an interrupted creation."""
    try:
        entries = {entry.name: entry for entry in folder.iterdir()}
        protected = entries.pop("protected", None)
        unused = protected is None or not any(protected.iterdir())
    except OSError:
        return False
    return unused and all(re.fullmatch(r"workspace\.\d+\.partial", name) for name in entries)
