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

from dataclasses import dataclass
from pathlib import Path

from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace import storage


@dataclass(frozen=True)
class WorkspacePaths:
    """The paths of one workspace.

    Attributes:
        root: a folder, or a path on an object store: then it and all paths below it have pathlib's methods
            but no `os.fspath`.
        id: tells the workspace from every other one.
    """

    root: Path
    id: str = ""

    @property
    def remote(self) -> bool:
        """Whether it lies on an object store, where nothing can be locked and no database can live."""
        return storage.is_remote(self.root)

    @property
    def url(self) -> str:
        """What to print, and what `open` takes again from anywhere: a URL, or an absolute path."""
        return storage.to_url(self.root)

    @property
    def local(self) -> Path:
        """A folder of this machine (0700) for what can't lie on an object store: logs, sessions, caches."""
        return storage.make_state_folder(f"workspaces/{self.id}") if self.remote else self.protected

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
    def catalogue_file(self) -> Path:
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
        """Return the URL of the configured ledger, or of the workspace's own.

        Raises:
            SettingsError: the workspace is remote, and no database is configured.
        """
        return settings.ledger.url or self.database_url(settings, "ledger.sqlite")

    def database_url(self, settings: Settings, file: str) -> str:
        """Return the URL of the configured database, or of SQLite in a file of the workspace.

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
