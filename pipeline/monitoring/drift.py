"""Statistical tests of whether a batch of documents resembles earlier ones, by rates and by features.

A batch from the same stream is flagged at most about once in a hundred times (`ALARMS`): half of that by the
rates, half by the features. Documents of one owner resemble each other, so the units of randomness are
owners, not documents.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALARMS = 0.01  # rate of false alarms
WINDOW = 20  # number of earlier batches that a new one is compared with
FEWEST_OWNERS = 10  # a batch of fewer owners is not judged

# Batches of one organization differ somewhat for no reason that matters. The estimate of this difference is
# at least this share of a rate; while few batches are known, the share is larger.
_RATES_DIFFER = 0.1
_WHILE_FEW = 3.0
# The same for features, as a share of the mean distance between two documents.
_CLOUDS_DIFFER = 0.02
_ENOUGH_TO_KNOW = 5
_PERMUTATIONS = 1999

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rate:
    """The count of something in the documents of a batch.

    Attributes:
        total: the count.
        dispersion: variance of the count over owners, relative to Poisson's (1 for independent events).
    """

    total: int
    dispersion: float = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Counts of a batch's documents.

    Attributes:
        documents: number of documents.
        owners: number of their owners.
        rates: what was counted, by name.
        unlike: names of what stands out.
    """

    documents: int
    owners: int
    rates: Mapping[str, Rate]
    unlike: frozenset[str] = frozenset()

    @property
    def judgeable(self) -> bool:
        """True if the batch is large enough to be judged, and to be compared with others."""
        return self.documents > 0 and self.owners >= FEWEST_OWNERS

    def rate(self, name: str) -> float:
        """Return events per document; 0 if there are no documents."""
        return self.rates[name].total / self.documents if self.documents and name in self.rates else 0.0


@dataclass(frozen=True, slots=True)
class ExpectedRate:
    """The rate that earlier batches predict, and how improbable the observed rate is.

    Attributes:
        rate: the predicted rate, in events per document.
        low: lower end of the interval outside which a rate is flagged.
        high: upper end of the interval.
        p: two-sided probability, under the prediction, of a count at least as extreme as the observed one.
        alarm: the rate is flagged if `p` is at most this.
    """

    rate: float
    low: float
    high: float
    p: float
    alarm: float

    @property
    def stands_out(self) -> bool:
        """True if the rate is flagged."""
        return self.p <= self.alarm


@dataclass(frozen=True, slots=True)
class Distance:
    """The distance of a batch's features from those of earlier batches.

    Attributes:
        value: energy distance in excess of chance, as a share of twice the mean distance between documents
            of the two sides; 0: none, 1: two separate points.
        p: p-value of the permutation test.
        limit: distance that earlier batches' own distances allow.
    """

    value: float
    p: float
    limit: float

    @property
    def stands_out(self) -> bool:
        """True if the batch is flagged."""
        return self.p <= ALARMS / 2 and self.value > self.limit


def compute_rate(counts: Sequence[int], owners: Sequence[str]) -> Rate:
    """Compute the rate of something that was counted in each document.

    The dispersion is that of a ratio over clusters, the owners (Cochran 1977, "Sampling Techniques", 3rd ed.,
    section 9A.2): with x_o events in the d_o documents of owner o, r events per document and m owners, the
    variance of r times the documents is m / (m - 1) * sum (x_o - r d_o)^2 / documents; Poisson's is r.

    Args:
        counts: count of each document.
        owners: owner of each document.
    """
    total, documents = sum(counts), len(counts)
    indices, n_owners = _number_units(owners)
    if not total or n_owners < 2:
        return Rate(total)
    events = np.bincount(indices, weights=counts)
    sizes = np.bincount(indices)
    rate = total / documents
    spread = float(((events - rate * sizes) ** 2).sum()) * n_owners / (n_owners - 1)
    return Rate(total, round(max(1.0, spread / total), 4))


def judge_rates(batch: Batch, earlier: Sequence[Batch]) -> dict[str, ExpectedRate]:
    """Compare each rate of a batch with what earlier batches predict.

    A count is compared with a negative binomial distribution. Earlier batches predict its mean and variance,
    by their pooled rate, by the dispersion within batches, and by the variance between batches. The latter is
    estimated by the method of moments of random-effects meta-analysis (DerSimonian & Laird 1986,
    "Meta-analysis in clinical trials", Controlled Clinical Trials 7), used for prediction as in Higgins,
    Thompson & Spiegelhalter 2009 ("A re-evaluation of random-effects meta-analysis", JRSS A 172). All rates
    together raise a false alarm in at most half of `ALARMS` of the batches (Bonferroni).

    Args:
        batch: the batch.
        earlier: earlier batches, the oldest first.

    Returns:
        The expected rates by name; {} if the batch, or all earlier ones, are too small.
    """
    known = [other for other in earlier[-WINDOW:] if other.judgeable]
    if not batch.judgeable or not known:
        return {}
    names = sorted({name for other in (*known, batch) for name in other.rates})
    return _judge(batch, names, [_predict(name, batch, _drop_outliers(name, known)) for name in names])


def _judge(
    batch: Batch, names: Sequence[str], predicted: Sequence[tuple[float, float]]
) -> dict[str, ExpectedRate]:
    from scipy.stats import nbinom

    n, alarm = batch.documents, ALARMS / 2 / max(1, len(names))
    mean = n * np.array([rate for rate, _ in predicted])
    # Slightly above Poisson's variance, which the negative binomial only approaches.
    variance = np.maximum(n**2 * np.array([variance for _, variance in predicted]), mean * (1 + 1e-6))
    size, probability = mean**2 / (variance - mean), mean / variance
    counts = np.array([batch.rates[name].total if name in batch.rates else 0 for name in names])
    below, above = nbinom.cdf(counts, size, probability), nbinom.sf(counts - 1, size, probability)
    p = np.minimum(1, 2 * np.minimum(below, above))
    low, high = (nbinom.ppf(q, size, probability) / n for q in (alarm / 2, 1 - alarm / 2))
    return {
        name: ExpectedRate(predicted[i][0], float(low[i]), float(high[i]), float(p[i]), alarm)
        for i, name in enumerate(names)
    }


def _drop_outliers(name: str, known: Sequence[Batch]) -> list[Batch]:
    """Drop batches whose rate stood out alone; two in a row are taken as a new normal."""
    flagged = [name in batch.unlike for batch in known]
    isolated = [
        here and not (any(flagged[max(0, i - 1) : i]) or any(flagged[i + 1 : i + 2]))
        for i, here in enumerate(flagged)
    ]
    return [batch for batch, drop in zip(known, isolated, strict=True) if not drop] or list(known)


def _predict(name: str, batch: Batch, known: Sequence[Batch]) -> tuple[float, float]:
    """Predict the rate of a batch, and return it with the variance around it."""
    sizes = np.array([other.documents for other in known], float)
    totals = np.array([other.rates[name].total if name in other.rates else 0 for other in known], float)
    documents = float(sizes.sum())
    rate = max(float(totals.sum()), 0.5) / documents  # half an event (Jeffreys) if nothing was ever counted
    dispersion = _pool_dispersion(name, batch, known, totals)
    least = (_RATES_DIFFER * rate) ** 2 * (1 + _WHILE_FEW / len(known))
    between = max(_estimate_between(totals, sizes, rate, dispersion), least)
    of_rate = dispersion * rate / documents + between * float((sizes**2).sum()) / documents**2
    return rate, dispersion * rate / batch.documents + between + of_rate


def _pool_dispersion(name: str, batch: Batch, known: Sequence[Batch], totals: Floats) -> float:
    """Return the dispersion of the earlier batches together, or the batch's own if that is larger."""
    weights = sum(totals)
    of_known = (
        sum(other.rates[name].dispersion * n for other, n in zip(known, totals, strict=True) if n) / weights
        if weights
        else 1.0
    )
    own = batch.rates[name].dispersion if name in batch.rates else 1.0
    return max(1.0, of_known, own)


def _estimate_between(totals: Floats, sizes: Floats, rate: float, dispersion: float) -> float:
    """Estimate the variance of the rate between batches, beyond what chance within them explains."""
    within = dispersion * rate
    heterogeneity = float((sizes * (totals / sizes - rate) ** 2).sum()) / within
    documents = float(sizes.sum())
    span = documents - float((sizes**2).sum()) / documents
    return max(0.0, (heterogeneity - (len(sizes) - 1)) * within / span) if span > 0 else 0.0


@dataclass(frozen=True, slots=True)
class FeatureSample:
    """Features of some documents.

    Attributes:
        features: Shape (documents, dimension).
        owners: owner of each document.
    """

    features: Floats
    owners: Sequence[str]


def judge_features(
    batch: FeatureSample, earlier: FeatureSample, distances: Sequence[float], seed: int = 0
) -> Distance | None:
    """Measure the distance of a batch's features from earlier ones.

    It is the energy distance, which is 0 only for equal distributions, with its permutation test (Szekely &
    Rizzo 2013, "Energy statistics: A class of statistics based on distances", J. Stat. Plan. Inference 143,
    sections 3 and 6). Owners change sides with all of their documents. In large batches a small, unimportant
    difference is significant too, so the distance must also exceed what is usual for earlier batches: their
    median plus three standard deviations, estimated by the median absolute deviation.

    Args:
        batch: features of the batch.
        earlier: features of earlier batches.
        distances: distances of earlier batches.
        seed: seed of the permutations.

    Returns:
        The distance; None if either side has too few owners.
    """
    units = [*((0, owner) for owner in batch.owners), *((1, owner) for owner in earlier.owners)]
    indices, n_units = _number_units(units)
    n_first = len(set(batch.owners))
    if min(n_first, n_units - n_first) < FEWEST_OWNERS:
        return None
    between = _sum_by_owners(_compute_distances(np.concatenate([batch.features, earlier.features])), indices)
    sizes = np.bincount(indices).astype(float)
    generator = np.random.default_rng(seed)
    first = np.arange(n_units) < n_first
    shuffled = np.array([generator.permutation(first) for _ in range(_PERMUTATIONS)])
    energy, scale = _compute_energy(np.vstack([first, shuffled]).astype(float), between, sizes)
    p = float((energy[1:] >= energy[0] * (1 - 1e-12)).sum() + 1) / (_PERMUTATIONS + 1)
    excess = float(energy[0] - energy[1:].mean()) / float(scale[0]) if scale[0] > 0 else 0.0
    return Distance(max(0.0, excess), p, compute_distance_limit(distances))


def compute_distance_limit(distances: Sequence[float]) -> float:
    """Return the distance that a batch may have, given those of earlier batches."""
    if len(distances) < _ENOUGH_TO_KNOW:
        return _CLOUDS_DIFFER * (1 + _WHILE_FEW / (1 + len(distances))) / 2
    middle = float(np.median(distances))
    spread = 1.4826 * float(np.median(np.abs(np.asarray(distances) - middle)))
    return max(_CLOUDS_DIFFER, middle + 3 * spread)


def _number_units(units: Sequence[Hashable]) -> tuple[NDArray[np.intp], int]:
    """Return the number of each unit, in the order of first occurrence, and how many units differ."""
    numbers = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
    return np.array([numbers[unit] for unit in units], np.intp), len(numbers)


def _compute_distances(features: Floats) -> Floats:
    """Return the Euclidean distances of all pairs. Shape: (documents, documents)."""
    rows = np.asarray(features, np.float64)
    squares = (rows**2).sum(1)
    return np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * rows @ rows.T, 0.0))


def _sum_by_owners(values: Floats, indices: NDArray[np.intp]) -> Floats:
    """Return the sums over the documents of each pair of owners. Shape: (owners, owners)."""
    owners = int(indices.max()) + 1
    rows = np.zeros((owners, values.shape[1]))
    np.add.at(rows, indices, values)
    result = np.zeros((owners, owners))
    np.add.at(result, indices, rows.T)
    return result


def _compute_energy(sides: Floats, between: Floats, sizes: Floats) -> tuple[Floats, Floats]:
    """Return the energy distance and its scale for each division of the owners.

    Args:
        sides: 1 for owners of the first side, 0 for others. Shape: (divisions, owners).
        between: sums of distances of each pair of owners. Shape: (owners, owners).
        sizes: documents of each owner. Shape: (owners,).
    """
    reach = sides @ between  # from each division's first side to every owner
    within_first = (reach * sides).sum(1)
    across = reach.sum(1) - within_first
    within_second = between.sum() - within_first - 2 * across
    first = sides @ sizes
    second = sizes.sum() - first
    mean_across = across / (first * second)
    energy = 2 * mean_across - within_first / first**2 - within_second / second**2
    return energy, 2 * mean_across


def batch_to_json(batch: Batch) -> dict[str, Any]:
    """Encode a batch as `run.json` stores it."""
    rates = {name: [rate.total, rate.dispersion] for name, rate in sorted(batch.rates.items())}
    return {
        "documents": batch.documents,
        "owners": batch.owners,
        "rates": rates,
        "unlike": sorted(batch.unlike),
    }
