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
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.database import tables_of
from lexveil.pipeline.workspace.keys import current_store
from lexveil.pipeline.workspace.workspace import Workspace

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


@contextmanager
def recorded(
    workspace: Workspace, settings: Settings, action: str, facts: Mapping[str, Any] | None = None
) -> Generator[dict[str, Any], None, None]:
    """Log that an action starts, and how it ended, with the facts that were put into the yielded dict.

    Of an error the log keeps the type. Raises WorkspaceError where the log cannot be written: what is not
    logged is not done.
    """
    started = append(workspace, settings, action, "started", dict(facts or {}))
    found: dict[str, Any] = {"of": started.seq}
    try:
        yield found
    except BaseException as error:
        append(workspace, settings, action, f"failed: {type(error).__name__}", found)
        raise
    append(workspace, settings, action, "done", found)


def append(
    workspace: Workspace, settings: Settings, action: str, outcome: str, facts: dict[str, Any]
) -> Entry:
    """Add an entry and see it on disk. Raises WorkspaceError where that fails or the log's end is broken."""
    key = _signing_key(workspace, settings)

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

    database = tables_of(workspace, settings)
    try:
        if database is not None:
            return _entry(database.append_to_log(follow))
        return _entry(_append_to_file(log_path(workspace), follow))
    except (OSError, ValueError, TypeError):
        raise WorkspaceError("the workspace's log is broken or can't be written; nothing was done") from None


def read(workspace: Workspace, settings: Settings) -> list[Entry]:
    """All entries, unchecked; none where there is no log. Raises WorkspaceError for a broken line."""
    try:
        return [_entry(line) for line in _lines(workspace, settings)]
    except ValueError:
        raise WorkspaceError("the workspace's log has a line that is no entry") from None


def verify(workspace: Workspace, settings: Settings, head: str | None = None) -> Verification:
    """Recompute the chain and check every signature. `head`: a hash that the log once had."""
    public = _signing_key(workspace, settings).public_key()
    shown = base64.b64encode(public.public_bytes_raw()).decode()
    try:
        entries = read(workspace, settings)
    except WorkspaceError:
        return Verification(0, 1, GENESIS, shown, None if head is None else False)
    broken = next((at for at, ok in enumerate(_sound(entries, public), start=1) if not ok), None)
    sound = entries if broken is None else entries[: broken - 1]
    last = sound[-1].hash if sound else GENESIS
    known = None if head is None else head in {GENESIS, *(entry.hash for entry in sound)}
    return Verification(len(entries), broken, last, shown, known)


def exported(workspace: Workspace, settings: Settings) -> bytes:
    """The log as one JSON object a line, for a copy that is kept elsewhere."""
    return b"".join(line + b"\n" for line in _lines(workspace, settings))


def adopt(workspace: Workspace, settings: Settings, copy: bytes) -> int:
    """Put behind the log what a later copy of it has more. Returns how many entries that is.

    Raises:
        WorkspaceError: the copy was changed, or doesn't go on where this log ends.
    """
    own, lines = _lines(workspace, settings), copy.split(b"\n")[:-1]
    public = _signing_key(workspace, settings).public_key()
    try:
        sound = all(_sound([_entry(line) for line in lines], public))
    except ValueError:
        sound = False
    if not sound or lines[: len(own)] != own:
        raise WorkspaceError("the copy of the log was changed, or isn't a later one of this workspace")
    database = tables_of(workspace, settings)
    for line in lines[len(own) :]:
        if database is not None:
            database.append_to_log(lambda _last, line=line: line)
        else:
            _append_to_file(log_path(workspace), lambda _last, line=line: line)
    return len(lines) - len(own)


def log_path(workspace: Workspace) -> Path:
    """Where the log lies, where no database keeps it."""
    return workspace.protected / "log.jsonl"


def _lines(workspace: Workspace, settings: Settings) -> list[bytes]:
    database = tables_of(workspace, settings)
    if database is not None:
        return database.read_log()
    try:
        # What follows the last line's end was being written when a process died.
        return log_path(workspace).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []


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


def _signing_key(workspace: Workspace, settings: Settings) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(current_store(workspace, settings).purpose_key(_PURPOSE))


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
