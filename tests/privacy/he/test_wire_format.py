"""Frames and headers without SEAL: what a stranger sends is refused by its bytes alone."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lexveil.privacy.he.wire_format import (
    MAGIC,
    Frame,
    MalformedError,
    check_frame,
    ciphertext_frame,
    frame_length,
    galois_keys_frame,
    inflate,
    make_header,
    max_length,
    relin_keys_frame,
    split_objects,
)

VERSION = b"\x04\x00"
LEVEL = (1, 2, 3, 4)
LIMIT = 1 << 20


def stored(body: bytes) -> bytes:
    return make_header(VERSION, len(body)) + body


def compressed(body: bytes, kind: int = 2) -> bytes:
    packed = zstandard.compress(body)
    return MAGIC + VERSION + struct.pack("<BHQ", kind, 0, 16 + len(packed)) + packed


def filled(frame: Frame, byte: int = 0xA5) -> bytes:
    return b"".join(bytes([byte]) * piece if isinstance(piece, int) else piece for piece in frame)


FRAMES = {
    "request": ciphertext_frame(VERSION, LEVEL, 64, 2, 2.0**30, seeded=True),
    "reply": ciphertext_frame(VERSION, LEVEL, 64, 2, 2.0**30, seeded=False),
    "galois": galois_keys_frame(VERSION, LEVEL, 64, 3, [3, 9, 127]),
    "relin": relin_keys_frame(VERSION, LEVEL, 64, 3),
}


class TestFrames:
    @pytest.mark.parametrize("name", FRAMES)
    def test_whatever_the_numbers_are_they_fit(self, name: str) -> None:
        frame = FRAMES[name]
        for byte in (0, 0xFF):
            check_frame(filled(frame, byte), frame)
        assert len(filled(frame)) == frame_length(frame) <= max_length(frame)

    @pytest.mark.parametrize("name", FRAMES)
    def test_every_known_byte_is_compared(self, name: str) -> None:
        frame = FRAMES[name]
        good, position = filled(frame), 0
        for piece in frame:
            length = piece if isinstance(piece, int) else len(piece)
            for at in {position, position + length - 1}:
                bad = bytearray(good)
                bad[at] ^= 1
                if isinstance(piece, int):
                    check_frame(bytes(bad), frame)
                else:
                    with pytest.raises(MalformedError, match="structure"):
                        check_frame(bytes(bad), frame)
            position += length
        assert position == len(good)

    @pytest.mark.parametrize("name", FRAMES)
    def test_a_byte_more_or_less_is_refused(self, name: str) -> None:
        frame = FRAMES[name]
        for bad in (filled(frame)[:-1], filled(frame) + b"\0", b""):
            with pytest.raises(MalformedError, match="length"):
                check_frame(bad, frame)

    @pytest.mark.parametrize("name", FRAMES)
    def test_the_header_states_the_length_of_the_whole(self, name: str) -> None:
        assert int.from_bytes(filled(FRAMES[name])[8:16], "little") == frame_length(FRAMES[name])

    def test_no_kind_passes_for_another(self) -> None:
        for name, frame in FRAMES.items():
            for other in FRAMES:
                if other != name:
                    with pytest.raises(MalformedError):
                        check_frame(filled(frame), FRAMES[other])

    def test_a_seed_takes_the_place_of_the_second_polynomial(self) -> None:
        polynomial = 8 * 64 * 2
        assert frame_length(FRAMES["reply"]) - frame_length(FRAMES["request"]) == polynomial - (16 + 1 + 64)

    def test_each_level_scale_and_size_has_a_frame_of_its_own(self) -> None:
        frames = {
            ciphertext_frame(VERSION, LEVEL, 64, 2, 2.0**30, seeded=True),
            ciphertext_frame(b"\x03\x07", LEVEL, 64, 2, 2.0**30, seeded=True),
            ciphertext_frame(VERSION, (1, 2, 3, 5), 64, 2, 2.0**30, seeded=True),
            ciphertext_frame(VERSION, LEVEL, 128, 2, 2.0**30, seeded=True),
            ciphertext_frame(VERSION, LEVEL, 64, 1, 2.0**30, seeded=True),
            ciphertext_frame(VERSION, LEVEL, 64, 2, 2.0**31, seeded=True),
        }
        assert len(frames) == 6

    def test_keys_for_other_rotations_do_not_fit(self) -> None:
        for elements in ([3, 9], [3, 9, 125], [3, 9, 27, 127], []):
            other = galois_keys_frame(VERSION, LEVEL, 64, 3, elements)
            with pytest.raises(MalformedError):
                check_frame(filled(other), FRAMES["galois"])
        assert galois_keys_frame(VERSION, LEVEL, 64, 3, [127, 3, 9, 3]) == FRAMES["galois"]


class TestSplitting:
    @given(st.lists(st.binary(max_size=40), max_size=5))
    def test_objects_one_after_the_other_come_apart(self, bodies: list[bytes]) -> None:
        objects = [stored(body) for body in bodies]
        assert split_objects(b"".join(objects), len(objects)) == objects

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_another_number_of_objects_is_refused(self, count: int) -> None:
        with pytest.raises(MalformedError):
            split_objects(stored(b"a") + stored(b"b"), count)

    def test_a_length_that_lies_is_refused(self) -> None:
        for length in (0, 15, 16, 18, 2**63):
            lying = MAGIC + VERSION + struct.pack("<BHQ", 0, 0, length) + b"a"
            with pytest.raises(MalformedError):
                split_objects(lying, 1)

    @given(st.binary(max_size=60))
    def test_noise_is_refused(self, noise: bytes) -> None:
        with pytest.raises(MalformedError):
            split_objects(b"\0" + noise, 1)


class TestInflating:
    @given(st.binary(max_size=2000))
    def test_a_compressed_object_is_the_stored_one(self, body: bytes) -> None:
        assert inflate(compressed(body), LIMIT) == inflate(stored(body), LIMIT) == stored(body)

    def test_at_the_limit_and_one_byte_beyond(self) -> None:
        body = b"x" * 1000
        for whole in (stored(body), compressed(body)):
            assert inflate(whole, 16 + 1000) == stored(body)
            with pytest.raises(MalformedError, match="length"):
                inflate(whole, 16 + 999)

    def test_a_bomb_is_refused_before_it_is_inflated(self) -> None:
        bomb = compressed(bytes(1 << 26))
        assert len(bomb) < 10_000
        tracemalloc.start()
        try:
            with pytest.raises(MalformedError, match="length"):
                inflate(bomb, LIMIT)
            assert tracemalloc.get_traced_memory()[1] < 1 << 25  # half of what it holds
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("kind", [1, 3, 255])
    def test_another_compression_is_refused(self, kind: int) -> None:
        with pytest.raises(MalformedError, match="compression"):
            inflate(compressed(b"abc", kind), LIMIT)

    def test_what_is_cut_padded_or_no_object_is_refused(self) -> None:
        whole = compressed(b"some numbers" * 30)
        torn = whole[:8] + struct.pack("<Q", len(whole) - 4) + whole[16:-4]
        padded = whole[:8] + struct.pack("<Q", len(whole) + 1) + whole[16:] + b"\0"
        for bad in (whole[:-1], whole + b"\0", b"", whole[:15], b"\0" + whole[1:], torn):
            with pytest.raises(MalformedError):
                inflate(bad, LIMIT)
        # zstandard ends where its frame ends: what follows is not read, and no part of the result.
        assert inflate(padded, LIMIT) == stored(b"some numbers" * 30)

    def test_no_refusal_quotes_what_was_there(self) -> None:
        with pytest.raises(MalformedError) as caught:
            inflate(b"a secret name, not an object", LIMIT)
        assert "secret" not in str(caught.value)

    @given(st.binary(min_size=1, max_size=3000))
    def test_no_honest_object_is_longer_than_the_longest(self, body: bytes) -> None:
        frame: Frame = (make_header(VERSION, len(body)), len(body))
        assert max(len(compressed(body)), len(stored(body))) <= max_length(frame)
