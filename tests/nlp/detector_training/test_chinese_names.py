"""Names for Chinese sentences: invented, and never those that are kept for measuring."""

from __future__ import annotations

import random

import pytest

from lexveil.nlp.detector_training.chinese_names import ChineseNames, rename_people, write_frames
from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan


def test_frames_mark_every_name_in_its_place() -> None:
    documents = list(write_frames(3, 20))
    assert documents == list(write_frames(3, 20))
    assert sum(len(document.annotations[0]) for document in documents) > 100
    for document in documents:
        assert "{" not in document.text
        for span in document.annotations[0]:
            assert document.text[span.start : span.end] == span.entity


def test_names_are_replaced_and_all_else_stays() -> None:
    text = "证人孟某与葛兰芝系邻居。葛兰芝到庭。审判长 孟 小 勇"
    marked = [("孟某", 2), ("葛兰芝", 5), ("葛兰芝", 12), ("孟 小 勇", 22)]
    spans = tuple(
        GoldSpan(text.index(name, at - 1), text.index(name, at - 1) + len(name), "PERSON", name, "DIRECT")
        for name, at in marked
    )
    document = GoldDocument("one", text, "zh", (spans,))
    for copy in list(rename_people([document], 1, 8))[::2]:
        pieces = [copy.text[span.start : span.end] for span in copy.annotations[0]]
        assert pieces[1] == pieces[2]
        assert " " in pieces[3]
        assert "葛兰芝" not in copy.text
        assert copy.text.replace(pieces[3], "").replace(pieces[1], "").replace(pieces[0], "") == (
            "证人与系邻居。到庭。审判长 "
        )


@pytest.mark.parametrize("kind", ["han", "minority", "foreign", "any"])
def test_names_for_measuring_are_never_trained_on(kind: str) -> None:
    rng = random.Random(1)
    training, measuring = (
        {ChineseNames(held_out).draw(kind, rng) for _ in range(400)} for held_out in (False, True)
    )
    assert not training & measuring - {
        name for name in training if "某" in name or "×" in name or "X" in name
    }


def test_names_stand_for_roles_in_every_other_copy() -> None:
    text = "被告人孟某称，他没有见过证人。被害人未到庭，被告人孟某离开。"
    spans = tuple(GoldSpan(at, at + 2, "PERSON", "孟某", "DIRECT") for at in (3, text.rindex("孟某")))
    copies = list(rename_people([GoldDocument("one", text, "zh", (spans,))], 3, 20))
    assert all(len(copy.annotations[0]) == 2 for copy in copies[::2])
    hidden = copies[1::2]
    assert any(len(copy.annotations[0]) > 2 for copy in hidden)
    assert any("被告人" not in copy.text for copy in hidden)
    for copy in hidden:
        plain = copy.text
        for span in reversed(copy.annotations[0]):
            assert copy.text[span.start : span.end] == span.entity
            plain = plain[: span.start] + plain[span.end :]
        for role in ("被告人", "他", "证人", "被害人"):
            plain = plain.replace(role, "")
        assert plain == "称，没有见过。未到庭，离开。"


def test_some_documents_are_broken_like_columns_and_poor_scans() -> None:
    names = [
        span.entity for document in write_frames(4, 300) for span in document.annotations[0] if span.entity
    ]
    assert any("\n" in name for name in names)
    assert any(" " in name for name in names)
    assert sum(name.split() == [name] for name in names) > 0.95 * len(names)


@pytest.mark.parametrize("kind", ["minority", "foreign"])
def test_names_have_many_forms(kind: str) -> None:
    rng = random.Random(2)
    names = {ChineseNames().draw(kind, rng) for _ in range(2000)}
    assert {len(name) for name in names} >= set(range(2, 12))
    assert len(names) > 1000
    assert any("·" in name for name in names)
    assert any("·" not in name and len(name) > 4 for name in names)
