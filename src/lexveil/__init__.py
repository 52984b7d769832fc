"""Privacy-preserving feature learning from legal text.

The names below are the public Python interface. They are imported on first use: `import lexveil` is cheap.
"""

from __future__ import annotations

import os
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexveil.nlp.citations import citations
    from lexveil.nlp.detection.detector import Detection, Detector
    from lexveil.nlp.encoders.public import PublicEncoder
    from lexveil.nlp.masking.policy import build_policy
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
    from lexveil.privacy.dp.clipping.opacus import OpacusLSTM
    from lexveil.privacy.dp.engine import TrainingPlan
    from lexveil.privacy.dp.ledger.ledger import Ledger
    from lexveil.privacy.he.evaluate import LinearEvaluator
    from lexveil.privacy.he.keys import ClientKeys

__version__ = metadata.version("lexveil")

# No library may report anything to anybody. Set here since every process of Lexveil imports this module
# before the libraries, which read these variables once, and since child processes inherit them.
SILENCE = {
    "DO_NOT_TRACK": "1",  # Prefect and Hugging Face
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime: otherwise a device id, a queue in the cache and an uploader
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}
os.environ.update(SILENCE)
# Models come from folders. A script that also downloads some may set it to 0.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# What this machine's processes say to each other must not pass through a proxy.
_LOOPBACK = "127.0.0.1,localhost,::1"
_direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
os.environ["no_proxy"] = os.environ["NO_PROXY"] = f"{_direct},{_LOOPBACK}" if _direct else _LOOPBACK

# The module of each name. The documentation lists the names in this order.
_HOMES = {
    "Workspace": "pipeline.workspace.workspace",
    "Settings": "pipeline.settings",
    "load_settings": "pipeline.settings",
    "ingest": "pipeline.stages.ingest",
    "mask": "pipeline.stages.mask",
    "train": "pipeline.stages.train",
    "extract": "pipeline.stages.extract",
    "evaluate_file": "pipeline.stages.evaluate",
    "audit": "pipeline.stages.audit",
    "erase": "pipeline.maintenance.erasure",
    "restore_document": "pipeline.masking.vault",
    "detect_file": "pipeline.masking.standalone",
    "anonymize_file": "pipeline.masking.standalone",
    "LexveilError": "pipeline.errors",
    "EncryptedClassifier": "pipeline.serving.client.classifier",
    "Predictions": "pipeline.serving.client.classifier",
    "Detector": "nlp.detection.detector",
    "Detection": "nlp.detection.detector",
    "Span": "nlp.text",
    "build_policy": "nlp.masking.policy",
    "citations": "nlp.citations",
    "read_document": "nlp.readers",
    "RuleRecognizer": "nlp.recognizers.base",
    "PublicEncoder": "nlp.encoders.public",
    "TrainingPlan": "privacy.dp.engine",
    "Ledger": "privacy.dp.ledger.ledger",
    "OpacusLSTM": "privacy.dp.clipping.opacus",
    "ClientKeys": "privacy.he.keys",
    "LinearEvaluator": "privacy.he.evaluate",
}

__all__ = [
    "ClientKeys",
    "Detection",
    "Detector",
    "EncryptedClassifier",
    "Ledger",
    "LexveilError",
    "LinearEvaluator",
    "OpacusLSTM",
    "Predictions",
    "PublicEncoder",
    "RuleRecognizer",
    "Settings",
    "Span",
    "TrainingPlan",
    "Workspace",
    "anonymize_file",
    "audit",
    "build_policy",
    "citations",
    "detect_file",
    "erase",
    "evaluate_file",
    "extract",
    "ingest",
    "load_settings",
    "mask",
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
