from __future__ import annotations

import hashlib
import itertools
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from scipy import stats

from lexveil.privacy.dp import discrete_gaussian
from lexveil.privacy.dp.discrete_gaussian import draw_pieces, variance
from lexveil.privacy.dp.noise import Grid, add_noise, choose_grid
from lexveil.privacy.dp.randomness import KEY_BYTES, SecureRandom, Stream

KEY = bytes(range(KEY_BYTES))
table = discrete_gaussian.table()


def draw(n: int, step: int = 0, parts: int = 4, key: bytes = KEY) -> np.ndarray:
    pieces = SecureRandom(key).whole_normals("test", step, n, parts)
    return np.concatenate([np.empty(0), *(piece.copy() for piece in pieces)])


def probability(value: int) -> Decimal:
    """Of the discrete Gaussian of deviation 128, to 60 digits, computed by itself."""
    with localcontext() as context:
        context.prec = 60
        weights = [(Decimal(-x * x) / (2 * 128**2)).exp() for x in range(2200)]
        return weights[abs(value)] / (2 * sum(weights) - 1)


def test_the_table_is_the_distribution_function():
    """Each value has its exact probability up to a few units of the last of 144 bits."""
    bounds = table.bounds
    assert list(bounds) == sorted(bounds)
    with localcontext() as context:
        context.prec = 60
        for value in (-1740, -900, -128, -1, 0, 1, 64, 300, 1200):
            place = value + discrete_gaussian.LARGEST
            difference = bounds[place] - bounds[place - 1] - probability(value) * 2**144
            assert abs(difference) < 2**14, value  # the tail that is cut off is 2**-139


def whole(number: int):
    """A source whose bits are those of a number of 144 bits: the index, a word, and one more."""
    words = [number >> 128, number >> 64 & 2**64 - 1, number & 2**64 - 1]

    def fill(room: np.ndarray) -> None:
        assert room.size == 1
        room[0] = words.pop(0)

    return fill


@pytest.mark.parametrize("place", [0, 1, 5, 700, 1700, 1749, 1750, 1751, 1878, 2500, 3400, 3498, 3499])
def test_bits_next_to_a_bound_are_decided_exactly(place):
    """A bound is the first number of the upper value, the number below it the last of the lower value."""
    bound = table.bounds[place]
    for number, shift in ((bound, 0), (bound - 1, -1), (bound + 1, 0)):
        expected = sum(number >= other for other in table.bounds) - discrete_gaussian.LARGEST
        assert shift == 0 or expected < place + 1 - discrete_gaussian.LARGEST
        if 0 <= number < 2**144:
            (piece,) = draw_pieces(1, whole(number), 1)
            assert piece.tolist() == [expected]


def test_every_index_leads_to_a_value_that_its_continuations_have():
    found = np.where(table.values < discrete_gaussian.UNDECIDED, np.nan, table.values)
    undecided = np.flatnonzero(np.isnan(found))
    assert np.array_equal(undecided, table.undecided)
    assert np.array_equal(table.values[undecided], -(2**15) - 1 - np.arange(len(undecided)))
    for index in [*range(0, 2**16, 997), *undecided.tolist()[::50]]:
        ends = [index << 128, ((index + 1) << 128) - 1]
        low, high = (sum(end >= b for b in table.bounds) - discrete_gaussian.LARGEST for end in ends)
        if index in undecided:
            place = int(np.flatnonzero(undecided == index)[0])
            assert low < high
            assert table.lowest[place] == low
            assert table.many[place] == (high > low + 1)
        else:
            assert low == high == found[index]


def test_parts_have_the_law_of_the_table():
    drawn = draw(400_000, parts=1)
    values = np.arange(-400, 401)
    expected = np.diff([bound / 2**144 for bound in table.bounds])[values + discrete_gaussian.LARGEST - 1]
    counts = np.array([(drawn == value).sum() for value in values])
    inside = expected * drawn.size > 20
    expected, counts = expected[inside], counts[inside]
    statistic = ((counts - expected * drawn.size) ** 2 / (expected * drawn.size)).sum()
    assert stats.chi2.sf(statistic, inside.sum() - 1) > 1e-4
    assert set(np.unique(drawn % 1)) == {0.0}


def test_draws_are_gaussian_with_the_stated_variance():
    drawn = draw(300_000) / math.sqrt(variance(4))
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert abs(drawn.var() - 1) < 5 * math.sqrt(2 / drawn.size)
    assert abs(stats.kurtosis(drawn)) < 5 * math.sqrt(24 / drawn.size)
    for a, b in itertools.pairwise((drawn[:-2], drawn[1:-1], drawn[2:])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(drawn.size)
    whole_numbers = draw(300_000)
    assert np.array_equal(whole_numbers, np.rint(whole_numbers))
    # Of the last digits none is more frequent: the finest part is wide enough.
    assert stats.chisquare(np.bincount((whole_numbers % 64).astype(int), minlength=64)).pvalue > 1e-4


def test_a_sum_of_two_parts_is_a_discrete_gaussian():
    """By its exact probabilities, from the table: P(x + 64 y = z) against the Gaussian weight of z."""
    bounds = [0, *table.bounds, 2**144]
    part = {v: bounds[v + 1751] - bounds[v + 1750] for v in range(-1750, 1751)}

    def mass(z: int) -> int:
        return sum(part[z - 64 * y] * part[y] for y in range(-1750, 1751) if abs(z - 64 * y) <= 1750)

    with localcontext() as context:
        context.prec = 60
        for z in (1, 17, 64, 1000, 9999):
            ratio = Decimal(mass(z)) / Decimal(mass(0))
            weight = (Decimal(-z * z) / (2 * variance(2))).exp()
            assert abs(ratio / weight - 1) < Decimal("1e-33"), z


def test_draws_are_the_same_on_every_machine():
    """They were computed once; no processor, no library and no number of threads changes a bit of them."""
    digest = hashlib.sha256(draw(20_000).astype("<i8").tobytes()).hexdigest()
    assert digest == "0a2bf1be018f78a0d7455dacd9e11d4ec9d84942c5976de0682f8a71ceed7c54"


@pytest.mark.parametrize("n", [0, 1, 8191, 8192, 8193])
def test_pieces_make_up_the_number_asked_for(n):
    assert draw(n).shape == (n,)
    assert not np.intersect1d(draw(n), draw(n, step=1)).size
    assert n < 8192 or np.array_equal(draw(n)[:8192], draw(8192))


def test_the_grid_has_the_noise_that_is_promised_and_little_more():
    for multiplier, weights in ((0.5, 10), (1.0, 264_192), (5.0, 22_700_000), (300.0, 10**8)):
        grid = choose_grid(multiplier, 0.1, weights)
        steps = 0.1 / grid.spacing + 2 * math.sqrt(weights)  # the most an owner moves the rounded sum by
        assert math.sqrt(variance(grid.parts) - 36) >= multiplier * steps * (1 - 1e-12)
        assert grid.spacing * math.sqrt(variance(grid.parts)) <= multiplier * 0.1 * (1 + 2**-5)
    assert choose_grid(1.0, 1.0, 1_000_000).parts == 4
    with pytest.raises(ValueError, match="too large"):
        choose_grid(1e12, 0.1, 10**6)


def test_sums_end_on_the_grid_with_the_noise_of_their_place():
    generator = torch.Generator().manual_seed(1)
    sums = {n: torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (1, 5000, 700)}
    before = {n: part.clone() for n, part in sums.items()}
    grid = Grid(1e-3, 4)
    add_noise({str(n): part for n, part in sums.items()}, grid, SecureRandom(KEY), 7)
    random = SecureRandom(KEY).whole_normals("grid-noise", 7, 3 * 5701)
    drawn = torch.from_numpy(np.concatenate([piece.copy() for piece in random]))
    start = 0
    for n, part in sums.items():
        noise = drawn[start : start + 3 * n].view(n, 3)
        assert torch.allclose(part, grid.spacing * ((before[n] / grid.spacing).round() + noise), rtol=1e-15)
        start += 3 * n


def test_two_sums_that_round_alike_end_alike():
    """What is below the grid, where a float would tell of it, is gone."""
    sums = [torch.full((4,), value, dtype=torch.float64) for value in (1.0, 1.0 + 2.0**-50)]
    for one in sums:
        add_noise({"w": one}, choose_grid(1.0, 1.0, 4), SecureRandom(KEY), 0)
    assert torch.equal(*sums)


def test_a_stream_ends_before_its_keystream_repeats():
    stream = Stream(KEY, bytes(12))
    stream._left = 24
    stream.fill(np.empty(3, np.uint64))
    with pytest.raises(ValueError, match="stream"):
        stream.fill(np.empty(1, np.uint8))
