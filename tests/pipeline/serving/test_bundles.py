from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.pipeline.serving.wire import WireError, bundle, max_bundle_bytes, unbundle

blobs = st.lists(st.binary(max_size=40), min_size=1, max_size=5)


@given(blobs)
def test_round_trip_within_the_stated_size(contents: list[bytes]) -> None:
    body = bundle(contents)
    assert unbundle(body, 5, 40) == contents
    assert len(body) <= max_bundle_bytes(5, 40)


@given(blobs, st.data())
def test_damage_is_found(contents: list[bytes], data: st.DataObject) -> None:
    body = bytearray(bundle(contents))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(WireError):
        unbundle(bytes(body), 5, 40)


def signed(content: bytes) -> bytes:
    return content + hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"LXV1",
        signed(b"LXV1"),
        signed(b"LXV1" + struct.pack("<I", 0)),
        signed(b"LXV1" + struct.pack("<I", 6)),
        signed(b"LXV1" + struct.pack("<I", 2**32 - 1)),
        signed(b"LXV1" + struct.pack("<II", 1, 2**32 - 1)),
        signed(b"LXV1" + struct.pack("<II", 1, 5) + b"four"),
        signed(b"LXV1" + struct.pack("<II", 1, 4) + b"four" + b"more"),
        signed(b"LXV1" + struct.pack("<II", 2, 4) + b"four"),
        signed(b"LXV2" + struct.pack("<II", 1, 4) + b"four"),
    ],
)
def test_contradictions_are_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        unbundle(body, 5, 40)
