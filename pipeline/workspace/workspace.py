"""Where everything of one pipeline is stored.

<workspace>/
  workspace.json          schema version and id
  protected/   (0700)     what analysts never see
    master.key            unless the key comes from the environment or another file
    plan/                 which source items form which shard, encrypted
    raw/ quarantine/ catalogue.parquet   documents, encrypted; what could not be read
    held_back/            documents that failed the second pass over their masked text
    found/                the spans that the detector found, encrypted
    vault/                what the pseudonyms stand for, encrypted
    encoded/              inputs of the models
    training/             where unfinished training runs stand, sealed
    models/               which documents each model was trained on, as digests
    keys.sqlite ledger.sqlite
  masked/                 masked text
  models/<name>/          safetensors, config, labels, model card
  features/<version>/     for analysts; current.json says which version is read
  runs/                   history.html, metrics.prom; <run_id>/ with report.html, run.json
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lexveil.pipeline.errors import SettingsError, WorkspaceError
from lexveil.pipeline.outages import STORAGE_FAILED, trouble
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace import storage
from lexveil.pipeline.workspace.storage import read_json, to_json

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Workspace:
    """The paths of one workspace. Create or open it; never build it by hand.

    `root` is a folder, or lies on an object store: then it and all paths below it have pathlib's methods but
    no `os.fspath`. `id` tells it from every other workspace.
    """

    root: Path
    id: str = ""

    @classmethod
    def create_or_open(cls, place: str | Path) -> Workspace:
        """Open the workspace at `place`, a folder or an fsspec URL, or lay out a new one.

        Raises:
            WorkspaceError: the folder is another thing, or of another schema version; or the storage of a URL
                can't be reached, refuses, or has no such bucket.
        """
        root = _located(place)
        with storage_told(root):
            if (root / "workspace.json").exists():
                return cls.open(root)
            if root.exists() and not _is_free(root):
                raise WorkspaceError(
                    f"{root} is neither a workspace nor an empty folder; name another with -w"
                )
            try:
                root.mkdir(parents=True, exist_ok=True)
                (root / "protected").mkdir(mode=0o700, exist_ok=True)
            except OSError:
                raise WorkspaceError(f"can't create a workspace at {root}") from None
            storage.put_first(
                root / "workspace.json", to_json({"schema": SCHEMA_VERSION, "id": secrets.token_hex(8)})
            )
        return cls.open(root)

    @classmethod
    def open(cls, place: str | Path) -> Workspace:
        """Open an existing workspace, a folder or an fsspec URL.

        Raises:
            WorkspaceError: there is none, or it is of another schema version; or the storage of a URL can't
                be reached or refuses.
        """
        root = _located(place)
        with storage_told(root):
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
        return cls(root, found["id"])

    @staticmethod
    def exists(place: str | Path) -> bool:
        """Whether there is a workspace at `place`, a folder or an fsspec URL.

        Raises:
            WorkspaceError: the storage of a URL can't be reached or refuses.
        """
        root = _located(place)
        with storage_told(root):
            return (root / "workspace.json").exists()

    @property
    def remote(self) -> bool:
        """Whether it lies on an object store, where nothing can be locked and no database can live."""
        return storage.is_remote(self.root)

    @property
    def url(self) -> str:
        """What to print, and what `open` takes again from anywhere: a URL, or an absolute path."""
        return storage.url_of(self.root)

    @property
    def local(self) -> Path:
        """A folder of this machine (0700) for what can't lie on an object store: logs, sessions, caches."""
        return storage.state_folder(f"workspaces/{self.id}") if self.remote else self.protected

    @property
    def protected(self) -> Path:
        return self.root / "protected"

    @property
    def plan(self) -> Path:
        return self.protected / "plan"

    @property
    def raw(self) -> Path:
        return self.protected / "raw"

    @property
    def quarantine(self) -> Path:
        return self.protected / "quarantine"

    @property
    def catalogue(self) -> Path:
        return self.protected / "catalogue.parquet"

    @property
    def found(self) -> Path:
        return self.protected / "found"

    @property
    def held_back(self) -> Path:
        return self.protected / "held_back"

    @property
    def vault(self) -> Path:
        return self.protected / "vault"

    @property
    def encoded(self) -> Path:
        return self.protected / "encoded"

    @property
    def training(self) -> Path:
        return self.protected / "training"

    @property
    def masked(self) -> Path:
        return self.root / "masked"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def features(self) -> Path:
        return self.root / "features"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def ledger_url(self, settings: Settings) -> str:
        """The configured ledger, or the workspace's own.

        Raises:
            SettingsError: the workspace is remote, and no database is configured.
        """
        return settings.ledger.url or self.database_url(settings, "ledger.sqlite")

    def database_url(self, settings: Settings, file: str) -> str:
        """The configured database, or SQLite in a file of the workspace.

        Raises:
            SettingsError: the workspace is remote, and no database is configured.
        """
        if settings.database.url is not None:
            return settings.database.url
        if self.remote:
            raise SettingsError(
                "a workspace on an object store needs a database for its keys, ledger and log: "
                "set LEXVEIL_DATABASE__URL=postgresql://..."
            )
        return f"sqlite:///{self.protected.resolve() / file}"


def _located(place: str | Path) -> Path:
    try:
        return storage.located(place)
    except storage.StorageUnknown as error:
        raise WorkspaceError(str(error)) from None


@contextmanager
def storage_told(root: Path) -> Generator[None, None, None]:
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
        if (told := missing or trouble(error)) is None:
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
