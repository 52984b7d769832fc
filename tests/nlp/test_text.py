"""Normalised text: invisible characters gone, look-alikes folded, and every offset exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.text import NormalizedText

HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            list("abZé9 \n\r\t\u200b\u00ad\u0301\u0308\ufeff\u202e\u2060\u3000\u00a0１Ａ（“’–\U0001d400中某")
        ),
        st.characters(),
    ),
    max_size=60,
)


@given(HOSTILE)
def test_every_character_maps_to_its_own_place(text: str) -> None:
    normalised = NormalizedText.of(text)
    assert len(normalised.text) <= len(text)
    last = 0
    for index in range(len(normalised.text)):
        start, end = normalised.to_original(index, index + 1)
        assert last <= start < end <= len(text)
        last = end
    assert normalised.to_original(0, 0)[0] >= 0


@given(HOSTILE)
def test_neighbouring_spans_never_overlap(text: str) -> None:
    normalised = NormalizedText.of(text)
    for cut in range(1, len(normalised.text)):
        assert normalised.to_original(0, cut)[1] <= normalised.to_original(cut, len(normalised.text))[0]


@pytest.mark.parametrize(
    ("original", "folded"),
    [
        ("Jo\u200bhn\u00ad Doe", "John Doe"),
        ("\u201cJohn\u201d\u00a0\u2013 O\u2019Hara", '"John" - O\'Hara'),
        ("\uff11\uff12\uff13\uff21\uff08\uff09", "123A()"),
        ("Jose\u0301 Ma\u0308rz", "José März"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\U0001d409\U0001d428hn", "John"),
    ],
)
def test_folding(original: str, folded: str) -> None:
    assert NormalizedText.of(original).text == folded


def test_a_combining_mark_belongs_to_its_letter_and_a_line_end_to_nobody() -> None:
    assert NormalizedText.of("Jose\u0301,").to_original(0, 4) == (0, 5)
    assert NormalizedText.of("Jo\r\nx").to_original(0, 2) == (0, 2)


def test_repr_holds_no_text() -> None:
    assert "Secret" not in repr(NormalizedText.of("Secret\u200b name"))


def test_out_of_range() -> None:
    with pytest.raises(ValueError, match="outside"):
        NormalizedText.of("abc").to_original(1, 4)
