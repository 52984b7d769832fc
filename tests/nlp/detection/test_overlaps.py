"""Many findings about the same characters settle to one row of spans."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.detection.overlaps import drop_touching, resolve_overlaps
from lexveil.nlp.recognizers.scores import LEARNED
from lexveil.nlp.text import Span

TEXT = "Margaret Thornbury of Elmsworth, no. 1:19-cv-01234, paid."


def spans() -> st.SearchStrategy[list[Span]]:
    one = st.builds(
        lambda start, length, kind, score, by: Span(start, min(start + length, len(TEXT)), kind, score, by),
        st.integers(0, len(TEXT) - 1),
        st.integers(1, 30),
        st.sampled_from(["PERSON", "DATE", "ORGANIZATION"]),
        st.floats(0.1, 1.0),
        st.sampled_from([LEARNED, "PersonRecognizer"]),
    )
    return st.lists(one, max_size=8)


@given(spans())
def test_nothing_that_was_found_becomes_readable(found: list[Span]) -> None:
    settled = resolve_overlaps(TEXT, found)
    assert all(a.end <= b.start for a, b in pairwise(settled))
    covered = {place for span in settled for place in range(span.start, span.end)}
    wanted = {place for span in found for place in range(span.start, span.end)}
    assert {place for place in wanted if TEXT[place].isalnum()} <= covered


def test_a_rule_says_the_type_and_a_model_may_add_characters() -> None:
    number = TEXT.index("1:19")
    rule = Span(number, number + 13, "CASE_NUMBER", 0.8, "CaseNumberRecognizer")
    model = Span(number - 4, number + 13, "QUANTITY", 0.99, LEARNED)
    kinds = {TEXT[s.start : s.end]: s.type for s in resolve_overlaps(TEXT, [rule, model])}
    assert kinds == {"no.": "QUANTITY", "1:19-cv-01234": "CASE_NUMBER"}


def test_what_a_check_digit_proves_stays_inside_of_a_citation_and_a_probability_does_not() -> None:
    proved = Span(2, 8, "EMAIL", 1.0, "EmailRecognizer")
    guessed = Span(2, 8, "ORGANIZATION", 1.0, LEARNED)
    apart = Span(40, 44, "ORGANIZATION", 0.6, LEARNED)
    assert drop_touching([proved, guessed, apart], [(0, 20)]) == [proved, apart]
