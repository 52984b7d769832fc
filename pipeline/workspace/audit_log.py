"""Who did what to a workspace, on which digests, with what spending: a log that cannot be changed unnoticed.

One JSON object a line in `protected/log.jsonl`, or a row in the database. Each holds the SHA-256 of the one
before it and an Ed25519 signature, whose key is derived from the workspace's. It holds names of actions,
digests, counts and sums; of people it names the operator alone. A command that changes something, or shows
what is protected, leaves two entries, `started` and how it ended: a killed one has the first only.

What it can show: an entry that was changed, removed, put in or put elsewhere. What it cannot: entries cut off
at its end, unless a later head is known (`lexveil log show` prints it; run reports and erasure certificates
keep it), and what the holder of the master key forges from the beginning.
"""

from __future__ import annotations

import base64
import fcntl
import getpass
import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.database import WorkspaceTables, open_tables
from lexveil.pipeline.workspace.keys import open_current_store
from lexveil.pipeline.workspace.paths import WorkspacePaths

GENESIS = hashlib.sha256(b"lexveil/audit-log/1").hexdigest()
_PURPOSE = "audit-log"
_TAIL = 1 << 16  # an entry is far shorter


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `facts` holds digests, counts and sums. `hash` covers all before it, `signature` the hash."""

    seq: int
    at: str
    actor: str
    action: str
    outcome: str
    facts: dict[str, Any]
    previous: str
    hash: str = ""
    signature: str = ""

    def digest(self) -> str:
        """The hash that this entry ought to have."""
        content = asdict(self)
        del content["hash"], content["signature"]
        return hashlib.sha256(_canonical(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Verification:
    """`broken_at`: position of the first entry that is not what was written, from 1. `known`: whether the
    head that was asked for stands in the log; None where none was."""

    entries: int
    broken_at: int | None
    head: str
    public_key: str
    known: bool | None = None

    @property
    def intact(self) -> bool:
        return self.broken_at is None and self.known is not False


class AuditLog:
    """The log of one workspace, in a file or in the configured database."""

    def __init__(self, paths: WorkspacePaths, settings: Settings) -> None:
        self._paths, self._settings = paths, settings

    @contextmanager
    def record(
        self, action: str, facts: Mapping[str, Any] | None = None
    ) -> Generator[dict[str, Any], None, None]:
        """Log that an action starts, and how it ended, with the facts that were put into the yielded dict.

        Of an error the log keeps the type. What cannot be logged is not done.

        Raises:
            WorkspaceError: the log can't be written.
        """
        started = self.append(action, "started", dict(facts or {}))
        outcome: dict[str, Any] = {"of": started.seq}
        try:
            yield outcome
        except BaseException as error:
            self.append(action, f"failed: {type(error).__name__}", outcome)
            raise
        self.append(action, "done", outcome)

    def append(self, action: str, outcome: str, facts: dict[str, Any]) -> Entry:
        """Append an entry and fsync it.

        Raises:
            WorkspaceError: the log can't be written, or its end is broken.
        """
        key = self._signing_key

        def follow(line: bytes | None) -> bytes:
            last = None if line is None else _entry(line)
            entry = Entry(
                seq=last.seq + 1 if last else 1,
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                actor=_actor(),
                action=action,
                outcome=outcome,
                facts=facts,
                previous=last.hash if last else GENESIS,
            )
            digest = entry.digest()
            signature = base64.b64encode(key.sign(digest.encode())).decode()
            return _canonical({**asdict(entry), "hash": digest, "signature": signature}).encode()

        try:
            return _entry(self._append_line(follow))
        except (OSError, ValueError, TypeError):
            raise WorkspaceError(
                "the workspace's log is broken or can't be written; nothing was done"
            ) from None

    def read(self) -> list[Entry]:
        """Return all entries, unchecked; none where there is no log.

        Raises:
            WorkspaceError: a line is broken.
        """
        try:
            return [_entry(line) for line in self._lines()]
        except ValueError:
            raise WorkspaceError("the workspace's log has a line that is no entry") from None

    def verify(self, head: str | None = None) -> Verification:
        """Recompute the chain and check every signature.

        Args:
            head: a hash that the log once had.
        """
        public = self._signing_key.public_key()
        shown = base64.b64encode(public.public_bytes_raw()).decode()
        try:
            entries = self.read()
        except WorkspaceError:
            return Verification(0, 1, GENESIS, shown, None if head is None else False)
        broken = next((at for at, ok in enumerate(_sound(entries, public), start=1) if not ok), None)
        sound = entries if broken is None else entries[: broken - 1]
        last = sound[-1].hash if sound else GENESIS
        known = None if head is None else head in {GENESIS, *(entry.hash for entry in sound)}
        return Verification(len(entries), broken, last, shown, known)

    def export(self) -> bytes:
        """Return the log as one JSON object per line, for a copy that is kept elsewhere."""
        return b"".join(line + b"\n" for line in self._lines())

    def append_copy(self, copy: bytes) -> int:
        """Append the entries that a later copy of the log has and this one lacks. Returns their number.

        Raises:
            WorkspaceError: the copy was changed, or does not continue this log.
        """
        own, lines = self._lines(), copy.split(b"\n")[:-1]
        public = self._signing_key.public_key()
        try:
            sound = all(_sound([_entry(line) for line in lines], public))
        except ValueError:
            sound = False
        if not sound or lines[: len(own)] != own:
            raise WorkspaceError("the copy of the log was changed, or isn't a later one of this workspace")
        for line in lines[len(own) :]:
            self._append_line(lambda _last, line=line: line)
        return len(lines) - len(own)

    def _append_line(self, follow: Callable[[bytes | None], bytes]) -> bytes:
        if self._database is not None:
            return self._database.append_to_log(follow)
        return _append_to_file(log_path(self._paths), follow)

    def _lines(self) -> list[bytes]:
        if self._database is not None:
            return self._database.read_log()
        try:
            # What follows the last line's end was being written when a process died.
            return log_path(self._paths).read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []

    @cached_property
    def _database(self) -> WorkspaceTables | None:
        return open_tables(self._paths, self._settings)

    @cached_property
    def _signing_key(self) -> Ed25519PrivateKey:  # outlives a rotation of the master key
        keys = open_current_store(self._paths, self._settings)
        return Ed25519PrivateKey.from_private_bytes(keys.purpose_key(_PURPOSE))


def log_path(paths: WorkspacePaths) -> Path:
    """Return the path of the log's file, which a workspace without a database has."""
    return paths.protected / "log.jsonl"


def _sound(entries: Iterable[Entry], public: Ed25519PublicKey) -> Generator[bool, None, None]:
    previous = GENESIS
    for seq, entry in enumerate(entries, start=1):
        try:
            signature = base64.b64decode(entry.signature, validate=True)
            public.verify(signature, entry.hash.encode())
        except (InvalidSignature, ValueError):
            yield False
            continue
        # Written again, because several strings stand for the same bytes.
        same = base64.b64encode(signature).decode() == entry.signature
        yield same and (entry.seq, entry.previous, entry.hash) == (seq, previous, entry.digest())
        previous = entry.hash


def _append_to_file(path: Path, follow: Callable[[bytes | None], bytes]) -> bytes:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        line = follow(_last(file))
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return line


def _last(file: Any) -> bytes | None:
    """The last whole line; what a killed process left of another one is cut off."""
    start = max(0, file.seek(0, os.SEEK_END) - _TAIL)
    file.seek(start)
    content: bytes = file.read()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        file.truncate(start + whole)
    if not whole:
        return None
    return content[content.rfind(b"\n", 0, whole - 1) + 1 : whole - 1]


def _entry(line: bytes) -> Entry:
    """Raises ValueError for anything else."""
    found = json.loads(line)
    kinds = {field.name: field.type for field in fields(Entry)}
    if not isinstance(found, dict) or set(found) != set(kinds):
        raise ValueError("no entry")
    for name, kind in kinds.items():
        wanted = int if kind == "int" else str if kind == "str" else dict
        if type(found[name]) is not wanted:
            raise ValueError("no entry")
    return Entry(**found)


def _actor() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
