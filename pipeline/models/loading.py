"""Loading of saved models, once per process."""

from __future__ import annotations

import functools
from pathlib import Path

from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.storage import ModelLoadError, load_model, read_config
from lexveil.pipeline.models.encoding import load_encoder, restore_encoding
from lexveil.pipeline.models.saved import translate_load_error
from lexveil.pipeline.settings import Settings


def open_model(folder: Path, settings: Settings) -> FeatureModel:
    """Load a saved model, once per process and version of its weights.

    Raises:
        TrainingRefusedError: the folder cannot be used; the message gives the reason.
    """
    try:
        return _load(folder, settings.train.encoder, (folder / "model.safetensors").stat().st_mtime_ns)
    except ModelLoadError as error:
        raise translate_load_error(error) from None
    except OSError:
        raise translate_load_error(ModelLoadError("missing")) from None


@functools.lru_cache(maxsize=2)
def _load(folder: Path, encoder: Path | None, modified: int) -> FeatureModel:
    del modified  # part of the cache key: a model that is trained again is loaded again
    settings = Settings.model_validate({"train": {"encoder": encoder}})
    return load_model(folder, load_encoder(restore_encoding(settings, read_config(folder)).train))
