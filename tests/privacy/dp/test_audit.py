from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from torch import Tensor

from lexveil.privacy.dp import accounting, discrete_gaussian
from lexveil.privacy.dp.audit.attacks import FEWEST, measure_exposure, measure_membership
from lexveil.privacy.dp.audit.gate import (
    Claim,
    audit_noise,
    audit_sampling,
    audit_sensitivity,
)
from lexveil.privacy.dp.audit.guesses import (
    PrivacyProfile,
    epsilon_lower_bound,
    p_value,
    profile_p_value,
    refutes_profile,
)
from lexveil.privacy.dp.audit.synthetic_owners import Probe, default_probes
from lexveil.privacy.dp.randomness import SecureRandom

CLAIMS = [Claim(1.3, 0.1, 0.2), Claim(0.8, 2.0, 0.05), Claim(4.0, 1.0, 1.0)]
IDS = ["usual", "seldom", "everybody"]


def dice(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class TestGuesses:
    def test_without_delta_it_is_the_tail_of_randomised_response(self) -> None:
        for correct in (0, 50, 80, 100):
            expected = stats.binom.sf(correct - 1, 100, math.e / (1 + math.e))
            assert p_value(1000, 100, correct, 1.0, 0.0) == pytest.approx(expected)

    def test_delta_by_its_definition(self) -> None:
        """Term by term, as theorem 5.2 has it."""
        m, r, v, delta = 500, 60, 55, 1e-6
        w = stats.binom(r, 1 / (1 + math.exp(-1.0)))
        densest = max((w.cdf(v - 1) - w.cdf(v - i - 1)) / i for i in range(1, v + 1))
        assert p_value(m, r, v, 1.0, delta) == pytest.approx(w.sf(v - 1) + 2 * m * delta * densest)

    @settings(max_examples=50)
    @given(
        numbers=st.tuples(*[st.integers(0, 300)] * 3).map(sorted),
        epsilon=st.floats(0, 5),
        delta=st.sampled_from([0.0, 1e-9, 1e-3]),
    )
    def test_it_is_a_probability_that_falls_with_the_hits(
        self, numbers: list[int], epsilon: float, delta: float
    ) -> None:
        correct, guesses, canaries = numbers
        p = p_value(canaries, guesses, correct, epsilon, delta)
        assert 0 <= p <= 1
        if correct:
            assert p <= p_value(canaries, guesses, correct - 1, epsilon, 0.0) + 2 * canaries * delta

    def test_the_bound_is_refuted_and_the_next_is_not(self) -> None:
        bound = epsilon_lower_bound(1000, 100, 90, 1e-6, 0.95)
        assert 1 < bound < math.log(9)
        assert p_value(1000, 100, 90, bound, 1e-6) <= 0.05 < p_value(1000, 100, 90, bound + 0.002, 1e-6)
        assert epsilon_lower_bound(1000, 100, 52, 1e-6) == 0

    def test_the_bound_holds_for_randomised_response(self) -> None:
        """Epsilon 1 exactly: a bound at 95 % may pass it in one run of twenty."""
        random = dice()
        passed = sum(
            epsilon_lower_bound(400, 400, int(random.binomial(400, math.e / (1 + math.e))), 0.0) > 1
            for _ in range(300)
        )
        assert passed <= stats.binom.ppf(1 - 1e-6, 300, 0.05)

    @pytest.mark.parametrize("wrong", [(10, 11, 5), (10, 5, 6), (10, 5, -1)])
    def test_impossible_counts_are_refused(self, wrong: tuple[int, int, int]) -> None:
        with pytest.raises(ValueError, match="do not fit"):
            p_value(*wrong, 1.0, 0.0)
        with pytest.raises(ValueError, match="epsilon"):
            p_value(10, 5, 3, -1.0, 0.0)
        with pytest.raises(ValueError, match="confidence"):
            epsilon_lower_bound(10, 5, 3, 0.0, 1.0)


def gaussian(mu: float, most: float = 6.0) -> PrivacyProfile:
    """The exact profile of a Gaussian mechanism (Balle & Wang 2018, theorem 8)."""
    epsilons = np.linspace(0, most, 241)
    shift = epsilons / mu
    deltas = stats.norm.cdf(mu / 2 - shift) - np.exp(epsilons) * stats.norm.cdf(-mu / 2 - shift)
    return PrivacyProfile(epsilons, np.clip(deltas, 0, 1))


def guess(random: np.random.Generator, mu: float, canaries: int, guesses: int) -> int:
    """The number of correct guesses about canaries, each seen through a Gaussian mechanism of its own."""
    took_part = random.random(canaries) < 0.5
    ranked = took_part[np.argsort(mu * took_part + random.normal(size=canaries))]
    return int(ranked[-guesses // 2 :].sum() + (~ranked[: guesses // 2]).sum())


class TestProfiles:
    @pytest.mark.parametrize("correct", [3, 6, 8, 10])
    @pytest.mark.parametrize("canaries", [10, 40])
    def test_the_recursion_is_the_largest_tail_that_the_theorem_leaves(
        self, correct: int, canaries: int
    ) -> None:
        """By a linear program over the probabilities of 0 to 10 correct guesses, in another way."""
        profile, guesses = gaussian(1.0), 10
        counts = np.arange(guesses + 1)
        rows: list[np.ndarray] = []
        bounds: list[float] = []
        for i in range(1, guesses + 1):
            right = np.where(counts >= i, counts, 0) / canaries
            wrong = np.where(counts >= i - 1, guesses - counts, 0) / canaries
            for epsilon, delta in zip(profile.epsilons, profile.deltas, strict=True):
                rows += [right - math.exp(epsilon) * wrong, right * math.exp(epsilon) - wrong]
                bounds += [delta, delta - 1 + math.exp(epsilon)]
        objective = -(counts >= correct).astype(float)
        found = optimize.linprog(objective, np.array(rows), bounds, np.ones((1, 11)), [1.0], (0, 1))
        tail = -float(found.fun)
        assert tail <= profile_p_value(canaries, guesses, correct, profile) + 1e-9
        if tail < 0.99:
            assert refutes_profile(canaries, guesses, correct, profile, 1 - tail * 1.001)
        assert not refutes_profile(canaries, guesses, correct, profile, 1 - tail * 0.999)

    @pytest.mark.parametrize("correct", [50, 80, 100])
    def test_it_is_at_least_the_tail_of_randomised_response(self, correct: int) -> None:
        profile = PrivacyProfile(np.array([1.0]), np.array([0.0]))
        exact = stats.binom.sf(correct - 1, 100, math.e / (1 + math.e))
        assert (
            exact
            <= profile_p_value(100, 100, correct, profile)
            <= profile_p_value(300, 100, correct, profile)
        )

    def test_the_truth_is_refuted_in_one_run_of_twenty_at_most_and_far_less_noise_is_seen(self) -> None:
        random, claims = dice(), {mu: gaussian(mu) for mu in (0.25, 0.5, 1.0)}
        refuted = dict.fromkeys(claims, 0)
        for _ in range(60):
            correct = guess(random, 1.0, 2000, 250)
            for mu, profile in claims.items():
                refuted[mu] += refutes_profile(2000, 250, correct, profile)
        assert refuted[1.0] <= stats.binom.ppf(1 - 1e-6, 60, 0.05)
        assert refuted[1.0] <= refuted[0.5] <= refuted[0.25] == 60

    def test_it_sees_more_than_the_bound_for_one_epsilon(self) -> None:
        """65,536 canaries of a Gaussian mechanism with mu = 0.3; epsilon is compared at delta 1e-5."""
        correct = guess(dice(), 0.3, 65_536, 4096)
        by_epsilon = epsilon_lower_bound(65_536, 4096, correct, 1e-5)
        refuted = [mu for mu in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35)
                   if refutes_profile(65_536, 4096, correct, gaussian(mu, 3.0))]  # fmt: skip
        assert 0.15 <= max(refuted) < 0.3
        assert by_epsilon < accounting.epsilon(1 / max(refuted), 1.0, 1, 1e-5)

    @pytest.mark.parametrize(("mu", "rate", "steps"), [(1.0, 1.0, 1), (0.5, 0.5, 4)])
    def test_the_profile_of_a_run_bounds_the_exact_one(self, mu: float, rate: float, steps: int) -> None:
        epsilons = np.linspace(0, 2, 41)
        deltas = accounting.privacy_profile(1 / mu, rate, steps, epsilons)
        assert (np.diff(deltas) <= 0).all()
        for epsilon, delta in zip(epsilons[5::10], deltas[5::10], strict=True):
            assert accounting.epsilon(1 / mu, rate, steps, float(delta)) <= epsilon * 1.001
        if rate == 1:
            assert (deltas >= gaussian(mu, 2.0).deltas[::6] * (1 - 1e-9)).all()

    def test_impossible_claims_are_refused(self) -> None:
        profile = gaussian(1.0)
        with pytest.raises(ValueError, match="do not fit"):
            profile_p_value(10, 11, 5, profile)
        with pytest.raises(ValueError, match="do not fit"):
            refutes_profile(10, 5, 6, profile)
        with pytest.raises(ValueError, match="confidence"):
            refutes_profile(10, 5, 3, profile, 1.0)
        for epsilons, deltas in (([1.0], [1.1]), ([-1.0], [0.0]), ([1.0, 2.0], [0.0]), ([], [])):
            with pytest.raises(ValueError, match="profile"):
                PrivacyProfile(np.array(epsilons), np.array(deltas))


DEVIATION = math.sqrt(discrete_gaussian.variance(4))


class Biased(SecureRandom):
    def whole_normals(self, label, step, n, parts=4):
        return (piece + 0.05 * DEVIATION for piece in super().whole_normals(label, step, n, parts))


class Rounded(SecureRandom):
    def whole_normals(self, label, step, n, parts=4):
        half = DEVIATION / 2
        return (np.rint(piece / half) * half for piece in super().whole_normals(label, step, n, parts))


class Smeared(SecureRandom):
    """Each draw is mixed with the next; mean and variance are right."""

    def whole_normals(self, label, step, n, parts=4):
        drawn = np.concatenate([piece.copy() for piece in super().whole_normals(label, step, n + 1, parts)])
        return iter([(drawn[1:] + drawn[:-1]) / math.sqrt(2)])


class NotInEmptyDraws(SecureRandom):
    """No noise where nobody was drawn."""

    def whole_normals(self, label, step, n, parts=4):
        someone = bool((self.uniform("poisson-sample", step, 64) < 1e-6).any())
        return (piece * someone for piece in super().whole_normals(label, step, n, parts))


class Epochs(SecureRandom):
    """Everybody has a turn: step by step the next share of the owners."""

    def uniform(self, label, step, n):
        if label != "poisson-sample":
            return super().uniform(label, step, n)
        return ((np.arange(n) + step * n // 5) % n) / n


class Herd(SecureRandom):
    """Owners by fives: drawn all or none."""

    def uniform(self, label, step, n):
        drawn = super().uniform(label, step, n)
        return np.repeat(drawn, 5)[:n] if label == "poisson-sample" else drawn


def lowest(findings) -> dict[str, float]:
    return {finding.name: finding.p_value for finding in findings}


@pytest.mark.parametrize("claim", CLAIMS, ids=IDS)
def test_right_noise_and_sampling_raise_no_alarm(claim: Claim) -> None:
    found = [*audit_noise(SecureRandom, dice(), claim), *audit_sampling(SecureRandom, dice(), claim)]
    assert min(lowest(found).values()) > 1e-4, found


def test_p_values_of_right_code_are_spread_evenly() -> None:
    """At most as many small ones as their level says."""
    runs = [
        lowest(
            [
                *audit_noise(SecureRandom, dice(s), CLAIMS[0]),
                *audit_sampling(SecureRandom, dice(s), CLAIMS[0]),
            ]
        )
        for s in range(5)
    ]
    small = sum(p < 0.05 for run in runs for p in run.values())
    assert small <= stats.binom.ppf(1 - 1e-6, 5 * 5, 0.05)


@pytest.mark.parametrize(
    ("fault", "finder"),
    [
        (Biased, "noise_shape"),
        (Rounded, "noise_shape"),
        (Smeared, "noise_independence"),
        (NotInEmptyDraws, "noise_variance"),
    ],
)
def test_faults_of_the_noise(fault: type[SecureRandom], finder: str) -> None:
    assert lowest(audit_noise(fault, dice(), CLAIMS[0]))[finder] < 1e-6


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_a_few_percent_of_noise_are_seen(factor: float) -> None:
    class Other(SecureRandom):
        def whole_normals(self, label, step, n, parts=4):
            return (factor * piece for piece in super().whole_normals(label, step, n, parts))

    assert lowest(audit_noise(Other, dice(), CLAIMS[0]))["noise_variance"] < 1e-6


@pytest.mark.parametrize("fault", [Epochs, Herd])
def test_sampling_that_is_not_poissons(fault: type[SecureRandom]) -> None:
    found = lowest(audit_sampling(fault, dice(), CLAIMS[0]))
    assert found["sample_independence"] < 1e-6
    assert found["sample_rate"] > 1e-4


def test_a_slightly_wrong_rate_is_seen() -> None:
    class Oftener(SecureRandom):
        def uniform(self, label, step, n):
            return super().uniform(label, step, n) / (1.05 if label == "poisson-sample" else 1)

    assert lowest(audit_sampling(Oftener, dice(), CLAIMS[0]))["sample_rate"] < 1e-6


@pytest.mark.parametrize("claim", CLAIMS, ids=IDS)
def test_one_owner_moves_a_step_by_the_clip(claim: Claim) -> None:
    found = audit_sensitivity(SecureRandom, dice(), claim, default_probes())
    assert found.p_value == 1
    moves = [value for name, value in found.figures.items() if name.startswith("largest_move")]
    assert all(0.98 < move <= 1 + 1e-6 for move in moves)


def test_a_probe_that_never_reaches_the_clip_proves_nothing() -> None:
    linear = default_probes()[0]

    def weak(outputs: Tensor, targets: Tensor) -> Tensor:
        return 1e-9 * linear.loss(outputs, targets)

    tame = Probe("tame", linear.model, linear.items, weak)
    assert audit_sensitivity(SecureRandom, dice(), CLAIMS[0], [tame]).p_value == 0


class TestAttacks:
    def test_guessing(self) -> None:
        random = dice()
        found = measure_membership(random.normal(size=400), random.normal(size=100), 1e-5, 0.95, random)
        assert found is not None
        assert found.auc == pytest.approx(0.5, abs=0.1)
        assert found.epsilon_lower_bound < 0.7
        bits = measure_exposure(random.normal(size=400), random.normal(size=100))
        assert bits is not None
        assert bits.mean == pytest.approx(bits.by_chance, abs=0.3)

    def test_a_model_that_remembers_all(self) -> None:
        random = dice()
        members, others = random.normal(5, 1, 400), random.normal(0, 1, 400)
        found, bits = (
            measure_membership(members, others, 1e-5, 0.95, random),
            measure_exposure(members, others),
        )
        assert found is not None
        assert bits is not None
        assert found.auc > 0.99
        assert found.advantage > 0.95
        assert found.tpr_at_low_fpr > 0.95
        assert found.epsilon_lower_bound > 2
        assert bits.highest == pytest.approx(math.log2(401))
        assert bits.mean > bits.by_chance + 5

    def test_ties_say_nothing(self) -> None:
        same = np.zeros(50)
        found, bits = measure_membership(same, same, 1e-5, 0.95, dice()), measure_exposure(same, same)
        assert found is not None
        assert bits is not None
        assert (found.auc, found.advantage, found.epsilon_lower_bound, bits.mean) == (0.5, 0, 0, 0)

    def test_too_few_to_say(self) -> None:
        few, many = np.zeros(FEWEST - 1), np.zeros(FEWEST)
        for members, others in itertools.permutations([few, many]):
            assert measure_membership(members, others, 1e-5, 0.95, dice()) is None
            assert measure_exposure(members, others) is None

    def test_the_bound_holds_for_randomised_response(self) -> None:
        """Scores of 0 and 1 that tell members with epsilon 1 exactly."""
        random = dice()
        passed = 0
        for _ in range(60):
            scores = (random.random(300) * (1 + math.e) < share for share in (math.e, 1))
            members, others = (score.astype(np.float64) for score in scores)
            found = measure_membership(members, others, 1e-9, 0.95, random)
            assert found is not None
            passed += found.epsilon_lower_bound > 1
        assert passed <= stats.binom.ppf(1 - 1e-6, 60, 0.05)
