"""Privacy-preserving feature learning from legal text.

The names below are the public Python interface. They are imported on first use: `import lexveil` is cheap.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexveil.nlp.citations import citations
    from lexveil.nlp.detection.detector import Detection, Detector
    from lexveil.nlp.encoders.public import PublicEncoder
    from lexveil.nlp.masking.policy import policy_of
    from lexveil.nlp.readers import read_document
    from lexveil.nlp.recognizers.base import RuleRecognizer
    from lexveil.nlp.text import Span
    from lexveil.pipeline.errors import LexveilError
    from lexveil.pipeline.maintenance.erasure import erase
    from lexveil.pipeline.masking.standalone import anonymize_file, detect_file
    from lexveil.pipeline.masking.vault import restore_document
    from lexveil.pipeline.serving.client.classifier import EncryptedClassifier, Predictions
    from lexveil.pipeline.settings import Settings, load_settings
    from lexveil.pipeline.stages.audit import audit
    from lexveil.pipeline.stages.evaluate import evaluate_file
    from lexveil.pipeline.stages.extract import extract
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask
    from lexveil.pipeline.stages.train import train
    from lexveil.pipeline.workspace.workspace import Workspace

__version__ = metadata.version("lexveil")

_HOMES = {
    "Detection": "nlp.detection.detector",
    "Detector": "nlp.detection.detector",
    "EncryptedClassifier": "pipeline.serving.client.classifier",
    "LexveilError": "pipeline.errors",
    "Predictions": "pipeline.serving.client.classifier",
    "PublicEncoder": "nlp.encoders.public",
    "RuleRecognizer": "nlp.recognizers.base",
    "Settings": "pipeline.settings",
    "Span": "nlp.text",
    "Workspace": "pipeline.workspace.workspace",
    "anonymize_file": "pipeline.masking.standalone",
    "audit": "pipeline.stages.audit",
    "citations": "nlp.citations",
    "detect_file": "pipeline.masking.standalone",
    "erase": "pipeline.maintenance.erasure",
    "evaluate_file": "pipeline.stages.evaluate",
    "extract": "pipeline.stages.extract",
    "ingest": "pipeline.stages.ingest",
    "load_settings": "pipeline.settings",
    "mask": "pipeline.stages.mask",
    "policy_of": "nlp.masking.policy",
    "read_document": "nlp.readers",
    "restore_document": "pipeline.masking.vault",
    "train": "pipeline.stages.train",
}

__all__ = [
    "Detection",
    "Detector",
    "EncryptedClassifier",
    "LexveilError",
    "Predictions",
    "PublicEncoder",
    "RuleRecognizer",
    "Settings",
    "Span",
    "Workspace",
    "anonymize_file",
    "audit",
    "citations",
    "detect_file",
    "erase",
    "evaluate_file",
    "extract",
    "ingest",
    "load_settings",
    "mask",
    "policy_of",
    "read_document",
    "restore_document",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
