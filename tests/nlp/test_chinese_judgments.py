"""The five kinds on the judgments that were read and labeled; the texts stay outside of the project."""

from __future__ import annotations

import pytest

from benchmarks.chinese import CORPUS, KINDS, TARGET, load_judgments, tally
from lexveil.nlp.detection.detector import Detector


@pytest.mark.skipif(not CORPUS.is_file(), reason="../shared/corpora/judge_zh_judgments is absent")
@pytest.mark.parametrize("split", ["development", "held-out"])
def test_each_kind_is_found(split: str) -> None:
    documents = load_judgments(split)
    detections = Detector.load("rules").detect_many([document.text for document in documents])
    counts = tally(documents, [detection.spans for detection in detections])
    assert len(documents) == 25
    recalls = {kind: round(counts[kind].recall, 3) for kind in KINDS}
    assert min(recalls.values()) >= TARGET, recalls
    # What hides everything finds everything.
    assert all(counts[kind].precision >= 0.7 for kind in KINDS)
