"""What a client remembers of one endpoint: its identity, answers that it gave, and the client's secret keys.

It is kept in memory, or in a folder of mode 0700 with files of mode 0600. `pin.json` contains feature rows of
a few documents, and the answers to them. Like every feature row and logit, they must not leave this machine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.client.channel import ServingError
from lexveil.pipeline.serving.client.checks import Line
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.privacy.he.keys import ClientKeys, SecretKeyError
from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.parameters import Parameters

_FORMER_FIELDS = {"probe_seed", "answers", "tolerance"}  # until protocol 2


@dataclass(slots=True)
class Pin:
    """State of an endpoint when it was last used. It is written to `pin.json`.

    Attributes:
        public_key: key that signed the manifest, base64; empty before the first use.
        issued_at: time of the last manifest.
        commitment: commitment to the weights in the last manifest.
        lines: answers that the server gave, and the rows that they belong to; empty before the first use.
        sessions: ids of the open sessions, by layout.
    """

    public_key: str = ""
    issued_at: str = ""
    commitment: str = ""
    sessions: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    lines: list[Line] = field(default_factory=list[Line], repr=False)

    def to_json(self) -> str:
        """Return the record that `from_json` reads."""
        own = {name: getattr(self, name) for name in ("public_key", "issued_at", "commitment", "sessions")}
        return json.dumps({**own, "lines": [_encode_line(line) for line in self.lines]})

    @classmethod
    def from_json(cls, text: str) -> Pin:
        """Read a record. Answers to the probes of earlier versions, which a server could predict, are left.

        Raises:
            ValueError: it is not a record of a pin.
        """
        try:
            record = json.loads(text)
            lines = [_decode_line(line) for line in record.get("lines", [])]
            left = {"lines", *_FORMER_FIELDS}
            return cls(lines=lines, **{name: value for name, value in record.items() if name not in left})
        except (KeyError, TypeError, AttributeError):
            raise ValueError("not the record of a pin") from None


class ClientState:
    """The pin and the secret keys of one endpoint.

    Args:
        folder: folder of the files; None: nothing outlives this process.

    Attributes:
        pin: the state of the endpoint. `save` writes it.

    Raises:
        ServingError: the pin cannot be read.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._keys: dict[str, ClientKeys] = {}
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

    def save(self) -> None:
        """Write the pin durably.

        Raises:
            ServingError: it cannot be written.
        """
        if self._folder is None:
            return
        try:
            _make_private_folder(self._folder)
            write_bytes(self._folder / "pin.json", self.pin.to_json().encode(), mode=0o600)
        except OSError:
            raise ServingError("state", "the client's folder of keys and pins cannot be written") from None

    def get_keys(self, layout: wire.LayoutName, parameters: Parameters) -> ClientKeys:
        """Return the secret key of a layout. It is made if there is none, or if it has other parameters.

        Raises:
            ServingError: others can read the key file, or it cannot be read or written.
        """
        keys = self._keys.get(layout) or self._load(layout)
        if keys is None or keys.parameters != parameters:
            keys = ClientKeys.generate(parameters)
            self._store(layout, keys)
        self._keys[layout] = keys
        return keys

    def rotate(self) -> int:
        """Delete all secret keys and sessions. New ones are made when they are needed.

        After that, nothing in this folder can decrypt what was encrypted under the old keys. The pinned
        answers stay.

        Returns:
            The number of key files that were removed.
        """
        removed = 0
        if self._folder is not None:
            for path in self._folder.glob("*.key"):
                path.unlink()
                removed += 1
        self._keys.clear()
        self.pin.sessions.clear()
        self.save()
        return removed

    def _load(self, layout: str) -> ClientKeys | None:
        if self._folder is None or not self._path(layout).exists():
            return None
        try:
            return ClientKeys.load(self._path(layout))
        except SecretKeyError as error:
            raise ServingError("state", f"{error}; `lexveil keys rotate` makes a new one") from None

    def _store(self, layout: str, keys: ClientKeys) -> None:
        self.pin.sessions.pop(layout, None)  # the server's evaluation keys belong to another secret key
        if self._folder is None:
            return
        try:
            _make_private_folder(self._folder)
            partial = self._folder / f".{layout}.{os.getpid()}"
            with suppress(FileNotFoundError):
                partial.unlink()
            keys.save(partial)
            partial.replace(self._path(layout))
        except OSError:
            raise ServingError("state", "the secret key file cannot be written") from None
        self.save()

    def _path(self, layout: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{layout}.key"


def _make_private_folder(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
    except OSError:
        raise ServingError("state", f"cannot create {folder}; --state names another folder") from None


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
