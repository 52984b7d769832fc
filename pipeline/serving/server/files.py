"""Files of one server: evaluation keys, records of API keys, secrets."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Container, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.server.errors import UnauthorizedError
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.privacy.files import sync_folder

PRIVATE = 0o600  # mode of every file of the state
TABLES = "state.sqlite"
_FORMER_STATE = (
    *("api-keys.json", "log.jsonl", "log.key", "salt"),
    *(f"{TABLES}-wal", f"{TABLES}-shm", TABLES),
    "signing.key",
)
_ASIDE = ".adopted"  # in the same folder: a confined process may rename into no other
_LOCK_SECONDS = 2  # of a command that brings the state into a database
_TEMPORARY, _ALIVE = "lexveil-endpoint-", "alive"
# Keys without a session, but younger than this, may belong to one that is being opened.
OPENING_SECONDS = 60


class EvaluationKeys(Protocol):
    """Storage of the clients' evaluation keys. `bound` is what they belong to, in addition to their name."""

    def keep(self, name: str, bound: str, content: bytes) -> None:
        """Store keys.

        Raises:
            OSError: the disk is full.
            RefusalError: the storage does not take them.
        """
        ...

    def fetch(self, name: str, bound: str) -> Path:
        """Return a file with the keys, which workers may read; it may be missing.

        Raises:
            OSError: the disk is full.
            RefusalError: the storage does not answer.
        """
        ...

    def drop(self, names: Iterable[str]) -> None:
        """Delete keys."""
        ...

    def purge(self, alive: Container[str]) -> None:
        """Delete all other keys, but not those of sessions that are being opened."""
        ...


class KeyFolder:
    """Evaluation keys as files `<name>.keys`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, name: str, bound: str, content: bytes) -> None:
        """Store keys."""
        del bound  # nobody else writes this folder
        write_bytes(self._path(name), content, PRIVATE)

    def fetch(self, name: str, bound: str) -> Path:
        """Return the file of the keys."""
        del bound
        return self._path(name)

    def drop(self, names: Iterable[str]) -> None:
        """Delete keys."""
        for name in names:
            for path in self._folder.glob(f"{name}.*"):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def purge(self, alive: Container[str]) -> None:
        """Delete all other keys, but not those of sessions that are being opened."""
        self.delete_older(time.time() - OPENING_SECONDS, but=alive)

    def delete_older(self, moment: float, but: Container[str] = ()) -> None:
        """Delete files that were last used before a moment, except those with these names."""
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if path.name.partition(".")[0] not in but and path.stat().st_mtime < moment:
                    path.unlink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.keys"


class KeyFile:
    """The records of API keys in `<folder>/api-keys.json`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "api-keys.json"
        self._stamp: object = None
        self._keys: dict[str, dict[str, str]] = {}

    def find(self, key_id: str) -> Mapping[str, str] | None:
        """Return the record of a key; None if there is none."""
        return self.list().get(key_id)

    def list(self) -> Mapping[str, dict[str, str]]:
        """Return all records."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                self._keys, self._stamp = json.loads(self._path.read_bytes()), stamp
        except FileNotFoundError:
            # No keys only if there never was a file: one that disappears must not open the endpoint.
            if self._stamp is not None:
                raise UnauthorizedError from None
        except (OSError, ValueError):
            raise UnauthorizedError from None
        return self._keys

    def add(self, key_id: str, record: Mapping[str, str]) -> None:
        """Add a record."""
        with self._change() as keys:
            keys[key_id] = dict(record)

    def remove(self, key_id: str) -> bool:
        """Remove a record; return False if there is none."""
        with self._change() as keys:
            return keys.pop(key_id, None) is not None

    def __bool__(self) -> bool:
        return bool(self.list())

    @contextmanager
    def _change(self) -> Generator[dict[str, dict[str, str]], None, None]:
        """Yield the records to be changed, while no other process changes them."""
        try:
            with hold_lock(self._path.with_name("state.lock")):
                keys: dict[str, dict[str, str]] = {}
                with contextlib.suppress(FileNotFoundError):
                    keys = json.loads(self._path.read_bytes())
                yield keys
                write_bytes(self._path, json.dumps(keys, indent=1).encode(), PRIVATE)
        except (OSError, ValueError):
            raise EndpointError("the file of the API keys cannot be used") from None


@contextmanager
def hold_folder(folder: Path) -> Generator[None, None, None]:
    """Keep other servers from using a folder.

    Raises:
        EndpointError: a server uses it.
        OSError: the folder cannot be used.
    """
    until = time.monotonic() + _LOCK_SECONDS
    with os.fdopen(os.open(folder / "lock", os.O_RDWR | os.O_CREAT, PRIVATE)) as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise EndpointError("another endpoint serves from this folder") from None
                time.sleep(0.02)
        yield


@contextmanager
def hold_former_state(folder: Path) -> Generator[bool, None, None]:
    """Yield whether a folder has the state of an endpoint without replicas, which nobody changes meanwhile.

    Raises:
        EndpointError: a server uses it.
        OSError: the folder cannot be used.
    """
    if not _list_former_state(folder):
        yield False
        return
    with hold_folder(folder), hold_lock(folder / "state.lock"):
        yield bool(_list_former_state(folder))


def set_aside(folder: Path) -> None:
    """Rename the state of an endpoint without replicas: the database has it now.

    It can be done again after a crash. The identity goes last: as long as it is there, it tells whose state
    the rest is.
    """
    for path in _list_former_state(folder):
        path.rename(path.with_name(path.name + _ASIDE))
    sync_folder(folder)


def _list_former_state(folder: Path) -> list[Path]:
    return [folder / name for name in _FORMER_STATE if (folder / name).exists()]


@contextmanager
def hold_temporary_folder() -> Generator[Path, None, None]:
    """Create a folder that is deleted after the context, or by the next one if the process is killed."""
    _remove_abandoned()
    with (
        tempfile.TemporaryDirectory(prefix=_TEMPORARY, ignore_cleanup_errors=True) as name,
        hold_lock(Path(name) / _ALIVE),
    ):
        yield Path(name)


def _remove_abandoned() -> None:
    """Delete the temporary folders that no process holds any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*"):
        with (
            contextlib.suppress(OSError),  # held, of another user, or deleted by another process
            os.fdopen(os.open(folder / _ALIVE, os.O_RDWR | os.O_NOFOLLOW)) as file,
        ):
            status = os.fstat(file.fileno())
            # Another process may have made it, but not locked it yet.
            if status.st_uid == os.getuid() and status.st_mtime < time.time() - OPENING_SECONDS:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)


@contextlib.contextmanager
def hold_lock(path: Path) -> Generator[None, None, None]:
    """Keep other processes from holding the same lock file while the context lasts."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def load_secret(path: Path) -> bytes:
    """Return the secret in a file, which is made if it is missing.

    Raises:
        OSError: the file cannot be read or written.
        ValueError: others can read it.
    """
    if not path.exists():
        write_bytes(path, secrets.token_bytes(32), PRIVATE)
    if path.stat().st_mode & 0o077:
        raise ValueError("a secret is readable by others")
    return path.read_bytes()
