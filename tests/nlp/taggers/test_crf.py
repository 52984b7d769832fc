"""The CRF: its inference against sums over all paths, its storage, and what the shipped one finds."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.taggers import load_taggers
from lexveil.nlp.taggers.contract import SENSITIVITIES, WEIGHTS
from lexveil.nlp.taggers.crf import (
    Crf,
    CrfTagger,
    FeatureRows,
    Marginals,
    Parameters,
    compute_posteriors,
    decode_spans,
)

TEXT = (
    "CASE OF THORNBURY v. NORWAY\n\n1.  The case originated in an application (no. 54321/08) lodged by a "
    "Norwegian national, Ms Margaret Thornbury, on 3 March 2008.\n2.  She was born in 1972 in Elmsworth.\n"
)


@pytest.fixture(scope="module")
def crf() -> Crf:
    return Crf.load()


def test_posteriors_are_sums_over_paths() -> None:
    random = np.random.default_rng(3)
    lengths, labels = (3, 1, 4, 2), 3
    scores = random.normal(size=(sum(lengths), labels)).astype(np.float32)
    transition = random.normal(size=(labels, labels)).astype(np.float32)
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    found = compute_posteriors(scores, np.exp(transition), sequence)
    start = 0
    for length in lengths:
        expected = np.zeros((length, labels))
        for path in product(range(labels), repeat=length):
            weight = sum(scores[start + at, label] for at, label in enumerate(path))
            weight += sum(transition[a, b] for a, b in pairwise(path))
            for at, label in enumerate(path):
                expected[at, label] += np.exp(weight)
        expected /= expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found[start : start + length], expected, atol=1e-5)
        start += length


def test_decoding() -> None:
    labels = ("O", "B-DATE", "I-DATE", "B-PERSON", "I-PERSON")
    tokens = np.array([(0, 2), (3, 5), (6, 8), (9, 11), (12, 14)])
    rows = np.array(
        [
            (0.1, 0, 0, 0.9, 0),
            (0.3, 0, 0, 0.1, 0.6),
            (0.4, 0, 0, 0.5, 0.1),
            (0.9, 0.1, 0, 0, 0),
            (0.2, 0.2, 0.6, 0, 0),
        ],
        np.float32,
    )
    marginals = Marginals(tokens, rows, np.zeros(5, np.int64))
    found = [(s.start, s.end, s.type, round(s.score, 2)) for s in decode_spans(marginals, labels, 0.5, "x")]
    assert found == [(0, 5, "PERSON", 0.9), (6, 8, "PERSON", 0.6), (12, 14, "DATE", 0.8)]
    assert decode_spans(marginals, labels, 0.95, "x") == []


def test_marginals_are_distributions_over_exact_tokens(crf: Crf) -> None:
    first, empty, second = crf.marginals([TEXT, "", TEXT])
    assert len(empty.tokens) == 0
    assert all(TEXT[start:end].strip() == TEXT[start:end] != "" for start, end in first.tokens.tolist())
    np.testing.assert_allclose(first.probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(first.probabilities, second.probabilities, atol=1e-5)
    assert crf.labels[0] == "O"
    assert first.probabilities.shape == (len(first.tokens), len(crf.labels))


def test_a_batch_is_one_by_one(crf: Crf) -> None:
    texts = [TEXT, "Nothing here.", TEXT[:90], "ß\u0130 \ud800 9" * 400]
    for together, alone in zip(crf.marginals(texts), [crf.marginals([t])[0] for t in texts], strict=True):
        np.testing.assert_array_equal(together.tokens, alone.tokens)
        np.testing.assert_allclose(together.probabilities, alone.probabilities, atol=1e-5)


@settings(max_examples=60)
@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_any_text(crf: Crf, text: str) -> None:
    (spans,) = CrfTagger(crf, 0.01).tag([text])
    assert all(0 <= span.start < span.end <= len(text) and 0 <= span.score <= 1 for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))


@pytest.mark.parametrize("sensitivity", SENSITIVITIES)
def test_the_shipped_detector(sensitivity: str) -> None:
    german, tagger, _ = load_taggers("light", sensitivity)  # pyright: ignore[reportArgumentType]
    (spans,) = tagger.tag([TEXT])
    found = {TEXT[span.start : span.end]: span.type for span in spans}
    assert found.get("Margaret Thornbury") == "PERSON"
    assert found.get("3 March 2008") == "DATE"
    assert found.get("54321/08") == "CASE_NUMBER"
    assert tagger.languages is not None
    assert "en" in tagger.languages
    text = "Auf die Aussage Wiebke Thormählens kommt es nicht an, meint Ingmar Petrausch."
    (spans,) = german.tag([text])
    found = {text[span.start : span.end]: span.type for span in spans}
    assert found == {"Wiebke Thormählens": "PERSON", "Ingmar Petrausch": "PERSON"}
    assert german.languages == {"de"}


def test_strict_finds_what_balanced_finds(crf: Crf) -> None:
    points = crf.parameters.operating
    assert 0 < points["strict"] <= points["balanced"] < 1


@pytest.mark.parametrize("name", ["light.npz", "german.npz"])
def test_shipped_weights_hold_no_text(name: str) -> None:
    path = WEIGHTS / name
    assert path.stat().st_size < 5_000_000
    with np.load(path, allow_pickle=False) as stored:
        strings = stored["about"].tobytes().decode()
        kinds = {name: stored[name].dtype.kind for name in stored.files}
    # Everything but the names of labels, points and languages is a number.
    assert set(kinds.values()) <= {"u", "f"}
    assert len(strings) < 1000


def test_stored_and_read(crf: Crf, tmp_path: Path) -> None:
    path = tmp_path / "light.npz"
    parameters = replace(crf.parameters, operating={"balanced": 0.4, "strict": 0.2})
    parameters.save(path)
    again = Parameters.load(path)
    assert again.operating == parameters.operating
    np.testing.assert_array_equal(again.features, parameters.features)
    np.testing.assert_allclose(again.state, parameters.state, rtol=1e-3)
    assert CrfTagger.load(path, "strict").tag([TEXT]) == CrfTagger(Crf(again), 0.2).tag([TEXT])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 5000])
@pytest.mark.parametrize("largest", [8, 1 << 16, 1 << 32])
def test_the_rows_of_features_are_those_of_a_search(count: int, largest: int) -> None:
    random = np.random.default_rng(count)
    known = np.unique(random.integers(0, largest, count, np.uint64).astype(np.uint32))
    features = np.concatenate((random.integers(0, largest, 2000, np.uint64).astype(np.uint32), known))
    edges = np.array([0, 1, largest - 1, (1 << 32) - 1], np.uint64).astype(np.uint32)
    asked = (
        np.concatenate((features, edges)).reshape(2, -1) if not (len(features) + 4) % 2 else features[None]
    )
    found = FeatureRows(known).find(asked)
    expected = {int(feature): row for row, feature in enumerate(known)}
    assert found.tolist() == [[expected.get(int(one), len(known)) for one in row] for row in asked]
