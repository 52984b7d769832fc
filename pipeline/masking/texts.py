"""Masking of texts in memory, each by itself."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Sequence

from lexveil.nlp.detection.detector import KnownName
from lexveil.nlp.masking.anonymize import CheckedText, anonymize_text
from lexveil.nlp.masking.mask import mask_text
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.text import Span
from lexveil.pipeline.masking.detector import detect_long_texts
from lexveil.pipeline.settings import MaskSettings
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.pseudonyms import surrogate_seed

HELD_BACK = "second_pass"  # reason of documents in the quarantine that failed the second pass


def mask_texts(
    texts: Sequence[str],
    settings: MaskSettings,
    key: bytes | None = None,
    known: Sequence[Sequence[KnownName]] | None = None,
) -> list[CheckedText]:
    """Mask and check each text by itself.

    Args:
        texts: the texts.
        settings: detector and policy.
        key: key of the surrogates, 32 bytes; None: a random one.
        known: names that are looked for in each text, whether or not the detector finds them.
    """
    keyed = functools.partial(surrogate_seed, key or secrets.token_bytes(32), "")
    result: list[CheckedText] = []
    for text, detection in zip(texts, detect_long_texts(settings, texts, known), strict=True):
        scope = Scope([DocumentNames.read(text, detection.spans)], keyed, detection.language)
        result.append(
            anonymize_text(
                text,
                detection.spans,
                settings.policy,
                scope,
                detection.served,
                language=detection.language,
            )
        )
    return result


def mask_names(workspace: Workspace, names: Sequence[str]) -> list[str]:
    """Mask names, such as those of classes, with the workspace's policy, each by itself.

    Equal names get equal results, in every process. What fails the second pass becomes "withheld".
    """
    key = workspace.keys.purpose_key("surrogates-of-names")
    checked = mask_texts(names, workspace.settings.mask, key) if names else []
    return ["withheld" if text.verdict == "FAIL" else text.text for text in checked]


def find_spans_to_mask(
    texts: Sequence[str], settings: MaskSettings, known: Sequence[Sequence[KnownName]] | None = None
) -> list[list[Span]]:
    """Find the spans of each text that the policy masks: sorted, without overlaps.

    Args:
        texts: the texts.
        settings: detector and policy.
        known: names that are looked for in each text, whether or not the detector finds them.
    """
    result: list[list[Span]] = []
    for text, detection in zip(texts, detect_long_texts(settings, texts, known), strict=True):
        kept = {kept.span for kept in mask_text(text, detection.spans, settings.policy).kept}
        result.append([span for span in detection.spans if span not in kept])
    return result
