"""A trained model to a folder, or a prefix of an object store, and back: safetensors and JSON, no pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import load_file, save_file
from safetensors.torch import save as save_bytes
from torch import Tensor

from lexveil.nlp.encoders.config import SCHEMA_VERSION, ModelConfig
from lexveil.nlp.encoders.heads import PolynomialHead
from lexveil.nlp.encoders.models import FeatureModel, build
from lexveil.nlp.encoders.packed import pack
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.transformer import NotTrainable, TokenTransformer, trained_state

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
_HEAD = "head."


class ModelRefused(Exception):
    """The folder of a model cannot be used. `code` says why:

    missing          no such folder, or a file of it is not there
    schema_version   written by another version of this software
    config           config.json is broken
    encoder_digest   trained over another public encoder
    precision        trained on embeddings of another precision
    encoder          the public encoder has no part of the kind that was trained
    weights          the weights are broken, of other shapes than the configuration says, or not finite
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def save(model: FeatureModel, folder: Path) -> None:
    """Write `config.json` and `model.safetensors`: trained weights only, nothing that is public."""
    model.fold()
    _write(model, folder, trained_state(model))


def save_extractor(model: FeatureModel, folder: Path) -> None:
    """Write a model without its head: what a client may have that is not to know the head."""
    model.fold()
    state = trained_state(model)
    _write(model, folder, {name: value for name, value in state.items() if not name.startswith(_HEAD)})


def load_extractor(folder: Path, encoder: PublicEncoder) -> FeatureModel:
    """The model that `save_extractor` wrote, in eval mode; its head is untrained. Raises: ModelRefused."""
    return _load(folder, encoder, with_head=False)


def read_config(folder: Path) -> ModelConfig:
    """The configuration alone, without torch's weights or an encoder. Raises: ModelRefused."""
    try:
        value = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelRefused("missing") from error
    except ValueError as error:
        raise ModelRefused("config") from error
    if not isinstance(value, dict):
        raise ModelRefused("config")
    if value.get("schema_version") != SCHEMA_VERSION:
        raise ModelRefused("schema_version")
    try:
        return ModelConfig.from_json(value)
    except ValueError as error:
        raise ModelRefused("config") from error


def load(folder: Path, encoder: PublicEncoder) -> FeatureModel:
    """The model in a folder, in eval mode. Raises: ModelRefused."""
    return _load(folder, encoder, with_head=True)


def _load(folder: Path, encoder: PublicEncoder, *, with_head: bool) -> FeatureModel:
    config = read_config(folder)
    if config.encoder_digest != encoder.digest:
        raise ModelRefused("encoder_digest")
    if config.precision != encoder.precision:
        raise ModelRefused("precision")
    if not (folder / WEIGHTS).is_file():
        raise ModelRefused("missing")
    try:
        state = _read(folder / WEIGHTS)
        model = build(config, encoder)
        trained = trained_state(model)
        if not with_head:
            state |= {name: value for name, value in trained.items() if name.startswith(_HEAD)}
        if set(state) != set(trained):
            raise ModelRefused("weights")
        model.load_state_dict(state, strict=False)
        model.logit_scale = 1.0  # folded, as it was saved
        if isinstance(model.head, PolynomialHead):
            model.head.folded = True
    except NotTrainable as error:
        raise ModelRefused("encoder") from error
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise ModelRefused("weights") from error
    if not all(bool(torch.isfinite(value).all()) for value in state.values()):
        raise ModelRefused("weights")
    if isinstance(model.body, TokenTransformer):
        # In float32, as it was trained: these features are no public encoder's.
        pack(model.body.transformer, "float32")
    return model.eval()


def _on_disk(path: Any) -> bool:
    # A path of an object store only looks like one of ours: the system can't open it or map it into memory.
    return isinstance(path, os.PathLike)


def _read(path: Path) -> dict[str, Tensor]:
    return load_file(path) if _on_disk(path) else load_bytes(path.read_bytes())


def _write(model: FeatureModel, folder: Path, trained: dict[str, Tensor]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.cpu().contiguous() for name, value in trained.items()}
    weights = folder / WEIGHTS
    if _on_disk(weights):
        save_file(state, weights)
    else:
        weights.write_bytes(save_bytes(state))
    config = json.dumps(model.config.to_json(), ensure_ascii=False, indent=2)
    (folder / CONFIG).write_text(config + "\n", encoding="utf-8")
