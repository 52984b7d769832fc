"""Interface of learned detectors, and the error that says why one cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from lexveil.nlp.text import Span

Sensitivity = Literal["balanced", "strict"]
"""Operating point of a learned detector: `strict` finds more and masks more that need not be masked."""

SENSITIVITIES: tuple[Sensitivity, ...] = ("balanced", "strict")

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the weights that are shipped."""


class Tagger(Protocol):
    """A detector of spans in windows of normalized text (`lexveil.nlp.text.NormalizedText.text`)."""

    @property
    def languages(self) -> frozenset[str] | None:
        """Languages it was trained on (ISO 639-1); None if only its user knows them."""
        ...

    @property
    def insists(self) -> bool:
        """True if its findings are masked even where the document contradicts them.

        See `lexveil.nlp.detection.propagation.drop_implausible`.
        """
        ...

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return for each text its sorted spans, aligned to words, with their probability as score."""
        ...


class TaggerError(Exception):
    """A learned detector cannot be used.

    Attributes:
        code: the reason, one of

            * `missing`: the folder does not exist, or the package of a public encoder is not installed;
            * `no_safetensors`: the folder has no *.safetensors (pickled weights are never opened);
            * `digest`: the installed public weights are not those that the adapter was trained on;
            * `unreadable`: the files cannot be read as what they should be;
            * `unsupported_tokenizer`: no fast tokenizer, or one without [CLS]/<s>, [SEP]/</s> and [PAD];
            * `no_labels`: the labels are not those of a token classifier (BIO or plain names).
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
