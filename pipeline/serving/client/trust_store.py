"""What a client remembers of one endpoint: its identity, some of its answers, and the client's secret keys.

It is kept in memory, or in a folder of mode 0700 with files of mode 0600, which the processes of a user share
under a lock. `pin.json` contains feature rows of a few documents, and the answers to them. Like every feature
row and logit, they must not leave this machine.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.client.channel import ServingError
from lexveil.pipeline.serving.client.checks import Line
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.privacy.files import write_atomically
from lexveil.privacy.he.keys import ClientKeys, FormerKeyError, SecretKeyError
from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.parameters import Parameters

_FORMER_FIELDS = {"probe_seed", "answers", "tolerance"}  # until protocol 2
_FILES = "extractor"
_TEXTS = ("public_key", "issued_at", "commitment", "statement", "head_since", "refused_at")


@dataclass(frozen=True, slots=True)
class OpenSession:
    """An open session, and what it belongs to.

    Attributes:
        name: id of the session.
        key: fingerprint of the secret key. With another key, its answers could not be decrypted.
        head: commitment to the weights of the head that it was opened for.
    """

    name: str = field(repr=False)
    key: str = field(repr=False)
    head: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """A secret key of this client.

    Attributes:
        keys: the key.
        fingerprint: digest of its file, by which other processes recognize it.
    """

    keys: ClientKeys
    fingerprint: str = field(repr=False)


@dataclass(slots=True)
class Pin:
    """State of an endpoint when it was last used. It is written to `pin.json`.

    Attributes:
        public_key: key that signed the manifest, base64; empty before the first use.
        issued_at: time of the last manifest.
        commitment: commitment to the weights in the last manifest.
        head_since: time when this client first saw that statement, ISO 8601, UTC.
        refused_at: time of a dishonest answer, ISO 8601, UTC; empty if there was none.
        sessions: the open sessions, by layout.
        lines: answers that the server gave, and the rows that they belong to; empty before the first use.
        statement: digest of what the last manifest states of the head (`manifest.digest_statement`); empty in
            a pin of an earlier version.
    """

    public_key: str = ""
    issued_at: str = ""
    commitment: str = ""
    head_since: str = ""
    refused_at: str = ""
    sessions: dict[str, OpenSession] = field(default_factory=dict[str, OpenSession], repr=False)
    lines: list[Line] = field(default_factory=list[Line], repr=False)
    statement: str = ""

    def require_trusted(self) -> None:
        """Refuse a server that has given a dishonest answer.

        Raises:
            ServingError: it has, and nobody has said since that it may be trusted again.
        """
        if self.refused_at:
            raise ServingError(
                "refused",
                f"this server gave wrong answers on {self.refused_at} and is refused; "
                "`lexveil keys rotate --trust-again` accepts it as if it were new",
            )

    def to_json(self) -> str:
        """Return the record that `from_json` reads."""
        sessions = {layout: [one.name, one.key, one.head] for layout, one in self.sessions.items()}
        texts = {name: getattr(self, name) for name in _TEXTS}
        return json.dumps(
            {**texts, "sessions": sessions, "lines": [_encode_line(line) for line in self.lines]}
        )

    @classmethod
    def from_json(cls, text: str) -> Pin:
        """Read a record.

        From a record of an earlier version, two things are dropped: answers to probes that a server could
        predict, and sessions, which named no key.

        Raises:
            ValueError: it is not a record of a pin.
        """
        try:
            record: dict[str, Any] = json.loads(text)
            if set(record) - {*_TEXTS, *_FORMER_FIELDS, "sessions", "lines"}:
                raise ValueError("a pin of a later version")
            texts = {name: str(record.get(name, "")) for name in _TEXTS}
            sessions = record.get("sessions", {}).items()
            named = {layout: OpenSession(*told) for layout, told in sessions if isinstance(told, list)}
            return cls(
                **texts, sessions=named, lines=[_decode_line(line) for line in record.get("lines", [])]
            )
        except (KeyError, TypeError, AttributeError):
            raise ValueError("not the record of a pin") from None


class ClientState:
    """The pin and the secret keys of one endpoint.

    Args:
        folder: folder of the files; None: nothing outlives this process.

    Attributes:
        pin: the state of the endpoint when it was last read. `update` changes it.

    Raises:
        ServingError: the pin cannot be read.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._keys: dict[str, HeldKeys] = {}
        self.pin = Pin() if folder is None else _read_pin(folder)

    @classmethod
    def for_endpoint(cls, state: Path | None, url: str) -> ClientState:
        """Open the state of the endpoint at `url`.

        Args:
            state: folder of the states of all endpoints; None: nothing outlives this process.
            url: URL of the endpoint.

        Raises:
            ServingError: the pin cannot be read.
        """
        if state is None:
            return cls()
        return cls(state / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16])

    def __repr__(self) -> str:
        return "ClientState(...)"

    @contextmanager
    def update(self) -> Generator[Pin, None, None]:
        """Read the pin, and write it when the block ends without an error. Other processes wait meanwhile.

        The methods below that need a lock are called in such a block. Blocks cannot be nested.

        Raises:
            ServingError: the folder cannot be used.
        """
        if self._folder is None:
            yield self.pin
            return
        with _lock(self._folder):
            self.pin = _read_pin(self._folder)
            before = self.pin.to_json()
            yield self.pin
            after = self.pin.to_json()
            if after == before:
                return
            try:
                write_bytes(self._folder / "pin.json", after.encode(), mode=0o600)
            except OSError:
                raise ServingError(
                    "state", "the client's folder of keys and pins cannot be written"
                ) from None

    def get_keys(self, layout: wire.LayoutName, parameters: Parameters) -> HeldKeys:
        """Return the secret key of a layout. It is made if there is none, or if it has other parameters.

        Needs a lock.

        Raises:
            ServingError: others can read the key file, or it cannot be read or written.
        """
        held = self.find_keys(layout)
        if held is None or held.keys.parameters != parameters:
            self._store(layout, ClientKeys.generate(parameters))
        return self._keys[layout]

    def find_keys(self, layout: wire.LayoutName) -> HeldKeys | None:
        """Return the secret key of a layout if there is one for present parameters. Needs a lock.

        Raises:
            ServingError: others can read the key file, or it cannot be read.
        """
        held = self._keys.get(layout)
        if self._folder is None:
            return held
        try:
            fingerprint = hashlib.sha256(self._path(layout).read_bytes()).hexdigest()
            if held is None or held.fingerprint != fingerprint:
                self._keys[layout] = HeldKeys(ClientKeys.load(self._path(layout)), fingerprint)
            return self._keys[layout]
        except (FileNotFoundError, FormerKeyError):  # a new one replaces a former one
            self._keys.pop(layout, None)
            return None
        except OSError:
            error = "the secret key file cannot be read"
        except SecretKeyError as refused:
            error = str(refused)
        raise ServingError("state", f"{error}; `lexveil keys rotate` makes a new one")

    def remove_keys(self) -> tuple[int, list[str]]:
        """Delete all secret keys, and forget the sessions. New ones are made when they are needed.

        After that, nothing in this folder can decrypt what was encrypted under the old keys. The pinned
        answers stay. Needs a lock.

        Returns:
            The number of key files that were removed, and the ids of the sessions.

        Raises:
            ServingError: a key file cannot be deleted.
        """
        removed = 0
        if self._folder is not None:
            for path in self._folder.glob("*.key"):
                try:
                    path.unlink()
                except OSError:
                    raise ServingError("state", "a secret key file cannot be deleted") from None
                removed += 1
        self._keys.clear()
        sessions = [session.name for session in self.pin.sessions.values()]
        self.pin.sessions.clear()
        return removed, sessions

    def refuse_server(self) -> list[str]:
        """Delete all secret keys, and refuse the server until `trust_again`.

        Whether the client goes on tells a dishonest server one bit about the key. There must be no second.

        Returns:
            The ids of the sessions, which are forgotten.
        """
        with self.update() as pin:
            pin.refused_at = pin.refused_at or datetime.now(UTC).isoformat(timespec="seconds")
            return self.remove_keys()[1]

    def trust_again(self) -> None:
        """Trust the server as at first use. Its public key stays pinned; everything else of it is forgotten.

        So is the time of its last manifest: a server whose clock was wrong could show no newer one.
        """
        with self.update() as pin:
            pin.refused_at, pin.lines = "", []
            pin.issued_at = pin.commitment = pin.statement = pin.head_since = ""

    def read_file(self, digest: str) -> bytes | None:
        """Return a public file of the endpoint that was kept, by its SHA-256; None if it is not whole."""
        if self._folder is None:
            return None
        try:
            content = (self._folder / _FILES / digest).read_bytes()
        except OSError:
            return None
        return content if hashlib.sha256(content).hexdigest() == digest else None

    def keep_files(self, files: Mapping[str, bytes]) -> None:
        """Keep public files of the endpoint, by their SHA-256, instead of those kept before.

        If they cannot be written, they are downloaded again when they are needed.
        """
        if self._folder is None:
            return
        folder = self._folder / _FILES
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for digest, content in files.items():
                write_atomically(folder / digest, content)
            for path in folder.iterdir():
                if path.name not in files:
                    path.unlink(missing_ok=True)

    def _store(self, layout: str, keys: ClientKeys) -> None:
        if self._folder is None:
            self._keys[layout] = HeldKeys(keys, secrets.token_hex(32))
            return
        content = keys.to_bytes()
        try:
            write_atomically(self._path(layout), content)
        except OSError:
            raise ServingError("state", "the secret key file cannot be written") from None
        self._keys[layout] = HeldKeys(keys, hashlib.sha256(content).hexdigest())

    def _path(self, layout: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{layout}.key"


@contextmanager
def _lock(folder: Path) -> Generator[None, None, None]:
    """Wait until no other process uses the folder, and keep the others out. It is made if it is missing."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        raise ServingError("state", f"cannot create {folder}; --state names another folder") from None
    with os.fdopen(descriptor) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the system frees it with the file, whatever happens
        yield


def _read_pin(folder: Path) -> Pin:
    try:
        return Pin.from_json((folder / "pin.json").read_text())
    except FileNotFoundError:
        return Pin()
    except (OSError, ValueError):
        # Not replaced: whoever can damage this file could make the client trust another server.
        raise ServingError("state", "the file with the endpoint's pin cannot be read") from None


def _encode_line(line: Line) -> dict[str, Any]:
    return {"ends": _encode(line.ends), "logits": _encode(line.logits), "tolerance": line.tolerance}


def _decode_line(record: dict[str, Any]) -> Line:
    return Line(_decode(record["ends"]), _decode(record["logits"]), float(record["tolerance"]))


def _encode(matrix: Floats) -> dict[str, Any]:
    content = base64.b64encode(np.ascontiguousarray(matrix, "<f8").tobytes()).decode()
    return {"shape": list(matrix.shape), "float64": content}


def _decode(record: dict[str, Any]) -> Floats:
    content = base64.b64decode(record["float64"], validate=True)
    return np.frombuffer(content, "<f8").reshape(record["shape"])
