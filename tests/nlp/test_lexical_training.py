"""The table of lexical features: which terms it has, what is near in it, and how it is written."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lexveil.nlp import lexical_training
from lexveil.nlp.encoders.lexical import LexicalTable, hash_term
from lexveil.nlp.lexical_training import train_table

RENT = ("rent", "lease", "tenant", "landlord", "premises", "deposit")
LOAN = ("loan", "interest", "borrower", "lender", "principal", "maturity")
MIETE = ("miete", "mieter", "vermieter", "wohnung", "kaution", "frist")
Passages = list[tuple[str, str]]


@pytest.fixture(autouse=True)
def _few_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexical_training, "DIMENSION", 16)


def write_passages(topics: Sequence[Sequence[str]], seed: int = 7) -> Passages:
    """Passages of eight words on one of the topics, four in each of thirty documents."""
    rng = random.Random(seed)
    return [
        (f"document {number}", " ".join(rng.choices(topics[number % len(topics)], k=8)))
        for number in range(30)
        for _ in range(4)
    ]


@pytest.fixture
def passages() -> Passages:
    return write_passages([RENT, LOAN])


def has(table: LexicalTable, term: str) -> bool:
    return hash_term(term) in table.hashes


def test_words_of_one_topic_are_near() -> None:
    topics = [
        [f"{a}{b}" for b in ("ark", "orn", "ent", "ill")] for a in ("b", "c", "d", "f", "g", "h", "l", "m")
    ]
    table = train_table([write_passages(topics)], 7)
    assert table.dimension == 16
    near = [table.embed(f"{one} {two}") @ table.embed(f"{three} {four}") for one, two, three, four in topics]
    far = [table.embed(" ".join(a)) @ table.embed(" ".join(b)) for a, b in pairwise(topics)]
    assert np.mean(near) > np.mean(far) + 0.3


def test_the_same_seed_gives_the_same_table(passages: Passages) -> None:
    one, other = train_table([passages], 7), train_table([passages], 7)
    np.testing.assert_array_equal(one.hashes, other.hashes)
    np.testing.assert_array_equal(one.signs, other.signs)
    np.testing.assert_array_equal(one.means, other.means)


def test_a_name_of_few_documents_is_no_term(passages: Passages) -> None:
    """However often it occurs there: masking may have missed it."""
    named = [
        (document, f"{text} kowalczyk" if document in ("document 0", "document 2", "document 4") else text)
        for document, text in passages
    ]
    table = train_table([named], 7)
    assert sum("kowalczyk" in text for _, text in named) == 12
    assert has(table, "lease")
    assert not has(table, "kowalczyk")


def test_a_word_of_most_passages_is_no_term(passages: Passages) -> None:
    table = train_table([[(document, f"shall {text}") for document, text in passages]], 7)
    assert has(table, "lease")
    assert not has(table, "shall")


def test_the_most_frequent_terms_are_kept(passages: Passages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexical_training, "MOST_TERMS", 20)
    table = train_table([passages], 7)
    assert len(table.hashes) == 20
    assert all(has(table, word) for word in (*RENT, *LOAN))


def test_each_language_has_terms_of_its_own(passages: Passages) -> None:
    table = train_table([passages, write_passages([MIETE, ("klage", "urteil", "gericht", "richter")])], 7)
    for word in (*RENT, *MIETE):
        assert has(table, word)
    assert (np.diff(table.hashes.astype(np.int64)) > 0).all()
    near = table.embed("mieter und kaution") @ table.embed("vermieter wohnung")
    assert near > table.embed("mieter und kaution") @ table.embed("urteil gericht") + 0.3


def test_the_command_writes_what_is_loaded(
    passages: Passages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "en.jsonl"
    rows = ({"document": document, "text": text} for document, text in passages)
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = tmp_path / "weights" / "words.safetensors"
    monkeypatch.setattr("sys.argv", ["lexical_training", str(source), "--out", str(out)])
    lexical_training.main()
    tensors = load_file(out)
    table = train_table([passages], 7)
    np.testing.assert_array_equal(tensors["hashes"], table.hashes)
    np.testing.assert_array_equal(tensors["signs"], table.signs)
    np.testing.assert_allclose(tensors["weights"], table.weights, rtol=1e-3)
    assert capsys.readouterr().out.startswith(f"{len(table.hashes)} terms, ")
    assert "lease" not in out.read_bytes().decode("latin-1")
