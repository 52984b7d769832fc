"""What a client remembers of one endpoint: who it is, what it answered, and the client's own secret keys.

In memory alone, or under a folder of mode 0700 whose files have mode 0600. `pin.json` holds answers to the
client's own probes, which are decrypted logits of public-looking features: they stay here like every logit.
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
from lexveil.privacy.he.keys import ClientKeys, SecretKeyError
from lexveil.privacy.he.parameters import Parameters


@dataclass(slots=True)
class Pin:
    """What was true of an endpoint when it was last seen.

    public_key: of the manifest's signature; empty before first use. issued_at, commitment: of the last
    manifest. probe_seed: the client's secret, from which its own probes follow. answers: their first logits,
    empty before they are known; tolerance: their stated error. sessions: by layout.
    """

    public_key: str = ""
    issued_at: str = ""
    commitment: str = ""
    probe_seed: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    answers: list[list[float]] = field(default_factory=list[list[float]], repr=False)
    tolerance: float = 0.0
    sessions: dict[str, str] = field(default_factory=dict[str, str], repr=False)


class State:
    """The pin and the secret keys of one endpoint. folder: None to remember nothing beyond this process."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._keys: dict[str, ClientKeys] = {}
        self.pin = Pin() if folder is None else _read(folder)

    @classmethod
    def of(cls, state: Path | None, url: str) -> State:
        """The state of the endpoint at `url` in a folder of states."""
        if state is None:
            return cls()
        return cls(state / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16])

    def __repr__(self) -> str:
        return "State(...)"

    def save(self) -> None:
        """Writes the pin, whole or not at all. Raises `ServingError`."""
        if self._folder is None:
            return
        try:
            _private_folder(self._folder)
            partial = self._folder / f".pin.{os.getpid()}"
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(asdict(self.pin), file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._folder / "pin.json")
        except OSError:
            raise ServingError("state", "the client's folder of keys and pins cannot be written") from None

    def keys(self, layout: wire.LayoutName, parameters: Parameters) -> ClientKeys:
        """The secret key for these parameters: the one there is, else a fresh one.

        A key of other parameters is replaced. Raises `ServingError` for a file that others could read.
        """
        found = self._keys.get(layout) or self._load(layout)
        if found is None or found.parameters != parameters:
            found = ClientKeys.generate(parameters)
            self._store(layout, found)
        self._keys[layout] = found
        return found

    def rotate(self) -> int:
        """Forgets all secret keys and sessions; new ones are made when they are next needed.

        What was encrypted under the old keys cannot be read any more by who has only this folder. Returns how
        many key files were removed. The answers that the client pinned stay.
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
        self.pin.sessions.pop(layout, None)  # the server holds evaluation keys of another secret
        if self._folder is None:
            return
        try:
            _private_folder(self._folder)
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


def _private_folder(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)


def _read(folder: Path) -> Pin:
    try:
        record = json.loads((folder / "pin.json").read_text())
        return Pin(**record)
    except FileNotFoundError:
        return Pin()
    except (OSError, ValueError, TypeError):
        # Not replaced silently: whoever can break this file could make the client trust another server.
        raise ServingError("state", "the file of what is known of the endpoint cannot be read") from None
