from __future__ import annotations

import numpy as np
import pytest

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
