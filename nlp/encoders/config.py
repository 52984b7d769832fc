"""Kinds of models and their configuration. Cheap to import: needs neither PyTorch nor an encoder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Protocol, cast, get_args

SCHEMA_VERSION = 2

TransformerKind = Literal["lora", "last_layers", "full"]

Kind = Literal["linear", "mlp", "lstm", "topic_lstm", "square", "cubic", TransformerKind]

TRANSFORMERS: tuple[TransformerKind, ...] = get_args(TransformerKind)

LSTMS: tuple[Kind, ...] = ("lstm", "topic_lstm")

Objective = Literal["classify", "multilabel", "denoise"]

Activation = Literal["square", "cubic", "relu"]

Precision = Literal["int8", "bfloat16", "float32"]

Representation = Literal["embedding", "legal-1", "multilingual-1"]
"""What a model that takes embeddings reads of a document.

embedding: the public encoder's embedding. legal-1: beside it, features of the document's words
(`lexveil.nlp.encoders.lexical`). multilingual-1: these words beside the embedding by multilingual-e5-small
(`lexveil.nlp.encoders.multilingual`), whatever the public encoder is.
"""

ChunkEnds = Literal["length", "paragraphs"]
"""Where chunks end: all of them equally long, or before a heading or a paragraph if one is near."""

LstmStart = Literal["random", "legal-1"]
"""Weights that an LSTM is trained from: drawn at random, or public ones (`lstm.read_start`)."""

# SHA-256 of the weights of the packaged encoder, over which the public weights of this package were trained.
PACKAGE_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

# Of an encoder from a folder, and of workspaces that name none: those of versions before int8. Mean cosine
# similarity to float32 is .99998, at up to twice the speed.
DEFAULT_PRECISION: Precision = "bfloat16"

# Of new workspaces with the packaged encoder. Mean cosine similarity to float32 is .9989.
PACKAGE_PRECISION: Precision = "int8"

DEFAULT_REPRESENTATION: Representation = "legal-1"

# Languages that the default represents as well as multilingual-1 does (docs/utility.md).
DEFAULT_LANGUAGES = frozenset({"en", "zh"})

# Widths of the features of words, and of an embedding by multilingual-e5-small.
_LEXICAL_WIDTH, _MULTILINGUAL_WIDTH = 512, 384

DEFAULT_CHUNK_LENGTH = 128
DEFAULT_CHUNK_LIMIT = 16
DEFAULT_CHUNK_ENDS: ChunkEnds = "length"

# Width of the hidden layer of an mlp, and of each direction of an LSTM.
DEFAULT_HIDDEN = 128

# Width of a head that is evaluated encrypted: with 64 units over 384 features, a ciphertext holds eight
# documents.
DEFAULT_HEAD_HIDDEN = 64

# Rank of the adapters, and number of trained layers.
DEFAULT_SIZES: dict[Kind, int] = {"lora": 8, "last_layers": 1}

# All weights share one learning rate, one clipping norm and one noise scale, but a head tolerates larger
# steps and more noise than the layers below it, all the more so when those have many weights. Training
# therefore scales the head's logits: its gradient grows by this factor, and the effect of a step on the
# logits by its square.
LOGIT_SCALES: dict[Kind, float] = {
    "lstm": 100.0,
    "topic_lstm": 100.0,
    "lora": 20.0,
    "last_layers": 100.0,
    "full": 300.0,
}


class EncoderFacts(Protocol):
    """The facts about a public encoder that the configuration of a model records."""

    @property
    def digest(self) -> str:
        """SHA-256 of the weights, in hexadecimal digits."""
        ...

    @property
    def dimension(self) -> int:
        """Width of an embedding."""
        ...

    @property
    def precision(self) -> Precision:
        """Precision of the linear layers in the frozen encoder."""
        ...


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The configuration of a model. With the weights, it is all that is saved of one.

    Use `ModelConfig.of` to create one.

    Attributes:
        kind: Architecture of the model.
        encoder_digest: SHA-256 of the public encoder's weights, in hexadecimal digits.
        input_dim: Width of what the model reads: the encoder's embeddings, and what the representation adds.
        feature_dim: Width of the features: `hidden` for mlp, twice `hidden` for lstm, `input_dim` more than
            that for topic_lstm, otherwise `input_dim`.
        labels: Names of the classes or topics, in the order of the logits.
        objective: Loss that the model is trained on.
        hidden: Width of the hidden layer (of the head, for square and cubic); 0 for linear and transformers.
        chunk_length: Maximum number of tokens per chunk, the two special tokens included.
        chunk_limit: Maximum number of chunks per document.
        size: Rank of the adapters (lora) or number of trained layers (last_layers); 0 for all other kinds.
        precision: Precision of the frozen encoder whose embeddings the model is trained on.
        chunk_ends: Where chunks end.
        start: Weights that an LSTM is trained from; "random" for every other kind.
        representation: What the model reads of a document; for kinds that take tokens, always "embedding".
        schema_version: Version of this format.

    Raises:
        ValueError: A value is unknown or out of range, or the values do not fit together.
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
    chunk_ends: ChunkEnds = DEFAULT_CHUNK_ENDS
    start: LstmStart = "random"
    representation: Representation = "embedding"
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        self._check_names()
        self._check_dimensions()

    def _check_names(self) -> None:
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(f"model schema version {self.schema_version} is not {SCHEMA_VERSION}")
        if self.kind not in get_args(Kind) or self.objective not in get_args(Objective):
            raise ValueError("kind or objective of the model is unknown")
        if self.precision not in get_args(Precision):
            raise ValueError("precision of the model is unknown")
        if self.chunk_ends not in get_args(ChunkEnds):
            raise ValueError("where the model's chunks end is unknown")
        if self.start not in get_args(LstmStart):
            raise ValueError("the weights that the model was trained from are unknown")
        if self.representation not in get_args(Representation):
            raise ValueError("the representation that the model reads is unknown")
        if self.representation != "embedding" and takes_tokens(self.kind):
            raise ValueError("a model that takes tokens reads no representation but its own")
        if not re.fullmatch(r"[0-9a-f]{64}", self.encoder_digest):
            raise ValueError("the encoder's digest is not 64 hexadecimal digits")
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"{len(self.labels)} labels: at least two are needed, each of them once")

    def _check_dimensions(self) -> None:
        if self.input_dim < 1 or self.feature_dim != _feature_dim(self.kind, self.input_dim, self.hidden):
            raise ValueError(
                f"feature_dim {self.feature_dim} does not follow from kind, input_dim and hidden"
            )
        if _has_hidden_layer(self.kind) != (self.hidden != 0) or self.hidden < 0:
            raise ValueError(f"hidden {self.hidden} does not fit the kind")
        if (self.kind in DEFAULT_SIZES) != (self.size != 0) or self.size < 0:
            raise ValueError(f"size {self.size} does not fit the kind")
        if (
            self.start != _choose_start(self.kind, self.encoder_digest, self.hidden)
            and self.start != "random"
        ):
            raise ValueError(f"the start {self.start} does not fit the kind, the encoder or the width")
        if self.chunk_length < 3 or self.chunk_limit < 1:
            raise ValueError(f"chunk length {self.chunk_length} or limit {self.chunk_limit} is too small")

    @classmethod
    def of(
        cls,
        kind: Kind,
        encoder: EncoderFacts,
        labels: Sequence[str],
        objective: Objective = "classify",
        *,
        hidden: int | None = None,
        size: int | None = None,
        chunk_length: int = DEFAULT_CHUNK_LENGTH,
        chunk_limit: int = DEFAULT_CHUNK_LIMIT,
        chunk_ends: ChunkEnds = DEFAULT_CHUNK_ENDS,
        representation: Representation = "embedding",
    ) -> ModelConfig:
        """Configure a model over `encoder`, from which all dimensions follow.

        Args:
            kind: Architecture of the model.
            encoder: Public encoder that the model is built on.
            labels: Names of the classes or topics, in the order of the logits.
            objective: Loss that the model is trained on.
            hidden: Width of the hidden layer; None for the kind's default. Ignored by kinds without one.
            size: Rank or number of layers; None for the kind's default. Ignored by kinds that have neither.
            chunk_length: Maximum number of tokens per chunk, the two special tokens included.
            chunk_limit: Maximum number of chunks per document.
            chunk_ends: Where chunks end.
            representation: What the model reads of a document. Ignored by kinds that take tokens.

        Raises:
            ValueError: A value is unknown or out of range.
        """
        representation = "embedding" if takes_tokens(kind) else representation
        input_dim = compute_input_dim(encoder.dimension, representation)
        default = DEFAULT_HEAD_HIDDEN if kind in ("square", "cubic") else DEFAULT_HIDDEN
        hidden = (hidden or default) if _has_hidden_layer(kind) else 0
        size = (size or DEFAULT_SIZES[kind]) if kind in DEFAULT_SIZES else 0
        feature_dim = _feature_dim(kind, input_dim, hidden)
        return cls(
            kind, encoder.digest, input_dim, feature_dim, tuple(labels), objective, hidden,
            chunk_length, chunk_limit, size, encoder.precision, chunk_ends,
            _choose_start(kind, encoder.digest, hidden), representation,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` accepts, of earlier versions too if they know all of it."""
        value = {**asdict(self), "labels": list(self.labels)}
        if self.chunk_ends == DEFAULT_CHUNK_ENDS:
            del value["chunk_ends"]
        if self.start == "random":
            del value["start"]
        if self.representation == "embedding":
            del value["representation"]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelConfig:
        """Read the JSON object that `to_json` returned.

        Raises:
            ValueError: Another schema version, missing or unknown keys, wrong types, or values that do not
                fit together.
        """
        # Checked before the keys, which may differ in another version: its number is the better message.
        if value.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"the model's schema version is not {SCHEMA_VERSION}")
        # What was the only one before there was a choice.
        earlier = {"precision": "float32", "chunk_ends": DEFAULT_CHUNK_ENDS, "start": "random"}
        value = {**earlier, "representation": "embedding", **value}
        types = {f.name: str(f.type) for f in fields(cls)}
        if set(value) != set(types):
            raise ValueError("the model's configuration has missing or unknown keys")
        for name, declared in types.items():
            expected = int if declared == "int" else list if name == "labels" else str
            if type(value[name]) is not expected:
                raise ValueError(f"{name} in the model's configuration has a wrong type")
        labels = cast("list[object]", value["labels"])
        if not all(isinstance(label, str) for label in labels):
            raise ValueError("labels in the model's configuration has a wrong type")
        return cls(**cast("dict[str, Any]", {**value, "labels": tuple(labels)}))


def compute_input_dim(dimension: int, representation: Representation) -> int:
    """Return the width of what a model reads over an encoder of this width."""
    match representation:
        case "legal-1":
            return dimension + _LEXICAL_WIDTH
        case "multilingual-1":
            return _MULTILINGUAL_WIDTH + _LEXICAL_WIDTH
        case _:  # also a name that is checked later
            return dimension


def takes_tokens(kind: Kind) -> bool:
    """Return True if a model of this kind reads tokens, False if it reads embeddings."""
    return kind in LSTMS or kind in TRANSFORMERS


def trains_features(kind: Kind) -> bool:
    """Return True if training changes what a model of this kind makes of a document, not only its head."""
    return kind == "mlp" or takes_tokens(kind)


def _has_hidden_layer(kind: Kind) -> bool:
    return kind != "linear" and kind not in TRANSFORMERS


def _feature_dim(kind: Kind, input_dim: int, hidden: int) -> int:
    return {"mlp": hidden, "lstm": 2 * hidden, "topic_lstm": 2 * hidden + input_dim}.get(kind, input_dim)


def _choose_start(kind: str, encoder_digest: str, hidden: int) -> LstmStart:
    """Return the public weights for a new LSTM, if there are some for its encoder and width."""
    fits = kind in LSTMS and encoder_digest == PACKAGE_DIGEST and hidden == DEFAULT_HIDDEN
    return "legal-1" if fits else "random"
