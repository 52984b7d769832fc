"""TODO docstring."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Sequence

from lexveil.nlp.masking.anonymize import (
    CheckedText,
    anonymize_text,
)
from lexveil.nlp.masking.mask import mask_text
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.text import Span
from lexveil.pipeline.masking.detector import detect_long_texts
from lexveil.pipeline.settings import MaskSettings
from lexveil.privacy.pseudonyms import surrogate_seed

HELD_BACK = "second_pass"  # why a document is in the quarantine


def mask_texts(texts: Sequence[str], settings: MaskSettings, key: bytes | None = None) -> list[CheckedText]:
    """Each text masked and checked by itself; surrogates follow `key`, or one made for this call."""
    keyed = functools.partial(surrogate_seed, key or secrets.token_bytes(32), "")
    result: list[CheckedText] = []
    for text, found in zip(texts, detect_long_texts(settings, texts), strict=True):
        scope = Scope([DocumentNames.read(text, found.spans)], keyed, found.language)
        result.append(anonymize_text(text, found.spans, settings.policy, scope, found.served))
    return result


def find_spans_to_mask(texts: Sequence[str], settings: MaskSettings) -> list[list[Span]]:
    """The spans of each text that the policy doesn't keep: sorted, none overlapping."""
    result: list[list[Span]] = []
    for text, found in zip(texts, detect_long_texts(settings, texts), strict=True):
        kept = {kept.span for kept in mask_text(text, found.spans, settings.policy).kept}
        result.append([span for span in found.spans if span not in kept])
    return result
