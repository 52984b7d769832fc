"""The encrypted classification endpoint: what a model serves, and how a client's texts become labels."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from nlp.encoders.documents import encode_documents, extract, wanted_by
from nlp.encoders.models import FeatureModel
from nlp.encoders.storage import ModelRefused, load
from pipeline.errors import SourceError, TrainingRefused
from pipeline.models import find_model
from pipeline.records import SourceDocument
from pipeline.serving.client import EncryptedClassifier
from pipeline.serving.server import ServedHead, serve
from pipeline.settings import Settings
from pipeline.sources import Rejected, read_item, scan
from pipeline.stages.encode import load_encoder
from pipeline.stages.extract import open_model
from pipeline.stages.mask import mask_texts
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


def classify_file(source: Path, target: Path, url: str, settings: Settings) -> dict[str, Any]:
    """Classify a file's documents by an endpoint that never sees them: `{"id", "label"}` a document.

    Here: reading, masking, embedding, encryption and decryption; there: the head, on ciphertexts. Only labels
    are written. Decrypted logits must not be handed on, since CKKS values that are shared can reveal the
    secret key (Li & Micciancio 2021).

    Raises:
        SourceError: the file can't be read or written.
        ServingProblem: the endpoint can't be reached or refuses.
    """
    documents: list[SourceDocument] = []
    unreadable = 0
    for item in scan([source], settings.ingest):
        for outcome in read_item(item, settings.ingest):
            if isinstance(outcome, Rejected):
                unreadable += 1
            else:
                documents.append(outcome)
    if not documents:
        raise SourceError(f"{source} holds no readable document")
    with EncryptedClassifier.connect(url) as client:
        labels = client.classify(_features(client, documents, settings)).labels
    lines = [
        json.dumps({"id": document.source_id, "label": label}, ensure_ascii=False)
        for document, label in zip(documents, labels, strict=True)
    ]
    try:
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError:
        raise SourceError(f"can't write {target}") from None
    return {"documents": len(documents), "unreadable": unreadable, "output": str(target)}


def _features(client: EncryptedClassifier, documents: list[SourceDocument], settings: Settings) -> Any:
    encoder = load_encoder(settings.train)
    with tempfile.TemporaryDirectory(prefix="lexveil-") as folder:
        client.download_extractor(Path(folder))
        try:
            model = load(Path(folder), encoder)
        except ModelRefused as error:
            raise TrainingRefused(f"the endpoint's extractor can't be used here: {error.code}") from None
    masked = [outcome.text for outcome in mask_texts([doc.text for doc in documents], settings.mask)]
    config = model.config
    encoded = encode_documents(
        masked, encoder, wanted_by(config), None, config.chunk_length, config.chunk_limit
    )
    return extract(model, encoded).features
