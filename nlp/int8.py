"""The layers of BERT with linear layers in int8, by compiled functions where they are installed.

`int8.c` is compiled when a wheel is built (deploy/build_kernel.py), for processors with AVX-512 and VNNI, and
uses AMX where it is there, to the same bits; who installs the wheel needs no compiler. Elsewhere the callers
have other ways: `is_available` tells.

A weight is a whole number within +-127 times a scale of its output; an input is least + step * byte, with a
least value and a step for each row. Sums of products are exact, so that a row's result depends on its own
sequence only, bit for bit.
"""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SOURCE = Path(__file__).with_name("int8.c")
COMPILED = "int8-AVX512_VNNI.so"
_SIZE, _POINTER = ctypes.c_ssize_t, ctypes.c_void_p
_LANES = 16  # columns of the weights that lie together
_HEAD_MULTIPLE = 32  # numbers of a head that are computed together
_LARGEST = 127
_ALIGNMENT = 64  # bytes
_kept = threading.local()


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of a BERT, for `read_rows`. Use `pack_layers`.

    Attributes:
        width: Width of the hidden states.
        wide: Width between the two products of a layer's second half.
        heads: Number of attention heads of a layer.
        count: Number of layers.
        epsilon: What the norms add to a variance.
        packed: The weights, as `int8.c` reads them.
    """

    width: int
    wide: int
    heads: int
    count: int
    epsilon: float
    packed: Bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not fits(self.width, self.wide, self.heads) or self.count < 0:
            raise ValueError("the functions take no layers of these sizes")
        # Of each output of a linear layer, three numbers beside its weights; two rows of a norm.
        numbers = 3 * (5 * self.width + self.wide) + 4 * self.width
        layer = self.width * (4 * self.width + 2 * self.wide) + 4 * numbers
        if len(self.packed) != 8 * self.width + self.count * layer:
            raise ValueError("the packed weights do not fit the sizes")


def is_available() -> bool:
    """Return True if the functions are installed, made from this source, and this processor runs them."""
    return _load() is not None


def explain_absence() -> str:
    """Return why `is_available` is False, for a user, and what follows from it; "" if it is True."""
    if is_available():
        return ""
    cause = "the compiled functions for int8 are not installed"
    if _open() is not None:
        cause = "this processor lacks AVX-512 with VNNI for int8"
    return f"{cause}, so the encoder computes in float32 and detectors by ONNX Runtime, which takes longer"


def fits(width: int, wide: int, heads: int) -> bool:
    """Return True if the functions take layers of these sizes."""
    return heads > 0 < width and width % (heads * _HEAD_MULTIPLE) == 0 and wide % _LANES == 0 < wide


def pack_layers(weights: Mapping[str, Floats], heads: int, epsilon: float) -> Layers:
    """Round the weights of a BERT to int8, in the order in which `read_rows` needs them.

    Args:
        weights: Weights by the names of `transformers`; those of word embeddings may be missing.
        heads: Number of attention heads of a layer.
        epsilon: What the norms add to a variance.

    Raises:
        KeyError: A weight is missing.
        ValueError: `fits` is False for their sizes.
    """
    found = [*_list_layers(weights)]
    wide, width = weights[f"{found[0]}.intermediate.dense.weight"].shape
    if not fits(width, wide, heads):
        raise ValueError("the functions take no layers of these sizes")
    parts = _read_norm(weights, "embeddings")
    for layer in found:
        parts += _pack_linear(*(_join_attention(weights, layer, part, heads) for part in ("weight", "bias")))
        parts += _read_linear(weights, f"{layer}.attention.output.dense")
        parts += _read_norm(weights, f"{layer}.attention.output")
        parts += _read_linear(weights, f"{layer}.intermediate.dense")
        parts += _read_linear(weights, f"{layer}.output.dense")
        parts += _read_norm(weights, f"{layer}.output")
    content = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    return Layers(width, wide, heads, len(found), epsilon, align(np.frombuffer(content, np.uint8)))


def read_rows(layers: Layers, rows: Floats, lengths: Sequence[int]) -> None:
    """Put the hidden states of the last layer in place of the embeddings of sequences.

    Args:
        layers: The layers. `is_available` must be True.
        rows: Sums of the embeddings of each position, before their norm; the positions of one sequence after
            those of the other. Shape (sum of lengths, width), contiguous.
        lengths: Number of positions of each sequence, at least 1.
    """
    functions = _load()
    assert functions is not None
    assert rows.flags.c_contiguous
    assert rows.dtype == np.float32
    assert rows.shape == (sum(lengths), layers.width)
    assert min(lengths) > 0
    ends = np.cumsum(lengths, dtype=np.int64)
    sizes = (layers.width, layers.wide, layers.heads)
    room = _keep_room(functions.count_bytes(len(rows), max(lengths), *sizes))
    functions.read_rows(
        *(len(ends), ends.ctypes.data, layers.count, *sizes, layers.epsilon),
        *(layers.packed.ctypes.data, rows.ctypes.data, room.ctypes.data),
    )


@cache
def _load() -> ctypes.CDLL | None:
    library = _open()
    if library is None or not library.runs_here():
        return None
    library.use_tiles(1)
    return library


def _open() -> ctypes.CDLL | None:
    """Return what this source was compiled to, whether or not this processor runs it."""
    try:
        library = ctypes.CDLL(str(SOURCE.with_name(COMPILED)))
        made_of = ctypes.c_char_p(ctypes.addressof(ctypes.c_char.in_dll(library, "lexveil_kernel_source")))
        library.count_bytes.argtypes, library.count_bytes.restype = [_SIZE] * 5, _SIZE
        library.read_rows.argtypes = [
            *(_SIZE, _POINTER, *[_SIZE] * 4, ctypes.c_float, *[_POINTER] * 3),
        ]
        library.read_rows.restype = None
    except (OSError, ValueError, AttributeError):
        return None
    return library if made_of.value == digest_source().encode() else None


def digest_source() -> str:
    """Return the digest of `int8.c`, which the compiled file contains."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def _list_layers(weights: Mapping[str, Floats]) -> list[str]:
    numbers = {name.split(".")[2] for name in weights if name.startswith("encoder.layer.")}
    return [f"encoder.layer.{number}" for number in range(len(numbers))]


def _join_attention(weights: Mapping[str, Floats], layer: str, part: str, heads: int) -> Floats:
    """Return a part of the three first linear layers as one; the scale of the scores is in the queries."""
    query, key, value = (
        weights[f"{layer}.attention.self.{name}.{part}"] for name in ("query", "key", "value")
    )
    return np.concatenate([query * (len(query) // heads) ** -0.5, key, value])


def _read_norm(weights: Mapping[str, Floats], name: str) -> list[NDArray[np.generic]]:
    return [weights[f"{name}.LayerNorm.{part}"].astype(np.float32) for part in ("weight", "bias")]


def _read_linear(weights: Mapping[str, Floats], name: str) -> list[NDArray[np.generic]]:
    return _pack_linear(weights[f"{name}.weight"], weights[f"{name}.bias"])


def _pack_linear(weight: Floats, bias: Floats) -> list[NDArray[np.generic]]:
    """Return the weights as [out / 16][in / 4][16][4], and of each output the scale, the sum and the bias."""
    height, width = weight.shape
    scale = np.abs(weight).max(axis=1).astype(np.float32) / _LARGEST
    whole = np.rint(weight / np.where(scale > 0, scale, 1)[:, None]).astype(np.int8)
    tiles = whole.reshape(height // _LANES, _LANES, width // 4, 4).transpose(0, 2, 1, 3)
    return [tiles, scale, whole.sum(axis=1, dtype=np.int32).astype(np.float32), bias.astype(np.float32)]


def align(content: Bytes) -> Bytes:
    """Copy bytes to where no vector of them crosses a line of the processor's cache."""
    room = np.empty(len(content) + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    room[start : start + len(content)] = content
    return room[start : start + len(content)]


def _keep_room(size: int) -> Bytes:
    """Return memory of this thread, kept: the system clears each page of new memory."""
    room: Bytes | None = getattr(_kept, "room", None)
    if room is None or len(room) < size:
        room = _kept.room = align(np.empty(size, np.uint8))
    return room
