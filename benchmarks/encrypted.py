"""Encrypted classification against TenSEAL's own products, and against the targets: CPU time of this thread.

Everything is measured in one process, one thread, side by side: `time.process_time`, the smallest of several
repetitions (medians stand in the details). Our times are from the bytes of a request to the bytes of the
reply, keys loaded; TenSEAL's are the product alone.

`linear_over_mm` and `linear_over_dot` divide the time of one `ckks_vector.mm`, or of one `dot` for each
class, by the time of one of our calls with the very same ring and modulus (8192, [60, 40, 60]). TenSEAL's
classify one document per call; ours as many as `documents` says in the details: the ratio is per call, not
per document.

Features are random of norm 1 and heads are Gaussian, unless said otherwise: the cost does not depend on the
values. Agreement is with the plain head on the same features; `far_disagreements` counts labels that differ
although the two logits are further apart than twice the stated error.

`--real` adds `benchmarks.encrypted_real`: heads trained under DP, on embeddings of real legal text.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from benchmarks.contract import Figure, Outcome, make_folder, run
from lexveil.privacy.he.activation import Activation
from lexveil.privacy.he.evaluate import Evaluator, LinearEvaluator, SlotEvaluator
from lexveil.privacy.he.keys import ClientKeys
from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.network import NetworkEvaluator
from lexveil.privacy.he.parameters import choose_parameters

SEED = 11
FEATURES, HIDDEN, CLASSES = 384, 64, 10
LEGAL_1 = 896  # numbers of the default representation
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head:
    """An evaluator, the same head in the plain, and keys for it."""

    evaluator: Evaluator
    plain: Callable[[Floats], Floats]
    keys: ClientKeys

    @property
    def documents(self) -> int:
        return self.evaluator.parameters.documents_per_ciphertext


@dataclass(frozen=True, slots=True)
class Timed:
    smallest: float
    median: float

    def milliseconds(self, target: float | None, documents: int = 1) -> Figure:
        return Figure(1000 * self.smallest / documents, target, "ms", "lower")


def timed(function: Callable[[], T], repeat: int) -> tuple[Timed, T]:
    seconds: list[float] = []
    while True:
        start = time.process_time()
        result = function()
        seconds.append(time.process_time() - start)
        if len(seconds) >= repeat:
            return Timed(min(seconds), statistics.median(seconds)), result


def unit_features(random: np.random.Generator, n: int, width: int = FEATURES) -> Floats:
    features = random.normal(size=(n, width))
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def heads(random: np.random.Generator) -> Iterator[tuple[str, Head]]:
    weight, bias = random.normal(size=(FEATURES, CLASSES)), random.normal(size=CLASSES) / 10

    def linear(features: Floats) -> Floats:
        return features @ weight + bias

    cases: tuple[tuple[str, dict[str, Any]], ...] = (
        ("linear_fast", {"profile": "fast"}),
        ("linear_sealed", {"profile": "sealed"}),
        ("linear_as_theirs", {"profile": "fast", "max_error": 1e-5}),
        ("slot", {"profile": "fast", "packing": "slot"}),
        ("slot_sealed", {"profile": "sealed", "packing": "slot"}),
    )
    for name, asked in cases:
        parameters = choose_parameters(FEATURES, CLASSES, **asked)
        kind = SlotEvaluator if parameters.packing == "slot" else LinearEvaluator
        yield name, Head(kind(parameters, weight, bias), linear, ClientKeys.generate(parameters))
    wide = random.normal(size=(LEGAL_1, CLASSES))
    for profile in ("fast", "sealed"):
        parameters = choose_parameters(LEGAL_1, CLASSES, profile=profile)
        evaluator = LinearEvaluator(parameters, wide, bias)
        yield (
            f"legal_1_{profile}",
            Head(evaluator, lambda features: features @ wide + bias, ClientKeys.generate(parameters)),
        )
    yield from networks(random)


def networks(random: np.random.Generator) -> Iterator[tuple[str, Head]]:
    first = random.normal(size=(FEATURES, HIDDEN)) / 2, random.normal(size=HIDDEN) / 10
    second = random.normal(size=(HIDDEN, CLASSES)) / 8, random.normal(size=CLASSES) / 10
    activations = {
        "mlp": Activation.square((-4, 4)),
        "mlp_cubic": Activation.chebyshev(lambda x: np.tanh(x) + x**2 / 10, 3, (-4, 4)),
    }
    for name, activation in activations.items():

        def network(features: Floats, activation: Activation = activation) -> Floats:
            return activation(features @ first[0] + first[1]) @ second[0] + second[1]

        for profile in ("fast", "sealed"):
            parameters = choose_parameters(
                FEATURES, CLASSES, n_hidden=HIDDEN, degree=activation.degree, profile=profile
            )
            evaluator = NetworkEvaluator(parameters, first, activation, second)
            full_name = name if profile == "fast" else f"{name}_sealed"
            yield full_name, Head(evaluator, network, ClientKeys.generate(parameters))


def measured(head: Head, random: np.random.Generator, repeat: int) -> tuple[Timed, dict[str, Any]]:
    """Time of one full request; error, sizes and parameters for the details."""
    evaluator, documents = head.evaluator, head.documents
    upload = head.keys.evaluation_keys()
    keys = evaluator.load_keys(upload)
    features = unit_features(random, documents, evaluator.parameters.n_features)
    (request,) = head.keys.encrypt(features)
    clock, reply = timed(lambda: evaluator.evaluate(request, keys), repeat)
    plain, flooding_level = head.plain(features), evaluator.flooding_level
    error = np.abs(head.keys.decrypt([reply], documents) - plain).max()
    evaluator.flooding_level = 0.0
    unflooded = head.keys.decrypt([evaluator.evaluate(request, keys)], documents)
    evaluator.flooding_level = flooding_level
    return clock, {
        "parameters": evaluator.parameters.reason,
        "documents": documents,
        "median_ms": 1000 * clock.median,
        "keys_bytes": len(upload),
        "request_bytes": len(request),
        "reply_bytes": len(reply),
        "error": float(error),
        "error_before_flooding": float(np.abs(unflooded - plain).max()),
        "stated_error": evaluator.error_bound(1.0),
        "flooding_level": flooding_level,
    }


def agreement(head: Head, features: Floats) -> tuple[float, int, float]:
    """Share of equal labels, disagreements that are no ties within the stated error, largest error."""
    keys = head.evaluator.load_keys(head.keys.evaluation_keys())
    replies = [head.evaluator.evaluate(request, keys) for request in head.keys.encrypt(features)]
    logits, plain = head.keys.decrypt(replies, len(features)), head.plain(features)
    chosen, best = logits.argmax(axis=1), plain.argmax(axis=1)
    rows = np.arange(len(plain))
    gap = plain[rows, best] - plain[rows, chosen]
    far = int((gap > 2 * head.evaluator.error_bound(1.0)).sum())
    return float((chosen == best).mean()), far, float(np.abs(logits - plain).max())


def theirs(random: np.random.Generator, repeat: int) -> tuple[Timed, Timed]:
    """TenSEAL's `mm`, and a `dot` for each class, for one document with the same ring and modulus."""
    import tenseal

    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 60], n_threads=1)
    context.global_scale = 2.0**40
    context.generate_galois_keys()
    columns = random.normal(size=(CLASSES, FEATURES))
    weight, rows = columns.T.tolist(), columns.tolist()
    vector = tenseal.ckks_vector(context, unit_features(random, 1)[0].tolist())
    dot, _ = timed(lambda: [vector.dot(row) for row in rows], repeat)
    product, _ = timed(lambda: vector.mm(weight), 1)
    return product, dot


def measure(arguments: argparse.Namespace) -> Outcome:
    random = np.random.default_rng(SEED)
    clocks: dict[str, Timed] = {}
    details: dict[str, Any] = {}
    labels: dict[str, tuple[float, int, float]] = {}
    corpus = unit_features(random, arguments.documents)
    for name, head in heads(random):
        repeat = 2 if name.startswith("slot") else arguments.repeat
        clocks[name], details[name] = measured(head, random, repeat)
        if name in ("linear_fast", "linear_sealed"):
            labels[name] = agreement(head, corpus)
        if name == "mlp_sealed":  # a tenth: each request takes four times as long
            labels[name] = agreement(head, corpus[: max(1, len(corpus) // 10)])
    product, dot = theirs(random, arguments.repeat)
    details["theirs"] = {"mm_ms": 1000 * product.smallest, "dot_ms": 1000 * dot.smallest}
    details["features"] = "random of norm 1, not of real documents"
    n = {"documents": arguments.documents, "repetitions": arguments.repeat}
    found = figures(clocks, details, labels, product, dot)
    if arguments.real:
        from benchmarks.encrypted_real import real_figures

        found |= real_figures(arguments.documents, arguments.cache)
    return Outcome(found, n, [SEED], details)


def figures(
    clocks: dict[str, Timed],
    details: dict[str, Any],
    labels: dict[str, tuple[float, int, float]],
    product: Timed,
    dot: Timed,
) -> dict[str, Figure]:
    ours = clocks["linear_as_theirs"].smallest

    def ratio(theirs: Timed, ours: float, target: float | None) -> Figure:
        return Figure(theirs.smallest / ours, target, "x", "higher")

    def per_document(name: str, target: float | None = None) -> Figure:
        return clocks[name].milliseconds(target, details[name]["documents"])

    def megabytes(name: str, target: float | None) -> Figure:
        return Figure(details[name]["keys_bytes"] / 1e6, target, "MB", "lower")

    def error(name: str, target: float | None) -> Figure:
        return Figure(details[name]["error_before_flooding"], target, "logit", "lower")

    found = {
        "linear_over_mm": ratio(product, ours, 100),
        "linear_over_dot": ratio(dot, ours, 5),
        "linear_sealed_over_mm": ratio(product, clocks["linear_sealed"].smallest, None),
        "linear_fast_ms": clocks["linear_fast"].milliseconds(8),
        "linear_sealed_ms": clocks["linear_sealed"].milliseconds(60),
        "linear_fast_ms_per_document": per_document("linear_fast"),
        "linear_sealed_ms_per_document": per_document("linear_sealed"),
        "legal_1_fast_ms_per_document": per_document("legal_1_fast"),
        "legal_1_sealed_ms_per_document": per_document("legal_1_sealed"),
        "mlp_ms": clocks["mlp"].milliseconds(160),
        "mlp_sealed_ms": clocks["mlp_sealed"].milliseconds(200),
        "mlp_cubic_ms": clocks["mlp_cubic"].milliseconds(160),
        # Twice as many documents per request as the others.
        "mlp_cubic_sealed_ms": clocks["mlp_cubic_sealed"].milliseconds(None),
        "slot_ms_per_document": per_document("slot", 0.1),
        "slot_sealed_ms_per_document": per_document("slot_sealed"),
        "keys_linear_fast": megabytes("linear_fast", 0.5),
        "keys_linear_sealed": megabytes("linear_sealed", 5),
        "keys_mlp": megabytes("mlp", 10),
        "keys_mlp_sealed": megabytes("mlp_sealed", 10),
        "keys_mlp_cubic": megabytes("mlp_cubic", 10),
        "keys_mlp_cubic_sealed": megabytes("mlp_cubic_sealed", None),
        "error_mlp": error("mlp", None),
        "error_mlp_sealed": error("mlp_sealed", 1e-5),
        "error_mlp_cubic": error("mlp_cubic", None),
        "error_linear_sealed": error("linear_sealed", 1e-5),
    }
    for name, (same, far, largest) in labels.items():
        # Heads of random weights have no margins: of a network the target is that on real features.
        wanted = None if name == "mlp_sealed" else 0.999
        found[f"agreement_{name}"] = Figure(same, wanted, "share", "higher")
        found[f"far_disagreements_{name}"] = Figure(far, 0, "documents", "lower")
        target = 2e-3 if name == "linear_fast" else None
        found[f"largest_error_{name}"] = Figure(largest, target, "logit", "lower")
    return found


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=10_000, help="for the agreement with plain")
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--real", action="store_true", help="also on real text of ../shared/corpora")
    parser.add_argument(
        "--cache", type=make_folder, help="folder for embeddings of real text, outside the project"
    )


if __name__ == "__main__":
    run(__doc__, measure, _options)
