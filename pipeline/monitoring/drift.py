"""Is a batch of new documents like those before it? Rates of what is counted, and the cloud of its features.

Both questions are put so that a batch from the same stream is flagged about once in a hundred times at most
(`ALARMS`), half of it for the rates, half for the features. Documents of one owner resemble each other, so
owners, not documents, are the units of chance everywhere here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALARMS = 0.01  # how often a batch may be flagged that is like the others
WINDOW = 20  # so many earlier batches are the measure of a new one
FEWEST_OWNERS = 10  # fewer say nothing about their batch

# Batches of one house differ somewhat for no reason that matters. Estimates of how much are never taken below
# this share of a rate; while few batches are known, the share is larger.
_RATES_DIFFER = 0.1
_WHILE_FEW = 3.0
# The same for features, as a share of the mean distance between two documents.
_CLOUDS_DIFFER = 0.02
_ENOUGH_TO_KNOW = 5
_PERMUTATIONS = 1999

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something was counted in the documents of a batch.

    Attributes:
        total: the count.
        dispersion: variance of the count over owners, relative to Poisson's (1 where each event comes alone).
    """

    total: int
    dispersion: float = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What is known of a batch's documents: counts only."""

    documents: int
    owners: int
    rates: Mapping[str, Rate]
    unlike: frozenset[str] = frozenset()

    @property
    def enough(self) -> bool:
        """Whether it can be judged, and be a measure of others."""
        return self.documents > 0 and self.owners >= FEWEST_OWNERS

    def rate(self, name: str) -> float:
        """Events a document; 0 where there is none."""
        return self.rates[name].total / self.documents if self.documents and name in self.rates else 0.0


@dataclass(frozen=True, slots=True)
class Expected:
    """What earlier batches predict for a rate, and how surprising the one found is.

    Attributes:
        low, high: where the rate lies but for the share of false alarms.
        p: probability, under the prediction, of a count at least as far out, on both sides together.
        alarm: at or below this `p` the rate is flagged.
    """

    rate: float
    low: float
    high: float
    p: float
    alarm: float

    @property
    def unlike(self) -> bool:
        return self.p <= self.alarm


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a batch's features lie from those of earlier batches.

    Attributes:
        value: energy distance in excess of chance, as a share of twice the mean distance between documents
            of the two; 0: none, 1: two separate points.
        p: of the permutation test.
        limit: what earlier batches' own distances allow.
    """

    value: float
    p: float
    limit: float

    @property
    def unlike(self) -> bool:
        return self.p <= ALARMS / 2 and self.value > self.limit


def rate_of(counts: Sequence[int], owners: Sequence[str]) -> Rate:
    """The rate of something that was counted in each document.

    The dispersion is that of a ratio over clusters, the owners (Cochran 1977, "Sampling Techniques", 3rd ed.,
    section 9A.2): with x_o events in the d_o documents of owner o, r events a document and m owners, the
    variance of r times the documents is m / (m - 1) * sum (x_o - r d_o)^2 / documents; Poisson's is r.
    """
    total, documents = sum(counts), len(counts)
    places = {owner: place for place, owner in enumerate(dict.fromkeys(owners))}
    if not total or len(places) < 2:
        return Rate(total)
    where = [places[owner] for owner in owners]
    events = np.bincount(where, weights=counts)
    sizes = np.bincount(where)
    rate = total / documents
    spread = float(((events - rate * sizes) ** 2).sum()) * len(places) / (len(places) - 1)
    return Rate(total, round(max(1.0, spread / total), 4))


def judge_rates(batch: Batch, earlier: Sequence[Batch]) -> dict[str, Expected]:
    """What earlier batches, the oldest first, predict for each rate of a batch; {} where they are too few.

    A count is held against a negative binomial distribution whose mean and variance earlier batches predict:
    their pooled rate; the dispersion within batches; and what batches differ among each other, by the method
    of moments of random-effects meta-analysis (DerSimonian & Laird 1986, "Meta-analysis in clinical trials",
    Controlled Clinical Trials 7), used for prediction as in Higgins, Thompson & Spiegelhalter 2009 ("A
    re-evaluation of random-effects meta-analysis", JRSS A 172). All rates together raise a false alarm in
    half of `ALARMS` of the batches at most (Bonferroni).
    """
    known = [other for other in earlier[-WINDOW:] if other.enough]
    if not batch.enough or not known:
        return {}
    names = sorted({name for other in (*known, batch) for name in other.rates})
    return _judge(batch, names, [_predict(name, batch, _measure(name, known)) for name in names])


def _judge(
    batch: Batch, names: Sequence[str], predicted: Sequence[tuple[float, float]]
) -> dict[str, Expected]:
    from scipy.stats import nbinom

    n, alarm = batch.documents, ALARMS / 2 / max(1, len(names))
    mean = n * np.array([rate for rate, _ in predicted])
    # A little above Poisson's variance, which the negative binomial only approaches.
    variance = np.maximum(n**2 * np.array([variance for _, variance in predicted]), mean * (1 + 1e-6))
    size, chance = mean**2 / (variance - mean), mean / variance
    found = np.array([batch.rates[name].total if name in batch.rates else 0 for name in names])
    p = np.minimum(1, 2 * np.minimum(nbinom.cdf(found, size, chance), nbinom.sf(found - 1, size, chance)))
    low, high = (nbinom.ppf(q, size, chance) / n for q in (alarm / 2, 1 - alarm / 2))
    return {
        name: Expected(predicted[place][0], float(low[place]), float(high[place]), float(p[place]), alarm)
        for place, name in enumerate(names)
    }


def _measure(name: str, known: Sequence[Batch]) -> list[Batch]:
    """Batches without those that stood out alone. Two in a row are no accident but how things are now."""
    flagged = [name in batch.unlike for batch in known]
    alone = [
        here and not (any(flagged[max(0, place - 1) : place]) or any(flagged[place + 1 : place + 2]))
        for place, here in enumerate(flagged)
    ]
    return [batch for batch, out in zip(known, alone, strict=True) if not out] or list(known)


def _predict(name: str, batch: Batch, known: Sequence[Batch]) -> tuple[float, float]:
    """The rate that a batch should have, and the variance around it."""
    sizes = np.array([other.documents for other in known], float)
    totals = np.array([other.rates[name].total if name in other.rates else 0 for other in known], float)
    documents = float(sizes.sum())
    rate = max(float(totals.sum()), 0.5) / documents  # Jeffreys' half where nothing was ever counted
    dispersion = _dispersion(name, batch, known, totals)
    least = (_RATES_DIFFER * rate) ** 2 * (1 + _WHILE_FEW / len(known))
    between = max(_between(totals, sizes, rate, dispersion), least)
    of_rate = dispersion * rate / documents + between * float((sizes**2).sum()) / documents**2
    return rate, dispersion * rate / batch.documents + between + of_rate


def _dispersion(name: str, batch: Batch, known: Sequence[Batch], totals: Floats) -> float:
    """Of the earlier batches together, or the batch's own where that is larger."""
    weights = sum(totals)
    of_known = (
        sum(other.rates[name].dispersion * n for other, n in zip(known, totals, strict=True) if n) / weights
        if weights
        else 1.0
    )
    own = batch.rates[name].dispersion if name in batch.rates else 1.0
    return max(1.0, of_known, own)


def _between(totals: Floats, sizes: Floats, rate: float, dispersion: float) -> float:
    """Variance of the rate between batches, beyond what chance within them explains."""
    within = dispersion * rate
    found = float((sizes * (totals / sizes - rate) ** 2).sum()) / within
    documents = float(sizes.sum())
    span = documents - float((sizes**2).sum()) / documents
    return max(0.0, (found - (len(sizes) - 1)) * within / span) if span > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Cloud:
    """Features of a sample of documents, Shape: (documents, dimension), and whose they are."""

    features: Floats
    owners: Sequence[str]


def judge_features(
    batch: Cloud, earlier: Cloud, distances: Sequence[float], seed: int = 0
) -> Distance | None:
    """How far a batch's features lie from earlier ones; None where either has too few owners.

    The energy distance, which is 0 only for equal distributions, with its permutation test (Szekely & Rizzo
    2013, "Energy statistics: A class of statistics based on distances", J. Stat. Plan. Inference 143,
    sections 3 and 6), in which owners change sides with all of their documents. A small difference is soon
    significant and means nothing, so the distance must also pass what earlier batches (`distances`, as they
    were measured) have shown: their median and three standard deviations, estimated by the median absolute
    deviation.
    """
    units = [*((0, owner) for owner in batch.owners), *((1, owner) for owner in earlier.owners)]
    places = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
    ours = sum(side == 0 for side, _ in places)
    if min(ours, len(places) - ours) < FEWEST_OWNERS:
        return None
    where = np.array([places[unit] for unit in units])
    between = _summed(_distances(np.concatenate([batch.features, earlier.features])), where)
    sizes = np.bincount(where).astype(float)
    generator = np.random.default_rng(seed)
    first = np.arange(len(places)) < ours
    shuffled = np.array([generator.permutation(first) for _ in range(_PERMUTATIONS)])
    energy, scale = _energy(np.vstack([first, shuffled]).astype(float), between, sizes)
    p = float((energy[1:] >= energy[0] * (1 - 1e-12)).sum() + 1) / (_PERMUTATIONS + 1)
    excess = float(energy[0] - energy[1:].mean()) / float(scale[0]) if scale[0] > 0 else 0.0
    return Distance(max(0.0, excess), p, distance_limit(distances))


def distance_limit(distances: Sequence[float]) -> float:
    """The distance that a batch may have, given those of earlier ones."""
    if len(distances) < _ENOUGH_TO_KNOW:
        return _CLOUDS_DIFFER * (1 + _WHILE_FEW / (1 + len(distances))) / 2
    middle = float(np.median(distances))
    spread = 1.4826 * float(np.median(np.abs(np.asarray(distances) - middle)))
    return max(_CLOUDS_DIFFER, middle + 3 * spread)


def _distances(features: Floats) -> Floats:
    """Euclidean distances of all pairs. Shape: (documents, documents)."""
    rows = np.asarray(features, np.float64)
    squares = (rows**2).sum(1)
    return np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * rows @ rows.T, 0.0))


def _summed(values: Floats, where: NDArray[np.intp]) -> Floats:
    """Sums over the documents of each pair of owners. Shape: (owners, owners)."""
    owners = int(where.max()) + 1
    rows = np.zeros((owners, values.shape[1]))
    np.add.at(rows, where, values)
    result = np.zeros((owners, owners))
    np.add.at(result, where, rows.T)
    return result


def _energy(sides: Floats, between: Floats, sizes: Floats) -> tuple[Floats, Floats]:
    """Energy distance and its scale for each division of the owners. `sides` Shape: (divisions, owners)."""
    reach = sides @ between  # from each division's first side to every owner
    within_first = (reach * sides).sum(1)
    across = reach.sum(1) - within_first
    within_second = between.sum() - within_first - 2 * across
    first = sides @ sizes
    second = sizes.sum() - first
    mean_across = across / (first * second)
    energy = 2 * mean_across - within_first / first**2 - within_second / second**2
    return energy, 2 * mean_across


def to_json(batch: Batch) -> dict[str, Any]:
    """A batch as `run.json` keeps it."""
    rates = {name: [rate.total, rate.dispersion] for name, rate in sorted(batch.rates.items())}
    return {
        "documents": batch.documents,
        "owners": batch.owners,
        "rates": rates,
        "unlike": sorted(batch.unlike),
    }
