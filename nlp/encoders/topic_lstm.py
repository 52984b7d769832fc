"""Bidirectional LSTM that also attends to the topics of a text, each of them for a limited share of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from lexveil.nlp.encoders.config import LstmStart, ModelConfig
from lexveil.nlp.encoders.inputs import TokenBatch, chunk_names
from lexveil.nlp.encoders.lstm import TokenLSTM, collate_public_chunks
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.topics import PublicTopics
from lexveil.nlp.encoders.transformer import NotTrainableError

# A token that is the only word of a topic gets nearly all attention, among a hundred topics.
_SHARPNESS = 10.0
# Share of a chunk's positions that one topic may take: a term that returns in each line hides no others.
_LARGEST_SHARE = 0.125


class TopicLSTM(TokenLSTM):
    """LSTM with attention over topics and coverage, from chunks of tokens to features of norm 1.

    At each position, the token and the state of the LSTM attend to the topics, which are vectors of public
    token embeddings: of the names of the classes, or of the public topics that are the targets of denoising.
    A coverage vector lowers the attention to a topic with all that it has received so far, so that one term
    cannot take the whole text (Feng et al. 2018, "Topic-to-Essay Generation with Neural Networks", section
    3.3, here for reading instead of writing, and with a fixed budget for all topics). The features are those
    of `TokenLSTM`, followed by the mean topic that was attended to, minus that of public text, scaled to the
    same norm. Before training, attention follows the public embeddings alone: the layer from the states
    starts at zero.

    Args:
        encoder: Public encoder.
        hidden: Width of each direction of the LSTM.
        topics: Token ids of each topic's words, whose mean public embedding is the topic's vector.
        start: Public weights that the LSTM starts from.
    """

    def __init__(
        self, encoder: PublicEncoder, hidden: int, topics: Sequence[Tensor], start: LstmStart = "random"
    ) -> None:
        super().__init__(encoder, hidden, start)
        vectors = torch.stack([self._embed(ids).sum(dim=0) / max(1, len(ids)) for ids in topics])
        # Centered, so that even attention to all topics is no topic. Not saved: made of public embeddings and
        # the names of the classes, which are in the configuration.
        self.register_buffer("topics", normalize(vectors - vectors.mean(dim=0), dim=1), persistent=False)
        self.query = nn.Linear(2 * hidden, vectors.shape[1], bias=False)
        nn.init.zeros_(self.query.weight)
        self.register_buffer("topic_center", self._compute_topic_center(encoder), persistent=False)

    def forward(self, inputs: TokenBatch) -> Tensor:
        """Return the features of chunks. Shape: (items, longest) -> (items, 2 hidden + width)."""
        states, lengths = self.states(inputs), inputs.lengths[:, None]
        summary = normalize(states.sum(dim=1) / lengths - self.get_buffer("center"), dim=1)
        topic = self._attend(states, inputs) @ self.get_buffer("topics") - self.get_buffer("topic_center")
        return torch.cat([summary, normalize(topic, dim=1)], dim=1) * 0.5**0.5

    def topic_shares(self, inputs: TokenBatch) -> Tensor:
        """Return the share of the attention that each topic gets in each chunk. Shape: (items, topics)."""
        return self._attend(self.states(inputs), inputs)

    def _attend(self, states: Tensor, inputs: TokenBatch) -> Tensor:
        """Return the mean attention to each topic over each chunk. Shape: (items, topics)."""
        queries = normalize(self._embed(inputs.ids) + self.query(states), dim=2)
        # Not below zero: what a topic that is used up gets must be the least.
        scores = _SHARPNESS * torch.relu(queries @ self.get_buffer("topics").T)
        lengths = inputs.lengths[:, None].to(scores.dtype)
        budget = (_LARGEST_SHARE * lengths).clamp(min=1)
        left = torch.ones_like(scores[:, 0])
        received = torch.zeros_like(left)
        for position, score in enumerate(scores.unbind(dim=1)):
            attention = torch.softmax(left * score, dim=1) * (position < lengths)
            # What every topic gets where no word has one uses nothing up.
            left = torch.relu(left - torch.relu(attention - 1 / left.shape[1]) / budget)
            received = received + attention
        return received / lengths

    @torch.no_grad()
    def _compute_topic_center(self, encoder: PublicEncoder) -> Tensor:
        """Return the mean topic of public text before training. Shape: (width,)."""
        inputs = collate_public_chunks(encoder)
        states = self.get_buffer("table").new_zeros(*inputs.ids.shape, self.query.in_features)
        return (self._attend(states, inputs) @ self.get_buffer("topics")).mean(dim=0)


def list_topic_tokens(config: ModelConfig, encoder: PublicEncoder) -> list[Tensor]:
    """Return the token ids of the words of each of a model's topics.

    For denoising, these are the public topics; else the names of the classes, which count as public.

    Raises:
        NotTrainableError: The token embeddings have another width than the encoder's, as those of ALBERT.
    """
    if encoder.token_embeddings.shape[1] != encoder.dimension:
        raise NotTrainableError(f"its token embeddings have another width than {encoder.dimension}; use lstm")
    if config.objective == "denoise":
        public = PublicTopics.load(encoder)
        return [torch.from_numpy((public.of_token == n).nonzero()[0]) for n in range(public.n_topics)]
    chunks = chunk_names(config, encoder)
    return [torch.tensor(ids[0] if ids else [], dtype=torch.long) for ids in chunks]
