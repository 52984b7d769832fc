"""Windows cover a text, overlap, and end where something ends."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.detection.windows import OVERLAP, WINDOW, split_windows


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["word ", "line\n", "end.\n\n", "句子。", "x" * 700]), max_size=3000))
def test_windows_cover_the_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    cut = list(split_windows(text))
    assert all(
        text.startswith(window.text, window.start) and 0 < len(window.text) <= WINDOW for window in cut
    )
    assert "".join(text[a.start : b.start] for a, b in pairwise(cut)) + (cut[-1].text if cut else "") == text
    for a, b in pairwise(cut):
        assert a.start < b.start <= a.start + len(a.text) <= b.start + OVERLAP
