from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.readers import Limits, Reason, UnreadableError
from lexveil.nlp.readers.compression import check_codec, iter_blocks, open_regular, read_all, split_name
from lexveil.nlp.readers.contract import BOMB_FLOOR

TEXT = "".join(f"Clause {i}: the tenant pays {i * 7919 % 1000} pounds.\n" for i in range(20_000))


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": partial(gzip.compress, mtime=0),
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
CODECS = tuple(COMPRESS)


def compress(codec: str, data: bytes) -> bytes:
    return COMPRESS[codec](data)


@pytest.mark.parametrize("codec", CODECS)
def test_several_members_are_one_document(read: Callable[..., str], codec: str) -> None:
    data = TEXT.encode()
    half = len(data) // 2
    data = compress(codec, data[:half]) + compress(codec, b"") + compress(codec, data[half:])
    assert read("a.TXT" + codec.upper(), data) == TEXT


def test_padding_after_gzip_and_skippable_frames_of_zstd_are_no_content(read: Callable[..., str]) -> None:
    assert read("a.txt.gz", gzip.compress(TEXT.encode()) + bytes(512)) == TEXT
    skippable = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    assert read("a.txt.zst", skippable + zstandard.compress(TEXT.encode()) + skippable) == TEXT


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.9999])
def test_cut_short_is_broken(refusal: Callable[..., Reason], codec: str, kept: float) -> None:
    data = compress(codec, TEXT.encode())
    assert refusal("a.txt" + codec, data[: int(len(data) * kept)]) is Reason.broken


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
def test_bombs(refusal: Callable[..., Reason], codec: str) -> None:
    bomb = compress(codec, b"a" * (BOMB_FLOOR + (1 << 20)))
    assert refusal("a.txt" + codec, bomb) is Reason.decompression_bomb
    small = compress(codec, TEXT.encode())
    assert refusal("a.txt" + codec, small, Limits(max_text_bytes=1000)) is Reason.decompression_bomb


@pytest.mark.slow
def test_a_bomb_of_gigabytes_is_never_held(refusal: Callable[..., Reason]) -> None:
    import resource

    frame = zstandard.compress(bytes(1 << 26))
    dense = {codec: compress(codec, bytes(1 << 28)) for codec in (".bz2", ".xz")}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal("a.txt.zst", frame * 160) is Reason.decompression_bomb  # 10 GiB
    for codec, bomb in dense.items():
        assert refusal(f"a.txt{codec}", bomb) is Reason.decompression_bomb
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


def test_long_repetitive_text_below_the_floor_is_none(read: Callable[..., str]) -> None:
    text = "The same clause again. " * 100_000
    assert read("a.txt.gz", gzip.compress(text.encode())) == text


def test_over_size(refusal: Callable[..., Reason]) -> None:
    assert refusal("a.txt", b"a" * 101, Limits(max_bytes=100)) is Reason.over_size


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("letter.txt", (".txt", None)),
        ("letter.TXT.gz", (".txt", "gzip")),
        ("Letter.Pdf.ZST", (".pdf", "zstd")),
        ("v1.2 final.docx", (".docx", None)),
        ("archive.tar.gz", (".tar", "gzip")),
        ("twice.txt.gz.gz", (".gz", "gzip")),
        ("no_suffix", ("", None)),
        ("no_suffix.gz", ("", "gzip")),
        (".gz", ("", None)),
        (".hidden.txt", (".txt", None)),
        ("起诉书.eml.gz", (".eml", "gzip")),
        ("", ("", None)),
    ],
)
def test_names_are_split_into_format_and_codec(name: str, parts: tuple[str, str | None]) -> None:
    assert split_name(name) == parts


@pytest.mark.parametrize(
    ("head", "codec", "reason"),
    [
        (b"\x1f\x8b\x08", "gzip", None),
        (b"\x28\xb5\x2f\xfd", "zstd", None),
        (b"\x50\x2a\x4d\x18", "zstd", None),
        (b"\x5f\x2a\x4d\x18", "zstd", None),
        (b"anything", None, None),
        (b"", None, None),
        (b"\x28\xb5\x2f\xfd", "gzip", Reason.wrong_suffix),
        (b"\x1f\x8b\x08", "zstd", Reason.wrong_suffix),
        (b"\x60\x2a\x4d\x18", "zstd", Reason.wrong_suffix),
        (b"\x1f", "gzip", Reason.wrong_suffix),
        (b"BZh9", "bzip2", None),
        (b"\xfd7zXZ\0", "xz", None),
        (b"BZh9", "xz", Reason.wrong_suffix),
        (b"\xfd7zXZ\0", "bzip2", Reason.wrong_suffix),
        (b"", "gzip", Reason.empty),
        (b"", "zstd", Reason.empty),
    ],
)
def test_first_bytes_must_be_those_of_the_codec(
    head: bytes, codec: str | None, reason: Reason | None
) -> None:
    if reason is None:
        check_codec(head, codec)
        return
    with pytest.raises(UnreadableError, match=rf"^{reason}$"):
        check_codec(head, codec)


@settings(max_examples=40)
@given(st.binary(max_size=300_000), st.sampled_from([None, *CODECS]), st.integers(0, 300_010))
def test_content_is_entered_at_any_byte(data: bytes, suffix: str | None, start: int) -> None:
    raw = io.BytesIO(compress(suffix, data) if suffix else data)
    codec = split_name(f"a.txt{suffix or ''}")[1]
    blocks = list(iter_blocks(raw, codec, Limits(), start))
    assert b"".join(blocks) == data[start:]
    assert all(blocks)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_everything_before_the_damage_is_given_first(suffix: str) -> None:
    codec = split_name(f"a{suffix}")[1]
    data = compress(suffix, TEXT.encode())
    blocks: list[bytes] = []
    with pytest.raises(UnreadableError, match=r"^broken$"):
        blocks.extend(iter_blocks(io.BytesIO(data[: len(data) // 2]), codec, Limits()))
    assert TEXT.encode().startswith(b"".join(blocks))
    assert sum(map(len, blocks)) > 100_000


def test_a_disk_that_fails_while_it_is_read_is_inaccessible() -> None:
    class FailingDisk(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 1 << 16:
                raise OSError("input/output error on /srv/secret/path")
            return super().read(size)

    for codec in (None, "gzip"):
        content = compress(".gz", TEXT.encode() * 3) if codec else TEXT.encode()
        with pytest.raises(UnreadableError, match=r"^inaccessible$") as caught:
            list(iter_blocks(FailingDisk(content), codec, Limits()))
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("codec", "size", "reason"),
    [
        (None, 1000, None),
        (None, 1001, Reason.over_size),
        (".gz", 1000, None),
        (".gz", 1001, Reason.decompression_bomb),
    ],
)
def test_what_is_read_into_memory_is_bounded_to_the_byte(
    codec: str | None, size: int, reason: Reason | None
) -> None:
    data = random.Random(1).randbytes(size)
    raw = io.BytesIO(compress(codec, data) if codec else data)
    limits = Limits(max_text_bytes=1000)
    if reason is None:
        assert read_all(raw, codec and "gzip", limits) == data
        return
    with pytest.raises(UnreadableError, match=rf"^{reason}$"):
        read_all(raw, codec and "gzip", limits)


@pytest.mark.parametrize("name", ["folder", "absent", "pipe", "nul\0byte", "dangling"])
def test_only_a_regular_file_is_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    with pytest.raises(UnreadableError, match=r"^inaccessible$"):
        open_regular(tmp_path / name)


def test_a_link_to_a_regular_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"text")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with open_regular(tmp_path / "link") as raw:
        assert raw.read() == b"text"
