"""The files that sources hold, here or on an object store, and what a folder's sidecar says of them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexveil.nlp.readers import Limits, Reason, UnreadableError
from lexveil.nlp.readers import records as record_files
from lexveil.pipeline.errors import SourceMissingError
from lexveil.pipeline.sources.objects import copy_object, walk_objects
from lexveil.pipeline.workspace.storage import is_remote, to_url
from lexveil.pipeline.workspace.tables import compute_digest

# Hugging Face's convention for what is known of the files of a folder.
SIDECARS = ("metadata.jsonl", "metadata.csv")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the sources.

    Attributes:
        address: its absolute path without links, or its URL.
        modified: changes with its content: its time in nanoseconds, or its version in a store.
        meta: what a sidecar says of it.
    """

    path: Path = field(repr=False)
    address: str = field(repr=False)
    size: int
    modified: int
    meta: Mapping[str, Any] | None = field(default=None, repr=False)

    def digest(self) -> str:
        """SHA-256 of its bytes; of an object one of its version."""
        if is_remote(self.path):
            # Its version stands for its content: to hash that, all of it would have to be fetched twice.
            return compute_digest(["object", self.size, self.modified])
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return "unreadable"  # reading it gives the reason to the quarantine


def list_source_files(sources: Sequence[Path]) -> Iterator[SourceFile]:
    """Each file at or below these paths once, in a stable order; hidden ones and workspaces left out.

    Raises:
        SourceMissingError: a source is missing or unreadable.
    """
    seen: set[str] = set()
    for source in sources:
        for file in _in_store(source) if is_remote(source) else _here(source):
            if file.address not in seen:
                seen.add(file.address)
                yield file


def _here(source: Path) -> Iterator[SourceFile]:
    if not source.exists():
        raise SourceMissingError(f"there is no file or folder {source}")
    if not os.access(source, os.R_OK):
        raise SourceMissingError(f"can't read {source}")
    if not source.is_dir() and not source.is_file():
        raise SourceMissingError(f"{source} is neither a file nor a folder")
    found = _walk(source.resolve()) if source.is_dir() else iter([(source.resolve(), None)])
    for path, meta in found:
        told, address = path.lstat(), str(path)
        if stat.S_ISLNK(told.st_mode):  # of what is above it, all links are resolved already
            if not path.exists():
                continue
            told, address = path.stat(), to_url(path)
        if stat.S_ISREG(told.st_mode):
            yield SourceFile(path, address, told.st_size, told.st_mtime_ns, meta)


def _walk(folder: Path) -> Iterator[tuple[Path, Mapping[str, Any] | None]]:
    about: dict[Path, Mapping[str, Any]] = {}
    for root, folders, names in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not _ours(here / name))
        for sidecar in SIDECARS:
            if sidecar in names:
                rows = _sidecar(here / sidecar)
                about |= {(here / name).resolve(): row for name, row in rows.items()}
                if rows:
                    names.remove(sidecar)
        for name in sorted(names):
            path = here / name
            if not name.startswith("."):
                yield path, about.get(path.resolve()) if about else None


def _ours(folder: Path) -> bool:
    """Whether a folder is a workspace, whose masked texts and features would come in as documents."""
    return (folder / "workspace.json").is_file() and (folder / "protected").is_dir()


def _in_store(source: Path) -> Iterator[SourceFile]:
    for files, folders in walk_objects(source):
        folders[:] = [folder for folder in folders if not folder.name.startswith(".")]
        about: dict[str, Mapping[str, Any]] = {}
        sidecars: set[str] = set()
        for file in sorted(files, key=lambda file: file.path.name, reverse=True):  # as SIDECARS are ordered
            if file.path.name in SIDECARS:
                with suppress(UnreadableError), copy_object(file.path, file.version) as copy:
                    rows = _sidecar(copy)
                    about |= rows
                    sidecars |= {file.path.name} if rows else set()
        for file in files:
            name = file.path.name
            if not name.startswith(".") and name not in sidecars:
                yield SourceFile(file.path, to_url(file.path), file.size, file.version, about.get(name))


def _sidecar(path: Path) -> dict[str, Mapping[str, Any]]:
    """What a sidecar says, by file name; empty where it is an ordinary file of records."""
    rows: dict[str, Mapping[str, Any]] = {}
    try:
        for piece in record_files.plan_slices(path, Limits()):
            for record in record_files.read_slice(path, piece, Limits()):
                if isinstance(record, Reason):
                    continue
                name = record.get("file_name")
                if isinstance(name, str):
                    # Through JSON, so that a row read now equals the same row read from the plan later.
                    rows[name] = json.loads(json.dumps(dict(record), default=str))
    except UnreadableError:
        return {}
    return rows
