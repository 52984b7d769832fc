"""What a client remembers of one endpoint: its identity, its answers to probes, and the client's secret keys.

It is kept in memory, or in a folder of mode 0700 with files of mode 0600. `pin.json` contains answers to the
client's own probes. They are decrypted logits, and like every logit must not leave this machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.client.channel import ServingError
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.privacy.he.keys import ClientKeys, SecretKeyError
from lexveil.privacy.he.parameters import Parameters


@dataclass(slots=True)
class Pin:
    """State of an endpoint when it was last used. It is written to `pin.json`.

    Attributes:
        public_key: key that signed the manifest, base64; empty before the first use.
        issued_at: time of the last manifest.
        commitment: commitment to the weights in the last manifest.
        probe_seed: secret seed of the client's own probes.
        answers: logits of the first answers to them; empty before they are known.
        tolerance: stated error of the answers.
        sessions: ids of the open sessions, by layout.
    """

    public_key: str = ""
    issued_at: str = ""
    commitment: str = ""
    probe_seed: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    answers: list[list[float]] = field(default_factory=list[list[float]], repr=False)
    tolerance: float = 0.0
    sessions: dict[str, str] = field(default_factory=dict[str, str], repr=False)


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
            write_bytes(self._folder / "pin.json", json.dumps(asdict(self.pin)).encode(), mode=0o600)
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
        record = json.loads((folder / "pin.json").read_text())
        return Pin(**record)
    except FileNotFoundError:
        return Pin()
    except (OSError, ValueError, TypeError):
        # Not replaced: whoever can damage this file could make the client trust another server.
        raise ServingError("state", "the file with the endpoint's pin cannot be read") from None
