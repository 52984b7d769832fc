from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.encoders.chunks import (
    MASK_WORDS,
    DocumentChunks,
    replace_masks,
    sample_windows,
    select_evenly,
    split_evenly,
)
from lexveil.nlp.entity_types import ENTITY_TYPES


def test_every_entity_type_has_a_word() -> None:
    assert set(MASK_WORDS) == set(ENTITY_TYPES)


@given(st.sampled_from(ENTITY_TYPES), st.integers(0, 10**6), st.integers(0, 10**6))
def test_numbers_of_masks_never_show(kind: str, one: int, other: int) -> None:
    assert replace_masks(f"whereas [{kind}_{one}] sues") == replace_masks(f"whereas [{kind}_{other}] sues")


def test_masks_side_by_side_stay_two_words_and_other_brackets_stay() -> None:
    assert replace_masks("被告人[PERSON_1][DATE_2]于").split() == ["被告人", "person", "date", "于"]
    assert replace_masks("[EXHIBIT_1] [sic] [PERSON]") == "[EXHIBIT_1] [sic] [PERSON]"


@given(st.lists(st.integers(0, 9), max_size=400), st.integers(1, 50))
def test_even_chunks_are_the_whole_and_equally_long(ids: list[int], size: int) -> None:
    chunks = split_evenly(ids, size)
    assert [i for chunk in chunks for i in chunk] == ids
    lengths = [len(chunk) for chunk in chunks]
    assert len(chunks) == -(-len(ids) // size)
    assert not lengths or (0 < min(lengths) <= max(lengths) <= min(size, min(lengths) + 1))


@given(st.integers(0, 500), st.integers(1, 40))
def test_a_selection_is_even_and_within_the_limit(total: int, limit: int) -> None:
    chosen = select_evenly(total, limit)
    assert len(chosen) == len(set(chosen)) == min(total, limit)
    assert chosen == sorted(chosen)
    gaps = [b - a for a, b in pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    if limit > 1 and total:
        assert (chosen[0], chosen[-1]) == (0, total - 1)


def test_windows_bound_what_is_tokenised_and_start_at_words() -> None:
    word = "agreement "
    found = sample_windows(word * 100_000, size=10, limit=4)
    assert found is not None
    assert len(found) == 4
    assert all(len(window) <= 120 and window.startswith("agreement") for window in found)
    assert sample_windows("short", size=10, limit=4) is None
    unbroken = sample_windows("诉" * 10_000, size=10, limit=4)
    assert unbroken == ["诉" * 120] * 4


def test_repr_shows_no_tokens() -> None:
    assert "4711" not in repr(DocumentChunks([[4711]], 1))
