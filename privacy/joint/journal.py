"""What an office keeps of a joint run: the evidence of each completed step, and its last upload.

A step is never computed twice. The upload is on disk before it is sent, so an office that was killed sends
the same one again; and a step that any office has completed is handed to the others with its signatures.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from lexveil.privacy.files import write_atomically
from lexveil.privacy.joint.noise import Integers
from lexveil.privacy.joint.summing import Evidence
from lexveil.privacy.vault import TamperedError, seal, unseal

_STEP_BYTES = 4
_UPLOAD = "upload.sealed"


class Journal:
    """The folder of a joint run in an office."""

    def __init__(self, folder: Path, key: bytes | None) -> None:
        """Create the handle; nothing is written yet.

        Args:
            folder: Folder, made with mode 0700 when something is written.
            key: 32 bytes that seal the upload; None: to read evidence only.
        """
        self._folder, self._key = folder, key

    def count(self) -> int:
        """Return the number of completed steps."""
        count = 0
        while self._path(count).exists():
            count += 1
        return count

    def read(self, step: int) -> Evidence | None:
        """Return the evidence of a completed step."""
        path = self._path(step)
        return Evidence.from_bytes(path.read_bytes()) if path.exists() else None

    def digest(self, steps: int) -> bytes:
        """Return a digest of the evidence of the first steps."""
        digest = hashlib.sha256()
        for step in range(steps):
            digest.update(hashlib.sha256(self._path(step).read_bytes()).digest())
        return digest.digest()

    def keep(self, step: int, evidence: Evidence) -> None:
        """Keep the evidence of a completed step."""
        self._write(self._path(step), evidence.to_bytes())

    def keep_upload(self, step: int, upload: Integers) -> None:
        """Keep the upload of a step, instead of that of the step before."""
        assert self._key is not None
        content = step.to_bytes(_STEP_BYTES, "big") + upload.astype("<i8").tobytes()
        self._write(self._folder / _UPLOAD, seal(self._key, content, "joint-upload"))

    def read_upload(self, step: int) -> Integers | None:
        """Return the kept upload, if it is that of this step and was sealed under this key.

        Of a run that the ledger has charged again, because its key was lost, the upload has another key.
        """
        path = self._folder / _UPLOAD
        if self._key is None or not path.exists():
            return None
        try:
            content = unseal(self._key, path.read_bytes(), "joint-upload")
        except TamperedError:
            return None
        if int.from_bytes(content[:_STEP_BYTES], "big") != step:
            return None
        return np.frombuffer(content[_STEP_BYTES:], dtype="<i8").astype(np.int64)

    def discard_upload(self) -> None:
        """Delete the upload: the run is over."""
        (self._folder / _UPLOAD).unlink(missing_ok=True)

    def _path(self, step: int) -> Path:
        return self._folder / f"{step:06d}.evidence"

    def _write(self, path: Path, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, content)
