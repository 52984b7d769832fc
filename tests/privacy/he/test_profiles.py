"""The results of each profile, and the content of a reply besides the logits."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tenseal.sealapi as seal
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.privacy.he import flooding
from lexveil.privacy.he.activation import Activation
from lexveil.privacy.he.evaluate import Evaluator, HeadRefusedError, LinearEvaluator, SlotEvaluator
from lexveil.privacy.he.keys import ClientKeys
from lexveil.privacy.he.layout import unpack
from lexveil.privacy.he.network import Bounds, NetworkEvaluator
from lexveil.privacy.he.parameters import TABLE, choose_parameters
from lexveil.privacy.he.scheme import Scheme, from_bytes, to_bytes
from lexveil.privacy.he.wire_format import MalformedError, inflate, split_objects

ROOT = Path(__file__).resolve().parents[3]
SQUARE = Activation.square((-6, 6))
CUBIC = Activation.chebyshev(lambda x: np.tanh(x) + 0.1 * x**2, 3, (-6, 6))


def unit(random: np.random.Generator, n: int, n_features: int) -> np.ndarray:
    features = random.normal(size=(n, n_features))
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def logits_of(evaluator: Evaluator, keys: ClientKeys, features: np.ndarray) -> np.ndarray:
    loaded = evaluator.load_keys(keys.evaluation_keys())
    replies = [evaluator.evaluate(request, loaded) for request in keys.encrypt(features)]
    return keys.decrypt(replies, len(features))


def within(evaluator: Evaluator, features: np.ndarray, plain: np.ndarray) -> bool:
    logits = logits_of(evaluator, ClientKeys.generate(evaluator.parameters), features)
    bound = evaluator.error_bound(float(np.linalg.norm(features, axis=1).max()))
    return float(np.abs(logits - plain).max()) <= bound


def slots_of(scheme: Scheme, secret: bytes, reply: bytes) -> np.ndarray:
    """All slots of a reply, decrypted. Shape: (slots,)."""
    decryptor = seal.Decryptor(scheme.context, from_bytes(seal.SecretKey(), scheme.context, secret))
    plaintext = seal.Plaintext()
    decryptor.decrypt(from_bytes(seal.Ciphertext(), scheme.context, reply), plaintext)
    return np.array(scheme.encoder.decode_complex(plaintext))


class TestEqualsPlain:
    @settings(max_examples=6)
    @given(
        st.integers(64, 1024),
        st.integers(2, 200),
        st.sampled_from(["sealed", "fast"]),
        st.floats(0.01, 1.5),
        st.integers(0, 2**32 - 1),
    )
    def test_linear(self, n_features: int, n_classes: int, profile: Any, scale: float, seed: int) -> None:
        random = np.random.default_rng(seed)
        parameters = choose_parameters(n_features, n_classes, profile=profile, max_error=5e-3)
        weight = scale * random.normal(size=(n_features, n_classes)) / n_features**0.5 * 8
        bias = random.normal(size=n_classes)
        features = unit(random, parameters.documents_per_ciphertext + 1, n_features)
        assert within(LinearEvaluator(parameters, weight, bias), features, features @ weight + bias)

    @pytest.mark.parametrize("activation", [SQUARE, CUBIC], ids=["square", "cubic"])
    @pytest.mark.parametrize("profile", ["sealed", "fast"])
    @pytest.mark.parametrize("shape", [(64, 5, 2), (384, 64, 10)], ids=str)
    def test_networks(self, shape: tuple[int, int, int], profile: Any, activation: Activation) -> None:
        n_features, n_hidden, n_classes = shape
        random = np.random.default_rng(sum(shape))
        p = choose_parameters(
            n_features,
            n_classes,
            n_hidden=n_hidden,
            degree=activation.degree,
            profile=profile,
            max_error=1e-3,
        )
        first = random.normal(size=(n_features, n_hidden)) / 2, random.normal(size=n_hidden) / 10
        second = random.normal(size=(n_hidden, n_classes)) / 8, random.normal(size=n_classes)
        features = unit(random, p.documents_per_ciphertext, n_features)
        evaluator = NetworkEvaluator(p, first, activation, second)
        plain = activation(features @ first[0] + first[1]) @ second[0] + second[1]
        assert within(evaluator, features, plain)
        assert np.abs(plain).max() <= evaluator.logit_bound
        # Without the noise the logits stay within the smaller bound, of which sealed networks are made.
        evaluator.error_floor -= flooding.TAIL * evaluator.flooding_level
        evaluator.flooding_level = 0.0
        assert within(evaluator, features, plain)

    @pytest.mark.parametrize(("profile", "n"), [("fast", 4100), ("sealed", 10)])
    def test_one_document_a_slot(self, profile: Any, n: int) -> None:
        random = np.random.default_rng(n)
        parameters = choose_parameters(64, 3, profile=profile, packing="slot")
        weight, bias = random.normal(size=(64, 3)), random.normal(size=3)
        weight[:5] = 0
        features = unit(random, n, 64)
        assert within(SlotEvaluator(parameters, weight, bias), features, features @ weight + bias)


class Unrounded(NetworkEvaluator):
    """Keeps the logits as they are before noise drowns their error: without bias, and not rescaled."""

    logits = b""

    def _finish(self, y: Any, bias: Any, keys: Any) -> Any:
        self.logits = to_bytes(y)
        return super()._finish(y, bias, keys)


@pytest.mark.parametrize(
    ("shape", "scales"),
    [((384, 256, 10), (1.6, 0.015)), ((384, 128, 10), (0.8, 0.08)), ((64, 5, 2), (0.5, 0.1))],
)
def test_the_error_that_flooding_drowns_is_not_larger_than_stated(
    shape: tuple[int, int, int], scales: tuple[float, float], tmp_path: Path
) -> None:
    """It was three times as large for 256 hidden units, which the stated divergence takes squared."""
    n_features, n_hidden, n_classes = shape
    random = np.random.default_rng(5)
    p = choose_parameters(n_features, n_classes, n_hidden=n_hidden, degree=2)
    first = scales[0] * random.normal(size=(n_features, n_hidden)), random.normal(size=n_hidden) / 10
    second = scales[1] * random.normal(size=(n_hidden, n_classes)), np.zeros(n_classes)
    evaluator = Unrounded(p, first, SQUARE, second)
    keys = ClientKeys.generate(p)
    keys.save(tmp_path / "key")
    features = unit(random, p.documents_per_ciphertext, n_features)
    evaluator.evaluate(keys.encrypt(features)[0], evaluator.load_keys(keys.evaluation_keys()))
    slots = slots_of(Scheme(p), (tmp_path / "key").read_bytes().partition(b"\n")[2], evaluator.logits)
    plain = SQUARE(features @ first[0] + first[1]) @ second[0]
    error = np.sqrt(np.mean((unpack(p, slots[None], len(features)) - plain) ** 2))
    norm = float(np.linalg.norm(first[0], axis=0).max())
    gain = 1 + Bounds(SQUARE, *first, *second).gain(1.0)
    assert error <= p.scheme.error_to_flood(norm, gain, n_hidden)


class TestSealed:
    PARAMETERS = choose_parameters(64, 3)

    @pytest.fixture(scope="class")
    @classmethod
    def secret(cls, tmp_path_factory: pytest.TempPathFactory) -> tuple[ClientKeys, bytes]:
        keys, path = ClientKeys.generate(cls.PARAMETERS), tmp_path_factory.mktemp("keys") / "client.key"
        keys.save(path)
        return keys, path.read_bytes().partition(b"\n")[2]

    def errors(
        self, secret: tuple[ClientKeys, bytes], weight: np.ndarray, **change: Any
    ) -> tuple[LinearEvaluator, np.ndarray]:
        """Slots of a reply less the logits, for full features of norm 1. Shape: (blocks, block_size)."""
        keys, key_bytes = secret
        parameters = self.PARAMETERS
        evaluator = LinearEvaluator(parameters, weight, np.zeros(3))
        for name, value in change.items():
            setattr(evaluator, name, value)
        features = unit(np.random.default_rng(4), parameters.documents_per_ciphertext, 64)
        loaded = evaluator.load_keys(keys.evaluation_keys())
        reply = evaluator.evaluate(keys.encrypt(features)[0], loaded)
        slots = slots_of(Scheme(parameters), key_bytes, reply).reshape(-1, parameters.block_size)
        slots[:, :3] -= features @ weight
        return evaluator, slots

    def test_without_flooding_the_error_is_within_its_bound(self, secret: tuple[ClientKeys, bytes]) -> None:
        weight = np.random.default_rng(5).normal(size=(64, 3))
        column_norm = float(np.linalg.norm(weight, axis=0).max())
        # Not zero, so that the reply still is under fresh randomness.
        _, errors = self.errors(secret, weight, flooding_level=1e-30, masking_level=0.0)
        chosen = self.PARAMETERS.scheme
        assert np.abs(errors[:, :3]).max() <= chosen.logit_error(column_norm, 1.0) <= 1e-5
        # The slots between the outputs have values of their size, which must be masked.
        assert np.abs(errors[:, 3:]).max() > 1

    def test_every_slot_holds_the_stated_noise_and_no_partial_sum(
        self, secret: tuple[ClientKeys, bytes]
    ) -> None:
        weight = 10 * np.random.default_rng(6).normal(size=(64, 3))
        evaluator, errors = self.errors(secret, weight)
        outputs, between = errors[:, :3], errors[:, 3:]
        level, mask = evaluator.flooding_level, evaluator.masking_level
        expected = [
            (np.real(outputs), level),
            (np.imag(outputs), mask),
            (np.real(between), mask),
            (np.imag(between), mask),
        ]
        for part, deviation in expected:
            assert abs(part.std() - deviation) < 6 * deviation / np.sqrt(2 * part.size)
            assert np.abs(part).max() <= 1.01 * flooding.TAIL * deviation
        _, unmasked = self.errors(secret, weight, flooding_level=1e-30, masking_level=0.0)
        partial_sums, masked = np.real(unmasked[:, 3:]).ravel(), np.real(between).ravel()
        correlation = np.corrcoef(partial_sums, masked)[0, 1]
        assert abs(correlation) < 6 / np.sqrt(partial_sums.size)

    @pytest.mark.parametrize("key", [key for key in TABLE if key[:2] == ("block", "sealed")], ids=str)
    def test_the_noise_has_room_in_the_modulus(self, key: tuple[Any, Any, int]) -> None:
        packing, profile, degree = key
        for row in TABLE[key]:
            p = choose_parameters(
                64,
                3,
                n_hidden=0 if degree == 1 else 64,
                degree=degree,
                profile=profile,
                packing=packing,
                flooding_bits=row.flooding_bits,
            )
            scheme = Scheme(p)
            # Noise is added before the last rescaling, which takes the prime after those of the reply.
            modulus = float(np.prod([float(q) for q in scheme.primes[: scheme.output_primes + 1]]))
            scale = scheme.output_scale * scheme.primes[scheme.output_primes]
            largest = flooding.noise_level(2.0 ** (row.magnitude_bits - 1), p.slots, row.flooding_bits)
            # A coefficient sums thousands of Gaussians: one exceeds 7.5 deviations once in 2^30 replies.
            coefficient = 7.5 * largest * np.sqrt(1 / p.slots)
            assert scale * (coefficient + 2.0**row.magnitude_bits) <= modulus / 2

    def test_both_polynomials_of_a_reply_are_fresh(self, secret: tuple[ClientKeys, bytes]) -> None:
        """A second polynomial that is the same each time is a known function of the weights."""
        keys, _ = secret
        fast = ClientKeys.generate(choose_parameters(64, 3, profile="fast"))
        for holder, differs in ((keys, True), (fast, False)):
            parameters = holder.parameters
            evaluator = LinearEvaluator(parameters, np.ones((64, 3)), np.zeros(3))
            loaded = evaluator.load_keys(holder.evaluation_keys())
            (request,) = holder.encrypt(np.ones((1, 64)) / 8)
            halves: list[bytes] = []
            for _ in range(2):
                stored = inflate(evaluator.evaluate(request, loaded), 1 << 26)
                halves.append(stored[-(len(stored) // 3) :])  # of the second polynomial
            assert (halves[0] != halves[1]) is differs

    def test_keys_without_a_public_key_are_refused(self, secret: tuple[ClientKeys, bytes]) -> None:
        evaluator = LinearEvaluator(self.PARAMETERS, np.ones((64, 3)), np.zeros(3))
        galois, public = split_objects(secret[0].evaluation_keys(), 2)
        for upload in (galois, public, public + galois, galois + public + public, galois + galois, b""):
            with pytest.raises(MalformedError):
                evaluator.load_keys(upload)


class TestFlooding:
    @pytest.mark.parametrize("n_classes", [2, 7])
    def test_every_ciphertext_of_an_answer_counts(self, n_classes: int) -> None:
        """In `slot` packing each class has one, without slots beside the outputs, whose half is not spent."""
        weight, bias = np.ones((64, n_classes)), np.zeros(n_classes)
        block = LinearEvaluator(choose_parameters(64, n_classes), weight, bias)
        slot = SlotEvaluator(choose_parameters(64, n_classes, packing="slot"), weight, bias)
        assert (block.divergence, slot.divergence) == (2.0**-30, n_classes * 2.0**-31)
        fast = LinearEvaluator(choose_parameters(64, n_classes, profile="fast"), weight, bias)
        assert fast.divergence == 0

    @given(st.integers(1, 40), st.floats(1e-12, 1e-3), st.integers(1, 8192))
    def test_the_level_gives_the_stated_divergence(self, bits: int, error: float, count: int) -> None:
        sigma = flooding.noise_level(error, count, bits)
        assert count * error**2 / (2 * sigma**2) == pytest.approx(2.0**-bits / 2)

    def test_layers_reach_below_the_steps_of_the_coarser_ones(self) -> None:
        outputs = np.zeros(5000, complex)
        outputs[:100] = 1
        coarse, fine, finest = flooding.noise_layers(outputs, 1e-4, 1e8)
        assert not coarse.real[:100].any()
        assert coarse.imag[:100].all()
        assert 1e-2 * fine.std() > 1e8 * 2.0**-52
        assert 1e-2 * finest.std() > 1e-4 * 2.0**-52
        assert len(list(flooding.noise_layers(outputs + 1j, 1e-4, 0.0))) == 2

    def test_gaussian(self) -> None:
        noise = flooding.sample_gaussian(200_000, 3.0)
        for part in (noise.real, noise.imag):
            assert abs(part.mean()) < 6 * 3 / np.sqrt(part.size)
            assert abs(part.std() - 3) < 6 * 3 / np.sqrt(2 * part.size)
            # The fourth moment tells a Gaussian from others of the same variance.
            assert (part**4).mean() == pytest.approx(3 * 3.0**4, rel=0.06)
        assert abs((noise.real * noise.imag).mean()) < 6 * 9 / np.sqrt(noise.size)


class TestActivation:
    @given(st.lists(st.floats(-3, 3), min_size=2, max_size=3), st.floats(0.2, 3), st.booleans())
    def test_what_is_computed_is_the_polynomial(
        self, lower: list[float], leading: float, minus: bool
    ) -> None:
        activation = Activation((*lower, -leading if minus else leading), (-20, 20))
        x = np.linspace(-2, 2, 9)
        u = x + activation.shift
        monic = u**2 if activation.degree == 2 else (u - activation.shift) * (u**2 + activation.inner)
        computed = activation.factor * monic + activation.constant
        np.testing.assert_allclose(computed, activation(x), atol=1e-6)

    def test_chebyshev_of_an_even_part_falls_to_a_square(self) -> None:
        relu = Activation.chebyshev(lambda x: np.maximum(x, 0), 3, (-3, 3))
        assert relu.degree == 2
        x = np.linspace(-3, 3, 50)
        assert np.abs(relu(x) - np.maximum(x, 0)).max() < 0.5
        cubic = Activation.chebyshev(np.tanh, 3, (-2, 2))
        assert cubic.degree == 3
        assert np.abs(cubic(x / 2) - np.tanh(x / 2)).max() < 0.1

    @pytest.mark.parametrize(
        ("coefficients", "interval"),
        [
            ((1.0, 1.0), (-1, 1)),
            ((0, 0, 0, 0, 1.0), (-1, 1)),
            ((0, 1, 0.0), (-1, 1)),
            ((0, 1, 1e-9), (-1, 1)),
            ((0, 0, float("nan")), (-1, 1)),
            ((0, 0, 1), (1, 1)),
        ],
    )
    def test_others_are_refused(self, coefficients: tuple[float, ...], interval: tuple[float, float]) -> None:
        with pytest.raises(HeadRefusedError):
            Activation(coefficients, interval)

    def test_training_data_outside_the_interval_is_counted(self) -> None:
        hidden = np.array([[0.0, 7.0], [-7.0, 6.0], [1.0, np.nan]])
        with pytest.raises(HeadRefusedError, match="3 of 6 hidden values"):
            SQUARE.require_in_interval(hidden)
        SQUARE.require_in_interval(hidden[:1, :1])


class TestHeadsThatCouldWrap:
    def test_a_fast_head_is_held_to_its_smaller_bound(self) -> None:
        weight = np.full((64, 3), 10.0)  # logits of features of norm 1 reach 80
        with pytest.raises(HeadRefusedError, match="64"):
            LinearEvaluator(choose_parameters(64, 3, profile="fast"), weight, np.zeros(3))
        assert LinearEvaluator(choose_parameters(64, 3), weight, np.zeros(3)).feature_norm > 1

    def test_networks(self) -> None:
        p = choose_parameters(64, 2, n_hidden=4, degree=2, max_error=1e-3)
        first = np.ones((64, 4)), np.zeros(4)
        with pytest.raises(HeadRefusedError, match="wrap"):
            NetworkEvaluator(p, first, SQUARE, (np.full((4, 2), 10.0), np.zeros(2)))

    @settings(max_examples=30)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([SQUARE, CUBIC]), st.floats(0.1, 2))
    def test_the_bounds_of_a_network_hold(self, seed: int, activation: Activation, norm: float) -> None:
        random = np.random.default_rng(seed)
        first = random.normal(size=(64, 6)), random.normal(size=6)
        second = random.normal(size=(6, 3)) / 20, random.normal(size=3)
        bounds = Bounds(activation, *first, *second)
        # The worst features are in the span of the first weights.
        directions = random.normal(size=(200, 6)) @ first[0].T
        features = norm * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        hidden = features @ first[0] + first[1]
        some = random.random(6) < 0.5
        sums = activation(hidden)[:, some] @ second[0][some]
        assert np.abs(activation(hidden) @ second[0] + second[1]).max() <= bounds.largest_logit(norm)
        assert np.abs(sums).max() <= bounds.largest_partial_sum(norm)
        slopes = (activation(hidden + 1e-6) - activation(hidden - 1e-6)) / 2e-6
        steepest = np.sqrt((slopes**2) @ (second[0] ** 2)).max()
        assert steepest <= bounds.gain(norm) * (1 + 1e-6)


@pytest.mark.parametrize(
    "name", ["evaluate", "network", "activation", "flooding", "scheme", "wire_format", "layout", "parameters"]
)
def test_nothing_the_server_runs_can_make_load_or_use_a_secret_key(name: str) -> None:
    tree = ast.parse((ROOT / f"privacy/he/{name}.py").read_text())
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"SecretKey", "KeyGenerator", "Decryptor", "secret_key", "decrypt"}
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "lexveil.privacy.he.keys" not in imported
