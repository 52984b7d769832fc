"""The models that are trained: a head, a small MLP or a bidirectional LSTM over public embeddings, or the
encoder itself (`transformer.py`).

Everything trainable lies in plain layers that the DP engine can instrument from outside; everything public
is frozen and not saved. Features are bounded (norm at most 1) and logits
are linear in them, or a two-layer network with a polynomial of degree 2 or 3, so that the head can be served
encrypted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple, Protocol, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, log_softmax, normalize, pad
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nlp.encoders.packed import Precision
from nlp.encoders.public import CHUNK_LENGTH, CHUNK_LIMIT, PublicEncoder, public_passages
from nlp.encoders.transformer import TokenTransformer

SCHEMA_VERSION = 2
HIDDEN = 128
# Of a head that is evaluated encrypted: 64 units over 384 features leave eight documents to a ciphertext.
HEAD_HIDDEN = 64

Kind = Literal["linear", "mlp", "lstm", "square", "cubic", "lora", "last_layers", "full"]
TRANSFORMERS: tuple[Kind, ...] = ("lora", "last_layers", "full")
# Rank of the adapters, and number of layers: what `size` is of each kind that has one.
SIZES: dict[Kind, int] = {"lora": 8, "last_layers": 1}
# One rate, one norm and one noise go for all weights, but a head bears larger steps and more noise than what
# lies under it, the more so the more weights that are. Its logits are scaled in training: by this number its
# gradient grows, and by the square of it what a step changes in the logits.
LOGIT_SCALES: dict[Kind, float] = {"lstm": 100.0, "lora": 20.0, "last_layers": 100.0, "full": 300.0}
Activation = Literal["square", "cubic", "relu"]
Objective = Literal["classify", "multilabel", "denoise"]


class Tokens(NamedTuple):
    """Right-padded chunks. Shapes: ids (items, longest) int64, lengths (items,) int64, each at least 1."""

    ids: Tensor
    lengths: Tensor


Inputs = Tensor | Tokens

# What a cubic's coefficients start from, ascending, without a constant: increasing, and bent on both sides.
CUBIC = (0.5, 0.25, 0.05)
_LSTM_WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
# oneDNN keeps a compiled kernel, of about a megabyte, for each shape of a batch.
_LSTM_STEP = 16
# All units pull at these three numbers, so that their gradients, and their noise, would swing them.
_POWER_SCALE = 0.1


class Uniform(Protocol):
    """Draws from [0, 1); a numpy Generator is one."""

    def random(self, size: tuple[int, ...], /) -> NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a model is; with its weights, all that is saved of it. Make one with `ModelConfig.of`.

    input_dim: width of the encoder. feature_dim: hidden (mlp), 2 hidden (lstm), else input_dim. hidden: of
    the head for square and cubic; 0 for linear and transformers. size: rank of the adapters (lora), number of
    trained layers (last_layers), else 0. precision: of the embeddings that the model was trained on.

    Raises: ValueError for anything that does not fit together.
    """

    kind: Kind
    encoder_digest: str
    input_dim: int
    feature_dim: int
    labels: tuple[str, ...]
    objective: Objective
    hidden: int
    chunk_length: int
    chunk_limit: int
    size: int = 0
    precision: Precision = "float32"
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(f"model schema version {self.schema_version} is not {SCHEMA_VERSION}")
        if self.kind not in get_args(Kind) or self.objective not in get_args(Objective):
            raise ValueError("kind or objective of the model is unknown")
        if self.precision not in get_args(Precision):
            raise ValueError("precision of the model is unknown")
        if not re.fullmatch(r"[0-9a-f]{64}", self.encoder_digest):
            raise ValueError("the encoder's digest is not 64 hexadecimal digits")
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"{len(self.labels)} labels: at least two are needed, and each but once")
        if self.input_dim < 1 or self.feature_dim != _feature_dim(self.kind, self.input_dim, self.hidden):
            raise ValueError(
                f"feature_dim {self.feature_dim} does not follow from kind, input_dim and hidden"
            )
        if (self.kind in ("linear", *TRANSFORMERS)) != (self.hidden == 0) or self.hidden < 0:
            raise ValueError(f"hidden {self.hidden} does not fit the kind")
        if (self.kind in SIZES) != (self.size != 0) or self.size < 0:
            raise ValueError(f"size {self.size} does not fit the kind")
        if self.chunk_length < 3 or self.chunk_limit < 1:
            raise ValueError(f"chunk length {self.chunk_length} or limit {self.chunk_limit} is too small")

    @classmethod
    def of(
        cls,
        kind: Kind,
        encoder: PublicEncoder,
        labels: Sequence[str],
        objective: Objective = "classify",
        *,
        hidden: int | None = None,
        size: int | None = None,
        chunk_length: int = CHUNK_LENGTH,
        chunk_limit: int = CHUNK_LIMIT,
    ) -> ModelConfig:
        """The configuration of a model over `encoder`; dimensions follow. `hidden` and `size` are ignored by
        kinds that have none.
        """
        usual = HEAD_HIDDEN if kind in ("square", "cubic") else HIDDEN
        hidden = 0 if kind in ("linear", *TRANSFORMERS) else hidden or usual
        size = (size or SIZES[kind]) if kind in SIZES else 0
        feature_dim = _feature_dim(kind, encoder.dimension, hidden)
        return cls(
            kind, encoder.digest, encoder.dimension, feature_dim, tuple(labels), objective, hidden,
            chunk_length, chunk_limit, size, encoder.precision,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` takes back."""
        return {**asdict(self), "labels": list(self.labels)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelConfig:
        """Raises: ValueError for another schema version, missing or unknown keys, wrong types."""
        # Before the keys: another version may have others, and its number is the better message.
        if value.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"the model's schema version is not {SCHEMA_VERSION}")
        value = {"precision": "float32", **value}  # what models were trained on before there was a choice
        wanted = {f.name: str(f.type) for f in fields(cls)}
        if set(value) != set(wanted):
            raise ValueError("the model's configuration has missing or unknown keys")
        for name, declared in wanted.items():
            expected = int if declared == "int" else list if name == "labels" else str
            if type(value[name]) is not expected:
                raise ValueError(f"{name} in the model's configuration has a wrong type")
        labels = cast("list[object]", value["labels"])
        if not all(isinstance(label, str) for label in labels):
            raise ValueError("labels in the model's configuration has a wrong type")
        return cls(**cast("dict[str, Any]", {**value, "labels": tuple(labels)}))


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


class BoundedLayer(nn.Module):
    """normalize(tanh(W x sqrt(input_dim) + b)): a hidden layer whose output has norm 1."""

    def __init__(self, input_dim: int, hidden: int) -> None:
        super().__init__()
        # Inputs of unit norm have coordinates of about 1/sqrt(input_dim): scaled up, tanh bends them at all.
        self.scale = input_dim**0.5
        self.linear = nn.Linear(input_dim, hidden)

    def forward(self, inputs: Tensor) -> Tensor:
        return normalize(torch.tanh(self.linear(inputs * self.scale)), dim=1)


class PolynomialHead(nn.Module):
    """last(activation(normalised(first(x)))): the network that is served encrypted, trained as it is served.

    The activation is a polynomial from the start, a square or a cubic without constant whose coefficients are
    trained; `relu` is for comparison only. Before it stands the normalisation of a batch normalisation, but
    by the mean and variance that *public* text has at the present weights: those of private batches would
    couple examples and be a statistic nobody was charged for. `fold` makes it part of the first layer.
    """

    def __init__(
        self, input_dim: int, hidden: int, labels: int, activation: Activation, encoder: PublicEncoder
    ) -> None:
        super().__init__()
        self.activation: Activation = activation
        self.folded = False
        self._encoder = encoder
        self.first = nn.Linear(input_dim, hidden)
        # Features of norm 1 get hidden values of variance 1. Half of the units lean to each side: a square
        # has a slope only off its axis.
        nn.init.normal_(self.first.weight)
        nn.init.ones_(self.first.bias)
        with torch.no_grad():
            self.first.bias[::2] = -1.0
        if activation == "cubic":
            # A linear layer from the powers, shared by all units, so that the DP engine can clip it.
            self.powers = nn.Linear(3, 1, bias=False)
            with torch.no_grad():
                self.powers.weight.copy_(torch.tensor([CUBIC]) / _POWER_SCALE)
        # So that what the last layer is given has a norm of about 1, and noise on its weights does not drown
        # it: .70 instead of .63 micro-F1 on contract_provisions' development part, at epsilon 8.
        self.scale = 0.5 / hidden**0.5
        self.last = _silent_layer(hidden, labels)

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (items, input_dim) -> (items, labels)."""
        hidden = self.first(features)
        if not self.folded:
            shift, scale = self._normalisation()
            hidden = (hidden - shift) * scale
        return self.last(self._activated(hidden) * self.scale)

    def fold(self) -> None:
        """Make the normalisation a part of the first layer, for good: logits stay what they are."""
        if self.folded:
            return
        shift, scale = self._normalisation()
        with torch.no_grad():
            self.first.weight.mul_(scale[:, None])
            self.first.bias.sub_(shift).mul_(scale)
        self.folded = True

    def coefficients(self) -> tuple[float, ...]:
        """Of the polynomial, in ascending order of the powers."""
        if self.activation == "square":
            return (0.0, 0.0, 1.0)
        return (0.0, *(_POWER_SCALE * float(value) for value in self.powers.weight.detach()[0]))

    def _activated(self, hidden: Tensor) -> Tensor:
        if self.activation == "relu":
            return hidden.clamp(min=0)
        if self.activation == "square":
            return hidden * hidden
        squared = hidden * hidden
        powers = torch.stack([hidden, squared, squared * hidden], dim=-1) * _POWER_SCALE
        return self.powers(powers).squeeze(-1)

    def _normalisation(self) -> tuple[Tensor, Tensor]:
        """What public text has at the present weights, as constants: mean, 1 / deviation. (hidden,) each."""
        weight = self.first.weight.detach()
        mean, covariance = (torch.from_numpy(value).to(weight) for value in self._encoder.public_moments)
        return weight @ mean, ((weight @ covariance) * weight).sum(dim=1).clamp(min=1e-12).rsqrt()


def _silent_layer(inputs: int, labels: int) -> nn.Linear:
    layer = nn.Linear(inputs, labels)
    # Zero: the first logits say nothing, so the first clipped gradients are about the labels alone instead of
    # undoing a random start, which would cost privacy.
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class TokenLSTM(nn.Module):
    """A bidirectional LSTM over frozen public token embeddings; mean over positions, less that of public text
    before training, then norm 1."""

    def __init__(self, encoder: PublicEncoder, hidden: int) -> None:
        super().__init__()
        table = encoder.token_embeddings
        # Not saved: public, large, and reloaded with the encoder whose digest the configuration holds.
        self.register_buffer("table", table, persistent=False)
        # Public statistics of the table bring its coordinates to mean 0 and variance 1 for the gates.
        self.register_buffer("shift", table.mean(dim=0), persistent=False)
        self.register_buffer("scale", 1 / table.std(), persistent=False)
        self.mask_id = encoder.mask_id
        # Not `encoder.dimension`: some encoders (ALBERT) have narrower token embeddings.
        self.lstm = nn.LSTM(table.shape[1], hidden, batch_first=True, bidirectional=True)
        self.register_buffer("centre", self._centre(encoder, hidden), persistent=False)

    def forward(self, inputs: Tokens) -> Tensor:
        return normalize(self._mean_states(self.lstm, inputs) - self.get_buffer("centre"), dim=1)

    def _mean_states(self, lstm: nn.LSTM, inputs: Tokens) -> Tensor:
        """Shape: (items, 2 hidden)."""
        if not torch.is_grad_enabled():
            return self._mean_states_fused(lstm, inputs)
        embedded, lengths = self._embedded(inputs.ids), inputs.lengths.cpu()
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True)
        return hidden.sum(dim=1) / inputs.lengths[:, None]

    def _mean_states_fused(self, lstm: nn.LSTM, inputs: Tokens) -> Tensor:
        """The same by the fused kernel, which takes no packed sequences: each direction by itself over the
        padded batch, the second one over chunks turned round, so that padding follows their tokens again."""
        count, longest = inputs.ids.shape
        ids = pad(inputs.ids, (0, -longest % _LSTM_STEP, 0, -count % _LSTM_STEP))
        lengths = pad(inputs.lengths, (0, len(ids) - count), value=1)[:, None]
        places = torch.arange(ids.shape[1], device=ids.device)
        turned = ids.gather(1, (lengths - 1 - places).clamp(min=0))
        read = (places < lengths)[..., None]
        start = self.get_buffer("table").new_zeros(1, len(ids), lstm.hidden_size)
        sums: list[Tensor] = []
        for suffix, order in (("", ids), ("_reverse", turned)):
            weights = [getattr(lstm, name + suffix) for name in _LSTM_WEIGHTS]
            embedded = self._embedded(order)
            states = torch.lstm(embedded, (start, start), weights, True, 1, 0.0, False, False, True)[0]
            sums.append((states * read).sum(dim=1))
        return (torch.cat(sums, dim=1) / lengths)[:count]

    def _embedded(self, ids: Tensor) -> Tensor:
        table, shift, scale = (self.get_buffer(name) for name in ("table", "shift", "scale"))
        return (table[ids] - shift) * scale

    @torch.no_grad()
    def _centre(self, encoder: PublicEncoder, hidden: int) -> Tensor:
        """What all texts share before training, as public text shows it. Shape: (2 hidden,)."""
        with torch.random.fork_rng(devices=[]):
            # Of the LSTM that `build` draws unless told otherwise: a saved model is loaded with the same.
            torch.manual_seed(0)
            lstm = nn.LSTM(self.lstm.input_size, hidden, batch_first=True, bidirectional=True)
        length = min(CHUNK_LENGTH, encoder.max_length)
        chunks = [ids for passage in public_passages() for ids in encoder.chunks(passage, length).ids]
        return self._mean_states(lstm, collate_tokens(chunks)).mean(dim=0)


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
            head = _silent_layer(config.feature_dim, labels)
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


def takes_tokens(kind: Kind) -> bool:
    """Whether a model of this kind takes `Tokens`, not embeddings."""
    return kind == "lstm" or kind in TRANSFORMERS


def collate_tokens(chunks: Sequence[Sequence[int] | NDArray[np.int32]], pad_id: int = 0) -> Tokens:
    """Chunks, right-padded. An empty chunk is read as one pad token, so that its item keeps its place."""
    lengths = torch.tensor([max(1, len(chunk)) for chunk in chunks], dtype=torch.int64)
    ids = torch.full((len(chunks), int(lengths.max()) if chunks else 1), pad_id, dtype=torch.int64)
    for row, chunk in zip(ids, chunks, strict=True):
        row[: len(chunk)] = torch.from_numpy(np.asarray(chunk, np.int64))
    return Tokens(ids, lengths)


def classification_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each item. Shapes: (items, labels), (items,) int64 -> (items,)."""
    return cross_entropy(logits, targets, reduction="none")


def multilabel_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of each item, summed over labels that do not exclude each other.

    Shapes: (items, labels), (items, labels) of 0 and 1 -> (items,).
    """
    return binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none").sum(dim=1)


def denoising_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each item against a distribution: -sum_k t_k log softmax(logits)_k.

    Each item stands alone (no in-batch negatives), so a gradient belongs to one owner.
    Shapes: (items, labels), (items, labels) -> (items,); 0 where the target is all zeros.
    """
    return -(targets * log_softmax(logits, dim=1)).sum(dim=1)


def _feature_dim(kind: Kind, input_dim: int, hidden: int) -> int:
    return {"mlp": hidden, "lstm": 2 * hidden}.get(kind, input_dim)
