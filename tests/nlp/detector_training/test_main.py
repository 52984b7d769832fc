"""Training `light` on invented judgments: small, seeded, and forgetful of names."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lexveil.nlp.detector_training.__main__ import split_folds, train_light
from lexveil.nlp.detector_training.corpora import prepare_document, read_documents
from lexveil.nlp.detector_training.crf import FEWEST_DOCUMENTS, train_crf
from lexveil.nlp.detector_training.operating_points import choose_operating_points
from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan
from lexveil.nlp.evaluation.scoring import score
from lexveil.nlp.taggers.crf import Crf, CrfTagger, Parameters
from lexveil.nlp.taggers.features import TEMPLATES, Clusters, compute_word_features, describe_words, hash_text

NO_CLUSTERS = Clusters(np.zeros(0, np.uint32), np.zeros((0, 3), np.uint16))
SYLLABLES = ("bor", "ka", "lin", "mo", "ster", "vay", "dun", "rel")


def invented(n: int, seed: int) -> list[GoldDocument]:
    rng = random.Random(seed)
    documents: list[GoldDocument] = []
    for index in range(n):
        name = f"{''.join(rng.sample(SYLLABLES, 2)).title()} {''.join(rng.sample(SYLLABLES, 3)).title()}"
        text = f"The applicant, Ms {name}, was heard by the court.\nThe State replied to {name} at length.\n"
        spans = [
            GoldSpan(at - 3 * (at < 30), at + len(name), "PERSON", "e1", "DIRECT")
            for at in (text.index(name), text.rindex(name))
        ]
        documents.append(GoldDocument(f"d{index}", text, "en", (tuple(spans),)))
    return documents


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    return train_crf([prepare_document(one) for one in invented(30, 1)], 7, clusters=NO_CLUSTERS)


def test_names_never_seen_are_found(parameters: Parameters) -> None:
    documents = [prepare_document(one) for one in invented(10, 2)]
    found = CrfTagger(Crf(parameters), 0.5).tag([one.text for one in documents])
    for document, spans in zip(documents, found, strict=True):
        wanted = [(gold.start, gold.end, gold.type) for gold in document.annotations[0]]
        assert [(span.start, span.end, span.type) for span in spans] == wanted


def test_what_few_documents_share_is_forgotten() -> None:
    common = invented(30, 1)
    line = "Zyxwvut came.\nFurniture came.\n"
    spans = tuple(GoldSpan(at, at + 7, "PERSON", "e", "DIRECT") for at in range(0, 20 * len(line), len(line)))
    rare = [GoldDocument(f"r{i}", 20 * line, "en", (spans,)) for i in range(FEWEST_DOCUMENTS)]
    without = train_crf([*common, *rare[1:]], 7, clusters=NO_CLUSTERS)
    known = train_crf([*common, *rare], 7, clusters=NO_CLUSTERS)
    word = features_of("zyxwvut")
    assert not np.isin(word, without.features).any()
    assert np.isin(word, known.features).any()


def features_of(word: str) -> NDArray[np.uint32]:
    """The features that only this word has."""
    columns = [name for name, offsets in TEMPLATES if 0 in offsets]
    own = [columns.index(name) for name in ("word", "lower", "prefix3", "suffix4")]
    return compute_word_features(describe_words([word], NO_CLUSTERS), 0)[0, own]


def test_the_same_seed_gives_the_same_detector(parameters: Parameters, tmp_path: Path) -> None:
    again = train_crf([prepare_document(one) for one in invented(30, 1)], 7, clusters=NO_CLUSTERS)
    for number, each in enumerate((parameters, again)):
        each.save(tmp_path / str(number))
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()


def test_no_string_of_the_corpus_is_stored(parameters: Parameters, tmp_path: Path) -> None:
    parameters.save(tmp_path / "light.npz")
    with np.load(tmp_path / "light.npz", allow_pickle=False) as stored:
        content = b"".join(stored[name].tobytes() for name in stored.files).lower()
    assert b"applicant" not in content
    assert hash_text("applicant") != 0


def test_preparing() -> None:
    text = "Mr Vane sued the Borrower, tel. 123."
    spans = (
        GoldSpan(0, 7, "PERSON", "e1", "DIRECT"),
        GoldSpan(17, 25, "PERSON", "e2", "DIRECT"),
        GoldSpan(32, 35, "PHONE", "e3", "DIRECT"),
    )
    document = prepare_document(GoldDocument("d", text, "en", (spans,)))
    assert [text[s.start : s.end] for s in document.annotations[0]] == ["Vane"]


def test_operating_points_keep_their_precision() -> None:
    from lexveil.nlp.evaluation.scoring import Scores

    empty = score([], [])

    def score_at(threshold: float) -> Scores:
        from dataclasses import replace

        return replace(empty, token_precision=0.7 + threshold)

    assert choose_operating_points(score_at) == {"balanced": 0.15, "strict": 0.02}


def test_folds_are_a_partition() -> None:
    parts = [held for _, held in split_folds(list(range(13)), 5, 3)]
    assert sorted(item for part in parts for item in part) == list(range(13))
    assert all(not set(rest) & set(held) for rest, held in split_folds(list(range(13)), 5, 3))


def test_reviewers_decisions_are_gold(tmp_path: Path) -> None:
    gold, reviewed = tmp_path / "gold.jsonl", tmp_path / "review"
    reviewed.mkdir()
    for path, documents in ((gold, invented(12, 1)), (reviewed / "gold.jsonl", invented(4, 5))):
        lines = [
            json.dumps(
                {
                    "id": one.id,
                    "text": one.text,
                    "language": "en",
                    "spans": [{"start": s.start, "end": s.end, "type": s.type} for s in one.annotations[0]],
                }
            )
            for one in documents
        ]
        path.write_text("\n".join(lines))
    documents = read_documents([gold], reviewed, 7)
    assert [one.text for one in documents] == [one.text for one in (*invented(12, 1), *invented(4, 5))]


@pytest.mark.slow
def test_light_brings_its_operating_points(tmp_path: Path) -> None:
    judged = [prepare_document(one) for one in invented(12, 1)]
    train_light(judged, [], 7, NO_CLUSTERS).save(tmp_path / "light.npz")
    tagger = CrfTagger.load(tmp_path / "light.npz", "strict")
    text = "The applicant, Ms Kamo Dunrel, was heard by the court.\n"
    assert "Kamo Dunrel" in [text[s.start : s.end] for s in tagger.tag([text])[0]]
