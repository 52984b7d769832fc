"""The models that are trained: a head, a small MLP or a bidirectional LSTM over public embeddings, or the
encoder itself (`transformer.py`).

Everything trainable lies in plain layers that the DP engine can instrument from outside; everything public
is frozen and not saved. Features are bounded (norm at most 1) and logits
are linear in them, or a two-layer network with a polynomial of degree 2 or 3, so that the head can be served
encrypted.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from lexveil.nlp.encoders.config import LOGIT_SCALES, Activation, ModelConfig, takes_tokens
from lexveil.nlp.encoders.heads import BoundedLayer, PolynomialHead, silent_layer
from lexveil.nlp.encoders.inputs import Inputs, Tokens, Uniform
from lexveil.nlp.encoders.lstm import TokenLSTM
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.transformer import TokenTransformer


class FeatureModel(nn.Module):
    """Inputs -> features (norm at most 1) -> logits, linear in the features.

    Inputs are centred embeddings, Shape (items, input_dim), or `Tokens` (`takes_tokens`), one chunk an item.
    A document of several chunks has the mean of their features, and `head` of that mean as logits.
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
        """Shape: (items, feature_dim)."""
        if isinstance(inputs, Tokens) != takes_tokens(self.config.kind):
            raise TypeError(f"a model of kind {self.config.kind} does not take {type(inputs).__name__}")
        return self.body(inputs)

    def forward(self, inputs: Inputs) -> Tensor:
        """Logits. Shape: (items, labels)."""
        return self.logit_scale * self.head(self.features(inputs))

    def fold(self) -> None:
        """Make what only training needs a part of the head's weights, for good: logits stay what they are."""
        if isinstance(self.head, PolynomialHead):
            self.head.fold()
        with torch.no_grad():
            for parameter in self.output.parameters():
                parameter.mul_(self.logit_scale)
        self.logit_scale = 1.0

    def corrupt(self, inputs: Inputs, rng: Uniform, rate: float) -> Inputs:
        """Inputs with a share of what they say taken away: what the denoising objective starts from.

        Coordinates of embeddings are dropped with probability `rate` and the others scaled by 1/(1-rate), so
        that the expectation stays; tokens become the encoder's mask token.
        """
        if not 0 <= rate < 1:
            raise ValueError(f"corruption rate {rate} is not within [0, 1)")
        values = inputs.ids if isinstance(inputs, Tokens) else inputs
        dropped = torch.from_numpy(rng.random(tuple(values.shape)) < rate).to(values.device)
        if isinstance(inputs, Tokens):
            body = cast("TokenLSTM | TokenTransformer", self.body)
            return Tokens(inputs.ids.masked_fill(dropped, body.mask_id), inputs.lengths)
        return inputs.masked_fill(dropped, 0.0) / (1 - rate)


Body = nn.Identity | BoundedLayer | TokenLSTM | TokenTransformer


def build(
    config: ModelConfig, encoder: PublicEncoder, seed: int = 0, activation: Activation | None = None
) -> FeatureModel:
    """A model before training: zero head, body drawn from `seed` (public: it knows nothing of any document).

    activation: another one than the kind's, for a comparison. Raises: ValueError if `encoder` is not the one
    that `config` names; NotTrainable if it has no part that this kind trains.
    """
    if config.encoder_digest != encoder.digest or config.input_dim != encoder.dimension:
        raise ValueError("the configuration names another encoder")
    if config.precision != encoder.precision:
        raise ValueError("the configuration names another precision of the encoder")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        labels = len(config.labels)
        body = _body(config, encoder)
        if config.kind == "square" or config.kind == "cubic":
            head = PolynomialHead(config.input_dim, config.hidden, labels, activation or config.kind, encoder)
        else:
            head = silent_layer(config.feature_dim, labels)
    model = FeatureModel(config, body, head)
    if config.objective == "classify" and isinstance(head, nn.Linear):
        # Its gradient would be as large as that of all weights on features of norm 1, and take half of what
        # clipping leaves: .737 instead of .722 micro-F1 on a held-out fifth of contract_provisions' owners.
        model.output.bias.requires_grad_(False)
    if config.objective == "multilabel":
        # As if a document had one label of all: no steps are spent on learning that most labels are absent.
        nn.init.constant_(model.output.bias, -math.log(max(1, labels - 1)) / model.logit_scale)
    return model


def _body(config: ModelConfig, encoder: PublicEncoder) -> Body:
    match config.kind:
        case "mlp":
            return BoundedLayer(config.input_dim, config.hidden)
        case "lstm":
            return TokenLSTM(encoder, config.hidden)
        case "lora" | "last_layers" | "full":
            return TokenTransformer(encoder, config.kind, config.size)
        case "linear" | "square" | "cubic":
            return nn.Identity()
