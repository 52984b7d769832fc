"""A copy of a workspace from which it can be recovered elsewhere, consistent in itself.

<backup>/ (0700)
  backup.json     the files with their digests; written last, so that a backup that has it is whole
  files/          the workspace's files; SQLite databases are copied by SQLite's own backup
  database.dump   the workspace's schema of PostgreSQL, by pg_dump, where one is configured

Not in it: the master key, unless asked for, since whoever finds both can open every document; a ledger that
several workspaces share in a database; logs of processes, and what clients of the endpoint have uploaded.

A backup holds the keys of documents that are erased later. To recover it brings them back, unless a later
copy of the log is at hand: then those erasures are carried out again.
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
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace import storage
from lexveil.pipeline.workspace.database import schema_name
from lexveil.pipeline.workspace.keys import load_given_key
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace

_VERSION = 1
_MANIFEST, _FILES, _DUMP = "backup.json", "files", "database.dump"
_DUMP_SECONDS = 6 * 3600
_KEY = "protected/master.key"
_LEFT_OUT = ("protected/logs/", "protected/endpoint/sessions/")
_SQLITE = ".sqlite"
_WINDOW = 1 << 20


@dataclass(frozen=True, slots=True)
class Backup:
    """What was copied. `head`: of the log at that time, which every later copy of it contains."""

    files: int
    bytes: int
    database: bool
    master_key: bool
    head: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """What came of a recovery.

    Attributes:
        files: how many were laid out, each with its digest of the backup.
        log_intact, ledger_intact: whether the chains and the log's signatures hold.
        erased_again: documents that had been erased after the backup, and were erased again.
        charges_missing: trainings in the later log that the ledger knows nothing of.
    """

    files: int
    log_intact: bool
    ledger_intact: bool
    erased_again: int
    charges_missing: int


def back_up(place: Workspace, target: Path, with_key: bool = False) -> Backup:
    """Copy a workspace into a new folder. The caller holds the workspace's lock.

    Raises:
        WorkspaceError: the folder isn't empty or can't be written, or the database can't be dumped.
    """
    head = place.log.verify().head
    url = place.settings.database.url
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.chmod(0o700)
        if any(target.iterdir()):
            raise WorkspaceError(f"{target} isn't empty; a backup takes a folder of its own")
        files = {name: _copy(place.root / name, target / _FILES / name) for name in _names(place, with_key)}
        if url is not None:
            _pg(
                "pg_dump",
                url,
                "--format=custom",
                f"--schema={schema_name(place.id)}",
                f"--file={target / _DUMP}",
            )
        manifest = {"version": _VERSION, "id": place.id, "files": files, "links": _links(place)}
        write_json(target / _MANIFEST, {**manifest, "database": url is not None})
    except (OSError, sqlite3.Error) as error:
        raise WorkspaceError(f"the backup can't be written: {type(error).__name__}") from None
    size = sum(file["bytes"] for file in files.values())
    return Backup(len(files), size, url is not None, _KEY in files, head)


def recover(backup: Path, root: str | Path, settings: Settings, log: Path | None = None) -> Workspace:
    """Lay a backup out as a workspace at `root`; where anything is wrong, nothing of it stays.

    log: a later copy of the workspace's log, which goes on where the backup's ends. Call `catch_up` then.

    Raises:
        WorkspaceError: no backup, a damaged one, something lies at `root`, or the log isn't a later one.
        WorkspaceKeyError: there is no master key for it, or another one.
    """
    found = read_json(backup / _MANIFEST)
    if found is None or found.get("version") != _VERSION:
        raise WorkspaceError(f"there is no backup at {backup}, or one that was not finished")
    if found["database"] != (settings.database.url is not None):
        kept = (
            "in PostgreSQL: set LEXVEIL_DATABASE__URL"
            if found["database"]
            else "in files: unset database.url"
        )
        raise WorkspaceError(f"this backup's keys and log were kept {kept}")
    given = settings.master_key_service is not None or load_given_key(settings) is not None
    if not given and _KEY not in found["files"]:
        raise WorkspaceKeyError(
            "the backup holds no master key: set LEXVEIL_MASTER_KEY, or name its file or service"
        )
    at = storage.locate(root)
    if at.exists() and any(at.iterdir()):
        raise WorkspaceError(f"something lies at {root}; a backup is recovered to a place of its own")
    try:
        for name, told in sorted(found["files"].items()):
            _lay(backup / _FILES / name, at / name, told)
        for name, to in found["links"].items():
            (at / name).symlink_to(to)
        if settings.database.url is not None:
            _pg("pg_restore", settings.database.url, "--no-owner", "--exit-on-error", str(backup / _DUMP))
        place = Workspace.open(root, settings)
        _ = place.keys  # refuses a wrong master key
        if log is not None:
            place.log.append_copy(log.read_bytes())
    except BaseException as error:
        if not storage.is_remote(at):
            shutil.rmtree(at, ignore_errors=True)
        if isinstance(error, OSError):
            raise WorkspaceError(f"the backup can't be laid out: {type(error).__name__}") from None
        raise
    return place


def catch_up(place: Workspace, backup: Path) -> Recovery:
    """Check a workspace that was recovered, and carry out again what was erased since, by its log.

    The caller holds the workspace's lock.
    """
    entries = place.log.read()
    log = place.log.verify()
    gone = {one for entry in entries if entry.action == "erase" for one in entry.facts.get("doc_ids", ())}
    again = gone & set(place.keys.creation_times(sorted(gone)))
    for doc_id in sorted(again):
        with suppress(SourceError):
            erase(place, doc_id)
    ledger, _ = open_ledger(place)
    try:
        known = {reservation.id for one in ledger.populations() for reservation in ledger.reservations(one)}
        intact = ledger.verify().ok
    finally:
        ledger.close()
    charged = {entry.facts["reservation"] for entry in entries if entry.facts.get("reservation")}
    manifest = read_json(backup / _MANIFEST) or {"files": {}}
    return Recovery(len(manifest["files"]), log.intact, intact, len(again), len(charged - known))


def _names(place: Workspace, with_key: bool) -> list[str]:
    """The files to be copied; `workspace.json` last, since it makes a folder a workspace."""
    root = place.root
    names: list[str] = []
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        unfinished = name == ".lock" or name.endswith((".partial", "-wal", "-shm", "-journal"))
        key = name.startswith(_KEY) and not with_key
        if path.is_file() and not path.is_symlink() and not (unfinished or key or name.startswith(_LEFT_OUT)):
            names.append(name)
    return sorted(names, key=lambda name: (name == "workspace.json", name))


def _links(place: Workspace) -> dict[str, str]:
    """The symbolic links of a workspace's own folders, such as `features/current`."""
    if place.remote:
        return {}
    paths = [path for path in place.root.rglob("*") if path.is_symlink()]
    return {path.relative_to(place.root).as_posix(): str(path.readlink()) for path in paths}


def _copy(source: Path, target: Path) -> dict[str, Any]:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if target.suffix == _SQLITE:
        # A plain copy would miss what stands in the write-ahead log.
        with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(target)) as copy:
            database.backup(copy)
    else:
        with source.open("rb") as file, target.open("wb") as copy:
            shutil.copyfileobj(file, copy, _WINDOW)
    mode = 0o600 if storage.is_remote(source) else source.stat().st_mode & 0o777
    target.chmod(0o600)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return {"sha256": _digest(target), "bytes": target.stat().st_size, "mode": mode}


def _lay(source: Path, target: Path, told: dict[str, Any]) -> None:
    """Raises WorkspaceError where the file isn't what was backed up."""
    if not source.is_file() or _digest(source) != told["sha256"]:
        raise WorkspaceError("the backup is damaged: a file isn't what was copied")
    protected = "protected" in target.parts
    if not storage.is_remote(target):
        target.parent.mkdir(mode=0o700 if protected else 0o777, parents=True, exist_ok=True)
    storage.write_bytes(target, source.read_bytes(), told["mode"])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pg(command: str, url: str, *options: str) -> None:
    """Run a program of PostgreSQL against `url`, whose password no list of processes shows."""
    given = sa.make_url(url)
    environment = {**os.environ}
    if given.password is not None:
        environment["PGPASSWORD"] = given.password
    plain = given.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    if (program := shutil.which(command)) is None:
        raise WorkspaceError(f"{command} isn't installed; it comes with PostgreSQL's client programs")
    try:
        done = subprocess.run(
            [program, "--no-password", f"--dbname={plain}", *options], env=environment, check=False,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_DUMP_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise WorkspaceError(f"{command} did not end in time") from None
    if done.returncode:
        raise WorkspaceError(f"{command} exits with code {done.returncode}: is the database there, and new?")
