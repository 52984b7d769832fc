"""The audit gate: the real sampling, clipping and noise are attacked on synthetic owners, at epsilon 1.

Every test calls `engine.train` as a training run does and uses only its observable results: the iterates, and
the owners that are requested from the data set. No private data is used, so nothing is charged.

At a claimed epsilon of 8 no audit by guesses falsifies anything, because a few more or fewer distinguishable
owners are then allowed. So the claim is 1, whatever the models of a workspace claim: the code is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lexveil.privacy.dp import accounting
from lexveil.privacy.dp.audit.guesses import (
    PrivacyProfile,
    epsilon_lower_bound,
    p_value,
    profile_p_value,
    refutes_profile,
)
from lexveil.privacy.dp.audit.synthetic_owners import (
    SIDE,
    Canaries,
    HalfZero,
    OneMore,
    Probe,
    Roll,
    TwoLayers,
    default_probes,
    linear_loss,
)
from lexveil.privacy.dp.batches import OwnerBatches
from lexveil.privacy.dp.engine import Loss, TrainingPlan, train
from lexveil.privacy.dp.randomness import KEY_BYTES, SecureRandom

EPSILON, DELTA = 1.0, 1e-9
CONFIDENCE = 0.95
ALPHA = 1e-4

Randomness = Callable[[bytes], SecureRandom]

# Shares of the canaries about which is guessed: few are surer, many are more evidence.
_GUESSES, _PROFILE_GUESSES = 1 / 64, 1 / 16
_EPSILONS = np.linspace(0.0, 6.0, 241)
# The noise, in units of the claimed, among which the bound is looked for.
_LEAST_NOISE, _MOST_NOISE = 1 / 8, 32.0
_NOISE_PRECISION = 1.005
_ROUNDING = 1e-6


class Training(Protocol):
    """What is audited: `engine.train`, or a training by several offices."""

    def __call__(
        self,
        model: nn.Module,
        data: OwnerBatches,
        loss: Loss,
        plan: TrainingPlan,
        random: SecureRandom,
        *,
        on_step: Callable[[int], None] | None = None,
        max_items: int = 256,
    ) -> object:
        """Train `model` in place."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one test.

    Attributes:
        name: Name of the test.
        p_value: Probability of the observation, or a more extreme one, if the claim holds. A test without
            randomness has 1 (passed) or 0 (failed).
        figures: Measured values.
    """

    name: str
    p_value: float
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of the gate. It comes from synthetic owners only and may be published.

    Attributes:
        findings: Result of each test.
        epsilon: Audited epsilon.
        delta: Audited delta.
        alpha: Bound on the probability of a false alarm.
        epsilon_lower_bound: Lower bound of the epsilon of the audited code.
        profile_lower_bound: The same among algorithms whose privacy profile is that of the claimed mechanism
            with some other noise.
        confidence: Confidence of the lower bound.

    Formal guarantee:
        If the code does what it claims, `passed` is false with probability at most `alpha` (Bonferroni over
        the findings). `epsilon_lower_bound` exceeds the epsilon of the audited code with probability at most
        1 - `confidence`. So does `profile_lower_bound`, if the code has a profile of the assumed form.
        Neither says that the code is right: a fault that these tests do not look for passes.
    """

    findings: tuple[Finding, ...]
    epsilon: float
    delta: float
    alpha: float
    epsilon_lower_bound: float
    profile_lower_bound: float
    confidence: float

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the tests whose p-value is below alpha / (number of tests)."""
        return tuple(f.name for f in self.findings if f.p_value < self.alpha / len(self.findings))

    @property
    def passed(self) -> bool:
        """True if no test failed."""
        return not self.failed


@dataclass(frozen=True, slots=True)
class Claim:
    """The parameters that a run claims for its steps; the gate tests the code with exactly these.

    Attributes:
        noise_multiplier: As in `TrainingPlan`.
        max_grad_norm: As in `TrainingPlan`.
        sample_rate: As in `TrainingPlan`.
    """

    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float

    def plan(self, steps: int, **changes: float) -> TrainingPlan:
        """Return a plan whose result is the last iterate, and whose steps are not scaled further."""
        return TrainingPlan(
            self.noise_multiplier, self.max_grad_norm, changes.get("sample_rate", self.sample_rate), steps,
            learning_rate=changes.get("learning_rate", 1.0), average_last=0.0,
        )  # fmt: skip


def run_gate(
    randomness: Randomness = SecureRandom,
    *,
    claim: Claim | None = None,
    probes: Sequence[Probe] | None = None,
    seed: int | None = None,
    alpha: float = ALPHA,
    training: Training = train,
) -> Verdict:
    """Run all tests of this module.

    Args:
        randomness: Creates the engine's source of randomness from a key.
        claim: Claim of the model in question, for the tests of noise, sampling and clipping; None for the one
            at epsilon 1.
        probes: Models to clip; None for a linear, a two-layer and a recurrent one.
        seed: Seed for tests; None for the system's randomness.
        alpha: Bound on the probability of a false alarm.
        training: What is audited.

    Formal guarantee:
        That of `Verdict`.
    """
    dice = np.random.default_rng(seed)
    at_one = _claim_at_one()
    claim = claim or at_one
    guesses, lower, profile_lower = audit_one_run(randomness, dice, at_one, training)
    findings = (
        *guesses,
        *audit_noise(randomness, dice, claim, training),
        *audit_sampling(randomness, dice, claim, training),
        audit_sensitivity(randomness, dice, claim, probes or default_probes(), training),
    )
    return Verdict(findings, EPSILON, DELTA, alpha, lower, profile_lower, CONFIDENCE)


_STEPS, _RATE, _CLIP = 4, 0.5, 0.7


def _claim_at_one() -> Claim:
    return Claim(accounting.noise_multiplier(EPSILON, _RATE, _STEPS, DELTA), _CLIP, _RATE)


def audit_one_run(
    randomness: Randomness, dice: np.random.Generator, claim: Claim, training: Training = train
) -> tuple[tuple[Finding, Finding], float, float]:
    """Run the one-run audit (Steinke, Nasr & Jagielski 2023, algorithm 1).

    65,536 canaries are used, each an owner of three equal items whose gradient is one weight of a linear
    layer, far beyond the clipping norm. A fair coin decides for each whether it takes part in one run of four
    steps at a sampling rate of one half; from the final weights the auditor guesses that the highest 512 took
    part and the lowest 512 did not. `one_run_profile` guesses 2,048 and 2,048, and tests the whole privacy
    profile of the claimed mechanism (Mahloujifar, Melis & Chaudhuri 2025) instead of one epsilon.

    It can falsify: no noise, a clip that is wrong by a factor of 3, items clipped one by one, and anything
    else that makes owners far easier to distinguish than epsilon 1 allows, wherever in the loop the fault is.
    It cannot falsify: faults within a factor of about 1.5 in noise or rate (other tests look for these),
    leaks that the final weights of a linear layer do not show, an epsilon of 3 or more. It proves nothing by
    passing.

    Returns:
        The findings, the lower bound of epsilon, and the one among mechanisms like the claimed.

    Formal guarantee:
        Those of `p_value`, `epsilon_lower_bound`, `profile_p_value` and `refutes_profile`.
    """
    data = Canaries(dice.random(SIDE**2) < 0.5, claim.max_grad_norm)
    model = nn.Linear(SIDE, SIDE, bias=False).double()
    nn.init.zeros_(model.weight)
    training(model, data, linear_loss, claim.plan(_STEPS), _random(randomness, dice), max_items=4096)
    order = np.argsort(model.weight.detach().numpy().ravel(), kind="stable")
    counts = _count_guesses(data.took_part[order], _GUESSES)
    lower = epsilon_lower_bound(*counts, DELTA, CONFIDENCE)
    one_run = Finding(
        "one_run", p_value(*counts, EPSILON, DELTA), {**_name_counts(counts), "epsilon_lower_bound": lower}
    )
    counts = _count_guesses(data.took_part[order], _PROFILE_GUESSES)
    profile_lower = _bound_by_profile(counts, claim)
    p = profile_p_value(*counts, _profile(claim, 1.0))
    figures = {**_name_counts(counts), "epsilon_lower_bound": profile_lower}
    return (one_run, Finding("one_run_profile", p, figures)), lower, profile_lower


def _count_guesses(took_part: NDArray[np.bool_], share: float) -> tuple[int, int, int]:
    """Return the numbers of canaries, in the order of their scores, of guesses and of correct guesses."""
    half = round(share * len(took_part)) // 2
    return len(took_part), 2 * half, int(took_part[-half:].sum()) + int((~took_part[:half]).sum())


def _name_counts(counts: tuple[int, int, int]) -> dict[str, float]:
    return dict(zip(("canaries", "guesses", "correct"), counts, strict=True))


def _profile(claim: Claim, noise: float) -> PrivacyProfile:
    """Return the profile of the one run with `noise` times the claimed noise."""
    sigma = noise * claim.noise_multiplier
    return PrivacyProfile(_EPSILONS, accounting.privacy_profile(sigma, claim.sample_rate, _STEPS, _EPSILONS))


def _bound_by_profile(counts: tuple[int, int, int], claim: Claim) -> float:
    """Return the epsilon of the claimed mechanism with the least noise that the guesses refute."""

    def is_refuted(noise: float) -> bool:
        return refutes_profile(*counts, _profile(claim, noise), CONFIDENCE)

    low, high = _LEAST_NOISE, _MOST_NOISE
    if not is_refuted(high):
        return 0.0
    while high > low * _NOISE_PRECISION:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if is_refuted(middle) else (middle, high)
    return accounting.epsilon(high * claim.noise_multiplier, claim.sample_rate, _STEPS, DELTA)


def audit_noise(
    randomness: Randomness, dice: np.random.Generator, claim: Claim, training: Training = train
) -> tuple[Finding, ...]:
    """Test the noise on weights that no item touches, in units of noise_multiplier * max_grad_norm.

    Two layers are trained for four steps with owners and four in which nobody is drawn; half of the noise is
    observed in isolation, because half of the inputs are zero. `noise_variance`: chi-square, two-sided.
    `noise_shape`: Kolmogorov-Smirnov against the standard normal. `noise_independence`: Pearson's exact test
    for each pair of (step, layer), and of each weight with the next.

    They can falsify: noise that is missing, too small or too large by 2 %, left out of empty draws or of one
    layer, of another shape, repeated between steps, layers or weights. They cannot falsify: noise that
    somebody can predict (a known seed, a weak generator), faults of the far tails, faults that need several
    machines.
    """
    vectors = np.concatenate(
        [
            _blank_noise(randomness, dice, claim, training),
            _blank_noise(randomness, dice, replace(claim, sample_rate=1e-12), training),
        ]
    )
    from scipy import stats

    pearson: Any = stats.pearsonr
    flat = vectors.ravel()
    square = float(flat @ flat)
    variance = _two_sided(square, flat.size)
    shape = stats.kstest(flat, "norm").pvalue
    pairs = [(a, b) for i, a in enumerate(vectors) for b in vectors[:i]] + [(flat[:-1], flat[1:])]
    # A constant, which is what missing noise looks like, correlates with nothing.
    p_values = [float(pearson(a, b).pvalue) for a, b in pairs if a.std() > 0 and b.std() > 0]
    deviation = math.sqrt(square / flat.size)
    return (
        Finding("noise_variance", variance, {"draws": flat.size, "relative_deviation": deviation}),
        Finding("noise_shape", float(shape), {"draws": flat.size}),
        Finding(
            "noise_independence", min(1.0, len(pairs) * min(p_values, default=1.0)), {"pairs": len(pairs)}
        ),
    )


def audit_sampling(
    randomness: Randomness, dice: np.random.Generator, claim: Claim, training: Training = train
) -> tuple[Finding, ...]:
    """Test which owners were drawn, by what the engine requested.

    2,000 owners of one item are trained for at least 40 steps. `sample_rate`: all draws together against
    binomial(owners * steps, sample_rate), exact and two-sided. `sample_independence`: chi-square of the draws
    per step and of the draws per owner, two-sided: batches of a fixed size, or epochs in which every owner
    has a turn, vary too little; dependent draws, too much.

    They can falsify: a rate wrong by 5 %, sampling that is not Poisson. They cannot falsify: draws that
    somebody can predict; which *items* of a drawn owner are used.
    """
    rate = claim.sample_rate
    steps = 40 if rate == 1 else min(4000, max(40, math.ceil(10 / (rate * (1 - rate)))))
    data = Roll(2000, steps)
    model = nn.Linear(1, 1, bias=False).double()
    random = _random(randomness, dice)
    training(model, data, linear_loss, claim.plan(steps), random, on_step=data.next_step, max_items=2000)
    from scipy import stats

    drawn = int(data.drawn.sum())
    exact = stats.binomtest(drawn, data.drawn.size, rate).pvalue
    spread = [_dispersion(data.drawn.sum(axis), data.drawn.shape[axis], rate) for axis in (0, 1)]
    figures = {"trials": data.drawn.size, "drawn_share": drawn / data.drawn.size}
    return (
        Finding("sample_rate", float(exact), {**figures, "sample_rate": rate}),
        Finding("sample_independence", min(1.0, 2 * min(spread)), {"steps": steps, "owners": data.n_owners}),
    )


def audit_sensitivity(
    randomness: Randomness,
    dice: np.random.Generator,
    claim: Claim,
    probes: Sequence[Probe],
    training: Training = train,
) -> Finding:
    """Test how far one owner moves the sum of a step.

    The same step is made with and without the owner, under the same noise. The owner has one item, or many
    equal ones, or many different ones, also more than fit into a micro-batch; its gradients are far beyond
    the clipping norm, which is lowered for the purpose. There is no randomness: the move must be at most
    max_grad_norm * (1 + 1e-6). It must also reach half of it for an owner of one or of equal items: otherwise
    clipping was not exercised, and the finding fails as well.

    It can falsify: missing clipping, clipping per item, layer or micro-batch instead of per owner, clipping
    that covers only some of the parameters; noise that does not follow from the key. It cannot falsify: a
    coupling of owners in models other than the probes, or for data other than these. The tests of sensitivity
    under arbitrary data are in the test suite.
    """
    moves: dict[str, float] = {}
    least = math.inf
    for probe in probes:
        key = dice.bytes(KEY_BYTES)
        moves[probe.name] = 0.0
        for count, equal in ((1, True), (3, True), (17, True), (17, False)):
            seeds = [1000] * count if equal else list(range(1000, 1000 + count))
            move = _measure_move(probe, claim, lambda key=key: randomness(key), seeds, training)
            moves[probe.name] = max(moves[probe.name], move)
            least = min(least, move) if equal else least
    held = max(moves.values()) <= 1 + _ROUNDING and least >= 0.5
    figures = {f"largest_move_{name}": move for name, move in moves.items()}
    return Finding("sensitivity", float(held), {**figures, "least_move": least})


def _random(randomness: Randomness, dice: np.random.Generator) -> SecureRandom:
    return randomness(dice.bytes(KEY_BYTES))


def _blank_noise(
    randomness: Randomness, dice: np.random.Generator, claim: Claim, training: Training
) -> NDArray[np.float64]:
    """Return the noise of four steps on untouched weights; it should be standard. Shape: (8, draws)."""
    model = TwoLayers(128)
    data = HalfZero(128)
    iterates = [model.blank()]
    # A step is learning_rate / expected_batch_size times the sum, clean or noisy.
    plan = claim.plan(_STEPS, learning_rate=claim.sample_rate * data.n_owners)
    random = _random(randomness, dice)
    training(model, data, linear_loss, plan, random, on_step=lambda _: iterates.append(model.blank().copy()))
    steps = np.diff(np.stack(iterates), axis=0).reshape(2 * _STEPS, -1)
    return steps / (claim.noise_multiplier * claim.max_grad_norm)


def _two_sided(statistic: float, freedom: float) -> float:
    """Return the p-value of a chi-square statistic that may be too small as well as too large."""
    from scipy.stats import chi2

    return min(1.0, 2 * float(min(chi2.cdf(statistic, freedom), chi2.sf(statistic, freedom))))


def _dispersion(counts: NDArray[np.int64], trials: int, rate: float) -> float:
    """Return the two-sided p-value of the counts' variance being that of binomial(trials, rate)."""
    if rate == 1:
        return float((counts == trials).all())
    variance = trials * rate * (1 - rate)
    # A squared binomial varies a little differently from a squared normal: a chi-square of equal moments.
    stretch = 1 + (1 - 6 * rate * (1 - rate)) / (2 * variance)
    statistic = float(((counts - trials * rate) ** 2).sum()) / variance / stretch
    freedom = len(counts) / stretch
    return _two_sided(statistic, freedom)


def _measure_move(
    probe: Probe,
    claim: Claim,
    random: Callable[[], SecureRandom],
    seeds: Sequence[int],
    training: Training,
) -> float:
    """Return a lower bound of the fourth owner's part in one step's sum, in units of max_grad_norm."""
    strict = replace(claim, max_grad_norm=1e-4 * claim.max_grad_norm, sample_rate=1.0)
    plan = strict.plan(1, learning_rate=4 / strict.max_grad_norm)
    ends: list[Tensor] = []
    for present in (seeds, ()):
        model = probe.model()
        max_items = 3 if probe.draws else 4
        training(model, OneMore(probe, present), probe.loss, plan, random(), max_items=max_items)
        ends.append(torch.cat([p.detach().flatten() for p in model.parameters() if p.requires_grad]))
    # Both are rounded when the step is added to the weights, which is not the owner's effect.
    rounding = 2 * torch.finfo(ends[0].dtype).eps * float(ends[0].double().norm())
    return float((ends[0].double() - ends[1].double()).norm()) - rounding
