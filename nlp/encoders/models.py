"""Models that are trained: a body over public embeddings or tokens, and a head.

The body is an identity, a small MLP, a bidirectional LSTM (`lstm.py`), one with attention over topics
(`topic_lstm.py`) or the encoder itself (`transformer.py`).

Everything trainable is in plain layers that the DP engine can instrument from outside; everything public is
frozen and not saved. Features are bounded (norm at most 1). Logits are linear in them, or computed by a
two-layer network with a polynomial of degree 2 or 3, so that the head can be served encrypted.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from lexveil.nlp.encoders.config import LOGIT_SCALES, Activation, ModelConfig, compute_input_dim, takes_tokens
from lexveil.nlp.encoders.heads import BoundedLayer, PolynomialHead, make_zero_layer
from lexveil.nlp.encoders.inputs import Inputs, TokenBatch, UniformSource
from lexveil.nlp.encoders.lstm import TokenLSTM
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.topic_lstm import TopicLSTM, list_topic_tokens
from lexveil.nlp.encoders.transformer import TokenTransformer

Body = nn.Identity | BoundedLayer | TokenLSTM | TokenTransformer


class FeatureModel(nn.Module):
    """Model from inputs to features of norm at most 1, and from features to logits.

    Inputs are centered embeddings, shape (items, input_dim), or a `TokenBatch` with one chunk per item,
    according to `takes_tokens`. The features of a document with several chunks are the mean of the chunks'
    features, and its logits are `head` of that mean.

    Attributes:
        config: Configuration of the model.
        body: Layers from inputs to features.
        head: Layers from features to logits.
        logit_scale: Factor on the logits in training; 1 after `fold`.
    """

    def __init__(
        self,
        config: ModelConfig,
        body: Body,
        head: nn.Linear | PolynomialHead,
    ) -> None:
        super().__init__()
        self.config = config
        self.body = body
        self.head = head
        self.logit_scale = LOGIT_SCALES.get(config.kind, 1.0)

    @property
    def output(self) -> nn.Linear:
        """The last layer, whose outputs are the logits."""
        return self.head.last if isinstance(self.head, PolynomialHead) else self.head

    def features(self, inputs: Inputs) -> Tensor:
        """Return the features of each item. Shape: (items, feature_dim).

        Raises:
            TypeError: The inputs are embeddings for a kind that takes tokens, or the reverse.
        """
        if isinstance(inputs, TokenBatch) != takes_tokens(self.config.kind):
            raise TypeError(f"a model of kind {self.config.kind} does not take {type(inputs).__name__}")
        return self.body(inputs)

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the logits of each item. Shape: (items, labels)."""
        return self.logit_scale * self.head(self.features(inputs))

    def fold(self) -> None:
        """Merge what only training needs into the weights of the head, permanently. Logits do not change."""
        if isinstance(self.head, PolynomialHead):
            self.head.fold()
        with torch.no_grad():
            for parameter in self.output.parameters():
                parameter.mul_(self.logit_scale)
        self.logit_scale = 1.0

    def corrupt(self, inputs: Inputs, rng: UniformSource, rate: float) -> Inputs:
        """Return inputs with part of their information removed, as the denoising objective needs them.

        Coordinates of embeddings are dropped with probability `rate` and the others scaled by 1/(1-rate),
        which preserves the expectation; tokens are replaced by the encoder's mask token.

        Raises:
            ValueError: `rate` is not within [0, 1).
        """
        if not 0 <= rate < 1:
            raise ValueError(f"corruption rate {rate} is not within [0, 1)")
        values = inputs.ids if isinstance(inputs, TokenBatch) else inputs
        dropped = torch.from_numpy(rng.random(tuple(values.shape)) < rate).to(values.device)
        if isinstance(inputs, TokenBatch):
            body = cast("TokenLSTM | TokenTransformer", self.body)
            return TokenBatch(inputs.ids.masked_fill(dropped, body.mask_id), inputs.lengths)
        return inputs.masked_fill(dropped, 0.0) / (1 - rate)


def build_model(
    config: ModelConfig, encoder: PublicEncoder, seed: int = 0, activation: Activation | None = None
) -> FeatureModel:
    """Build an untrained model: a head of zeros, and a body drawn from `seed`.

    The seed is public: the initial weights depend on no document.

    Args:
        config: Configuration of the model.
        encoder: Public encoder that `config` names.
        seed: Seed of the random initial weights.
        activation: Activation of the head if it differs from the kind's, for a comparison.

    Raises:
        ValueError: `encoder` is not the one that `config` names.
        NotTrainableError: The encoder lacks the part that this kind trains.
    """
    input_dim = compute_input_dim(encoder.dimension, config.representation)
    if config.encoder_digest != encoder.digest or config.input_dim != input_dim:
        raise ValueError("the configuration names another encoder")
    if config.precision != encoder.precision:
        raise ValueError("the configuration names another precision of the encoder")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        labels = len(config.labels)
        body = _build_body(config, encoder)
        if config.kind == "square" or config.kind == "cubic":
            head = PolynomialHead(
                config.input_dim,
                config.hidden,
                labels,
                activation or config.kind,
                encoder,
                config.representation,
            )
        else:
            head = make_zero_layer(config.feature_dim, labels)
    model = FeatureModel(config, body, head)
    if config.objective == "classify":
        # The gradient of the bias would be as large as that of all weights on features of norm 1 and take
        # half of what clipping leaves: .737 instead of .722 micro-F1 on a held-out fifth of the owners of
        # contract_provisions.
        model.output.bias.requires_grad_(False)
    if config.objective == "multilabel":
        # As if each document had exactly one label: no step is spent on learning that most are absent.
        nn.init.constant_(model.output.bias, -math.log(max(1, labels - 1)) / model.logit_scale)
    return model


def _build_body(config: ModelConfig, encoder: PublicEncoder) -> Body:
    match config.kind:
        case "mlp":
            return BoundedLayer(config.input_dim, config.hidden)
        case "lstm":
            return TokenLSTM(encoder, config.hidden, config.start)
        case "topic_lstm":
            return TopicLSTM(encoder, config.hidden, list_topic_tokens(config, encoder), config.start)
        case "lora" | "last_layers" | "full":
            return TokenTransformer(encoder, config.kind, config.size)
        case "linear" | "square" | "cubic":
            return nn.Identity()
