"""Which owners a step sees."""

from __future__ import annotations

import numpy as np

from privacy.dp.randomness import SecureRandom

_LABEL = "poisson-sample"


def poisson_sample(n_owners: int, sample_rate: float, random: SecureRandom, step: int) -> np.ndarray:
    """Owners drawn for `step`, each alone with probability `sample_rate`. Shape: (drawn,), int64, ascending.

    Formal guarantee
    ----------------
    Poisson sampling: the draws of different owners and steps are independent, and removing the last
    owner changes no other owner's draw. That is what amplification by sampling in `accounting` assumes;
    shuffled batches of a fixed size are not offered, since their epsilon is larger than the one reported
    for Poisson sampling. An empty draw is a step like any other: it is charged, and it gets its noise.
    """
    if n_owners < 1:
        raise ValueError(f"n_owners must be at least 1, found {n_owners}")
    if not 0 < sample_rate <= 1:
        raise ValueError(f"sample_rate must lie in (0, 1], found {sample_rate}")
    drawn = random.uniform(_LABEL, step, n_owners) < sample_rate
    return np.flatnonzero(drawn).astype(np.int64)
