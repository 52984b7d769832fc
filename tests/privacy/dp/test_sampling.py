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
def test_impossible_draws_are_refused(arguments):
    with pytest.raises(ValueError, match="found"):
        poisson_sample(*arguments, RANDOM, 0)
    with pytest.raises(ValueError, match="max_batch"):
        poisson_sample(5, 0.1, RANDOM, 0, max_batch=0)
