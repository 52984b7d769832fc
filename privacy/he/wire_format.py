"""The exact bytes around the numbers: a stranger's upload is compared with them before SEAL reads it.

SEAL's own loader can be made to inflate gigabytes, and some of what it accepts kills the process later (a
ciphertext of size 0, keys of another kind). For given parameters everything in a serialized object is known
except the coefficients and the seeds: headers, dimensions, level, scale. So a frame lists the known pieces
and the lengths of the unknown ones, and bytes that differ from it in anything else are refused. A caller
controls only coefficients and seeds, whose range SEAL's loader checks.

Layout: SEAL 4, `save_members` of `Ciphertext`, `KSwitchKeys`, `DynArray` and `UniformRandomGeneratorInfo`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import zstandard

MAGIC = b"\x5e\xa1\x10"
_STORED, _ZSTANDARD = 0, 2
_HEADER_BYTES = 16
_SEED_BYTES = 64
_BLAKE2XB = 1

# A fixed piece, or the length of a free one.
Frame = tuple[bytes | int, ...]


class MalformedError(ValueError):
    """Bytes are not what these parameters make. The message names the check, never the content."""


def check_frame(stored: bytes, frame: Frame) -> None:
    """Check that `stored` consists of the frame's pieces.

    Raises:
        MalformedError: It does not.
    """
    if len(stored) != frame_length(frame):
        raise MalformedError("the length does not fit the parameters")
    position = 0
    for piece in frame:
        if isinstance(piece, int):
            position += piece
        elif not stored.startswith(piece, position):
            raise MalformedError("the structure does not fit the parameters")
        else:
            position += len(piece)


def frame_length(frame: Frame) -> int:
    """Return the number of bytes of an uncompressed object."""
    return sum(piece if isinstance(piece, int) else len(piece) for piece in frame)


def max_length(frame: Frame) -> int:
    """Return a length that no valid serialization of this frame exceeds."""
    # Incompressible data grows a little: zstandard adds 3 bytes per 128 KiB, and a header.
    length = frame_length(frame)
    return length + length // 4096 + 1024


def split_objects(serialized: bytes, count: int) -> list[bytes]:
    """Split exactly `count` consecutive serialized objects, by the lengths in their headers.

    Raises:
        MalformedError: There are more, fewer or other bytes.
    """
    pieces: list[bytes] = []
    position = 0
    for _ in range(count):
        if len(serialized) - position < _HEADER_BYTES or not serialized.startswith(MAGIC, position):
            raise MalformedError("not a serialized object")
        end = position + int.from_bytes(serialized[position + 8 : position + _HEADER_BYTES], "little")
        pieces.append(serialized[position:end])
        position = max(end, position + _HEADER_BYTES)
    if position != len(serialized):
        raise MalformedError("cut or padded")
    return pieces


def inflate(serialized: bytes, limit: int) -> bytes:
    """Return the object uncompressed, header included.

    Args:
        serialized: One object.
        limit: Largest number of bytes of the result; a longer one is refused unread.

    Raises:
        MalformedError: The bytes are not one object of at most `limit` bytes.
    """
    if len(serialized) < _HEADER_BYTES or serialized[: len(MAGIC)] != MAGIC:
        raise MalformedError("not a serialized object")
    compression, size = serialized[5], int.from_bytes(serialized[8:_HEADER_BYTES], "little")
    if size != len(serialized):
        raise MalformedError("cut or padded")
    body = serialized[_HEADER_BYTES:]
    if compression == _ZSTANDARD:
        try:
            inflater = zstandard.ZstdDecompressor(max_window_size=1 << 24).decompressobj(
                read_across_frames=False
            )
            body = _inflate_bounded(inflater, body, limit)
        except zstandard.ZstdError:
            raise MalformedError("does not inflate") from None
    elif compression != _STORED:
        raise MalformedError("unknown compression")
    if _HEADER_BYTES + len(body) > limit:
        raise MalformedError("the length does not fit the parameters")
    return make_header(serialized[3:5], len(body)) + body


def _inflate_bounded(inflater: zstandard.ZstdDecompressionObj, body: bytes, limit: int) -> bytes:
    # Fed in pieces: one piece of zstandard input inflates to at most 32,000 times its size.
    pieces: list[bytes] = []
    total = 0
    for start in range(0, len(body), 1024):
        piece = inflater.decompress(body[start : start + 1024])
        total += len(piece)
        if total > limit:
            raise MalformedError("the length does not fit the parameters")
        pieces.append(piece)
        if inflater.eof:
            break
    if not inflater.eof:
        raise MalformedError("does not inflate")
    return b"".join(pieces)


def make_header(version: bytes, body_length: int) -> bytes:
    """Return SEAL's header of an uncompressed object."""
    return MAGIC + version + struct.pack("<BHQ", _STORED, 0, _HEADER_BYTES + body_length)


def ciphertext_frame(
    version: bytes, parms_id: Sequence[int], degree: int, primes: int, scale: float, *, seeded: bool
) -> Frame:
    """Return the frame of a ciphertext of two polynomials.

    Args:
        version: SEAL's major and minor version, a byte each.
        parms_id: Id of the level, 4 words.
        degree: Ring degree.
        primes: Number of primes in the modulus at this level.
        scale: Scale of the encoded numbers.
        seeded: True if only the first polynomial is stored, and a seed for the second.
    """
    metadata = struct.pack("<4Q?QQQdQ", *parms_id, True, 2, degree, primes, scale, 1)
    words = degree * primes * (1 if seeded else 2)
    body: list[bytes | int] = [
        metadata,
        make_header(version, 8 + 8 * words),
        struct.pack("<Q", words),
        8 * words,
    ]
    if seeded:
        body += [make_header(version, 1 + _SEED_BYTES), bytes([_BLAKE2XB]), _SEED_BYTES]
    return _merge_fixed_pieces([make_header(version, frame_length(tuple(body))), *body])


def galois_keys_frame(
    version: bytes, parms_id: Sequence[int], degree: int, primes: int, elements: Iterable[int]
) -> Frame:
    """Return the frame of seeded keys for exactly these Galois elements.

    Args:
        version: SEAL's major and minor version, a byte each.
        parms_id: Id of the key level, 4 words.
        degree: Ring degree.
        primes: Number of primes of the key level: one (the special one) more than of the data.
        elements: Galois elements.
    """
    expected = {(element - 1) // 2 for element in elements}
    return _key_switching_frame(version, parms_id, degree, primes, [i in expected for i in range(degree)])


def relin_keys_frame(version: bytes, parms_id: Sequence[int], degree: int, primes: int) -> Frame:
    """Return the frame of one seeded key, for the square of the secret key.

    The arguments are those of `galois_keys_frame`.
    """
    return _key_switching_frame(version, parms_id, degree, primes, [True])


def _key_switching_frame(
    version: bytes, parms_id: Sequence[int], degree: int, primes: int, present: Sequence[bool]
) -> Frame:
    one = ciphertext_frame(version, parms_id, degree, primes, 1.0, seeded=True)
    count = struct.pack("<Q", primes - 1)
    body: list[bytes | int] = [struct.pack("<4QQ", *parms_id, len(present))]
    for here in present:
        body += [count, *one * (primes - 1)] if here else [bytes(8)]
    return _merge_fixed_pieces([make_header(version, frame_length(tuple(body))), *body])


def _merge_fixed_pieces(pieces: Iterable[bytes | int]) -> Frame:
    """Return the same frame with neighboring fixed pieces merged: thousands of empty key slots become one."""
    joined: list[bytes | int] = []
    fixed = bytearray()
    for piece in pieces:
        if isinstance(piece, bytes):
            fixed += piece
        else:
            joined += [bytes(fixed), piece]
            fixed.clear()
    if fixed:
        joined.append(bytes(fixed))
    return tuple(joined)
