"""Label-free targets: the shares of a few public groups of words in a text.

The groups are clusters of the encoder's PUBLIC token embeddings. No private text takes part in them, so a
model that is trained to predict them from a corrupted text spends privacy in its training steps only.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable
from importlib.metadata import version
from importlib.resources import files
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lexveil.nlp.cache import compute_once
from lexveil.nlp.encoders.chunks import MASK_WORDS
from lexveil.nlp.encoders.public import PublicEncoder

N_TOPICS = 64
_SEED = 20240607
_SHORTEST_WORD = 3

# Words that every text contains: in a histogram, they would show the style and hide the subject.
_FUNCTION_WORDS = """
the and for that this with not are was were been being have has had having from but his her hers him she
they them their theirs its our ours your yours you who whom whose which what when where why how all any
both each few more most other others some such nor only own same than too very can will just should shall
would could may might must ought into onto upon over under above below between among through during before
after again further then once here there out off down about against until while because since although
though unless whether either neither also however therefore thereof therein thereto thereby thereunder
herein hereof hereto hereby hereunder hereinafter wherein whereas whereby within without per via yet still
did does doing done one two three first second every another much many else ever never even already said
including include includes included etc  these those itself himself herself themselves ourselves
"""


class PublicTopics:
    """Clusters of public token embeddings. Use `PublicTopics.load(encoder)`.

    Attributes:
        of_token: Topic of each token id, `n_topics` for a token without one. Shape (vocab_size,).
        n_topics: Number of topics.
        names: Name of each topic.
    """

    _loaded: ClassVar[dict[tuple[str, int], PublicTopics]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, of_token: NDArray[np.int64], n_topics: int) -> None:
        self.of_token = of_token
        self.n_topics = n_topics
        self.names = tuple(f"topic-{i:02d}" for i in range(n_topics))

    @classmethod
    def load(cls, encoder: PublicEncoder, n_topics: int = N_TOPICS) -> PublicTopics:
        """Compute the topics of an encoder, once per user; they are the same in every process.

        Raises:
            ValueError: The vocabulary has fewer words than topics, or `n_topics` is less than 2.
        """
        key = (encoder.digest, n_topics)
        with cls._lock:
            if key not in cls._loaded:
                words = _find_words(encoder.vocabulary())
                if n_topics < 2 or len(words) < n_topics:
                    raise ValueError(f"{n_topics} topics cannot be made of {len(words)} words")
                of_token = compute_once(
                    _compute_key(encoder, words, n_topics),
                    encoder.vocab_size,
                    np.int64,
                    lambda: _cluster(encoder, words, n_topics),
                )
                cls._loaded[key] = cls(of_token, n_topics)
            return cls._loaded[key]

    def histogram(self, token_ids: Iterable[int]) -> NDArray[np.float32]:
        """Compute the share of each topic among the tokens that have a topic.

        Function words and word endings have none. The shares are not smoothed: the loss that they are the
        target of (`losses.denoising_loss`) is defined at zero.

        Returns:
            Shares that sum to 1, shape (n_topics,), float32. Zeros for a text without a topic word; its loss
            and gradient are then zero.
        """
        ids = np.fromiter(token_ids, dtype=np.int64)
        counts = np.bincount(self.of_token[ids], minlength=self.n_topics + 1)[: self.n_topics]
        return (counts / max(1, counts.sum())).astype(np.float32)


def _compute_key(encoder: PublicEncoder, words: list[int], n_topics: int) -> str:
    """Return a digest of everything that determines the topics of an encoder's words."""
    versions = [version(name) for name in ("scikit-learn", "numpy")]
    facts = [encoder.digest, encoder.vocab_size, words, n_topics, versions]
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(files("lexveil.nlp.encoders").joinpath("topics.py").read_bytes())
    return f"topics-{digest.hexdigest()[:32]}"


def _cluster(encoder: PublicEncoder, words: list[int], n_topics: int) -> NDArray[np.int64]:
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    rows = encoder.token_embeddings[words].numpy()
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)
    clusters = MiniBatchKMeans(n_topics, random_state=_SEED, n_init="auto", batch_size=2048, max_iter=20)
    # On more threads, sums in another order could move a word across a border, and topics are stored as
    # targets.
    with threadpool_limits(1):
        assigned = clusters.fit_predict(rows)
    topic_of_token = np.full(encoder.vocab_size, n_topics, dtype=np.int64)
    topic_of_token[words] = assigned
    return topic_of_token


def _find_words(vocabulary: list[str]) -> list[int]:
    """Return the ids of tokens that are a word or begin one.

    Words consist of letters only and are neither function words nor mask words. Vocabularies mark them in
    three ways: "##" before a continuation (WordPiece), "\u0120" (byte-level BPE) or "\u2581" (SentencePiece)
    before a beginning.
    """
    # More than 100, because a WordPiece vocabulary may contain such a character as a letter.
    marks = (mark for mark in ("\u2581", "\u0120") if sum(t.startswith(mark) for t in vocabulary) > 100)
    mark = next(marks, "")
    dropped = {*_FUNCTION_WORDS.split(), *MASK_WORDS.values()}
    words: list[int] = []
    for token_id, token in enumerate(vocabulary):
        word = token.removeprefix(mark)
        # A fixed range instead of `letters.HAN`: models depend on the topics of an encoder.
        long_enough = len(word) >= _SHORTEST_WORD or "\u4e00" <= word <= "\u9fff"
        if token.startswith(mark) and word.isalpha() and long_enough and word.lower() not in dropped:
            words.append(token_id)
    return words
