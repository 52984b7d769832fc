"""The compiled functions add the very draws that numpy does, by every set of instructions that runs here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lexveil.privacy.dp import discrete_gaussian, draws
from lexveil.privacy.dp.randomness import Stream
from tests.privacy.dp.compiling import RUNS, compile_copy, use_copy

SPACING = 2.0**-20 / 3


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source, and what is compiled from it, in a folder of its own."""
    return compile_copy(draws.SOURCE, tmp_path_factory.mktemp("draws"))


@pytest.fixture(params=RUNS)
def instructions(
    source: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    yield from use_copy(draws, source, request.param, monkeypatch)


def expected(sums: list[np.ndarray], parts: int, fill: discrete_gaussian.Fill) -> list[np.ndarray]:
    pieces = discrete_gaussian.draw_pieces(parts, fill, sum(map(len, sums)))
    noise = np.concatenate([np.empty(0), *(piece.copy() for piece in pieces)])
    ends = np.cumsum([0, *map(len, sums)])
    return [
        (np.rint(one * (1 / SPACING)) + noise[a:b]) * SPACING
        for one, a, b in zip(sums, ends[:-1], ends[1:], strict=True)
    ]


def fresh(sizes: tuple[int, ...]) -> list[np.ndarray]:
    generator = np.random.default_rng(len(sizes))
    return [generator.normal(size=size) for size in sizes]


def stream(key: int = 3) -> discrete_gaussian.Fill:
    return Stream(bytes([key] * 32), bytes(12)).fill


@pytest.mark.parametrize("parts", [1, 4, 7])
@pytest.mark.parametrize(
    "sizes",
    [(), (0,), (1,), (5, 0, 17), (8191, 1), (8192,), (8193, 3), (100, 40_000, 1), (31_872, 83), (70_001, 9)],
)
def test_sums_end_on_the_same_bits(instructions, sizes, parts):
    sums = fresh(sizes)
    right = expected(sums, parts, stream())
    draws.add_draws(sums, SPACING, parts, stream())
    assert all(np.array_equal(a, b) for a, b in zip(sums, right, strict=True))


def test_bits_that_do_not_reach_are_read_later(instructions, monkeypatch):
    """Whatever was read ahead: the draws go on where the bits end."""
    for spare in (0, 1, 7, 900):
        monkeypatch.setattr(draws, "_count_bytes", lambda indices, _, spare=spare: 2 * indices + spare)
        monkeypatch.setattr(draws, "_kept", type(draws._kept)())
        sums = fresh((50_000, 3000))
        right = expected(sums, 4, stream())
        draws.add_draws(sums, SPACING, 4, stream())
        assert all(np.array_equal(a, b) for a, b in zip(sums, right, strict=True))


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("above", [-1, 0, 1])
def test_bits_next_to_a_bound_are_decided_exactly(instructions, many, above):
    """Where one value, or one of several, begins: 64 bits are not enough, and 64 more decide."""
    table = discrete_gaussian.table()
    place = int(np.flatnonzero(table.many == many)[3])
    index = int(table.undecided[place])
    bound = next(bound for bound in table.bounds if bound >> 128 == index) + above

    def fill_with(words: list[int]) -> discrete_gaussian.Fill:
        content = bytearray(words[0].to_bytes(2, "little"))
        content += b"".join(word.to_bytes(8, "little") for word in words[1:])
        content += bytes(200)

        def fill(room: np.ndarray) -> None:
            room.view(np.uint8)[:] = np.frombuffer(bytes(content[: room.nbytes]), np.uint8)
            del content[: room.nbytes]

        return fill

    words = [bound >> 128, bound >> 64 & 2**64 - 1, bound & 2**64 - 1]
    sums = [np.zeros(1)]
    draws.add_draws(sums, SPACING, 1, fill_with(words))
    value = sum(bound >= other for other in table.bounds) - discrete_gaussian.LARGEST
    assert sums[0].tolist() == [value * SPACING]


def test_blocks_tell_what_the_table_does():
    table, found = discrete_gaussian.table(), draws._tables()
    blocks = found.arrays[0]
    assert np.count_nonzero(blocks & 32 == 0) > 0.9 * len(blocks)
    for index in range(1 << 16):
        block, low = int(blocks[index >> 4]), index & 15
        if not block & 32 and low != block & 31:
            assert table.values[index] == (block >> 6) + (low > (block & 31))
        elif not block & 32:
            assert table.values[index] < discrete_gaussian.UNDECIDED
    assert math.isclose(found.share, len(table.undecided) / 2**16)


def test_without_the_functions_numpy_adds_the_same(monkeypatch):
    monkeypatch.setattr(draws, "load", lambda _: None)
    sums = fresh((9000, 1, 700))
    right = expected(sums, 4, stream())
    draws.add_draws(sums, SPACING, 4, stream())
    assert all(np.array_equal(a, b) for a, b in zip(sums, right, strict=True))
