"""Where a training run stands, on disk: sealed, whole or not there, and readable by its own run only.

A run that is killed goes on from its last checkpoint instead of from step 0. The randomness needs no place
in it, since every draw is addressed by (key, label, step). Iterates are covered by the run's epsilon, but
the losses in a checkpoint are not, so it is sealed under a key derived from the run's own: when the
reservation is settled and its secret destroyed, what a file system kept of old checkpoints is noise.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor

from lexveil.privacy.vault import TamperedError, seal, unseal

# AES-GCM's implementation takes less than 2 GiB at once.
_PIECE = 2**28
_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class TrainingState:
    """`tensors`: all that moves; `losses`: one for each step made."""

    losses: tuple[float, ...] = field(repr=False)
    tensors: dict[str, Tensor] = field(repr=False)


class Checkpoint:
    """One file, written over and over at most every `every_seconds` seconds (0: after each step).

    `identity` is a digest of everything that decides the run beside its plan and key: data, code,
    configuration. What was written for another one does not open. Mode 0600; its folder is made with 0700.
    """

    def __init__(self, path: Path, identity: str, every_seconds: float = 60.0) -> None:
        self._path, self._identity, self._every = path, identity, every_seconds
        self._partial = path.with_name(path.name + ".partial")
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() - self._last >= self._every

    def save(self, position: TrainingState, key: bytes, about: Mapping[str, Any]) -> None:
        """Write the position under the run's 32-byte `key`; `about` is what else must be the same to go on.

        The old file stays until the new one is whole.
        """
        body = serialise(
            {name: tensor.detach().cpu().contiguous() for name, tensor in position.tensors.items()}
        )
        head = json.dumps(position.losses).encode()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._partial.unlink(missing_ok=True)
        with os.fdopen(os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
            pieces = [head, *(body[start : start + _PIECE] for start in range(0, len(body), _PIECE))]
            for place, piece in enumerate(pieces):
                sealed = seal(key, piece, self._context(about, place, len(pieces)))
                sink.write(len(sealed).to_bytes(_LENGTH_BYTES, "big") + sealed)
            sink.flush()
            os.fsync(sink.fileno())
        self._partial.replace(self._path)
        self._last = time.monotonic()

    def load(self, key: bytes, about: Mapping[str, Any], like: Mapping[str, Tensor]) -> TrainingState | None:
        """The last position; None where there is none, or only one that is torn, foreign or of other shapes.

        `like`: tensors of the names, shapes and types that are expected.
        """
        try:
            pieces = list(_pieces(self._path.read_bytes()))
            opened = [
                unseal(key, piece, self._context(about, place, len(pieces)))
                for place, piece in enumerate(pieces)
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
        """Remove what there is of it."""
        for path in (self._path, self._partial):
            with suppress(FileNotFoundError):
                path.unlink()

    def _context(self, about: Mapping[str, Any], place: int, count: int) -> str:
        return json.dumps(["checkpoint", self._identity, about, place, count], sort_keys=True)


def _pieces(content: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(content):
        end = start + _LENGTH_BYTES
        length = int.from_bytes(content[start:end], "big")
        start = end + length
        yield content[end:start]
