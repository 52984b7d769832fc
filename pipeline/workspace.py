"""Where everything of one pipeline lies, and how a stage finishes its shards exactly once.

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

import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import storage, tables
from pipeline.errors import SettingsError, WorkspaceError
from pipeline.records import ForEach, Manifest, Shard, ShardResult, Work
from pipeline.settings import Settings

SCHEMA_VERSION = 1
_FACTS = {
    "settings": "the settings",
    "code": "the code",
    "detector": "the detector",
    "encoder": "the encoder",
}
_MANIFEST = "_manifest.json"  # readers of a whole folder of Parquet files pass over such a name


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
                root / "workspace.json", _json({"schema": SCHEMA_VERSION, "id": secrets.token_hex(8)})
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

    @contextmanager
    def lock(self, settings: Settings | None = None) -> Generator[None, None, None]:
        """Keep every other process out of the workspace. The system frees it when this process dies.

        Where a database is configured it keeps the lock, which holds on whatever machine the others run.

        Raises:
            WorkspaceError: another process holds it.
            SettingsError: the workspace is remote, and no database is configured.
        """
        with ExitStack() as held:
            if not self.remote:
                held.enter_context(self._file_lock())
            if self.remote or (settings is not None and settings.database.url is not None):
                from pipeline.database import database_lock

                held.enter_context(database_lock(self.database_url(settings or Settings(), ""), self.id))
            yield

    @contextmanager
    def _file_lock(self) -> Generator[None, None, None]:
        handle = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise WorkspaceError(f"another run is working on {self.root}; wait for it to end") from None
            yield
        finally:
            os.close(handle)


def sweep(workspace: Workspace) -> None:
    """Remove what processes were writing when they were killed. The caller holds the workspace's lock."""
    if workspace.remote:  # an object appears whole or not at all
        return
    # The endpoint writes beside whoever holds the lock.
    for path in workspace.root.rglob("*.partial"):
        if path.is_relative_to(workspace.protected / "endpoint"):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


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
        if (told := missing or storage.trouble(error)) is None:
            raise
        raise WorkspaceError(f"{storage.STORAGE_FAILED} {told} ({root})") from None


def _is_free(folder: Path) -> bool:
    """Whether a folder is empty, or holds no more than what a kill left of laying a workspace out."""
    try:
        entries = {entry.name: entry for entry in folder.iterdir()}
        protected = entries.pop("protected", None)
        unused = protected is None or not any(protected.iterdir())
    except OSError:
        return False
    return unused and all(re.fullmatch(r"workspace\.\d+\.partial", name) for name in entries)


def write_bytes(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file so that it is either wholly there or not at all; `mode` is cut by the umask."""
    storage.put(path, content, mode)


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that it is either wholly there or not at all."""
    write_bytes(path, _json(value))


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def read_json(path: Path) -> dict[str, Any] | None:
    """Read JSON; None where there is none, or only a broken one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if storage.trouble(error) is not None:
            raise  # an outage is no missing file
        return None


def read_manifest(folder: Path, stage: str) -> Manifest:
    """What a stage has finished so far."""
    found = read_json(folder / _MANIFEST) or {"shards": []}
    return Manifest(stage, tuple(ShardResult.from_json(entry) for entry in found["shards"]))


def write_manifest(
    folder: Path, stage: str, shards: Sequence[ShardResult], facts: Mapping[str, str] | None = None
) -> None:
    """Record what a stage has finished; without `facts`, those that the manifest has stay."""
    known = _read_facts(folder) if facts is None else facts
    content: dict[str, Any] = {"stage": stage, "shards": [result.to_json() for result in shards]}
    write_json(folder / _MANIFEST, content if known is None else {**content, "facts": dict(known)})


def run_stage(
    folder: Path,
    stage: str,
    shards: Sequence[Shard],
    work: Work,
    each: ForEach,
    facts: Mapping[str, Any] | None = None,
) -> Manifest:
    """Carry out those shards that aren't done, and record all in the stage's manifest.

    A shard is done when its part says that it was made with the shard's key. So a run that was killed
    anywhere goes on where it was, and no finished shard is done again. Parts of shards that are no longer
    asked for are removed.

    Args:
        facts: what the shards' keys hold beside their input, by name. A digest of each is kept, and says why
            finished shards are redone (`Manifest.redone`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    finished = {result.index: result for result in read_manifest(folder, stage).shards}
    there = {path.name: path for path in folder.glob("part-*.parquet")}  # one question, not one a part
    wanted = {tables.part_path(folder, shard.index).name: shard for shard in shards}
    for name, shard in wanted.items():
        known = finished.get(shard.index)
        if known is None or known.key != shard.key or name not in there:
            on_disk = tables.read_result(there[name]) if name in there else None
            finished.pop(shard.index, None)
            if on_disk is not None and on_disk.key == shard.key:
                finished[shard.index] = on_disk
    pending = [shard for shard in shards if shard.index not in finished]
    redone = sum(tables.part_path(folder, shard.index).name in there for shard in pending)
    digests = {name: tables.digest_of(value) for name, value in (facts or {}).items()}
    for index in finished.keys() - {shard.index for shard in shards}:
        del finished[index]
    unasked = [path for name, path in there.items() if name not in wanted]
    for leftover in (*unasked, *folder.glob("*.partial")):
        leftover.unlink(missing_ok=True)
    if pending:
        for result in each(stage, work, pending):
            finished[result.index] = result
    ordered = tuple(finished[index] for index in sorted(finished))
    why = {stage: _why(redone, len(shards), _read_facts(folder), digests)} if redone else {}
    write_manifest(folder, stage, ordered, digests)
    return Manifest(stage, ordered, done_now=len(pending), redone=why)


def _why(redone: int, of: int, before: Mapping[str, str] | None, now: Mapping[str, str]) -> str:
    if before is None:
        reason = "an earlier version of Lexveil made them"
    else:
        changed = [_FACTS.get(name, name) for name in now if before.get(name) != now[name]]
        reason = f"{' and '.join(changed) or 'their input'} changed"
    return f"{redone} of {of} shards redone: {reason}"


def _read_facts(folder: Path) -> dict[str, str] | None:
    return (read_json(folder / _MANIFEST) or {}).get("facts")
