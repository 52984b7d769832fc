"""Paths of everything that a workspace stores.

<workspace>/   (0700)
  workspace.json          schema version and id
  protected/   (0700)     hidden from analysts
    master.key            unless the key comes from the environment or another file
    plan/                 which source items form which shard, encrypted
    raw/ quarantine/ catalogue.parquet   documents, encrypted; what could not be read
    places.parquet        shards that have or had documents, besides those in the catalogue
    held_back/            documents that failed the second pass over their masked text
    found/                the spans that the detector found, encrypted
    vault/                originals that the pseudonyms replace, encrypted
    encoded/              inputs of the models
    assessed/ compared/   what the evaluation keeps of documents, so that a night reads the new ones alone
    training/             checkpoints of unfinished training runs, sealed
    models/               which documents each model was trained on, as digests
    prefect/ logs/        Prefect's files; what the processes of `lexveil up` printed
    keys.sqlite ledger.sqlite
  masked/      (0700)     masked text
  models/<name>/          safetensors, config, labels, model card
  features/<version>/     for analysts; current.json names the version to read
  endpoint/    (0700)     bundle/: the model that is served; state/: the endpoint's keys, sessions and log
  runs/        (0700)     history.html, metrics.prom; <run_id>/ with report.html, run.json
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
        root: a folder, or a path on an object store. A remote path, and all paths below it, have pathlib's
            methods but no `os.fspath`.
        id: unique id of the workspace.
    """

    root: Path
    id: str = ""

    @property
    def remote(self) -> bool:
        """True if it is on an object store, which has no locks and cannot contain a database."""
        return storage.is_remote(self.root)

    @property
    def url(self) -> str:
        """URL or absolute path, to print and to open the workspace by from any working folder."""
        return storage.to_url(self.root)

    @property
    def local(self) -> Path:
        """Folder of this machine (0700) for what an object store cannot hold: logs, sessions, caches."""
        return storage.make_state_folder(f"workspaces/{self.id}") if self.remote else self.protected

    @property
    def endpoint(self) -> Path:
        """Folder of this machine for what the endpoint reads and stores, without secrets of the workspace."""
        return (self.local if self.remote else self.root) / "endpoint"

    @property
    def protected(self) -> Path:
        """Folder that only the owner of the workspace may open (0700)."""
        return self.root / "protected"

    @property
    def plan(self) -> Path:
        """Folder of the plan: which source items form which shard."""
        return self.protected / "plan"

    @property
    def raw(self) -> Path:
        """Folder of the encrypted documents."""
        return self.protected / "raw"

    @property
    def quarantine(self) -> Path:
        """Folder of what could not be read."""
        return self.protected / "quarantine"

    @property
    def catalogue_file(self) -> Path:
        """File of the catalogue, in a workspace without a database."""
        return self.protected / "catalogue.parquet"

    @property
    def places_file(self) -> Path:
        """File of the places of documents that the catalogue does not name."""
        return self.protected / "places.parquet"

    @property
    def log_file(self) -> Path:
        """File of the log, in a workspace without a database."""
        return self.protected / "log.jsonl"

    @property
    def found(self) -> Path:
        """Folder of the spans that the detector found."""
        return self.protected / "found"

    @property
    def held_back(self) -> Path:
        """Folder of the documents that failed the second pass."""
        return self.protected / "held_back"

    @property
    def vault(self) -> Path:
        """Folder of the originals that the pseudonyms replace."""
        return self.protected / "vault"

    @property
    def encoded(self) -> Path:
        """Folder of the models' inputs."""
        return self.protected / "encoded"

    @property
    def assessed(self) -> Path:
        """Folder of what the evaluation knows of each document: whether it is held out, and its class."""
        return self.protected / "assessed"

    @property
    def compared(self) -> Path:
        """Folder of the features that the evaluation compares."""
        return self.protected / "compared"

    @property
    def training(self) -> Path:
        """Folder of the checkpoints of unfinished training runs."""
        return self.protected / "training"

    @property
    def masked(self) -> Path:
        """Folder of the masked text."""
        return self.root / "masked"

    @property
    def models(self) -> Path:
        """Folder of the trained models."""
        return self.root / "models"

    @property
    def features(self) -> Path:
        """Folder of the versions of the features table."""
        return self.root / "features"

    @property
    def runs(self) -> Path:
        """Folder of the reports and records of runs."""
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
