from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.encoders import topics as topics_module
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.topics import PublicTopics


def ids(encoder: PublicEncoder, text: str) -> list[int]:
    return [i for chunk in encoder.chunks(text).ids for i in chunk]


def test_a_histogram_is_a_distribution(encoder: PublicEncoder, topics: PublicTopics) -> None:
    histogram = topics.histogram(ids(encoder, "The court convicted the defendant of theft of a horse."))
    assert histogram.shape == (64,)
    assert histogram.dtype == np.float32
    assert histogram.sum() == pytest.approx(1)
    assert (topics.n_topics, topics.names[0], topics.names[-1]) == (64, "topic-00", "topic-63")


@pytest.mark.parametrize("text", ["", "of the and herein, 12 (3)", "[PERSON_1] [ORGANIZATION_2] [DATE_3]"])
def test_only_subjects_count(encoder: PublicEncoder, topics: PublicTopics, text: str) -> None:
    assert not topics.histogram(ids(encoder, text)).any()


def test_related_words_share_a_topic(encoder: PublicEncoder, topics: PublicTopics) -> None:
    court, judge, guitar = (
        topics.histogram(ids(encoder, word)).argmax() for word in ("court", "judge", "guitar")
    )
    assert court == judge != guitar


def test_a_topic_count_that_cannot_be_is_refused(encoder: PublicEncoder) -> None:
    for count in (1, 10**6):
        with pytest.raises(ValueError, match="topics cannot be made"):
            PublicTopics.load(encoder, count)


class FakeEncoder:
    """An encoder with a chosen vocabulary and random token embeddings."""

    def __init__(self, vocabulary: list[str]) -> None:
        self._vocabulary = vocabulary
        self.digest = "-".join(vocabulary)
        self.vocab_size = len(vocabulary)
        self.token_embeddings = torch.randn(len(vocabulary), 8, generator=torch.Generator().manual_seed(1))

    def vocabulary(self) -> list[str]:
        return self._vocabulary


def words_with_a_topic(vocabulary: list[str]) -> list[str]:
    topics = PublicTopics.load(FakeEncoder(vocabulary), 2)  # type: ignore[arg-type]
    return [word for word, topic in zip(vocabulary, topics.of_token, strict=True) if topic < 2]


WORDS = ["contract", "tenant", "theft", "judge", "lease", "appeal"]
NO_WORDS = [
    "",
    "[PAD]",
    "##ing",
    "the",
    "herein",
    "Whereas",
    "person",
    "organization",
    "of",
    "12",
    "a1b",
    "§",
    "-",
]


def test_only_subject_words_of_a_wordpiece_vocabulary_have_a_topic() -> None:
    assert words_with_a_topic([*NO_WORDS, *WORDS, "法", "被告", "∂x"]) == [*WORDS, "法", "被告"]


@pytest.mark.parametrize("mark", ["\u0120", "\u2581"], ids=["byte-level BPE", "SentencePiece"])
def test_only_beginnings_of_words_have_a_topic_where_the_vocabulary_marks_them(mark: str) -> None:
    # Only more than a hundred marks count: a WordPiece vocabulary may contain such a character as a letter.
    fillers = [f"{mark}{number}" for number in range(101)]
    vocabulary = [*fillers, *(mark + word for word in WORDS), *WORDS, f"{mark}the", f"{mark}to"]
    assert words_with_a_topic(vocabulary) == [mark + word for word in WORDS]
    assert words_with_a_topic([*(mark + word for word in NO_WORDS), *WORDS])[-len(WORDS) :] == WORDS


def test_shares_count_repeated_words_and_ignore_words_without_a_topic() -> None:
    topics = PublicTopics(np.array([0, 1, 2, 2]), n_topics=2)
    np.testing.assert_allclose(topics.histogram([0, 0, 0, 1, 2, 3, 3]), [0.75, 0.25])
    np.testing.assert_array_equal(topics.histogram([2, 3]), [0, 0])
    np.testing.assert_array_equal(topics.histogram(iter([])), [0, 0])


@given(st.lists(st.integers(0, 9), max_size=50))
def test_the_order_of_words_does_not_matter(token_ids: list[int]) -> None:
    topics = PublicTopics(np.arange(10) % 4, n_topics=3)
    histogram = topics.histogram(token_ids)
    np.testing.assert_array_equal(histogram, topics.histogram(sorted(token_ids)))
    assert float(histogram.sum()) == pytest.approx(float(any(token % 4 < 3 for token in token_ids)))
    assert histogram.min() >= 0


def test_topics_are_computed_once_per_encoder_and_count(tiny: PublicEncoder) -> None:
    assert PublicTopics.load(tiny, 8) is PublicTopics.load(tiny, 8)
    assert PublicTopics.load(tiny, 8) is not PublicTopics.load(tiny, 9)
    assert PublicTopics.load(tiny, 9).names[-1] == "topic-08"


def test_topics_are_computed_once_per_user(
    tiny: PublicEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(PublicTopics, "_loaded", {})
    first = PublicTopics.load(tiny, 3).of_token
    with monkeypatch.context() as patch:
        patch.setattr(topics_module, "_cluster", lambda *_: pytest.fail("they were computed again"))
        PublicTopics._loaded.clear()
        np.testing.assert_array_equal(PublicTopics.load(tiny, 3).of_token, first)
    PublicTopics._loaded.clear()
    assert PublicTopics.load(tiny, 4).n_topics == 4
    assert len(list((tmp_path / "lexveil").iterdir())) == 2
