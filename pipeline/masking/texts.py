"""Masking of texts in memory, each by itself."""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lexveil.nlp.detection.detector import KnownName
from lexveil.nlp.masking.anonymize import CheckedText, anonymize_text
from lexveil.nlp.masking.mask import mask_text
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.text import Span
from lexveil.pipeline.masking.detector import detect_long_texts
from lexveil.pipeline.records import ForEach, Shard, ShardResult
from lexveil.pipeline.settings import MaskSettings
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.pseudonyms import surrogate_seed
from lexveil.privacy.vault import seal, unseal

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


def mask_names_by(each: ForEach, workspace: Workspace, names: Sequence[str]) -> list[str]:
    """Mask names like `mask_names`, in a worker: it has the detector already, this process would load it.

    What a worker gets and returns passes a scheduler, which may log it: the names are sealed, and the worker
    leaves the masked ones in a sealed file.

    Args:
        each: runs it in a worker.
        workspace: the workspace.
        names: the names.
    """
    if not names:
        return []
    key, shard = _NameMasking.find_key(workspace), Shard(0, secrets.token_hex(16))
    work = _NameMasking(workspace, seal(key, json.dumps(list(names)).encode(), f"names:{shard.key}"))
    try:
        list(each("names", work, [shard]))
        content = unseal(key, work.path.read_bytes(), shard.key)
    finally:
        work.path.unlink(missing_ok=True)
    return [str(name) for name in json.loads(content)]


@dataclass(frozen=True, slots=True)
class _NameMasking:
    """The work of a worker: it masks the names."""

    workspace: Workspace
    names: bytes = field(repr=False)  # sealed

    @staticmethod
    def find_key(workspace: Workspace) -> bytes:
        return workspace.keys.purpose_key("masked-names")

    @property
    def path(self) -> Path:
        # After a kill, the next detection removes it, as what other workers left.
        return self.workspace.found / "names.partial"

    def __call__(self, shard: Shard) -> ShardResult:
        key = self.find_key(self.workspace)
        names = json.loads(unseal(key, self.names, f"names:{shard.key}"))
        masked = json.dumps(mask_names(self.workspace, names)).encode()
        write_bytes(self.path, seal(key, masked, shard.key), mode=0o600)
        return ShardResult(shard.index, shard.key, 0, "", {})


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
