"""Cards of adapters, names of detectors, and what is refused."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lexveil.nlp.cache import cache_folder
from lexveil.nlp.taggers import load_taggers
from lexveil.nlp.taggers.card import CARD, Card, public_folder
from lexveil.nlp.taggers.contract import SENSITIVITIES, WEIGHTS, TaggerError
from lexveil.nlp.taggers.quantized import open_forward
from lexveil.nlp.taggers.transformer import load_folder

EXAMPLE = Card(
    labels=("O", "PERSON", "-PERSON"),
    operating={"balanced": 0.4, "strict": 0.2},
    languages=("en",),
    base="0" * 64,
    scale=2.0,
    about={"seed": 7},
)


def test_a_card_is_read_as_it_was_saved(tmp_path: Path) -> None:
    EXAMPLE.save(tmp_path)
    assert Card.load(tmp_path) == EXAMPLE


def test_a_card_has_the_fields_that_folders_in_use_have(tmp_path: Path) -> None:
    EXAMPLE.save(tmp_path)
    stored = json.loads((tmp_path / CARD).read_text(encoding="utf-8"))
    shipped = json.loads((WEIGHTS / "multilingual" / CARD).read_text(encoding="utf-8"))
    assert stored.keys() == {"labels", "operating", "languages", "base", "scale", "about"}
    assert stored.keys() < shipped.keys()  # the encoder is told if it is not the first one


def test_the_shipped_card_names_both_operating_points() -> None:
    card = Card.load(WEIGHTS / "multilingual")
    assert set(card.operating) == set(SENSITIVITIES)
    assert card.operating["strict"] < card.operating["balanced"]
    assert card.labels[0] == "O"
    assert {"en", "de", "fr", "it"} <= set(card.languages)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"labels": 5}',
        json.dumps(
            {"labels": ["O"], "operating": [], "languages": [], "base": "", "scale": "x", "about": {}}
        ),
    ],
    ids=["cut short", "list", "empty", "wrong type", "no number"],
)
def test_an_unreadable_card_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / CARD).write_text(content, encoding="utf-8")
    with pytest.raises(TaggerError) as caught:
        Card.load(tmp_path)
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize("load", [Card.load, load_folder, open_forward])
def test_a_missing_folder_is_refused_without_its_path(tmp_path: Path, load: Any) -> None:
    with pytest.raises(TaggerError) as caught:
        load(tmp_path / "nowhere")
    assert caught.value.code == str(caught.value) == "missing"


def test_without_the_public_encoder_a_classifier_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (public_folder() / "tokenizer.json").is_file()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TaggerError, match="missing"):
        public_folder()


def test_the_cache_is_where_the_user_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "lexveil"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "lexveil"


@pytest.mark.slow
@pytest.mark.parametrize("sensitivity", SENSITIVITIES)
def test_the_default_is_a_classifier_and_with_a_crf_for_german(sensitivity: Any) -> None:
    german, classifier, chinese = load_taggers("default", sensitivity)
    assert (german.languages, german.insists) == (frozenset({"de"}), False)
    assert {"en", "fr", "it", "pl"} <= (classifier.languages or frozenset())
    assert classifier.insists == (sensitivity == "strict")
    assert chinese.languages == frozenset({"zh"})


@pytest.mark.parametrize("model", ["light", "default", "nowhere"])
def test_an_unknown_operating_point_is_refused_first(model: str) -> None:
    with pytest.raises(ValueError, match="sensitivity must be one of balanced, strict"):
        load_taggers(model, "loose")  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_the_multilingual_detector_reads_chinese_with_the_detector_of_the_others() -> None:
    classifier, chinese = load_taggers("multilingual")
    assert {"en", "de", "fr", "pl", "sr"} <= (classifier.languages or frozenset())
    assert chinese.languages == frozenset({"zh"})


def test_a_card_of_another_encoder_says_so_and_is_read_back(tmp_path: Path) -> None:
    card = replace(EXAMPLE, encoder="multilingual-e5-small", layers=6)
    card.save(tmp_path)
    assert Card.load(tmp_path) == card


def test_an_encoder_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    EXAMPLE.save(tmp_path)
    content = json.loads((tmp_path / CARD).read_text(encoding="utf-8"))
    (tmp_path / CARD).write_text(json.dumps({**content, "encoder": "word2vec"}), encoding="utf-8")
    with pytest.raises(TaggerError, match="unreadable"):
        Card.load(tmp_path)
