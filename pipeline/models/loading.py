"""TODO docstring."""

from __future__ import annotations

import functools
from pathlib import Path

from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.storage import ModelLoadError, load_model, read_config
from lexveil.pipeline.models.encoding import (
    as_trained,
    load_encoder,
)
from lexveil.pipeline.models.saved import refusal
from lexveil.pipeline.settings import Settings


@functools.lru_cache(maxsize=2)
def _open(folder: Path, encoder: Path | None, changed: int) -> FeatureModel:
    del changed
    settings = Settings.model_validate({"train": {"encoder": encoder}})
    return load_model(folder, load_encoder(as_trained(settings, read_config(folder)).train))


def open_model(folder: Path, settings: Settings) -> FeatureModel:
    """A saved model, loaded once per process and version.

    Raises:
        TrainingRefusedError: the folder can't be used; the line says why.
    """
    try:
        return _open(folder, settings.train.encoder, (folder / "model.safetensors").stat().st_mtime_ns)
    except ModelLoadError as error:
        raise refusal(error) from None
    except OSError:
        raise refusal(ModelLoadError("missing")) from None
