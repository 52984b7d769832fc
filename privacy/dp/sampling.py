"""Poisson sampling of the owners of a training step."""

from __future__ import annotations

import numpy as np

from lexveil.privacy.dp.randomness import SecureRandom

_LABEL = "poisson-sample"
_CUT = "poisson-truncate"


def poisson_sample(
    n_owners: int,
    sample_rate: float,
    random: SecureRandom,
    step: int,
    max_batch: int | None = None,
) -> np.ndarray:
    """Return the owners drawn for `step`, each independently with probability `sample_rate`.

    Args:
        n_owners: Number of owners to sample from.
        sample_rate: Probability of each owner.
        random: Source of randomness.
        step: Number of the step, from 0.
        max_batch: If given, at most so many of the drawn owners are kept, chosen uniformly.

    Returns:
        Owners in ascending order. Shape: (drawn,), int64.

    Raises:
        ValueError: Unless n_owners >= 1, 0 < sample_rate <= 1 and max_batch >= 1.

    Formal guarantee:
        Poisson sampling: the draws of different owners and steps are independent, and removing the last
        owner changes no other owner's draw. That is what amplification by sampling in `accounting` assumes;
        shuffled batches of a fixed size are not offered, since their epsilon is larger than the one reported
        for Poisson sampling. An empty draw is a step like any other: it is charged, and it gets its noise.
        With `max_batch` the sampling is truncated Poisson and must be accounted for as such, by
        `sampled_gaussian.Truncation(max_batch, n_owners)`: where a draw is cut, one owner more displaces
        another.
        Assumptions: those of `SecureRandom`.
    """
    if n_owners < 1:
        raise ValueError(f"n_owners must be at least 1, found {n_owners}")
    if not 0 < sample_rate <= 1:
        raise ValueError(f"sample_rate must be in (0, 1], found {sample_rate}")
    if max_batch is not None and max_batch < 1:
        raise ValueError(f"max_batch must be at least 1, found {max_batch}")
    drawn = np.flatnonzero(random.uniform(_LABEL, step, n_owners) < sample_rate).astype(np.int64)
    if max_batch is None or drawn.size <= max_batch:
        return drawn
    # The smallest of independent uniform numbers are at uniformly chosen positions.
    chosen = np.argsort(random.integers(_CUT, step, drawn.size), kind="stable")[:max_batch]
    return np.sort(drawn[chosen])
