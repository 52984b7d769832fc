"""The streams of a PDF file, checked before PDFium opens it, since PDFium decodes a stream as a whole.

Only compressed streams are decoded here, piece by piece, and nothing of them is kept. The streams of an
encrypted file cannot be decoded without its key, nor is LZW decoded: the limits of the process bound those.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator

from lexveil.nlp.readers.contract import BOMB_FLOOR, Limits, Reason, UnreadableError

_STREAM = re.compile(rb"stream\r?\n")
_END = b"endstream"
_HEADER = 2048
_FLATE = re.compile(rb"/Fl(?:ateDecode)?\b")
_OBJECT = re.compile(rb"\bobj\b")
_LAYERS = b"/OCProperties"
_WIDTH = re.compile(rb"/(?:Width|W)\s+(\d{1,9})\b")
_HEIGHT = re.compile(rb"/(?:Height|H)\s+(\d{1,9})\b")
_BITS = re.compile(rb"/(?:BitsPerComponent|BPC)\s+(\d{1,2})\b")
_CHUNK = 1 << 20
_MAX_LEVELS = 4
_MAX_PICTURE = 1 << 30
"""Bytes of a decoded picture with four components."""


def check_streams(data: bytes, limits: Limits) -> bool:
    """Check that a PDF file does not expand far beyond its size; return whether it has layers.

    Raises:
        UnreadableError: decompression_bomb.
    """
    has_layers = _LAYERS in data
    total = 0
    for found in _STREAM.finditer(data):
        header = _find_header(data, found.start())
        if b"/Image" in header:
            _check_picture(header)
            continue
        if not _FLATE.search(header):
            continue
        end = data.find(_END, found.end())
        body = data[found.end() : end if end >= 0 else len(data)]
        last = b""
        is_list = b"/ObjStm" in header
        for piece in _decode(body, header):
            total += len(piece)
            if total > limits.max_text_bytes or total > max(BOMB_FLOOR, limits.max_ratio * len(data)):
                raise UnreadableError(Reason.decompression_bomb)
            if is_list and not has_layers:
                has_layers = _LAYERS in last + piece
                last = piece[-len(_LAYERS) :]
    return has_layers


def _find_header(data: bytes, position: int) -> bytes:
    """Return the dictionary of a stream."""
    header = data[max(0, position - _HEADER) : position]
    starts = [found.end() for found in _OBJECT.finditer(header)]
    return header[starts[-1] :] if starts else header


def _check_picture(header: bytes) -> None:
    width, height, bits = _WIDTH.search(header), _HEIGHT.search(header), _BITS.search(header)
    if width and height:
        depth = 4 * int(bits[1]) if bits and int(bits[1]) > 1 else 1
        if int(width[1]) * int(height[1]) * depth / 8 > _MAX_PICTURE:
            raise UnreadableError(Reason.decompression_bomb)


def _decode(body: bytes, header: bytes) -> Iterator[bytes]:
    """Yield what a stream decodes to, in pieces; nothing after its first damaged byte."""
    if b"/ASCII85Decode" in header or b"/A85" in header:
        try:
            body = base64.a85decode(
                body.strip().removeprefix(b"<~").removesuffix(b"~>"), ignorechars=b" \t\n\r\v\0"
            )
        except ValueError:
            return
    elif b"/ASCIIHexDecode" in header or b"/AHx" in header:
        try:
            body = bytes.fromhex(body.strip().rstrip(b">").decode("ascii"))
        except ValueError:
            return
    levels = min(max(len(_FLATE.findall(header)), 1), _MAX_LEVELS)
    pieces: Iterator[bytes] = iter((body,))
    for _ in range(levels):
        pieces = _inflate(pieces)
    yield from pieces


def _inflate(pieces: Iterator[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj()
    try:
        for piece in pieces:
            rest = piece
            while rest and not decoder.eof:
                yield decoder.decompress(rest, _CHUNK)
                rest = decoder.unconsumed_tail
    except zlib.error:
        return
