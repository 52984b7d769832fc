"""Bounded reading of plain, gzip, zstd, bzip2 and xz streams.

A bomb is detected while it expands and is never held in memory: the input is fed in pieces so small that even
the densest one (zstd: 128 KiB from 4 bytes) expands to at most 32 MiB; of bzip2 and xz, which are denser, one
MiB is taken at a time.
"""

from __future__ import annotations

import bz2
import lzma
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from lexveil.nlp.readers.contract import BOMB_FLOOR, Limits, Reason, UnreadableError

_JOINED = {".tgz": (".tar", "gzip"), ".tbz2": (".tar", "bzip2"), ".txz": (".tar", "xz")}
CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz"}
_PLAIN_BLOCK = 1 << 16
_COMPRESSED_BLOCK = {"gzip": 8192, "zstd": 1024, "bzip2": 8192, "xz": 8192}
_EXPANDED_BLOCK = 1 << 20
_XZ_MEMORY = 256 << 20  # bytes; the strongest preset needs 65 MiB


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def split_name(name: str) -> tuple[str, str | None]:
    """Split off the suffix of the format, in lower case, and the codec, if any.

    `"letter.TXT.gz"` yields `(".txt", "gzip")`.
    """
    path = Path(name.lower())
    if path.suffix in _JOINED:
        return _JOINED[path.suffix]
    codec = CODECS.get(path.suffix)
    if codec is not None:
        path = Path(path.stem)
    return path.suffix, codec


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        UnreadableError: inaccessible, also for anything but a regular file: opening a pipe could block.
    """
    try:
        if stat.S_ISREG(path.stat().st_mode):
            return path.open("rb")
    except (OSError, ValueError):
        pass
    raise UnreadableError(Reason.inaccessible)


def check_codec(head: bytes, codec: str | None) -> None:
    """Check that the first bytes are those of the codec in the file name.

    Raises:
        UnreadableError: wrong_suffix, or empty if there are no bytes at all.
    """
    gzip = head.startswith(b"\x1f\x8b")
    # 0x184D2A50 to 0x184D2A5F open a skippable frame, which may come first.
    zstd = head.startswith(b"\x28\xb5\x2f\xfd") or (head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F)
    valid = {
        None: True, "gzip": gzip, "zstd": zstd,
        "bzip2": head.startswith(b"BZh"), "xz": head.startswith(b"\xfd7zXZ\0"),
    }  # fmt: skip
    if not valid[codec]:
        raise UnreadableError(Reason.empty if not head else Reason.wrong_suffix)


def iter_blocks(raw: BinaryIO, codec: str | None, limits: Limits, start: int = 0) -> Iterator[bytes]:
    """Iterate over the decompressed content from byte `start` on, block by block.

    Raises:
        UnreadableError: After all bytes before the damage were yielded: broken (damaged or truncated),
            decompression_bomb (exceeds `limits.max_ratio`), inaccessible (the disk failed).
    """
    try:
        if codec is None:
            raw.seek(start)
            while block := raw.read(_PLAIN_BLOCK):
                yield block
        else:
            for block in _iter_decompressed(raw, codec, limits.max_ratio):
                if start < len(block):
                    yield block[start:] if start else block
                start = max(0, start - len(block))
    except OSError:
        raise UnreadableError(Reason.inaccessible) from None


def _iter_decompressed(raw: BinaryIO, codec: str, max_ratio: int) -> Iterator[bytes]:
    size_in = size_out = 0
    decoder: _Decoder | None = None
    while block := raw.read(_COMPRESSED_BLOCK[codec]):
        size_in += len(block)
        while block:
            if decoder is None:
                # gzip files on block devices are padded with zeros, xz files between their streams; all
                # formats may have several members.
                if size_out and codec in ("gzip", "xz") and not (block := block.lstrip(b"\0")):
                    break
                decoder = _create_decoder(codec)
            for out in _expand(decoder, block):
                size_out += len(out)
                yield out
                if size_out > BOMB_FLOOR and size_out > size_in * max_ratio:
                    raise UnreadableError(Reason.decompression_bomb)
            block = b""
            if decoder.eof:
                block, decoder = decoder.unused_data, None
    if decoder is not None:
        raise UnreadableError(Reason.broken)


def _expand(decoder: _Decoder, block: bytes) -> Iterator[bytes]:
    """Yield what a block expands to, without empty pieces.

    Raises:
        UnreadableError: broken.
    """
    try:
        if not isinstance(decoder, bz2.BZ2Decompressor | lzma.LZMADecompressor):
            if out := decoder.decompress(block):
                yield out
            return
        while out := decoder.decompress(block, _EXPANDED_BLOCK):
            yield out
            block = b""
            if decoder.eof or decoder.needs_input:
                return
    except (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError, EOFError, MemoryError):
        raise UnreadableError(Reason.broken) from None


def _create_decoder(codec: str) -> _Decoder:
    match codec:
        case "gzip":
            return zlib.decompressobj(wbits=31)
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj()
        case "bzip2":
            return bz2.BZ2Decompressor()
        case _:
            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def read_all(raw: BinaryIO, codec: str | None, limits: Limits) -> bytes:
    """Read the whole decompressed content into memory.

    Raises:
        UnreadableError: As `iter_blocks`; over_size, or decompression_bomb if compressed, beyond
            `limits.max_text_bytes`.
    """
    parts: list[bytes] = []
    size = 0
    for part in iter_blocks(raw, codec, limits):
        size += len(part)
        if size > limits.max_text_bytes:
            raise UnreadableError(Reason.over_size if codec is None else Reason.decompression_bomb)
        parts.append(part)
    return b"".join(parts)
