"""The encrypted classification endpoint: what a model serves."""

from __future__ import annotations

from pathlib import Path

from nlp.encoders.models import FeatureModel
from pipeline.models import find_model
from pipeline.serving.server import ServedHead, serve
from pipeline.settings import Settings
from pipeline.stages.extract import open_model
from pipeline.workspace import Workspace


def served_head(model: FeatureModel, folder: Path, name: str) -> ServedHead:
    """The linear head of a model, and the extractor that its clients may download."""
    weight = model.head.weight.detach().numpy().T
    return ServedHead(weight, model.head.bias.detach().numpy(), model.config.labels, folder, name)


def serve_model(workspace: Workspace, settings: Settings, name: str | None) -> None:
    """Serve a model's head until interrupted. The process holds no secret key and no document.

    Raises:
        TrainingRefused: there is no such model.
    """
    saved = find_model(workspace, name or settings.train.model)
    head = served_head(open_model(saved.folder, settings), saved.folder, saved.name)
    serve(head, settings.encrypted.host, settings.encrypted.port)
