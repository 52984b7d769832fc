"""Heads as they are served: polynomials, digests, bounds, known answers and refusals; no encryption here."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.privacy.he import flooding
from lexveil.privacy.he.activation import Activation, HeadRefusedError
from lexveil.privacy.he.evaluate import check_layer, linear_bounds, logit_limit
from lexveil.privacy.he.network import Bounds
from lexveil.privacy.he.parameters import (
    FLOODING_BITS,
    MAX_ERROR,
    Parameters,
    ShapeRefusedError,
    choose_parameters,
    next_power_of_two,
)
from lexveil.privacy.he.probes import COUNT, known_answers, probe_features, rounding_error
from lexveil.privacy.he.served_model import (
    LinearHead,
    NetworkHead,
    ServedModel,
    build_evaluators,
    model_parameters,
    supported_packings,
    weights_digest,
)

SQUARE = Activation.square((-4, 4))


def linear(seed: int = 0, n_features: int = 64, n_classes: int = 3) -> LinearHead:
    random = np.random.default_rng(seed)
    return LinearHead(random.normal(size=(n_features, n_classes)), random.normal(size=n_classes))


def network(seed: int = 0, n_hidden: int = 8) -> NetworkHead:
    random = np.random.default_rng(seed)
    return NetworkHead(
        random.normal(size=(64, n_hidden)) / 8,
        random.normal(size=n_hidden),
        SQUARE,
        random.normal(size=(n_hidden, 3)),
        random.normal(size=3),
    )


coefficients = st.floats(-3, 3)
leading = st.floats(0.2, 3) | st.floats(-3, -0.2)


class TestActivation:
    @given(st.lists(coefficients, min_size=2, max_size=2), leading, st.floats(-10, 10))
    def test_a_square_is_what_is_computed_under_encryption(
        self, low: list[float], top: float, x: float
    ) -> None:
        activation = Activation((*low, top), (-10, 10))
        u = x + activation.shift
        computed = activation.factor * u**2 + activation.constant
        assert computed == pytest.approx(float(activation(np.array(x))), rel=1e-9, abs=1e-9)

    @given(st.lists(coefficients, min_size=3, max_size=3), leading, st.floats(-10, 10))
    def test_a_cubic_is_what_is_computed_under_encryption(
        self, low: list[float], top: float, x: float
    ) -> None:
        activation = Activation((*low, top), (-10, 10))
        u = x + activation.shift
        computed = activation.factor * (u - activation.shift) * (u**2 + activation.inner)
        expected = float(activation(np.array(x)))
        assert computed + activation.constant == pytest.approx(expected, rel=1e-9, abs=1e-9)

    @pytest.mark.parametrize(
        ("chosen", "interval"),
        [
            ((1.0, 2.0), (-1, 1)),
            ((1.0, 2.0, 3.0, 4.0, 5.0), (-1, 1)),
            ((0.0, 1.0, 0.0), (-1, 1)),
            ((0.0, 1.0, 1e-3), (-1, 1)),
            ((0.0, math.nan, 1.0), (-1, 1)),
            ((0.0, 0.0, math.inf), (-1, 1)),
            ((0.0, 0.0, 1.0), (1, 1)),
            ((0.0, 0.0, 1.0), (1, -1)),
        ],
    )
    def test_others_are_refused(self, chosen: tuple[float, ...], interval: tuple[float, float]) -> None:
        with pytest.raises(HeadRefusedError):
            Activation(chosen, interval)

    @pytest.mark.parametrize("degree", [2, 3])
    def test_an_interpolation_is_near_its_function(self, degree: int) -> None:
        activation = Activation.chebyshev(np.exp, degree, (-1, 1))
        x = np.linspace(-1, 1, 101)
        assert activation.degree == degree
        assert np.abs(activation(x) - np.exp(x)).max() < 0.06 / degree ** (degree - 2)

    @pytest.mark.parametrize("value", [4.001, -4.001, math.nan, math.inf])
    def test_a_value_outside_the_interval_is_counted(self, value: float) -> None:
        SQUARE.require_in_interval(np.array([-4.0, 0.0, 4.0]))
        with pytest.raises(HeadRefusedError, match="1 of 2"):
            SQUARE.require_in_interval(np.array([0.0, value]))


class TestDigests:
    def test_the_digest_is_that_of_the_weights_alone(self) -> None:
        assert weights_digest(linear()) == weights_digest(linear())
        head = linear()
        rounded = (head.weight.astype(np.float32), head.bias.astype(np.float32))
        single = LinearHead(*rounded)  # pyright: ignore[reportArgumentType]
        again = LinearHead(single.weight.astype(np.float64), single.bias.astype(np.float64))
        assert weights_digest(single) == weights_digest(again) != weights_digest(head)
        ordered = LinearHead(np.asfortranarray(head.weight), head.bias)
        assert weights_digest(ordered) == weights_digest(head)

    def test_any_change_gives_another_digest(self) -> None:
        head, net = linear(), network()
        changed = head.weight.copy()
        changed[3, 1] = np.nextafter(changed[3, 1], 9)
        shifted = Activation((0.0, 1e-9, 1.0), SQUARE.interval)
        heads: list[Any] = [
            head,
            LinearHead(changed, head.bias),
            LinearHead(head.weight, -head.bias),
            LinearHead(head.weight.reshape(48, 4), np.append(head.bias, 0.0)),
            net,
            replace(net, activation=shifted),
            replace(net, activation=Activation.square((-4, 5))),
            replace(net, last_bias=net.last_bias + 1),
        ]
        assert len({weights_digest(one) for one in heads}) == len(heads)

    def test_it_is_the_one_that_manifests_have_committed_to(self) -> None:
        head = LinearHead(np.arange(6.0).reshape(3, 2), np.array([0.5, -0.5]))
        weight, bias = struct.pack("<6d", *range(6)), struct.pack("<2d", 0.5, -0.5)
        expected = hashlib.sha256(b"LinearHead" + b"(3, 2)" + weight + b"(2,)" + bias).hexdigest()
        assert weights_digest(head) == expected


class TestServedModels:
    def test_what_can_be_packed_how(self) -> None:
        assert supported_packings(ServedModel(linear())) == ("block", "slot")
        assert supported_packings(ServedModel(network())) == ("block",)

    def test_a_class_without_weights_is_served_in_blocks_alone(self) -> None:
        head = linear()
        head.weight[:, 1] = 0
        assert set(build_evaluators(ServedModel(head, "fast"))) == {"block"}
        assert set(build_evaluators(ServedModel(linear(), "fast"))) == {"block", "slot"}

    def test_a_head_that_no_packing_holds_is_refused(self) -> None:
        with pytest.raises(HeadRefusedError):
            build_evaluators(ServedModel(LinearHead(np.zeros((64, 3)), np.zeros(3))))
        with pytest.raises(ShapeRefusedError):
            build_evaluators(ServedModel(linear(n_features=32)))

    def test_parameters_follow_the_head_and_what_is_asked(self) -> None:
        chosen = model_parameters(ServedModel(network(), "sealed", max_error=1e-3, flooding_bits=30))
        assert (chosen.n_hidden, chosen.degree, chosen.max_error, chosen.flooding_bits) == (8, 2, 1e-3, 30)
        plain = model_parameters(ServedModel(linear(), "fast"), "slot")
        assert (plain.packing, plain.degree, plain.max_error) == ("slot", 1, MAX_ERROR["fast"])
        assert plain.flooding_bits == FLOODING_BITS["fast"] == 0

    def test_a_model_travels_to_a_worker_and_shows_no_weight(self) -> None:
        model = ServedModel(network(), "fast")
        copy = pickle.loads(pickle.dumps(model))
        assert weights_digest(copy.head) == weights_digest(model.head)
        assert "array" not in repr(model)

    def test_logits_are_the_formula(self) -> None:
        x = np.random.default_rng(1).normal(size=(5, 64))
        head, net = linear(), network()
        assert np.allclose(head.logits(x), x @ head.weight + head.bias)
        hidden = x @ net.first_weight + net.first_bias
        assert np.allclose(net.hidden(x), hidden)
        assert np.allclose(net.logits(x), hidden**2 @ net.last_weight + net.last_bias)


class TestBounds:
    PARAMETERS = choose_parameters(64, 3)

    def test_no_features_of_the_largest_norm_reach_the_limit(self) -> None:
        head = linear(seed=3)
        norm, logit, column = linear_bounds(self.PARAMETERS, head.weight, head.bias)
        worst = norm * head.weight / np.linalg.norm(head.weight, axis=0)
        reached = np.abs(worst.T @ head.weight + head.bias).max()
        assert reached <= logit * (1 + 1e-12) <= logit_limit(self.PARAMETERS) * (1 + 1e-12)
        assert column == pytest.approx(np.linalg.norm(head.weight, axis=0).max())

    @given(st.integers(0, 10_000), st.floats(0.1, 3))
    def test_a_networks_bounds_hold_for_any_features(self, seed: int, norm: float) -> None:
        net = network(seed % 7)
        bounds = Bounds(SQUARE, net.first_weight, net.first_bias, net.last_weight, net.last_bias)
        x = np.random.default_rng(seed).normal(size=(50, 64))
        x *= norm / np.linalg.norm(x, axis=1, keepdims=True)
        assert np.abs(net.logits(x)).max() <= bounds.largest_logit(norm) * (1 + 1e-9)
        partial = np.abs(SQUARE(net.hidden(x)))[:, :, None] * np.abs(net.last_weight)
        assert partial.sum(1).max() <= bounds.largest_partial_sum(norm) * (1 + 1e-9)

    def test_an_error_of_the_hidden_values_grows_by_the_gain_at_most(self) -> None:
        net = network(2)
        bounds = Bounds(SQUARE, net.first_weight, net.first_bias, net.last_weight, net.last_bias)
        random = np.random.default_rng(4)
        x = random.normal(size=(200, 64))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        error = 1e-7 * random.normal(size=(200, 8))
        moved = SQUARE(net.hidden(x) + error) @ net.last_weight + net.last_bias - net.logits(x)
        assert (np.abs(moved).max(1) <= 1.01 * bounds.gain(1.0) * np.linalg.norm(error, axis=1)).all()

    @pytest.mark.parametrize(
        ("weight", "bias"),
        [
            (np.ones((64, 2)), np.zeros(3)),
            (np.ones((64, 3)), np.zeros((3, 1))),
            (np.full((64, 3), np.inf), np.zeros(3)),
            (np.ones((64, 3)), np.full(3, np.nan)),
            (np.zeros((64, 3)), np.ones(3)),
        ],
    )
    def test_a_layer_that_is_none_is_refused(self, weight: Any, bias: Any) -> None:
        with pytest.raises(HeadRefusedError):
            check_layer(weight, bias, (64, 3))


class TestProbes:
    @pytest.mark.parametrize(("count", "n_features"), [(8, 64), (3, 100), (1, 1024)])
    def test_probes_have_norm_one_and_follow_from_their_seed(self, count: int, n_features: int) -> None:
        probes = probe_features("a seed", count, n_features)
        assert probes.shape == (count, n_features)
        assert np.allclose(np.linalg.norm(probes, axis=1), 1)
        assert np.array_equal(probes, probe_features("a seed", count, n_features))
        assert not np.array_equal(probes, probe_features("another", count, n_features))

    def test_they_are_gaussian_values_of_a_published_function(self) -> None:
        stream = hashlib.shake_256(b"lexveil-probe-3\0seed").digest(16 * 2 * 64)
        numbers = [((word >> 11) + 1) / 2**53 for (word,) in struct.iter_unpack("<Q", stream)]
        pairs = zip(numbers[: 2 * 64], numbers[2 * 64 :], strict=True)
        normal = [math.sqrt(-2 * math.log(one)) * math.cos(2 * math.pi * other) for one, other in pairs]
        for row, probe in zip((normal[:64], normal[64:]), probe_features("seed", 2, 64), strict=True):
            assert probe.tolist() == pytest.approx([value / math.hypot(*row) for value in row], abs=1e-12)

    def test_no_difference_of_two_squares_is_zero_at_all_of_them(self) -> None:
        squares = probe_features("seed", COUNT, 64) ** 2
        differences = np.abs(squares[:, :, None] - squares[:, None, :]).max(axis=0)
        assert differences[np.triu_indices(64, 1)].min() > 1e-3

    @pytest.mark.parametrize("bound", [1e-2, 3e-4, 9.9e-6])
    def test_answers_are_rounded_by_no_more_than_the_error_that_is_stated(self, bound: float) -> None:
        head = linear(5)
        exact = head.logits(probe_features("seed", COUNT, 64))
        answers = np.array(known_answers(head, "seed", bound))
        assert answers.shape == (COUNT, 3)
        assert np.abs(answers - exact).max() <= rounding_error(bound) * (1 + 1e-9)
        assert bound <= 10 * rounding_error(bound) * 2
        assert not np.array_equal(answers, exact)

    def test_another_head_gives_other_answers(self) -> None:
        one, other = linear(5), linear(6)
        answers = [np.array(known_answers(head, "seed", 1e-5)) for head in (one, other)]
        assert np.abs(answers[0] - answers[1]).max() > 1e-2
        assert np.abs(answers[0] - one.logits(probe_features("seed", COUNT, 64))).max() < 1e-5


class TestRecords:
    @pytest.mark.parametrize(
        "change",
        [
            {"n_features": 65},
            {"n_features": 64.0},
            {"n_classes": True},
            {"packing": "slot"},
            {"profile": "open"},
            {"block_size": 64},
            {"reason": "because"},
            {"max_error": 1e-3},
            {"degree": 2},
        ],
    )
    def test_a_record_that_a_server_changed_is_refused(self, change: dict[str, Any]) -> None:
        record = json.loads(choose_parameters(64, 3).to_json())
        assert Parameters.from_json(json.dumps(record)) == choose_parameters(64, 3)
        with pytest.raises(ValueError):
            Parameters.from_json(json.dumps(record | change))

    @pytest.mark.parametrize("change", [{"poly_modulus_degree": 4096}, {"flooding_bits": 0}, {"more": 1}])
    def test_a_weaker_scheme_in_the_record_is_refused(self, change: dict[str, Any]) -> None:
        record = json.loads(choose_parameters(64, 3).to_json())
        record["scheme"] |= change
        with pytest.raises(ValueError, match="not in the table"):
            Parameters.from_json(json.dumps(record))

    @given(st.integers(1, 5000))
    def test_the_next_power_of_two(self, number: int) -> None:
        power = next_power_of_two(number)
        assert number <= power < 2 * number
        assert power & (power - 1) == 0

    def test_the_error_grows_with_weights_features_and_gain(self) -> None:
        row = choose_parameters(64, 3).scheme
        base = row.logit_error(1.0, 1.0)
        assert row.logit_error(2.0, 1.0) > base
        assert row.logit_error(1.0, 2.0) > base
        assert row.logit_error(1.0, 1.0, 3.0) == pytest.approx(3 * base)
        assert row.error_to_flood(1.0) == row.error_to_flood(32.0) < row.error_to_flood(64.0)
        assert row.error_to_flood(1.0, 20.0) == pytest.approx(2 * row.error_to_flood(1.0, 10.0))


class TestFlooding:
    def test_a_bit_more_of_flooding_is_the_root_of_two_more_noise(self) -> None:
        assert flooding.noise_level(1e-6, 10, 21) == pytest.approx(
            2**0.5 * flooding.noise_level(1e-6, 10, 20)
        )
        assert flooding.noise_level(2e-6, 10, 20) == 2 * flooding.noise_level(1e-6, 10, 20)
        assert flooding.noise_level(1e-6, 40, 20) == 2 * flooding.noise_level(1e-6, 10, 20)
        assert flooding.noise_level(0.0, 10, 20) == 0

    def test_noise_is_complex_gaussian_of_the_level_and_never_the_same(self) -> None:
        noise = flooding.sample_gaussian(50_000, 0.25)
        for part in (noise.real, noise.imag):
            assert abs(part.mean()) < 5 * 0.25 / math.sqrt(50_000)
            assert part.std() == pytest.approx(0.25, rel=0.02)
            assert np.abs(part).max() <= flooding.TAIL * 0.25
        assert abs(np.corrcoef(noise.real, noise.imag)[0, 1]) < 5 / math.sqrt(50_000)
        assert not np.array_equal(noise, flooding.sample_gaussian(50_000, 0.25))

    def test_much_noise_is_nowhere_at_an_output(self) -> None:
        outputs = np.zeros(4096, np.complex128)
        outputs[:8] = 1
        outputs[8:12] = 1 + 1j
        coarse, *fine = flooding.noise_layers(outputs, 1e-6, 10.0)
        assert not coarse[8:12].any()
        assert not coarse.real[:8].any()
        assert coarse.imag[:8].all()
        assert coarse[12:].std() > 5
        assert max(np.abs(layer).max() for layer in fine) < 1e-4
