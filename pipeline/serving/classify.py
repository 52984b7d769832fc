"""The client's commands: texts become labels by an endpoint that never sees them; keys are rotated."""

from __future__ import annotations

import json
import os
import ssl
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexveil.pipeline.errors import SettingsError, SourceError
from lexveil.pipeline.records import SourceDocument
from lexveil.pipeline.serving.client.classifier import EncryptedClassifier, ServingError
from lexveil.pipeline.serving.client.trust_store import State
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.sources.documents import Rejected, read_item, scan_sources


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to classify, and as whom.

    state: folder of secret keys and of what is known of endpoints; None: the user's own (`default_state`).
    public_key: of the server, base64; None: the first one seen is pinned. ca, certificate, key: PEM files, of
    a private authority and of the client itself.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    state: Path | None = None
    public_key: str | None = None
    checks: bool = True
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def connect(self, settings: Settings) -> EncryptedClassifier:
        """Raises `ServingError`, and `SettingsError` for files that cannot be read."""
        return EncryptedClassifier.connect(
            self.url,
            self.api_key,
            state=self.state or default_state(),
            public_key=self.public_key,
            settings=settings,
            checks=self.checks,
            tls=self._tls(),
        )

    def _tls(self) -> ssl.SSLContext | None:
        if self.ca is None and self.certificate is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError):
            raise SettingsError("the files of the authority or of the certificate can't be used") from None
        return context


def default_state() -> Path:
    """`$XDG_STATE_HOME/lexveil/endpoints`, by default below `~/.local/state`."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "lexveil" / "endpoints"


def read_api_key(path: Path | None) -> str | None:
    """The API key of a file, else of the environment (`LEXVEIL_API_KEY`), where processes cannot list it."""
    if path is None:
        return os.environ.get("LEXVEIL_API_KEY") or None
    try:
        return path.read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"can't read the API key file {path}") from None


def classify_file(source: Path, target: Path, endpoint: Endpoint, settings: Settings) -> dict[str, Any]:
    """Classify a file's documents by an endpoint that never sees them: `{"id", "label"}` a document.

    Here: reading, masking, embedding, encryption, decryption and the checks of the server's honesty; there:
    the head, on ciphertexts. Only labels are written. Decrypted logits must not be handed on, since CKKS
    values that are shared can reveal the secret key (Li & Micciancio 2021).

    Raises:
        SourceError: the file can't be read or written.
        EndpointError: the endpoint can't be reached, refuses, or lies.
    """
    documents: list[SourceDocument] = []
    unreadable: Counter[str] = Counter()
    for item in scan_sources([source], settings.ingest):
        for outcome in read_item(item, settings.ingest):
            if isinstance(outcome, Rejected):
                unreadable[outcome.reason] += 1
            else:
                documents.append(outcome)
    if not documents:
        raise SourceError(f"{source} holds no readable document")
    with endpoint.connect(settings) as client:
        predictions = client.predict([document.text for document in documents])
        manifest = client.manifest
    lines = [
        json.dumps({"id": document.source_id, "label": label}, ensure_ascii=False)
        for document, label in zip(documents, predictions.labels, strict=True)
    ]
    try:
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError:
        raise SourceError(f"can't write {target}") from None
    found = predictions.found
    return {
        "documents": len(documents),
        "unreadable": unreadable.total(),
        "output": str(target),
        "model": manifest.model,
        "profile": manifest.profile,
        "layout": predictions.layout,
        "parameters": manifest.layouts[predictions.layout].reason,
        "error_bound": predictions.error_bound,
        "checks_passed": 0 if found is None else found.probes + found.twins,
    }


def rotate_keys(endpoint: Endpoint) -> dict[str, Any]:
    """Remove the secret keys of an endpoint; new ones are made, and uploaded, when they are next needed.

    The server is asked to forget the old evaluation keys; if it cannot be reached the secret ones go anyway.
    """
    try:
        with endpoint.connect(Settings()) as client:
            return {"removed": client.rotate_keys(), "server_told": True}
    except ServingError as error:
        if error.code == "dishonest":
            raise
        removed = State.of(endpoint.state or default_state(), endpoint.url).rotate()
        return {"removed": removed, "server_told": False}
