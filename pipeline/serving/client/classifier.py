"""The key holder's side: it masks, embeds and encrypts texts, and decrypts the results.

    with EncryptedClassifier.connect("https://classify.example", api_key) as classifier:
        predictions = classifier.predict(texts)

The secret key is made in this process and never leaves this machine. Pass on labels, but never scores or
logits (`lexveil.privacy.he.keys` explains why).
"""

from __future__ import annotations

import hashlib
import ssl
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx
import numpy as np
from numpy.typing import NDArray

from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.client.channel import (
    Channel,
    InProcessTransport,
    RetryPolicy,
    ServingError,
    open_http,
)
from lexveil.pipeline.serving.client.checks import (
    HonestyReport,
    Line,
    check_answers,
    count_new_lines,
    keep_lines,
    list_sources,
    mix_checks,
    plan_lines,
    replace_lines,
)
from lexveil.pipeline.serving.client.extractor import LocalExtractor
from lexveil.pipeline.serving.client.manifest import (
    ServedManifest,
    build_published_probes,
    compute_error_bound,
    fetch_manifest,
    read_parameters,
)
from lexveil.pipeline.serving.client.sessions import ClientSessions
from lexveil.pipeline.serving.client.trust_store import ClientState, HeldKeys
from lexveil.pipeline.serving.local_token import read_local_token
from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.parameters import Parameters

if TYPE_CHECKING:
    from lexveil.pipeline.settings import Settings

__all__ = ["EncryptedClassifier", "InProcessTransport", "Predictions", "RetryPolicy", "ServingError"]

_HEADS_TRIED = 6
_FILE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Predictions:
    """The labels of documents. Everything else here is for the key holder alone.

    Attributes:
        labels: one per document.
        logits: Shape (n, n_classes).
        error_bound: largest absolute error of a logit that the server states for these features.
        layout: layout that the documents were packed in.
        honesty: result of the checks of the server's answers; None if none were made.
    """

    labels: list[str] = field(repr=False)
    logits: NDArray[np.float64] = field(repr=False)
    error_bound: float
    layout: wire.LayoutName
    honesty: HonestyReport | None = None

    @property
    def scores(self) -> NDArray[np.float64]:
        """Softmax of the logits. Shape: (n, n_classes)."""
        powers = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    @property
    def uncertain(self) -> int:
        """Number of labels that the stated error leaves open: two logits are not further apart than twice it.

        Most of them, if a server states an error within which it lies.
        """
        second, first = np.sort(self.logits, axis=1)[:, -2:].T
        return int(np.count_nonzero(first - second <= 2 * self.error_bound))


class EncryptedClassifier:
    """A client of one endpoint. Keys are made, and uploaded, when they are first needed.

    It is not thread-safe.

    Args:
        channel: connection to the server.
        state: secret keys and pin of the endpoint.
        settings: settings of masking and of the public encoder; None: those of `load_settings`.
        public_key: the server's public key, base64; None: the pinned one, or the first one seen.
        checks: mix known answers and duplicates into requests.
    """

    def __init__(
        self,
        channel: Channel,
        state: ClientState,
        *,
        settings: Settings | None = None,
        public_key: str | None = None,
        checks: bool = True,
    ) -> None:
        self._channel, self._state, self._settings = channel, state, settings
        self._public_key, self._checks = public_key, checks
        self._sessions = ClientSessions(channel, state)
        self._served: ServedManifest | None = None
        self._extractor: LocalExtractor | None = None

    @classmethod
    def connect(
        cls,
        url: str,
        api_key: str | None = None,
        *,
        state: Path | None = None,
        public_key: str | None = None,
        settings: Settings | None = None,
        checks: bool = True,
        retry_policy: RetryPolicy | None = None,
        tls: ssl.SSLContext | None = None,
        insecure_http: bool = False,
    ) -> EncryptedClassifier:
        """Connect to an endpoint, and check its manifest.

        Args:
            url: URL of the server.
            api_key: API key of the client; None: the local token, if the server is on this machine.
            state: folder of the secret keys (mode 0600) and the pins of endpoints; None: nothing outlives
                this process, and the server's public key is trusted anew each time.
            public_key: the server's Ed25519 public key, base64, as its operator published it; None: the first
                one seen is pinned.
            settings: settings of masking and of the public encoder; None: those of `load_settings`.
            checks: mix known answers and duplicates into requests.
            retry_policy: retries; None: the defaults.
            tls: context with a private authority or a certificate of the client; None: the defaults.
            insecure_http: allow `http://` beyond this machine, where everybody on the way can read the API
                key, use it, and answer in the server's place.

        Raises:
            ServingError: the endpoint cannot be reached, refuses, or cannot be trusted; or it is on another
                machine and its URL is not `https`.
        """
        channel = Channel(open_http(url, tls, insecure_http), api_key or read_local_token(url), retry_policy)
        return cls._connect(channel, ClientState.for_endpoint(state, url), settings, public_key, checks)

    @classmethod
    def in_process(
        cls,
        app: Any,
        api_key: str | None = None,
        *,
        state: Path | None = None,
        settings: Settings | None = None,
        checks: bool = True,
    ) -> EncryptedClassifier:
        """Connect to an ASGI application in this process, which gets the same messages as a server.

        Args:
            app: the application.
            api_key: API key of the client.
            state: see `connect`.
            settings: see `connect`.
            checks: see `connect`.

        Raises:
            ServingError: the application refuses, or cannot be trusted.
        """
        url = "http://in-process"
        http = httpx.Client(base_url=url, transport=InProcessTransport(app), trust_env=False)
        opened = ClientState.for_endpoint(state, url)
        return cls._connect(Channel(http, api_key), opened, settings, None, checks)

    @classmethod
    def _connect(
        cls,
        channel: Channel,
        state: ClientState,
        settings: Settings | None,
        public_key: str | None,
        checks: bool,
    ) -> EncryptedClassifier:
        client = cls(channel, state, settings=settings, public_key=public_key, checks=checks)
        try:
            _ = client.manifest
        except BaseException:
            client.close()
            raise
        return client

    def close(self) -> None:
        """Close the connections."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return "EncryptedClassifier(...)"

    @property
    def manifest(self) -> wire.ServerManifest:
        """The server's manifest: its signature, its content and the public key have been checked.

        Raises:
            ServingError: it cannot be fetched or trusted.
        """
        return self._current.manifest

    @property
    def _current(self) -> ServedManifest:
        if self._served is None:
            self._served = fetch_manifest(self._channel, self._state, self._public_key)
        return self._served

    @property
    def head_since(self) -> str:
        """Time when this client first saw what the manifest states of the head, ISO 8601, UTC.

        That is the weights, the labels, the extractor, the known answers and the errors. What it knows of the
        server's answers is as old at most: a server that names new weights starts anew.
        """
        return self._state.pin.head_since

    def predict(self, texts: Sequence[str]) -> Predictions:
        """Classify texts. They are masked and embedded here; the server receives ciphertexts.

        Raises:
            ServingError: the server fails, refuses, or gives wrong answers.
            TrainingRefusedError: the endpoint's extractor cannot be used here.
        """
        if not texts:
            raise ServingError("features", "there is no text to classify")

        def predict_once() -> Predictions:
            if self._extractor is None:
                self._extractor = self._load_extractor()
            return self._classify(self._extractor.compute_features(texts))

        return self._follow_head(predict_once)

    def classify(self, features: NDArray[np.floating]) -> Predictions:
        """Classify features.

        Args:
            features: Shape (n, n_features).

        Raises:
            ServingError: the features have another shape, too large a norm, or are not finite; or the server
                fails, refuses, gives wrong answers, or now serves a model with other features.
        """
        extractor = self.manifest.extractor

        def classify_once() -> Predictions:
            if self.manifest.extractor != extractor:
                raise ServingError("features", "another model is served now: compute the features again")
            return self._classify(features)

        return self._follow_head(classify_once)

    def _classify(self, features: NDArray[np.floating]) -> Predictions:
        matrix = np.asarray(features, dtype=np.float64)
        name = self._choose_layout(len(matrix))
        layout = self.manifest.layouts[name]
        bound = compute_error_bound(layout, _check_norm(matrix, layout, read_parameters(layout)))
        with self._state.update() as pin:
            pin.require_trusted()
            keys = self._state.get_keys(name, read_parameters(layout))
            lines = list(pin.lines)
        if not self._checks:
            logits, honesty = self._sessions.evaluate(self._current, name, matrix, keys), None
            if not np.isfinite(logits).all():
                raise self._refuse_server("they cannot be decrypted")
        else:
            logits, honesty = self._evaluate_with_checks(name, matrix, keys, lines)
        labels = [self.manifest.labels[index] for index in logits.argmax(axis=1)]
        return Predictions(labels, logits, bound, name, honesty)

    def download_extractor(self, folder: Path) -> list[Path]:
        """Download the extractor whose features the head expects, and check its digests.

        A file that was downloaded before, and kept with the state, is not downloaded again.

        Args:
            folder: folder for the files.

        Returns:
            Their paths.

        Raises:
            ServingError: a file cannot be fetched, or has another digest than in the manifest.
        """
        digests = {
            name: self.manifest.extractor[name]
            for name in wire.EXTRACTOR_FILES
            if name in self.manifest.extractor
        }
        kept = {digest: self._state.read_file(digest) for digest in digests.values()}
        files = {
            digest: kept[digest] or self._download_file(name, digest) for name, digest in digests.items()
        }
        if None in kept.values():
            self._state.keep_files(files)
        for name, digest in digests.items():
            (folder / name).write_bytes(files[digest])
        return [folder / name for name in digests]

    def _download_file(self, name: str, digest: str) -> bytes:
        content = self._channel.get(f"/v1/extractor/{name}?{self._current.query}", _FILE_BYTES)
        if hashlib.sha256(content).hexdigest() != digest:
            raise ServingError("protocol", f"{name} is not the file of the manifest")
        return content

    def rotate_keys(self) -> int:
        """Ask the server to delete the evaluation keys, and delete the secret keys.

        It does not matter whether the server obeys: without the secret key, its keys are useless.

        Returns:
            The number of secret key files that were removed.
        """
        with self._state.update():
            removed, sessions = self._state.remove_keys()
        self._sessions.close(sessions)
        return removed

    def _refuse_server(self, reason: str) -> ServingError:
        """Drop the keys and the sessions, refuse the server from now on, and return the error to raise.

        What the server sees does not depend on the reason: it has answered everything before, and its
        sessions are closed.
        """
        self._sessions.close(self._state.refuse_server())
        return ServingError(
            "dishonest",
            f"the server's answers are wrong ({reason}): nothing was kept, the keys were deleted, and it is "
            "refused from now on (`lexveil keys rotate --trust-again` ends that)",
        )

    def _follow_head(self, work: Callable[[], Predictions]) -> Predictions:
        """Do `work`, and repeat it if the server replaces its head in the meantime."""
        for attempt in range(_HEADS_TRIED):
            try:
                return work()
            except ServingError as error:
                if error.code != "outdated":
                    raise
            if attempt:  # another replica may lag behind
                self._channel.wait(attempt)
            self._served = self._extractor = None
        raise ServingError("outdated", "the server replaces its model faster than requests reach it")

    def _load_extractor(self) -> LocalExtractor:
        from lexveil.pipeline.settings import load_settings

        settings = self._settings or load_settings()
        with tempfile.TemporaryDirectory(prefix="lexveil-") as folder:
            self.download_extractor(Path(folder))
            return LocalExtractor(Path(folder), settings)

    def _choose_layout(self, documents: int) -> wire.LayoutName:
        """Choose `slot` if a request would be at least half full; otherwise blocks cost less."""
        slot = self.manifest.layouts.get("slot")
        if slot is None or "block" not in self.manifest.layouts:
            return next(iter(self.manifest.layouts))
        capacity = read_parameters(slot).documents_per_ciphertext
        return "slot" if 2 * documents >= capacity else "block"

    def _evaluate_with_checks(
        self, name: wire.LayoutName, matrix: Floats, keys: HeldKeys, lines: list[Line]
    ) -> tuple[Floats, HonestyReport]:
        """Return the documents' logits if all known answers and duplicates among them are right."""
        layout = self.manifest.layouts[name]
        parameters = read_parameters(layout)
        sources = list_sources(build_published_probes(self.manifest, matrix.shape[1]), lines)
        planned = plan_lines(matrix, count_new_lines(len(lines)), parameters.degree)
        asked = np.concatenate([np.empty((0, matrix.shape[1])), *(line.asked for line in planned)])
        request = mix_checks(matrix, sources, parameters.documents_per_ciphertext, asked)
        bound = compute_error_bound(layout, float(np.linalg.norm(request.features, axis=1).max()))
        logits = self._sessions.evaluate(self._current, name, request.features, keys)
        report = check_answers(request, logits, bound)
        if not (report.honest and np.isfinite(logits).all()):
            raise self._refuse_server(
                f"{report.wrong_probes} of {report.probes} known ones, "
                f"{report.unequal_twins} of {report.twins} duplicates"
            )
        answers, extra = np.split(logits[request.documents], [len(matrix)])
        self._keep_answers(keep_lines(planned, answers, extra, bound))
        return answers, report

    def _keep_answers(self, new: list[Line]) -> None:
        if not new:
            return
        with self._state.update() as pin:
            # Another process may have seen a manifest of other weights meanwhile.
            if pin.commitment == self.manifest.weights_commitment:
                pin.lines = replace_lines(pin.lines, new)


def _check_norm(features: Floats, layout: wire.Layout, parameters: Parameters) -> float:
    """Return the largest norm of the features, if they can be sent."""
    if features.ndim != 2 or features.shape[1] != parameters.n_features or len(features) == 0:
        raise ServingError(
            "features", f"features must have shape (n, {parameters.n_features}), these have {features.shape}"
        )
    norm = float(np.linalg.norm(features, axis=1).max())
    if not norm <= layout.feature_norm:  # also refuses NaN
        raise ServingError("features", f"features must be finite, of norm {layout.feature_norm:g} at most")
    return norm
