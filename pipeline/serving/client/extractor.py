"""The client's own half of a model: texts are masked and embedded here; only features leave, encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.privacy.he.layout import Floats

if TYPE_CHECKING:
    from lexveil.pipeline.settings import Settings


class LocalExtractor:
    """Texts -> features, by masking, the public encoder, and the layers that a model put before its head.

    folder: what the endpoint gave for download: an extractor trained under DP, without its head.
    Raises `TrainingRefusedError` where it cannot be used here (another public encoder, say).
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        from lexveil.nlp.encoders.storage import ModelLoadError, load_extractor, read_config
        from lexveil.pipeline.models.encoding import as_trained, load_encoder

        self._settings = settings
        try:
            self._encoder = load_encoder(as_trained(settings, read_config(folder)).train)
            self._model = load_extractor(folder, self._encoder)
        except ModelLoadError as error:
            raise TrainingRefusedError(f"the endpoint's extractor can't be used here: {error.code}") from None

    def features(self, texts: Sequence[str]) -> Floats:
        """Shape: (n, n_features), of norm 1 at most."""
        from lexveil.nlp.encoders.documents import encode_documents, extract, get_input_kind
        from lexveil.pipeline.masking.texts import mask_texts

        masked = [outcome.text for outcome in mask_texts(list(texts), self._settings.mask)]
        config = self._model.config
        encoded = encode_documents(
            masked, self._encoder, get_input_kind(config), None, config.chunk_length, config.chunk_limit
        )
        return extract(self._model, encoded).features.astype(np.float64)
