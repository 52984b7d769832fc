"""The files of the sources, on this machine or an object store, with the facts from sidecar files."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexveil.nlp.readers import Limits, Note, Reason, UnreadableError, isolation
from lexveil.pipeline.errors import SourceMissingError
from lexveil.pipeline.sources.objects import copy_object, walk_objects
from lexveil.pipeline.workspace.storage import is_remote, to_url
from lexveil.pipeline.workspace.tables import compute_digest

if TYPE_CHECKING:
    from lexveil.pipeline.workspace.storage import StoredPath

# Hugging Face's convention for facts about the files of a folder.
SIDECARS = ("metadata.jsonl", "metadata.csv")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the sources.

    Attributes:
        path: the file.
        address: its absolute path without links, or its URL.
        size: number of bytes.
        modified: changes with the content: time in nanoseconds, or version in a store.
        meta: facts about it from a sidecar file.
    """

    path: Path = field(repr=False)
    address: str = field(repr=False)
    size: int
    modified: int
    meta: Mapping[str, Any] | None = field(default=None, repr=False)

    def digest(self) -> str:
        """Return the SHA-256 of the file's bytes; for an object, a digest of its version."""
        if is_remote(self.path):
            # The version instead of the content: to hash the content, it would be fetched twice.
            return compute_digest(["object", self.size, self.modified])
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return "unreadable"  # when it is read, the reason goes to the quarantine


def list_source_files(sources: Sequence[Path]) -> Iterator[SourceFile]:
    """Yield each file at or below these paths once, in a stable order, without hidden files and workspaces.

    Raises:
        SourceMissingError: a source is missing or unreadable.
    """
    seen: set[str] = set()
    for source in sources:
        for file in _list_objects(source) if is_remote(source) else _list_local_files(source):
            if file.address not in seen:
                seen.add(file.address)
                yield file


def _list_local_files(source: Path) -> Iterator[SourceFile]:
    if not source.exists():
        raise SourceMissingError(f"there is no file or folder {source}")
    if not os.access(source, os.R_OK):
        raise SourceMissingError(f"cannot read {source}")
    if not source.is_dir() and not source.is_file():
        raise SourceMissingError(f"{source} is neither a file nor a folder")
    paths = _walk_folder(source.resolve()) if source.is_dir() else iter([(source.resolve(), None)])
    for path, meta in paths:
        status, address = path.lstat(), str(path)
        if stat.S_ISLNK(status.st_mode):  # the links above it are resolved already
            if not path.exists():
                continue
            status, address = path.stat(), to_url(path)
        if stat.S_ISREG(status.st_mode):
            yield SourceFile(path, address, status.st_size, status.st_mtime_ns, meta)


def _walk_folder(folder: Path) -> Iterator[tuple[Path, Mapping[str, Any] | None]]:
    facts: dict[Path, Mapping[str, Any]] = {}
    for root, folders, names in os.walk(folder):
        parent = Path(root)
        folders[:] = sorted(name for name in folders if _is_source_folder(parent / name))
        for sidecar in SIDECARS:
            if sidecar in names:
                rows = _read_sidecar(parent / sidecar)
                facts |= {(parent / name).resolve(): row for name, row in rows.items()}
                if rows:
                    names.remove(sidecar)
        for name in sorted(names):
            path = parent / name
            if not name.startswith("."):
                yield path, facts.get(path.resolve()) if facts else None


def count_skipped(sources: Sequence[Path]) -> dict[str, int]:
    """Count what `list_source_files` passes over in folders, by the codes of the readers' notes."""
    counts: Counter[str] = Counter()
    for source in sources:
        if is_remote(source) or not source.is_dir():
            continue
        for root, folders, names in os.walk(source.resolve()):
            parent = Path(root)
            entered = [name for name in folders if _is_source_folder(parent / name)]
            hidden = [*names, *(name for name in folders if name not in entered)]
            counts[Note.hidden_file] += sum(name.startswith(".") for name in hidden)
            shown = (parent / name for name in names if not name.startswith("."))
            counts[Note.skipped_link] += sum(path.is_symlink() and not path.exists() for path in shown)
            folders[:] = entered
    return {note: count for note, count in counts.items() if count}


def _is_source_folder(folder: Path) -> bool:
    if _is_maildir(folder.parent):  # other mailboxes are hidden folders in it; `tmp` is half delivered
        return folder.name != "tmp" and (not folder.name.startswith(".") or _is_maildir(folder))
    return not folder.name.startswith(".") and not _is_workspace(folder)


def _is_maildir(folder: Path) -> bool:
    return all((folder / name).is_dir() for name in ("cur", "new", "tmp"))


def _is_workspace(folder: Path) -> bool:
    """Return True for a workspace, whose masked texts and features must not be read as documents."""
    return (folder / "workspace.json").is_file() and (folder / "protected").is_dir()


def _list_objects(source: StoredPath) -> Iterator[SourceFile]:
    for files, folders in walk_objects(source):
        folders[:] = [folder for folder in folders if not folder.name.startswith(".")]
        facts: dict[str, Mapping[str, Any]] = {}
        sidecars: set[str] = set()
        for file in sorted(files, key=lambda file: file.path.name, reverse=True):  # in the order of SIDECARS
            if file.path.name in SIDECARS:
                with suppress(UnreadableError), copy_object(file.path, file.version) as copy:
                    rows = _read_sidecar(copy)
                    facts |= rows
                    sidecars |= {file.path.name} if rows else set()
        for file in files:
            name = file.path.name
            if not name.startswith(".") and name not in sidecars:
                yield SourceFile(file.path, to_url(file.path), file.size, file.version, facts.get(name))


def _read_sidecar(path: Path) -> dict[str, Mapping[str, Any]]:
    """Read the rows of a sidecar, by file name; none if it is an ordinary file of records."""
    rows: dict[str, Mapping[str, Any]] = {}
    try:
        for piece in isolation.plan_slices(path, Limits()):
            for record in isolation.read_slice(path, piece, Limits()):
                if isinstance(record, Reason):
                    continue
                name = record.get("file_name")
                if isinstance(name, str):
                    # Through JSON, so that a row that is read now equals the same row from a stored plan.
                    rows[name] = json.loads(json.dumps(dict(record), default=str))
    except UnreadableError:
        return {}
    return rows
