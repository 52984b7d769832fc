from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
import zstandard

from lexveil.nlp.readers import Limits, Reason
from lexveil.nlp.readers.contract import BOMB_FLOOR

TEXT = "".join(f"Clause {i}: the tenant pays {i * 7919 % 1000} pounds.\n" for i in range(20_000))


def compress(codec: str, data: bytes) -> bytes:
    return gzip.compress(data, mtime=0) if codec == ".gz" else zstandard.compress(data)


@pytest.mark.parametrize("codec", [".gz", ".zst"])
def test_several_members_are_one_document(read: Callable[..., str], codec: str) -> None:
    data = TEXT.encode()
    half = len(data) // 2
    data = compress(codec, data[:half]) + compress(codec, b"") + compress(codec, data[half:])
    assert read("a.TXT" + codec.upper(), data) == TEXT


def test_padding_after_gzip_and_skippable_frames_of_zstd_are_no_content(read: Callable[..., str]) -> None:
    assert read("a.txt.gz", gzip.compress(TEXT.encode()) + bytes(512)) == TEXT
    skippable = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    assert read("a.txt.zst", skippable + zstandard.compress(TEXT.encode()) + skippable) == TEXT


@pytest.mark.parametrize("codec", [".gz", ".zst"])
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.9999])
def test_cut_short_is_broken(refusal: Callable[..., Reason], codec: str, kept: float) -> None:
    data = compress(codec, TEXT.encode())
    assert refusal("a.txt" + codec, data[: int(len(data) * kept)]) is Reason.broken


@pytest.mark.parametrize("codec", [".gz", ".zst"])
def test_bombs(refusal: Callable[..., Reason], codec: str) -> None:
    bomb = compress(codec, b"a" * (BOMB_FLOOR + (1 << 20)))
    assert refusal("a.txt" + codec, bomb) is Reason.decompression_bomb
    small = compress(codec, TEXT.encode())
    assert refusal("a.txt" + codec, small, Limits(max_text_bytes=1000)) is Reason.decompression_bomb


def test_a_bomb_of_gigabytes_is_never_held(refusal: Callable[..., Reason]) -> None:
    import resource

    frame = zstandard.compress(bytes(1 << 26))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal("a.txt.zst", frame * 160) is Reason.decompression_bomb  # 10 GiB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


def test_long_repetitive_text_below_the_floor_is_none(read: Callable[..., str]) -> None:
    text = "The same clause again. " * 100_000
    assert read("a.txt.gz", gzip.compress(text.encode())) == text


def test_over_size(refusal: Callable[..., Reason]) -> None:
    assert refusal("a.txt", b"a" * 101, Limits(max_bytes=100)) is Reason.over_size
