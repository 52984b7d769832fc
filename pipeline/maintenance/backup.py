"""Backup: a consistent copy of a workspace, from which it can be recovered on another machine.

<backup>/ (0700)
  backup.json     the files with their digests; written last, so that a backup that has it is complete
  files/          the workspace's files; SQLite databases are copied by SQLite's own backup
  database.dump   the workspace's PostgreSQL schema, by pg_dump, if a database is configured

A backup does not contain: the master key, unless it is requested, since a backup with the key opens every
document; a ledger that several workspaces share in a database; the keys of unfinished training runs' noise,
which would open the models of these runs later; logs of processes; Prefect's files; uploads of the endpoint's
clients.

A backup contains the keys of documents that are erased later. A recovery brings these documents back, unless
a later copy of the log is given: then the erasures are repeated.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lexveil.pipeline.errors import SourceError, WorkspaceError, WorkspaceKeyError
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.training.charges import enter_missing_charges, note_verified
from lexveil.pipeline.training.reservations import translate_refusals
from lexveil.pipeline.workspace import storage
from lexveil.pipeline.workspace.database import schema_name
from lexveil.pipeline.workspace.documents import read_quarantine
from lexveil.pipeline.workspace.keys import load_given_key
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger.chain import remove_secrets

_VERSION = 1
_MANIFEST, _FILES, _DUMP = "backup.json", "files", "database.dump"
_DUMP_SECONDS = 6 * 3600
_KEY = "protected/master.key"
_LEFT_OUT = (
    "protected/logs/",
    "protected/prefect/",
    "protected/endpoint/sessions/",  # of earlier versions
    "endpoint/state/sessions/",
    "endpoint/bundle/",
)
_SQLITE = ".sqlite"
_WINDOW = 1 << 20


@dataclass(frozen=True, slots=True)
class Backup:
    """Result of a backup.

    Attributes:
        files: number of files copied.
        bytes: their size.
        database: True if a PostgreSQL schema was dumped.
        master_key: True if the master key was copied.
        head: head of the log at that time, which every later copy of the log contains.
    """

    files: int
    bytes: int
    database: bool
    master_key: bool
    head: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """Result of a recovery.

    Attributes:
        files: number of files restored, each checked against its digest in the backup.
        log_intact: True if the chain and the signatures of the log hold.
        ledger_intact: True if the chain of the ledger holds.
        erased_again: number of documents that were erased after the backup, and were erased again.
        charges_entered: number of charges that the ledger lacked, and that were entered from the log and the
            models' cards.
        charges_missing: number of charges that it lacks still: an earlier version recorded no numbers.
    """

    files: int
    log_intact: bool
    ledger_intact: bool
    erased_again: int
    charges_entered: int
    charges_missing: int


def back_up(workspace: Workspace, target: Path, with_key: bool = False) -> Backup:
    """Copy a workspace into a new folder. The caller must hold the workspace's lock.

    Args:
        workspace: the workspace.
        target: the folder of the backup, empty or missing.
        with_key: copy the master key too.

    Raises:
        WorkspaceError: the folder is not empty or cannot be written, or the database cannot be dumped.
    """
    head = workspace.log.verify().head
    url = workspace.settings.database.url
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.chmod(0o700)
        if any(target.iterdir()):
            raise WorkspaceError(f"{target} is not empty; a backup needs an empty folder")
        names = _list_files(workspace, with_key)
        files = {name: _copy_file(workspace.root / name, target / _FILES / name) for name in names}
        if url is not None:
            schema, dump = schema_name(workspace.id), target / _DUMP
            _run_postgres("pg_dump", url, "--format=custom", f"--schema={schema}", f"--file={dump}")
        manifest = {"version": _VERSION, "id": workspace.id, "files": files, "links": _list_links(workspace)}
        write_json(target / _MANIFEST, {**manifest, "database": url is not None})
    except (OSError, sqlite3.Error) as error:
        raise WorkspaceError(f"the backup cannot be written: {type(error).__name__}") from None
    size = sum(file["bytes"] for file in files.values())
    return Backup(len(files), size, url is not None, _KEY in files, head)


def recover(backup: Path, root: str | Path, settings: Settings, log: Path | None = None) -> Workspace:
    """Restore a backup as a workspace. If anything fails, nothing remains at `root`.

    Call `finish_recovery` afterwards.

    Args:
        backup: folder of the backup.
        root: location of the workspace, empty or missing.
        settings: settings of the workspace.
        log: a later copy of the workspace's log, which continues the backup's; None: there is none.

    Raises:
        WorkspaceError: there is no backup, or it is damaged; `root` is not empty; or the log is not a later
            one.
        WorkspaceKeyError: the master key is missing or belongs to another workspace.
    """
    manifest = _read_manifest(backup, settings)
    target = storage.locate(root)
    if target.exists() and any(target.iterdir()):
        raise WorkspaceError(f"{root} is not empty; a backup is recovered to an empty location")
    try:
        _restore(backup, manifest, target, settings)
        workspace = Workspace.open(root, settings)
        _ = workspace.keys  # refuses a wrong master key
        append_log(workspace, log)
    except BaseException as error:
        if not storage.is_remote(target):
            shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, OSError):
            raise WorkspaceError(f"the backup cannot be restored: {type(error).__name__}") from None
        raise
    return workspace


def append_log(workspace: Workspace, log: Path | None) -> None:
    """Append what a later copy of the workspace's log has and the log lacks.

    Args:
        workspace: the workspace.
        log: file of the copy; None: there is none.

    Raises:
        WorkspaceError: the copy cannot be read, was changed, or does not continue the log.
    """
    if log is None:
        return
    try:
        copy = log.read_bytes()
    except OSError as error:
        raise WorkspaceError(f"the copy of the log cannot be read: {type(error).__name__}") from None
    workspace.log.append_copy(copy)


def finish_recovery(workspace: Workspace, backup: Path | None) -> Recovery:
    """Check a recovered workspace; repeat erasures and enter charges that its log records and it lacks.

    The caller must hold the workspace's lock.

    Args:
        workspace: the workspace.
        backup: folder of its backup; None: it was not restored, but has lost its ledger.

    Raises:
        BudgetRefusedError: the ledger is broken or does not answer.
    """
    entries = workspace.log.read()
    log = workspace.log.verify()
    erased = {
        name
        for entry in entries
        if entry.action == "erase"
        for name in (*entry.facts.get("doc_ids", ()), *entry.facts.get("quarantined", ()))
    }
    known = {
        *workspace.keys.creation_times(sorted(erased)),
        *(row.item for row in read_quarantine(workspace)),
    }
    again = erased & known
    for name in sorted(again):
        with suppress(SourceError):
            erase(workspace, name)
    ledger = workspace.ledger
    try:
        with translate_refusals():
            entered, missing = enter_missing_charges(workspace, ledger) if log.intact else (0, 0)
            verification = ledger.verify()
            if verification.ok and verification.entries and log.intact:
                note_verified(workspace, verification)  # the ledger from now on, whatever the log said before
    finally:
        ledger.close()
    files = 0 if backup is None else len((read_json(backup / _MANIFEST) or {"files": {}})["files"])
    return Recovery(files, log.intact, verification.ok, len(again), entered, missing)


def _read_manifest(backup: Path, settings: Settings) -> dict[str, Any]:
    """Read the manifest of a backup, and check that the settings can recover it."""
    manifest = read_json(backup / _MANIFEST)
    if manifest is None or manifest.get("version") != _VERSION:
        raise WorkspaceError(f"there is no backup at {backup}, or it was not finished")
    if manifest["database"] != (settings.database.url is not None):
        kept = (
            "in PostgreSQL: set LEXVEIL_DATABASE__URL"
            if manifest["database"]
            else "in files: unset database.url"
        )
        raise WorkspaceError(f"this backup's keys and log were kept {kept}")
    has_key = settings.master_key_service is not None or load_given_key(settings) is not None
    if not has_key and _KEY not in manifest["files"]:
        raise WorkspaceKeyError(
            "the backup does not contain the master key: set LEXVEIL_MASTER_KEY, or name its file or service"
        )
    return manifest


def _restore(backup: Path, manifest: dict[str, Any], target: Path, settings: Settings) -> None:
    if not storage.is_remote(target):
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, entry in sorted(manifest["files"].items()):
        _restore_file(backup / _FILES / name, target / name, entry)
    for name, link in manifest["links"].items():
        (target / name).symlink_to(link)
    if settings.database.url is not None:
        _run_postgres(
            "pg_restore", settings.database.url, "--no-owner", "--exit-on-error", str(backup / _DUMP)
        )


def _list_files(workspace: Workspace, with_key: bool) -> list[str]:
    """List the files to copy; `workspace.json` last, since it makes a folder a workspace."""
    root = workspace.root
    names: list[str] = []
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        unfinished = name == ".lock" or name.endswith((".partial", "-wal", "-shm", "-journal"))
        key = name.startswith(_KEY) and not with_key
        if path.is_file() and not path.is_symlink() and not (unfinished or key or name.startswith(_LEFT_OUT)):
            names.append(name)
    return sorted(names, key=lambda name: (name == "workspace.json", name))


def _list_links(workspace: Workspace) -> dict[str, str]:
    """List the symbolic links of a workspace, such as `features/current`, with their targets."""
    if workspace.remote:
        return {}
    paths = [path for path in workspace.root.rglob("*") if path.is_symlink()]
    return {path.relative_to(workspace.root).as_posix(): str(path.readlink()) for path in paths}


def _copy_file(source: Path, target: Path) -> dict[str, Any]:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if target.suffix == _SQLITE:
        # A plain copy would miss what is in the write-ahead log.
        with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(target)) as copy:
            database.backup(copy)
            remove_secrets(copy)
    else:
        with source.open("rb") as file, target.open("wb") as copy:
            shutil.copyfileobj(file, copy, _WINDOW)
    mode = 0o600 if storage.is_remote(source) else source.stat().st_mode & 0o777
    target.chmod(0o600)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return {"sha256": _compute_digest(target), "bytes": target.stat().st_size, "mode": mode}


def _restore_file(source: Path, target: Path, entry: dict[str, Any]) -> None:
    """Copy a file of the backup, after a check of its digest."""
    if not source.is_file() or _compute_digest(source) != entry["sha256"]:
        raise WorkspaceError("the backup is damaged: a file differs from the copied one")
    protected = "protected" in target.parts
    if not storage.is_remote(target):
        target.parent.mkdir(mode=0o700 if protected else 0o777, parents=True, exist_ok=True)
    storage.write_bytes(target, source.read_bytes(), entry["mode"])


def _compute_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _run_postgres(command: str, url: str, *options: str) -> None:
    """Run a client program of PostgreSQL; the password of `url` does not appear in the list of processes."""
    given = sa.make_url(url)
    environment = {**os.environ}
    if given.password is not None:
        environment["PGPASSWORD"] = given.password
    plain = given.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    if (program := shutil.which(command)) is None:
        raise WorkspaceError(f"{command} is not installed; it comes with PostgreSQL's client programs")
    try:
        done = subprocess.run(
            [program, "--no-password", f"--dbname={plain}", *options], env=environment, check=False,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_DUMP_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise WorkspaceError(f"{command} did not end in time") from None
    if done.returncode:
        raise WorkspaceError(f"{command} exits with code {done.returncode}: is the database there, and new?")
