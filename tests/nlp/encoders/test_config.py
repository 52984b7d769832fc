"""The configuration of a model: dimensions that follow, what is refused, and a stable JSON form."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.encoders.config import (
    DEFAULT_SIZES,
    LOGIT_SCALES,
    LSTMS,
    TRANSFORMERS,
    Kind,
    ModelConfig,
    Objective,
    Precision,
    takes_tokens,
)

KINDS: tuple[Kind, ...] = get_args(Kind)
DIGEST = "0123456789abcdef" * 4


@dataclass(frozen=True)
class FakeEncoder:
    digest: str = DIGEST
    dimension: int = 384
    precision: Precision = "bfloat16"


ENCODER = FakeEncoder()
# The JSON form as it is in model folders, which future versions must be able to read.
STORED: dict[str, Any] = {
    "kind": "mlp",
    "encoder_digest": DIGEST,
    "input_dim": 384,
    "feature_dim": 128,
    "labels": ["contract", "租约"],
    "objective": "classify",
    "hidden": 128,
    "chunk_length": 128,
    "chunk_limit": 16,
    "size": 0,
    "precision": "bfloat16",
    "schema_version": 2,
}


def test_importing_the_configuration_imports_neither_torch_nor_numpy() -> None:
    program = (
        "import sys, lexveil.nlp.encoders.config\n"
        "print(sorted({'torch', 'numpy', 'transformers', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("kind", "feature_dim", "hidden", "size", "tokens"),
    [
        ("linear", 384, 0, 0, False),
        ("mlp", 128, 128, 0, False),
        ("lstm", 256, 128, 0, True),
        ("topic_lstm", 640, 128, 0, True),
        ("square", 384, 64, 0, False),
        ("cubic", 384, 64, 0, False),
        ("lora", 384, 0, 8, True),
        ("last_layers", 384, 0, 1, True),
        ("full", 384, 0, 0, True),
    ],
)
def test_dimensions_follow_from_the_kind(
    kind: Kind, feature_dim: int, hidden: int, size: int, tokens: bool
) -> None:
    config = ModelConfig.of(kind, ENCODER, ("a", "b"))
    assert (config.feature_dim, config.hidden, config.size) == (feature_dim, hidden, size)
    assert takes_tokens(kind) is tokens
    assert (config.encoder_digest, config.input_dim, config.precision) == (DIGEST, 384, "bfloat16")


@pytest.mark.parametrize("kind", KINDS)
def test_a_width_and_a_size_count_only_where_the_kind_has_them(kind: Kind) -> None:
    config = ModelConfig.of(kind, ENCODER, ("a", "b"), hidden=7, size=3)
    assert config.hidden == (7 if kind in ("mlp", *LSTMS, "square", "cubic") else 0)
    assert config.size == (3 if kind in ("lora", "last_layers") else 0)
    assert config.feature_dim == {"mlp": 7, "lstm": 14, "topic_lstm": 398}.get(kind, 384)


def test_the_tables_name_only_kinds_that_exist() -> None:
    assert set(TRANSFORMERS) | set(DEFAULT_SIZES) | set(LOGIT_SCALES) <= set(KINDS)
    # A head that is evaluated encrypted is folded; its logits need no scale in training.
    assert not {"linear", "square", "cubic"} & set(LOGIT_SCALES)


def test_the_stored_form_is_read_and_written_unchanged() -> None:
    config = ModelConfig.from_json(STORED)
    assert config == ModelConfig.of("mlp", ENCODER, ("contract", "租约"))
    assert config.to_json() == STORED
    assert json.loads(json.dumps(config.to_json())) == STORED


def test_a_configuration_from_before_there_was_a_precision_is_float32() -> None:
    older = {name: value for name, value in STORED.items() if name != "precision"}
    assert ModelConfig.from_json(older).precision == "float32"


def test_a_representation_is_stored_where_there_is_one() -> None:
    """What earlier versions wrote is read as what they did, and they can read what says no more."""
    assert ModelConfig.from_json(STORED).representation == "embedding"
    config = ModelConfig.of("mlp", ENCODER, ("contract", "租约"), representation="legal-1")
    assert config.to_json() == {**STORED, "input_dim": 896, "representation": "legal-1"}
    assert ModelConfig.from_json(config.to_json()) == config
    with pytest.raises(ValueError, match="representation"):
        ModelConfig.from_json({**STORED, "representation": "legal-0"})


def test_only_chunks_that_end_elsewhere_are_stored_as_such() -> None:
    """What earlier versions can read, they read."""
    config = ModelConfig.of("mlp", ENCODER, ("contract", "租约"), chunk_ends="paragraphs")
    assert config.to_json() == {**STORED, "chunk_ends": "paragraphs"}
    assert ModelConfig.from_json(config.to_json()) == config
    with pytest.raises(ValueError, match="chunks end"):
        ModelConfig.from_json({**STORED, "chunk_ends": "lines"})


@given(
    st.sampled_from(KINDS),
    st.lists(st.text(), min_size=2, max_size=6, unique=True),
    st.sampled_from(get_args(Objective)),
    st.integers(1, 4096),
    st.integers(1, 512),
    st.integers(1, 64),
    st.integers(3, 512),
    st.integers(1, 100),
)
def test_every_configuration_survives_json(
    kind: Kind,
    labels: list[str],
    objective: Objective,
    dimension: int,
    hidden: int,
    size: int,
    length: int,
    limit: int,
) -> None:
    config = ModelConfig.of(
        kind,
        FakeEncoder(dimension=dimension),
        labels,
        objective,
        hidden=hidden,
        size=size,
        chunk_length=length,
        chunk_limit=limit,
    )
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 1}, "schema version is not 2"),
        ({"schema_version": "2"}, "schema version is not 2"),
        ({"schema_version": 3, "new_key": 1}, "schema version is not 2"),
        ({"surprise": 1}, "missing or unknown keys"),
        ({"hidden": 8.0}, "hidden in the model's configuration has a wrong type"),
        ({"hidden": True}, "hidden in the model's configuration has a wrong type"),
        ({"kind": None}, "kind in the model's configuration has a wrong type"),
        ({"labels": "ab"}, "labels in the model's configuration has a wrong type"),
        ({"labels": ["a", 2]}, "labels in the model's configuration has a wrong type"),
        ({"kind": "transformer"}, "kind or objective of the model is unknown"),
        ({"objective": "guess"}, "kind or objective of the model is unknown"),
        ({"precision": "int4"}, "precision of the model is unknown"),
        ({"encoder_digest": "abc"}, "digest is not 64 hexadecimal digits"),
        ({"encoder_digest": DIGEST.upper()}, "digest is not 64 hexadecimal digits"),
        ({"encoder_digest": DIGEST + "\n"}, "digest is not 64 hexadecimal digits"),
        ({"labels": []}, "0 labels: at least two"),
        ({"labels": ["a"]}, "1 labels: at least two"),
        ({"labels": ["a", "b", "a"]}, "3 labels: at least two"),
        ({"feature_dim": 127}, "feature_dim 127 does not follow"),
        ({"input_dim": 0}, "feature_dim 128 does not follow"),
        ({"kind": "linear", "feature_dim": 384}, "hidden 128 does not fit the kind"),
        ({"hidden": 0, "feature_dim": 0}, "hidden 0 does not fit the kind"),
        ({"hidden": -8, "feature_dim": -8}, "hidden -8 does not fit the kind"),
        ({"size": 1}, "size 1 does not fit the kind"),
        ({"kind": "lora", "feature_dim": 384, "hidden": 0, "size": 0}, "size 0 does not fit the kind"),
        ({"kind": "lora", "feature_dim": 384, "hidden": 0, "size": -1}, "size -1 does not fit the kind"),
        ({"chunk_length": 2}, "chunk length 2 or limit 16 is too small"),
        ({"chunk_limit": 0}, "chunk length 128 or limit 0 is too small"),
    ],
)
def test_a_wrong_configuration_is_refused_with_the_reason(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_json({**STORED, **change})


@pytest.mark.parametrize("name", [name for name in STORED if name not in ("precision", "schema_version")])
def test_every_key_is_needed(name: str) -> None:
    with pytest.raises(ValueError, match="missing or unknown keys"):
        ModelConfig.from_json({key: value for key, value in STORED.items() if key != name})
