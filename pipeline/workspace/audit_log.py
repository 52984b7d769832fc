"""The log of a workspace: who did what, on which digests, with what spending; a change of it is noticed.

An entry is one line of JSON in `protected/log.jsonl`, or a row in the database. It has the SHA-256 of the
entry before it and an Ed25519 signature, whose key is derived from the workspace's. An endpoint has a log and
a key of its own, because it must not have the workspace's. Entries contain names of
actions, digests, counts and sums, and name no person but the operator. A command that changes something, or
shows protected data, writes two entries, `started` and how it ended; a killed one writes only the first.

The log reveals entries that were changed, removed, inserted or moved. It does not reveal entries that were
cut off at its end, unless a later head is known (`lexveil log show` prints it; run reports and erasure
certificates record it), nor a log that the holder of the master key forged from the beginning.
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
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.workspace.storage import sync_file

GENESIS = hashlib.sha256(b"lexveil/audit-log/1").hexdigest()
_TAIL = 1 << 16  # bytes at the end of the file; an entry is far shorter


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log.

    Attributes:
        seq: position in the log, from 1.
        at: time, ISO 8601, UTC.
        actor: name of the operator.
        action: what was done.
        outcome: `started`, `done` or `failed: <type of the error>`.
        facts: digests, counts and sums.
        previous: hash of the entry before.
        hash: SHA-256 of all fields above.
        signature: of the hash, base64.
    """

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
        """Return the hash that this entry should have."""
        content = asdict(self)
        del content["hash"], content["signature"]
        return hashlib.sha256(_to_canonical_json(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of a check of the log.

    Attributes:
        entries: number of entries.
        broken_at: position, from 1, of the first entry that is not as it was written; None if all are.
        head: hash of the last sound entry.
        public_key: key that the signatures were checked with, base64.
        head_known: True if the log contains the head to look for; None if there was none to look for.
    """

    entries: int
    broken_at: int | None
    head: str
    public_key: str
    head_known: bool | None = None

    @property
    def intact(self) -> bool:
        """True if no entry is broken or known to be missing."""
        return self.broken_at is None and self.head_known is not False


class LogTable(Protocol):
    """A log in a database."""

    def read_log(self) -> list[bytes]:
        """Read all lines in order."""
        ...

    def append_to_log(self, follow: Callable[[bytes | None], bytes]) -> bytes:
        """Append a line to the log, one writer at a time.

        Args:
            follow: makes the line from the last one, which is None in an empty log.

        Returns:
            The line.
        """
        ...


class AuditLog:
    """A log, in a file or in a database.

    Args:
        path: the file.
        load_key: loads the key that signs the entries.
        open_database: opens the database that holds the log instead of the file; returns None if none does.
    """

    def __init__(
        self,
        path: Path,
        load_key: Callable[[], Ed25519PrivateKey],
        open_database: Callable[[], LogTable | None] = lambda: None,
    ) -> None:
        self._path, self._load_key, self._open_database = path, load_key, open_database

    @contextmanager
    def record(
        self, action: str, facts: Mapping[str, Any] | None = None
    ) -> Generator[dict[str, Any], None, None]:
        """Log that an action starts, and how it ended with the facts that were put into the yielded dict.

        An error is logged by its type. If the start cannot be logged, the action is not carried out.

        Args:
            action: name of the action.
            facts: facts that are known at the start.

        Raises:
            WorkspaceError: the log cannot be written.
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
            WorkspaceError: the log cannot be written, or its end is broken.
        """
        key = self._signing_key

        def follow(line: bytes | None) -> bytes:
            last = None if line is None else _parse(line)
            entry = Entry(
                seq=last.seq + 1 if last else 1,
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                actor=_get_user_name(),
                action=action,
                outcome=outcome,
                facts=facts,
                previous=last.hash if last else GENESIS,
            )
            digest = entry.digest()
            signature = base64.b64encode(key.sign(digest.encode())).decode()
            return _to_canonical_json({**asdict(entry), "hash": digest, "signature": signature}).encode()

        try:
            return _parse(self._append_line(follow))
        except OSError:
            raise WorkspaceError("the workspace's log cannot be written; nothing was done") from None
        except (ValueError, TypeError):
            raise WorkspaceError("the workspace's log is broken; nothing was done") from None

    def read(self) -> list[Entry]:
        """Return all entries, unchecked; none if there is no log.

        Raises:
            WorkspaceError: a line is broken.
        """
        try:
            return [_parse(line) for line in self._lines()]
        except ValueError:
            raise WorkspaceError("the workspace's log has a line that is not an entry") from None

    def find_last(self, action: str) -> Entry | None:
        """Return the last entry of an action that is done, if this workspace's key has signed it.

        Only this entry is checked: it cannot be forged, but what it says may be out of date, since later
        entries may have been cut off.
        """
        mark = json.dumps(action).encode()
        for line in reversed(self._lines()):
            if mark not in line:
                continue
            try:
                entry = _parse(line)
            except ValueError:
                continue
            if (entry.action, entry.outcome) == (action, "done"):
                return entry if _is_signed(entry, self._signing_key.public_key()) else None
        return None

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
        broken = next((at for at, ok in enumerate(_check(entries, public), start=1) if not ok), None)
        sound = entries if broken is None else entries[: broken - 1]
        last = sound[-1].hash if sound else GENESIS
        known = None if head is None else head in {GENESIS, *(entry.hash for entry in sound)}
        return Verification(len(entries), broken, last, shown, known)

    def export(self) -> bytes:
        """Return the log as one JSON object per line, for a copy that is kept elsewhere."""
        return b"".join(line + b"\n" for line in self._lines())

    def append_copy(self, copy: bytes) -> int:
        """Append the entries that a later copy of the log has and this one lacks.

        Returns:
            The number of entries appended.

        Raises:
            WorkspaceError: the copy was changed, or does not continue this log.
        """
        own, lines = self._lines(), copy.split(b"\n")[:-1]
        public = self._signing_key.public_key()
        try:
            sound = all(_check([_parse(line) for line in lines], public))
        except ValueError:
            sound = False
        if not sound or lines[: len(own)] != own:
            raise WorkspaceError("the copy of the log was changed, or is not a later one of this workspace")
        for line in lines[len(own) :]:
            self._append_line(lambda _last, line=line: line)
        return len(lines) - len(own)

    def _append_line(self, follow: Callable[[bytes | None], bytes]) -> bytes:
        if self._database is not None:
            return self._database.append_to_log(follow)
        return _append_to_file(self._path, follow)

    def _lines(self) -> list[bytes]:
        if self._database is not None:
            return self._database.read_log()
        try:
            # A process was killed while it wrote what follows the end of the last line.
            return self._path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []

    @cached_property
    def _database(self) -> LogTable | None:
        return self._open_database()

    @cached_property
    def _signing_key(self) -> Ed25519PrivateKey:
        return self._load_key()


def _check(entries: Iterable[Entry], public: Ed25519PublicKey) -> Generator[bool, None, None]:
    """Check signature and chain of each entry; yields whether it is as it was written."""
    previous = GENESIS
    for seq, entry in enumerate(entries, start=1):
        signed = _is_signed(entry, public)
        yield signed and (entry.seq, entry.previous) == (seq, previous)
        previous = entry.hash if signed else previous


def _is_signed(entry: Entry, public: Ed25519PublicKey) -> bool:
    try:
        signature = base64.b64decode(entry.signature, validate=True)
        public.verify(signature, entry.hash.encode())
    except (InvalidSignature, ValueError):
        return False
    # Encoded again, because several base64 strings decode to the same bytes.
    same = base64.b64encode(signature).decode() == entry.signature
    return same and entry.hash == entry.digest()


def _append_to_file(path: Path, follow: Callable[[bytes | None], bytes]) -> bytes:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        line = follow(_read_last_line(file))
        file.write(line + b"\n")
        sync_file(file)
    return line


def _read_last_line(file: Any) -> bytes | None:
    """Read the last whole line, and cut off what a killed process wrote of another one."""
    start = max(0, file.seek(0, os.SEEK_END) - _TAIL)
    file.seek(start)
    content: bytes = file.read()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        file.truncate(start + whole)
    if not whole:
        return None
    return content[content.rfind(b"\n", 0, whole - 1) + 1 : whole - 1]


def _parse(line: bytes) -> Entry:
    """Parse a line.

    Raises:
        ValueError: it is not an entry.
    """
    content = json.loads(line)
    if not isinstance(content, dict) or {name: type(value) for name, value in content.items()} != _TYPES:
        raise ValueError("not an entry")
    return Entry(**content)


_TYPES = {field.name: {"int": int, "str": str}.get(str(field.type), dict) for field in fields(Entry)}


def _get_user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def _to_canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
