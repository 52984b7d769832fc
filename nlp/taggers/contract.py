"""TODO docstring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from lexveil.nlp.text import Span

Sensitivity = Literal["balanced", "strict"]

SENSITIVITIES: tuple[Sensitivity, ...] = ("balanced", "strict")

WEIGHTS = Path(__file__).parent / "weights"


class Tagger(Protocol):
    """Finds spans in windows of normalised text (`lexveil.nlp.text.NormalizedText.text`).

    `languages` are those it was trained on (ISO 639-1); None where only its user knows.
    """

    @property
    def languages(self) -> frozenset[str] | None: ...

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        """For each text its sorted spans, snapped to words, with their probability as score."""
        ...


class TaggerRefused(Exception):
    """A learnt detector cannot be used. `code` says why:

    missing                 no such folder, or the public encoder's package is not installed
    no_safetensors          the folder has no *.safetensors (pickled weights are never opened)
    digest                  the installed public weights are not those that the adapter was trained on
    unreadable              the files cannot be read as what they should be
    unsupported_tokenizer   no fast tokenizer, or one without [CLS]/<s>, [SEP]/</s> and [PAD]
    no_labels               the labels are not those of a token classifier (BIO or plain names)
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
