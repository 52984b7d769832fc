"""Bounded reading of plain, gzip and zstd streams.

A bomb is noticed while it grows and is never held: the input is fed in pieces so small that even the densest
one (zstd: 128 KiB from 4 bytes) comes out as at most 32 MiB.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from lexveil.nlp.readers.contract import BOMB_FLOOR, Limits, Reason, UnreadableError

CODECS = {".gz": "gzip", ".zst": "zstd"}
_PLAIN_BLOCK = 1 << 16
_FEED = {"gzip": 8192, "zstd": 1024}


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def split_name(name: str) -> tuple[str, str | None]:
    """`("letter.TXT.gz")` -> `(".txt", "gzip")`: the format's suffix in lower case, and the codec if any."""
    path = Path(name.lower())
    codec = CODECS.get(path.suffix)
    if codec is not None:
        path = Path(path.stem)
    return path.suffix, codec


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file. Raises UnreadableError(inaccessible) for all else: opening a pipe would never end."""
    try:
        if stat.S_ISREG(path.stat().st_mode):
            return path.open("rb")
    except (OSError, ValueError):
        pass
    raise UnreadableError(Reason.inaccessible)


def check_codec(head: bytes, codec: str | None) -> None:
    """Raises UnreadableError(wrong_suffix) when the first bytes aren't those of the codec that the name says."""
    gzip = head.startswith(b"\x1f\x8b")
    # 0x184D2A50 to 5F open a skippable frame, which may come first.
    zstd = head.startswith(b"\x28\xb5\x2f\xfd") or (head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F)
    if (codec == "gzip" and not gzip) or (codec == "zstd" and not zstd):
        raise UnreadableError(Reason.empty if not head else Reason.wrong_suffix)


def chunks(raw: BinaryIO, codec: str | None, limits: Limits, start: int = 0) -> Iterator[bytes]:
    """The decompressed content from byte `start` on, piece by piece.

    Raises UnreadableError, after every byte before the damage was given: broken (damaged or cut short),
    decompression_bomb (passes `limits.max_ratio`), inaccessible (the disk failed).
    """
    try:
        if codec is None:
            raw.seek(start)
            while block := raw.read(_PLAIN_BLOCK):
                yield block
        else:
            for block in _expand(raw, codec, limits.max_ratio):
                if start < len(block):
                    yield block[start:] if start else block
                start = max(0, start - len(block))
    except OSError:
        raise UnreadableError(Reason.inaccessible) from None


def _expand(raw: BinaryIO, codec: str, max_ratio: int) -> Iterator[bytes]:
    taken = given = 0
    decoder: _Decoder | None = None
    while block := raw.read(_FEED[codec]):
        taken += len(block)
        while block:
            if decoder is None:
                # gzip files on block devices are padded with zeros; both formats may hold several members.
                if given and codec == "gzip" and not (block := block.lstrip(b"\0")):
                    break
                decoder = _new_decoder(codec)
            try:
                out = decoder.decompress(block)
            except (zlib.error, zstandard.ZstdError, MemoryError):
                raise UnreadableError(Reason.broken) from None
            given += len(out)
            if out:
                yield out
            if given > BOMB_FLOOR and given > taken * max_ratio:
                raise UnreadableError(Reason.decompression_bomb)
            block = b""
            if decoder.eof:
                block, decoder = decoder.unused_data, None
    if decoder is not None:
        raise UnreadableError(Reason.broken)


def _new_decoder(codec: str) -> _Decoder:
    if codec == "gzip":
        return zlib.decompressobj(wbits=31)
    return zstandard.ZstdDecompressor().decompressobj()


def read_all(raw: BinaryIO, codec: str | None, limits: Limits) -> bytes:
    """The whole content in memory. Raises UnreadableError as `chunks` does, and beyond `limits.max_text_bytes`."""
    parts: list[bytes] = []
    size = 0
    for part in chunks(raw, codec, limits):
        size += len(part)
        if size > limits.max_text_bytes:
            raise UnreadableError(Reason.over_size if codec is None else Reason.decompression_bomb)
        parts.append(part)
    return b"".join(parts)
