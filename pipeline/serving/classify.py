"""The client's commands: classification by an endpoint that never sees the texts, and rotation of keys."""

from __future__ import annotations

import json
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexveil.pipeline.errors import SettingsError, SourceError
from lexveil.pipeline.records import SourceDocument
from lexveil.pipeline.serving.client.classifier import EncryptedClassifier, RetryPolicy, ServingError
from lexveil.pipeline.serving.client.trust_store import ClientState
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.sources.documents import Rejected, read_item, scan_sources
from lexveil.pipeline.workspace.outputs import write_output
from lexveil.pipeline.workspace.storage import locate_state_folder

_COURTESY_SECONDS = 2.0  # how long a rotation waits in all for a server that does not answer


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint, and how the client authenticates itself and the server.

    Attributes:
        url: URL of the server.
        api_key: API key of the client.
        state: folder of the secret keys and the pins of endpoints; None: the user's default folder.
        public_key: public key of the server, base64; None: the first one seen is pinned.
        checks: mix known answers and duplicates into requests.
        ca: PEM file of a private certificate authority.
        certificate: PEM file of the client's certificate.
        key: PEM file of the certificate's private key.
        insecure_http: allow `http://` beyond this machine, where others can read the API key.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    state: Path | None = None
    public_key: str | None = None
    checks: bool = True
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    insecure_http: bool = False

    def connect(self, settings: Settings, retry_policy: RetryPolicy | None = None) -> EncryptedClassifier:
        """Connect to the endpoint, and check its manifest.

        Args:
            settings: settings of masking and of the public encoder.
            retry_policy: retries; None: the defaults.

        Raises:
            ServingError: the endpoint cannot be reached, refuses, or cannot be trusted.
            SettingsError: a PEM file cannot be read.
        """
        return EncryptedClassifier.connect(
            self.url,
            self.api_key,
            state=self.state_folder,
            public_key=self.public_key,
            settings=settings,
            checks=self.checks,
            retry_policy=retry_policy,
            tls=self._tls(),
            insecure_http=self.insecure_http,
        )

    @property
    def state_folder(self) -> Path:
        """Folder of the secret keys and the pins of endpoints."""
        return self.state or locate_state_folder("endpoints")

    def _tls(self) -> ssl.SSLContext | None:
        if self.ca is None and self.certificate is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError):
            raise SettingsError("the files of the authority or of the certificate cannot be used") from None
        return context


def read_api_key(path: Path | None) -> str | None:
    """Read the API key from a file, or without one from the environment variable `LEXVEIL_API_KEY`.

    The command line has no option for it, because other users could read it in the list of processes.

    Raises:
        SettingsError: the file cannot be read.
    """
    if path is None:
        return os.environ.get("LEXVEIL_API_KEY") or None
    try:
        return path.read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"cannot read the API key file {path}") from None


def classify_file(source: Path, target: Path, endpoint: Endpoint, settings: Settings) -> dict[str, Any]:
    """Classify a file's documents by an endpoint that never sees them.

    This process reads, masks, embeds, encrypts, decrypts, and checks the server's answers. The server
    evaluates the head on ciphertexts. Only labels are written: decrypted logits must not be passed on,
    because shared CKKS values can reveal the secret key (Li & Micciancio 2021).

    Args:
        source: file of documents.
        target: JSON Lines file, one `{"id", "label"}` per document.
        endpoint: the endpoint.
        settings: settings of reading, masking and the public encoder.

    Returns:
        A summary: counts, the model, and the parameters.

    Raises:
        SourceError: a file cannot be read or written.
        EndpointError: the endpoint cannot be reached, refuses, or gives wrong answers.
        TrainingRefusedError: the endpoint's extractor cannot be used here.
    """
    documents, unreadable = _read_documents(source, settings)
    with endpoint.connect(settings) as client:
        predictions = client.predict([document.text for document in documents])
        manifest, known_since = client.manifest, client.head_since
    lines = [
        json.dumps({"id": document.source_id, "label": label}, ensure_ascii=False)
        for document, label in zip(documents, predictions.labels, strict=True)
    ]
    write_output(target, ("\n".join(lines) + "\n").encode())
    report = predictions.honesty
    return {
        "documents": len(documents),
        "unreadable": unreadable,
        "output": str(target),
        "model": manifest.model,
        "profile": manifest.profile,
        "layout": predictions.layout,
        "head_known_since": known_since,
        "parameters": manifest.layouts[predictions.layout].reason,
        "error_bound": predictions.error_bound,
        "uncertain": predictions.uncertain,
        "checks_passed": 0 if report is None else report.probes + report.twins,
    }


def _read_documents(source: Path, settings: Settings) -> tuple[list[SourceDocument], int]:
    """Return the documents of a file, and how many more could not be read."""
    documents: list[SourceDocument] = []
    unreadable = 0
    for item in scan_sources([source], settings.ingest):
        for outcome in read_item(item, settings.ingest):
            if isinstance(outcome, Rejected):
                unreadable += 1
            elif isinstance(outcome, SourceDocument):
                documents.append(outcome)
    if not documents:
        raise SourceError(f"{source} contains no readable document")
    return documents, unreadable


def rotate_keys(endpoint: Endpoint, *, trust_again: bool = False) -> dict[str, Any]:
    """Remove the secret keys for an endpoint. The next request makes and uploads new ones.

    The server is asked to delete the old evaluation keys. The secret keys are removed even if it cannot be
    reached.

    Args:
        endpoint: the endpoint.
        trust_again: trust a server that was refused because of a dishonest answer, as at first use.

    Returns:
        `removed`: number of key files; `server_notified`: True if the server was asked to delete its keys.

    Raises:
        ServingError: the server cannot be trusted. Its keys are removed all the same.
    """
    state = ClientState.for_endpoint(endpoint.state_folder, endpoint.url)
    if trust_again:
        state.trust_again()
    try:
        with endpoint.connect(Settings(), RetryPolicy(total=_COURTESY_SECONDS)) as client:
            return {"removed": client.rotate_keys(), "server_notified": True}
    except ServingError as error:
        if error.code in ("refused", "insecure"):
            raise
        with state.update():
            removed, _ = state.remove_keys()
        if error.code == "dishonest":
            raise
        return {"removed": removed, "server_notified": False}
