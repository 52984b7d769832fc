"""The exact bytes around the numbers: a stranger's upload is compared with them before SEAL reads it.

SEAL's own loader can be made to inflate gigabytes, and some of what it accepts kills the process later (a
ciphertext of size 0, keys of another kind). For given parameters everything in a serialised object but the
coefficients and the seeds is known: headers, dimensions, level, scale. So a frame lists the known pieces and
the lengths of the unknown ones, and bytes that differ from it in anything else are refused. What is left to a
caller is coefficients and seeds, whose range SEAL's loader checks.

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
    """Bytes are not what these parameters make. The message names the guard, never what was there."""


def check_frame(stored: bytes, frame: Frame) -> None:
    """Raises `MalformedError` unless `stored` consists of the frame's pieces."""
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
    return sum(piece if isinstance(piece, int) else len(piece) for piece in frame)


def max_length(frame: Frame) -> int:
    """No honest serialisation of this frame is longer."""
    # What does not compress grows a little: zstandard adds 3 bytes to every 128 KiB, and a header.
    length = frame_length(frame)
    return length + length // 4096 + 1024


def split_objects(serialised: bytes, count: int) -> list[bytes]:
    """Exactly `count` serialised objects that stand one after the other, by the lengths in their headers."""
    pieces: list[bytes] = []
    position = 0
    for _ in range(count):
        if len(serialised) - position < _HEADER_BYTES or not serialised.startswith(MAGIC, position):
            raise MalformedError("not a serialised object")
        end = position + int.from_bytes(serialised[position + 8 : position + _HEADER_BYTES], "little")
        pieces.append(serialised[position:end])
        position = max(end, position + _HEADER_BYTES)
    if position != len(serialised):
        raise MalformedError("cut or padded")
    return pieces


def inflate(serialised: bytes, limit: int) -> bytes:
    """The object uncompressed, header included, at most `limit` bytes; anything longer is refused unread."""
    if len(serialised) < _HEADER_BYTES or serialised[: len(MAGIC)] != MAGIC:
        raise MalformedError("not a serialised object")
    compression, size = serialised[5], int.from_bytes(serialised[8:_HEADER_BYTES], "little")
    if size != len(serialised):
        raise MalformedError("cut or padded")
    body = serialised[_HEADER_BYTES:]
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
    return make_header(serialised[3:5], len(body)) + body


def _inflate_bounded(inflater: zstandard.ZstdDecompressionObj, body: bytes, limit: int) -> bytes:
    # Fed in pieces: one piece of zstandard input inflates to 32,000 times its size at most.
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
    """SEAL's header of an uncompressed object."""
    return MAGIC + version + struct.pack("<BHQ", _STORED, 0, _HEADER_BYTES + body_length)


def ciphertext_frame(
    version: bytes, parms_id: Sequence[int], degree: int, primes: int, scale: float, *, seeded: bool
) -> Frame:
    """Frame of a ciphertext of two polynomials; of a seeded one only the first is stored, and a seed.

    version: SEAL's major and minor version, a byte each. parms_id: 4 words. primes: in the modulus at this
    level.
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
    """Frame of seeded keys for exactly these Galois elements.

    parms_id, primes: of the key level, which has one prime (the special one) more than the data.
    """
    wanted = {(element - 1) // 2 for element in elements}
    return _key_switching_frame(version, parms_id, degree, primes, [i in wanted for i in range(degree)])


def relin_keys_frame(version: bytes, parms_id: Sequence[int], degree: int, primes: int) -> Frame:
    """Frame of one seeded key, for the square of the secret key: parameters as for `galois_keys_frame`."""
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
    """The same frame with neighbouring fixed pieces joined: thousands of empty key slots become one."""
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
