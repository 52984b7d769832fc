"""Trained models in a folder or under a prefix of an object store, as safetensors and JSON, never pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import load_file
from safetensors.torch import save as save_bytes
from torch import Tensor

from lexveil.nlp.encoders.config import SCHEMA_VERSION, ModelConfig
from lexveil.nlp.encoders.heads import PolynomialHead
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.nlp.encoders.packed import pack_linear_layers
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.transformer import NotTrainableError, TokenTransformer, get_trained_state

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
_HEAD = "head."


class ModelLoadError(Exception):
    """The folder of a model cannot be used.

    Attributes:
        code: The reason, also the message:

            missing          no such folder, or one of its files is missing
            schema_version   written by another version of this software
            config           config.json is damaged
            encoder_digest   trained on another public encoder
            precision        trained on embeddings of another precision
            encoder          the public encoder lacks the part that was trained
            weights          the weights are damaged, of other shapes than the configuration's, or not finite
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def save_model(model: FeatureModel, folder: Path) -> None:
    """Fold the model and write `config.json` and `model.safetensors`, which contain no public weights."""
    model.fold()
    _write(model, folder, get_trained_state(model))


def save_extractor(model: FeatureModel, folder: Path) -> None:
    """Fold the model and write it without its head, for clients that must not know the head."""
    model.fold()
    state = get_trained_state(model)
    _write(model, folder, {name: value for name, value in state.items() if not name.startswith(_HEAD)})


def load_model(folder: Path, encoder: PublicEncoder) -> FeatureModel:
    """Load the model that `save_model` wrote, in evaluation mode.

    Raises:
        ModelLoadError: The folder cannot be used with this encoder.
    """
    return _load(folder, encoder, with_head=True)


def load_extractor(folder: Path, encoder: PublicEncoder) -> FeatureModel:
    """Load the model that `save_extractor` wrote, in evaluation mode, with an untrained head.

    Raises:
        ModelLoadError: The folder cannot be used with this encoder.
    """
    return _load(folder, encoder, with_head=False)


def read_config(folder: Path) -> ModelConfig:
    """Read the configuration alone, without weights or an encoder.

    Raises:
        ModelLoadError: The configuration is missing, damaged, or of another version.
    """
    try:
        value = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelLoadError("missing") from error
    except ValueError as error:
        raise ModelLoadError("config") from error
    if not isinstance(value, dict):
        raise ModelLoadError("config")
    if value.get("schema_version") != SCHEMA_VERSION:
        raise ModelLoadError("schema_version")
    try:
        return ModelConfig.from_json(value)
    except ValueError as error:
        raise ModelLoadError("config") from error


def _load(folder: Path, encoder: PublicEncoder, *, with_head: bool) -> FeatureModel:
    config = read_config(folder)
    if config.encoder_digest != encoder.digest:
        raise ModelLoadError("encoder_digest")
    if config.precision != encoder.precision:
        raise ModelLoadError("precision")
    if not (folder / WEIGHTS).is_file():
        raise ModelLoadError("missing")
    try:
        state = _read(folder / WEIGHTS)
        model = build_model(config, encoder)
        _load_weights(model, state, with_head=with_head)
    except NotTrainableError as error:
        raise ModelLoadError("encoder") from error
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise ModelLoadError("weights") from error
    if isinstance(model.body, TokenTransformer):
        # In float32, as it was trained: these weights are no longer the public encoder's.
        pack_linear_layers(model.body.transformer, "float32")
    return model.eval()


def _load_weights(model: FeatureModel, state: dict[str, Tensor], *, with_head: bool) -> None:
    """Set the trained weights of an untrained model; without a head, its own stays as it is: zeros."""
    trained = get_trained_state(model)
    if not with_head:
        state = {**state, **{name: value for name, value in trained.items() if name.startswith(_HEAD)}}
    if set(state) != set(trained):
        raise ModelLoadError("weights")
    model.load_state_dict(state, strict=False)
    if not all(bool(torch.isfinite(value).all()) for value in state.values()):
        raise ModelLoadError("weights")
    model.logit_scale = 1.0  # folded when it was saved
    if isinstance(model.head, PolynomialHead):
        model.head.folded = True


def _is_local(path: Any) -> bool:
    # A path in an object store only resembles a local one: the system cannot open it or map it into memory.
    return isinstance(path, os.PathLike)


def _read(path: Path) -> dict[str, Tensor]:
    return load_file(path) if _is_local(path) else load_bytes(path.read_bytes())


def _write(model: FeatureModel, folder: Path, trained: dict[str, Tensor]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.cpu().contiguous() for name, value in trained.items()}
    # Not by safetensors' own writing of files, whose error is no OSError where the disk is full.
    (folder / WEIGHTS).write_bytes(save_bytes(state))
    config = json.dumps(model.config.to_json(), ensure_ascii=False, indent=2)
    (folder / CONFIG).write_text(config + "\n", encoding="utf-8")
