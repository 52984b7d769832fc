"""The client's half of a model: it masks and embeds texts. Only the features are sent, encrypted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.logs import log
from lexveil.privacy.he.layout import Floats

if TYPE_CHECKING:
    from lexveil.pipeline.settings import MaskSettings, Settings


class LocalExtractor:
    """Turns texts into features: by masking, the public encoder, and the model's layers before its head.

    Args:
        folder: what was downloaded from the endpoint: an extractor trained under DP, without its head.
        settings: settings of masking and of the public encoder. The masking, the precision and the chunks are
            those of the training, as far as the extractor states them.

    Attributes:
        masking: settings of the masking.

    Raises:
        TrainingRefusedError: the extractor cannot be used here, because it needs another public encoder or
            detector, say.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        from lexveil.nlp.encoders.storage import ModelLoadError, load_extractor, read_config
        from lexveil.pipeline.models.encoding import load_encoder, restore_encoding

        self.masking = _restore_masking(folder, settings.mask)
        try:
            self._encoder = load_encoder(restore_encoding(settings, read_config(folder)).train)
            self._model = load_extractor(folder, self._encoder)
        except ModelLoadError as error:
            raise TrainingRefusedError(
                f"the endpoint's extractor cannot be used here: {error.code}"
            ) from None

    def compute_features(self, texts: Sequence[str]) -> Floats:
        """Return the features of texts. Shape: (n, n_features), of norm 1 at most."""
        from lexveil.nlp.encoders.documents import encode_for_model, extract
        from lexveil.pipeline.masking.texts import mask_texts

        masked = [outcome.text for outcome in mask_texts(list(texts), self.masking)]
        encoded = encode_for_model(masked, self._encoder, None, self._model.config)
        return extract(self._model, encoded).features.astype(np.float64)


def _restore_masking(folder: Path, own: MaskSettings) -> MaskSettings:
    from lexveil.pipeline.masking.record import restore_masking

    try:
        record = json.loads((folder / "masking.json").read_text("utf-8"))
    except FileNotFoundError:
        log.warning(
            "the endpoint does not state how its model's training texts were masked: "
            "those here are masked by this machine's settings"
        )
        return own
    except ValueError:
        record = {}
    return restore_masking(record, own)
