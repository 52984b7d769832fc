from __future__ import annotations

import numpy as np
import pytest

from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.dp.sampling import poisson_sample

RANDOM = SecureRandom(bytes(32))


def test_owners_are_drawn_alone_and_one_more_changes_no_others_draw():
    for step in range(20):
        drawn = poisson_sample(50, 0.3, RANDOM, step)
        assert list(drawn) == sorted(set(drawn))
        assert list(drawn[drawn < 49]) == list(poisson_sample(49, 0.3, RANDOM, step))


def test_a_draw_may_be_empty_or_everybody():
    assert poisson_sample(3, 1e-9, RANDOM, 0).size == 0
    assert list(poisson_sample(3, 1.0, RANDOM, 0)) == [0, 1, 2]


def test_a_cut_draw_is_a_part_of_the_whole_and_never_larger():
    for step in range(50):
        whole = poisson_sample(40, 0.5, RANDOM, step)
        cut = poisson_sample(40, 0.5, RANDOM, step, max_batch=20)
        assert cut.size == min(20, whole.size)
        assert list(cut) == sorted(set(cut) & set(whole))
        assert list(cut) == list(poisson_sample(40, 0.5, RANDOM, step, max_batch=20))
        if whole.size <= 20:
            assert list(cut) == list(whole)


def test_a_cut_keeps_every_owner_alike():
    kept = np.zeros(10)
    for step in range(4000):
        kept[poisson_sample(10, 1.0, RANDOM, step, max_batch=3)] += 1
    # Binomial(4000, .3): five standard deviations.
    assert np.all(np.abs(kept - 1200) < 5 * np.sqrt(4000 * 0.3 * 0.7))


@pytest.mark.parametrize("arguments", [(0, 0.1), (5, 0.0), (5, 1.5)])
def test_impossible_draws_are_refused(arguments: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="found"):
        poisson_sample(*arguments, RANDOM, 0)
    with pytest.raises(ValueError, match="max_batch"):
        poisson_sample(5, 0.1, RANDOM, 0, max_batch=0)


def draws(n_owners: int, rate: float, steps: int, max_batch: int | None = None) -> np.ndarray:
    """The drawn owners of each step. Shape: (steps, n_owners)."""
    drawn = np.zeros((steps, n_owners), bool)
    for step in range(steps):
        drawn[step, poisson_sample(n_owners, rate, RANDOM, step, max_batch)] = True
    return drawn


def test_the_size_of_a_draw_is_binomial() -> None:
    sizes = draws(100, 0.2, 2000).sum(1)
    # Five standard errors of the mean and of the variance; a batch of fixed size has no variance at all.
    assert abs(sizes.mean() - 20) < 5 * np.sqrt(16 / 2000)
    assert abs(sizes.var() - 16) < 5 * 16 * np.sqrt(2 / 2000)


def test_two_owners_and_two_steps_are_drawn_independently() -> None:
    drawn = draws(40, 0.3, 2000)
    error = 5 * np.sqrt(0.09 * 0.91 / 2000)
    for one, other in ((0, 1), (3, 39), (17, 18)):
        assert abs((drawn[:, one] & drawn[:, other]).mean() - 0.09) < error
    assert abs((drawn[:-1, 5] & drawn[1:, 5]).mean() - 0.09) < error


def test_a_cut_draw_takes_each_owner_as_often_as_truncated_poisson_sampling_does() -> None:
    from scipy.stats import binom

    n, rate, most, steps = 20, 0.5, 8, 3000
    expected = sum(binom.pmf(k, n, rate) * min(k, most) for k in range(n + 1)) / n
    taken = draws(n, rate, steps, most).mean(0)
    assert np.all(np.abs(taken - expected) < 5 * np.sqrt(expected * (1 - expected) / steps))


def test_a_maximum_that_is_never_reached_changes_nothing() -> None:
    for step in range(20):
        whole = poisson_sample(30, 0.4, RANDOM, step)
        assert list(poisson_sample(30, 0.4, RANDOM, step, max_batch=30)) == list(whole)


def test_the_key_decides_the_draw() -> None:
    other = SecureRandom(bytes([1]) * 32)
    same = SecureRandom(bytes(32))
    mine, theirs, again = ([*poisson_sample(200, 0.5, one, 3)] for one in (RANDOM, other, same))
    assert mine == again != theirs


def test_a_higher_rate_draws_everybody_whom_a_lower_rate_draws() -> None:
    """One uniform number decides for each owner, so that draws of two rates are nested."""
    for step in range(20):
        few = set(poisson_sample(100, 0.1, RANDOM, step).tolist())
        assert few <= set(poisson_sample(100, 0.3, RANDOM, step).tolist())


def test_owners_are_whole_numbers_and_a_negative_step_is_refused() -> None:
    assert poisson_sample(5, 0.5, RANDOM, 0).dtype == np.int64
    with pytest.raises(ValueError, match="step"):
        poisson_sample(5, 0.5, RANDOM, -1)
