"""Names for German sentences: of nobody, and never those that are kept for measuring."""

from __future__ import annotations

import random

from lexveil.nlp.detector_training.german_names import NamePool, rename_people, write_frames
from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan


def test_frames_mark_every_name_in_its_place() -> None:
    documents = list(write_frames(3, 2))
    assert documents == list(write_frames(3, 2))
    for document in documents:
        assert "{" not in document.text
        for annotation in document.annotations:
            for span in annotation:
                assert document.text[span.start : span.end] == span.entity


def test_names_are_replaced_and_all_else_stays() -> None:
    text = "Der Zeuge K. und Frau B. trafen Herrn Dr. Amsel in Bonn."
    spans = [
        GoldSpan(10, 12, "PERSON", "k", "DIRECT"),
        GoldSpan(22, 24, "PERSON", "b", "DIRECT"),
        GoldSpan(42, 47, "PERSON", "a", "DIRECT"),
        GoldSpan(51, 55, "LOCATION", "bonn", "QUASI"),
    ]
    document = GoldDocument("one", text, "de", (tuple(spans),))
    (copy,) = rename_people([document], 1, 1)
    pieces = [copy.text[span.start : span.end] for span in copy.annotations[0]]
    assert pieces[3] == "Bonn"
    assert not {"K.", "B.", "Amsel"} & set(pieces)
    for piece in pieces[:3]:
        copy_text = copy.text.replace(piece, "?", 1)
        assert copy_text != copy.text
    assert copy.text.startswith("Der Zeuge ")
    assert copy.text.endswith(" in Bonn.")


def test_names_for_measuring_are_never_trained_on() -> None:
    training, measuring = NamePool.load(), NamePool.load(held_out=True)
    assert not set(training.first) & set(measuring.first)
    assert not set(training.last) & set(measuring.last)
    assert len(measuring.last) > 300
    assert measuring.draw("g", random.Random(1)).endswith(("s", "'"))
