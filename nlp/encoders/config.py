"""TODO docstring."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast, get_args

from lexveil.nlp.encoders.packed import Precision
from lexveil.nlp.encoders.public import CHUNK_LENGTH, CHUNK_LIMIT, PublicEncoder

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


def takes_tokens(kind: Kind) -> bool:
    """Whether a model of this kind takes `Tokens`, not embeddings."""
    return kind == "lstm" or kind in TRANSFORMERS


def _feature_dim(kind: Kind, input_dim: int, hidden: int) -> int:
    return {"mlp": hidden, "lstm": 2 * hidden}.get(kind, input_dim)
