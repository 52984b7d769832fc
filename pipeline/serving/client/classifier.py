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
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from lexveil.pipeline.serving import bundles, wire
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
    build_published_probes,
    check_manifest,
    compute_error_bound,
    digest_statement,
    read_parameters,
)
from lexveil.pipeline.serving.client.trust_store import ClientState, HeldKeys, OpenSession
from lexveil.pipeline.serving.local_token import read_local_token
from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.parameters import Parameters
from lexveil.privacy.he.wire_format import MalformedError

if TYPE_CHECKING:
    from lexveil.pipeline.settings import Settings

__all__ = ["EncryptedClassifier", "InProcessTransport", "Predictions", "RetryPolicy", "ServingError"]

_SESSIONS_TRIED = 3
_HEADS_TRIED = 6
_MESSAGE_BYTES = 1 << 20
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
        self._manifest: wire.ServerManifest | None = None
        self._manifest_digest = ""
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
        if self._manifest is None:
            self._manifest = self._fetch_manifest()
        return self._manifest

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
            logits, honesty = self._evaluate(name, matrix, keys), None
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
        content = self._channel.get(f"/v1/extractor/{name}?{self._manifest_query}", _FILE_BYTES)
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
        self._close_sessions(sessions)
        return removed

    def _close_sessions(self, sessions: Sequence[str]) -> None:
        for session in sessions:
            with suppress(ServingError):
                self._channel.delete(f"/v1/sessions/{session}")

    def _refuse_server(self, reason: str) -> ServingError:
        """Drop the keys and the sessions, refuse the server from now on, and return the error to raise.

        What the server sees does not depend on the reason: it has answered everything before, and its
        sessions are closed.
        """
        self._close_sessions(self._state.refuse_server())
        return ServingError(
            "dishonest",
            f"the server's answers are wrong ({reason}): nothing was kept, the keys were deleted, and it is "
            "refused from now on (`lexveil keys rotate --trust-again` ends that)",
        )

    @property
    def _manifest_query(self) -> str:
        """Query that names the manifest in use."""
        _ = self.manifest
        return f"manifest={self._manifest_digest}"

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
            self._manifest = self._extractor = None
        raise ServingError("outdated", "the server replaces its model faster than requests reach it")

    def _fetch_manifest(self) -> wire.ServerManifest:
        """Return the server's manifest. An older one may come from a replica that lags behind."""
        self._state.pin.require_trusted()
        waited: float | None = 0.0
        for attempt in range(_HEADS_TRIED):
            manifest = self._read_manifest()
            if manifest is not None:
                return manifest
            waited = self._channel.wait(attempt)
            if waited is None:
                break
        raise ServingError(
            "dishonest",
            "the server shows an older manifest, of another head; "
            "`lexveil keys rotate --trust-again` accepts it as if it were new",
        )

    def _read_manifest(self) -> wire.ServerManifest | None:
        """Return the server's manifest, and pin it; None if it is an older one, of another head."""
        content = self._channel.get("/v1/manifest", _MESSAGE_BYTES)
        with self._state.update() as pin:
            try:
                signed = wire.SignedManifest.model_validate_json(content)
                manifest = signed.verify(self._public_key or pin.public_key or None)
            except ValidationError:
                raise ServingError("manifest", "the server's manifest is malformed") from None
            except bundles.WireError as error:
                raise ServingError("manifest", str(error)) from None
            check_manifest(manifest)
            statement = digest_statement(manifest)
            other_weights = manifest.weights_commitment != pin.commitment
            if other_weights or statement != (pin.statement or statement):
                if manifest.issued_at < pin.issued_at:
                    return None
                pin.head_since = datetime.now(UTC).isoformat(timespec="seconds")
            if other_weights:
                pin.lines = []  # the former answers are no longer valid
            pin.public_key, pin.commitment = signed.public_key, manifest.weights_commitment
            pin.statement = statement
            pin.issued_at = max(pin.issued_at, manifest.issued_at)
        self._manifest_digest = wire.name_manifest(signed.manifest)
        return manifest

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
        logits = self._evaluate(name, request.features, keys)
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

    def _evaluate(self, name: wire.LayoutName, matrix: Floats, keys: HeldKeys) -> Floats:
        """Return the logits of features, evaluated by the server; NaN if an answer cannot be decrypted.

        The whole exchange comes first. Nothing that follows from decrypted answers, nor whether they can be
        decrypted, changes what is sent.
        """
        layout = self.manifest.layouts[name]
        ciphertexts = keys.keys.encrypt(matrix)
        replies: list[bytes] = []
        for start in range(0, len(ciphertexts), layout.ciphertexts_per_request):
            part = ciphertexts[start : start + layout.ciphertexts_per_request]
            replies += self._send_ciphertexts(name, part, keys)
        try:
            return keys.keys.decrypt(replies, len(matrix))
        except (MalformedError, ValueError, RuntimeError):
            return np.full((len(matrix), len(self.manifest.labels)), np.nan)

    def _send_ciphertexts(
        self, name: wire.LayoutName, ciphertexts: Sequence[bytes], keys: HeldKeys
    ) -> list[bytes]:
        """Send one request, and return one reply per ciphertext; none if the answer is malformed."""
        longest = keys.keys.max_reply_bytes
        limit = bundles.max_bundle_bytes(len(ciphertexts), longest)
        content = self._post_in_session(name, bundles.bundle(ciphertexts), limit, keys)
        try:
            return bundles.unbundle(content, len(ciphertexts), longest)
        except bundles.WireError:
            return []  # treated like a reply that cannot be decrypted

    def _post_in_session(self, name: wire.LayoutName, body: bytes, limit: int, keys: HeldKeys) -> bytes:
        """Post a body in the session of a layout. A session that the server has forgotten is reopened."""
        for _ in range(_SESSIONS_TRIED):
            session = self._find_session(name, keys)
            try:
                path = f"/v1/sessions/{session.name}/classify?{self._manifest_query}"
                return self._channel.post(path, body, limit)
            except ServingError as error:
                if error.code != "session":
                    raise
            with self._state.update() as pin:  # it expired, or the server lost its disk
                if pin.sessions.get(name) == session:
                    del pin.sessions[name]
        raise ServingError("session", "the server forgets the keys as soon as they are uploaded")

    def _find_session(self, name: wire.LayoutName, keys: HeldKeys) -> OpenSession:
        """Return the open session of a key and head; other processes wait while it is opened."""
        head = self.manifest.weights_commitment
        with self._state.update() as pin:
            pin.require_trusted()
            current = self._state.find_keys(name)
            if current is None or current.fingerprint != keys.fingerprint:
                raise ServingError("state", "another process has replaced the secret key; try again")
            session = pin.sessions.get(name)
            if session is None or (session.key, session.head) != (keys.fingerprint, head):
                session = OpenSession(self._open_session(name, keys), keys.fingerprint, head)
                pin.sessions[name] = session
            return session

    def _open_session(self, name: wire.LayoutName, keys: HeldKeys) -> str:
        body = bundles.bundle([keys.keys.evaluation_keys()])
        path = f"/v1/sessions?layout={name}&{self._manifest_query}"
        content = self._channel.post(path, body, _MESSAGE_BYTES)
        try:
            return wire.SessionOpened.model_validate_json(content).session
        except ValidationError:
            raise ServingError("protocol", "the server opened no session") from None


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
