"""Windows cover a text, overlap, and end at a boundary."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.detection.windows import OVERLAP, WINDOW, split_windows


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["word ", "line\n", "end.\n\n", "句子。", "x" * 700]), max_size=3000))
def test_windows_cover_the_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    windows = list(split_windows(text))
    assert all(
        text.startswith(window.text, window.start) and 0 < len(window.text) <= WINDOW for window in windows
    )
    covered = "".join(text[a.start : b.start] for a, b in pairwise(windows))
    assert covered + (windows[-1].text if windows else "") == text
    for a, b in pairwise(windows):
        assert a.start < b.start <= a.start + len(a.text) <= b.start + OVERLAP


@pytest.mark.parametrize("text", ["a", "a" * WINDOW, "word " * (WINDOW // 5)])
def test_a_short_text_is_one_window(text: str) -> None:
    assert [(window.start, window.text) for window in split_windows(text)] == [(0, text)]


def test_an_empty_text_has_no_window() -> None:
    assert list(split_windows("")) == []


@pytest.mark.parametrize(
    ("better", "worse"),
    [("\n\n", "\n"), ("\n", "。"), ("。", ". "), (". ", "; "), ("; ", ", "), (", ", " ")],
    ids=["paragraph", "line", "Chinese sentence", "sentence", "semicolon", "comma"],
)
def test_a_window_ends_at_the_best_boundary_of_its_second_half(better: str, worse: str) -> None:
    text = "x" * 2500 + better + "x" * 500 + worse + "x" * 5000
    first = next(split_windows(text))
    assert first.text.rstrip(" ") == text[: 2500 + len(better)].rstrip(" ")


def test_a_boundary_in_the_first_half_would_waste_the_window() -> None:
    text = "x" * 100 + "\n\n" + "x" * 2500 + " " + "x" * 5000
    assert len(next(split_windows(text)).text) == 2603


def test_a_text_without_boundaries_is_cut_at_the_limit() -> None:
    first, second, *_ = split_windows("x" * 9000)
    assert (len(first.text), second.start) == (WINDOW, WINDOW - OVERLAP)


def test_a_window_after_a_paragraph_does_not_overlap() -> None:
    text = "x " * 1500 + "\n\n" + "y " * 1500
    first, second = split_windows(text)
    assert first.text.endswith("\n\n")
    assert second.start == len(first.text)


def test_a_name_across_a_boundary_is_whole_in_one_window() -> None:
    name = "Osgood Pell"
    for shift in range(0, 300, 13):
        text = "so " * 1250 + "x" * shift + " " + name + " " + "so " * 1000
        assert any(name in window.text for window in split_windows(text))
