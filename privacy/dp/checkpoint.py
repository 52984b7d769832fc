"""Checkpoints of a training run: sealed, complete or absent, and readable only by the run that wrote them.

A killed run continues from its last checkpoint instead of from step 0. The randomness is not stored, because
every draw is addressed by (key, label, step). The run's epsilon covers the iterates but not the losses in a
checkpoint, so it is sealed under a key derived from the run's own key: once the reservation is settled and
its secret destroyed, old checkpoints that a file system kept are indistinguishable from noise.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialize
from torch import Tensor

from lexveil.privacy.files import write_atomically
from lexveil.privacy.vault import TamperedError, seal, unseal

# The implementation of AES-GCM takes less than 2 GiB at once.
_PIECE = 2**28
_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class TrainingState:
    """The state of a run after some steps.

    Attributes:
        losses: One loss per completed step.
        tensors: Everything else that changes during training.
    """

    losses: tuple[float, ...] = field(repr=False)
    tensors: dict[str, Tensor] = field(repr=False)


class Checkpoint:
    """One checkpoint file of a run, overwritten at most every `every_seconds` seconds."""

    def __init__(self, path: Path, identity: str, every_seconds: float = 60.0) -> None:
        """Create the handle; nothing is written yet.

        Args:
            path: File of the checkpoint, written with mode 0600. Its folder is created with mode 0700.
            identity: Digest of everything that decides the run besides its plan and key: data, code,
                configuration. A checkpoint of another identity does not open.
            every_seconds: Shortest time between two writes; 0 writes after each step.
        """
        self._path, self._identity, self._every = path, identity, every_seconds
        self._partial = path.with_name(path.name + ".partial")
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Return True if enough time has passed to write again."""
        return time.monotonic() - self._last >= self._every

    def save(self, state: TrainingState, key: bytes, about: Mapping[str, Any]) -> None:
        """Write the state. The old file is kept until the new one is complete.

        Args:
            state: State to write.
            key: 32-byte key derived from the key of the run.
            about: Further values that must be the same for the run to continue.

        Raises:
            OSError: The file cannot be written.
        """
        body = serialize({name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()})
        head = json.dumps(state.losses).encode()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        pieces = [head, *(body[start : start + _PIECE] for start in range(0, len(body), _PIECE))]
        sealed = (
            seal(key, piece, self._context(about, index, len(pieces))) for index, piece in enumerate(pieces)
        )
        framed = (len(piece).to_bytes(_LENGTH_BYTES, "big") + piece for piece in sealed)
        write_atomically(self._path, framed, partial=self._partial)
        self._last = time.monotonic()

    def load(self, key: bytes, about: Mapping[str, Any], like: Mapping[str, Tensor]) -> TrainingState | None:
        """Return the last state, or None if there is none or it is torn, of another run or of other shapes.

        Args:
            key: Key the checkpoint was written under.
            about: Values the checkpoint was written with.
            like: Tensors with the expected names, shapes and types.
        """
        try:
            pieces = list(_pieces(self._path.read_bytes()))
            opened = [
                unseal(key, piece, self._context(about, index, len(pieces)))
                for index, piece in enumerate(pieces)
            ]
            losses = json.loads(opened[0])
            tensors = parse(b"".join(opened[1:]))
        except (OSError, IndexError, TamperedError, SafetensorError):
            return None
        shapes = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
        if shapes != {name: (tensor.shape, tensor.dtype) for name, tensor in like.items()}:
            return None
        return TrainingState(tuple(losses), tensors)

    def discard(self) -> None:
        """Delete the checkpoint and any partial file."""
        for path in (self._path, self._partial):
            with suppress(FileNotFoundError):
                path.unlink()

    def _context(self, about: Mapping[str, Any], index: int, count: int) -> str:
        return json.dumps(["checkpoint", self._identity, about, index, count], sort_keys=True)


def _pieces(content: bytes) -> Iterator[bytes]:
    """Yield the sealed pieces of a file."""
    start = 0
    while start < len(content):
        end = start + _LENGTH_BYTES
        length = int.from_bytes(content[start:end], "big")
        start = end + length
        yield content[end:start]
