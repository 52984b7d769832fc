"""The key holder's side: texts are masked, embedded and encrypted here, and results are decrypted here.

    with EncryptedClassifier.connect("https://classify.example", api_key) as classifier:
        predictions = classifier.predict(texts)

The secret key is made in this process and never leaves this machine. Results are for the caller: hand on
labels, never scores or logits (`lexveil.privacy.he.keys` says why).
"""

from __future__ import annotations

import hashlib
import ssl
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from lexveil.pipeline.serving import bundles, wire
from lexveil.pipeline.serving.client import checks as honesty
from lexveil.pipeline.serving.client import manifest as promises
from lexveil.pipeline.serving.client.channel import Channel, InProcessTransport, Patience, ServingError
from lexveil.pipeline.serving.client.extractor import LocalExtractor
from lexveil.pipeline.serving.client.trust_store import State
from lexveil.privacy.he.keys import ClientKeys
from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.parameters import Parameters
from lexveil.privacy.he.probes import probe_features
from lexveil.privacy.he.wire_format import MalformedError

if TYPE_CHECKING:
    from lexveil.pipeline.settings import Settings

__all__ = ["EncryptedClassifier", "InProcessTransport", "Patience", "Predictions", "ServingError"]

OWN_PROBES = 4
_TIMEOUT_SECONDS = 60.0
_SESSIONS_TRIED = 3
_MESSAGE_BYTES = 1 << 20
_FILE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Predictions:
    """What documents were classified as. All but the labels is for the key holder alone.

    labels: one a document. logits: shape (n, n_classes). error_bound: largest absolute error of a logit that
    the server states for these features. layout: how they were packed. found: how the server did in the
    checks of its honesty, None where none were made.
    """

    labels: list[str] = field(repr=False)
    logits: NDArray[np.float64] = field(repr=False)
    error_bound: float
    layout: wire.LayoutName
    found: honesty.Found | None = None

    @property
    def scores(self) -> NDArray[np.float64]:
        """Softmax of the logits. Shape: (n, n_classes)."""
        powers = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


class EncryptedClassifier:
    """A client of one endpoint. Keys are made, and uploaded, when they are first needed.

    Not for several threads at once.
    """

    def __init__(
        self,
        channel: Channel,
        state: State,
        *,
        settings: Settings | None = None,
        public_key: str | None = None,
        checks: bool = True,
    ) -> None:
        self._channel, self._state, self._settings = channel, state, settings
        self._public_key, self._checks = public_key, checks
        self._manifest: wire.Manifest | None = None
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
        patience: Patience | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> EncryptedClassifier:
        """A client of the endpoint at `url`, its manifest fetched and checked.

        state: folder in which secret keys (mode 0600) and what is known of endpoints are kept; None: nothing
        outlives this process, and the server's public key is taken on trust each time. public_key: base64
        Ed25519, told by the endpoint's keeper; None: the first one seen is pinned. settings: of masking and
        of the public encoder; None: the usual ones. checks: mix known answers and duplicates into requests.
        tls: for a private authority or a certificate of the client's own.

        Raises `ServingError` when there is none to talk to, or none to be trusted.
        """
        http = httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS, verify=True if tls is None else tls)
        channel = Channel(http, api_key, patience)
        return cls._connected(channel, State.of(state, url), settings, public_key, checks)

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
        """A client of an ASGI application in this process, by the same messages. Raises `ServingError`."""
        url = "http://in-process"
        http = httpx.Client(base_url=url, transport=InProcessTransport(app))
        return cls._connected(Channel(http, api_key), State.of(state, url), settings, None, checks)

    @classmethod
    def _connected(
        cls,
        channel: Channel,
        state: State,
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
    def manifest(self) -> wire.Manifest:
        """What the server publishes: its signature right, its content consistent, its key the pinned one."""
        if self._manifest is None:
            self._manifest = self._trusted_manifest()
        return self._manifest

    def predict(self, texts: Sequence[str]) -> Predictions:
        """Labels and scores of texts. They are masked and embedded here; the server sees ciphertexts.

        Raises `ServingError`, and `TrainingRefusedError` for an extractor that cannot be used here.
        """
        if not texts:
            raise ServingError("features", "there is no text to classify")
        if self._extractor is None:
            self._extractor = self._downloaded_extractor()
        return self.classify(self._extractor.features(texts))

    def classify(self, features: NDArray[np.floating]) -> Predictions:
        """Labels and scores of features. Shape: (n, n_features). Raises `ServingError`."""
        matrix = np.asarray(features, dtype=np.float64)
        name = self._layout_for(len(matrix))
        layout = self.manifest.layouts[name]
        parameters = promises.parameters(layout)
        bound = promises.error_bound(layout, _checked_norm(matrix, layout, parameters))
        if not self._checks:
            logits, found = self._logits(name, matrix), None
        else:
            logits, found = self._checked_logits(name, matrix, bound)
        labels = [self.manifest.labels[index] for index in logits.argmax(axis=1)]
        return Predictions(labels, logits, bound, name, found)

    def download_extractor(self, folder: Path) -> list[Path]:
        """Downloads the extractor whose features the head expects into `folder`; digests are checked."""
        paths: list[Path] = []
        for name in wire.EXTRACTOR_FILES:
            digest = self.manifest.extractor.get(name)
            if digest is None:
                continue
            content = self._channel.get(f"/v1/extractor/{name}", _FILE_BYTES)
            if hashlib.sha256(content).hexdigest() != digest:
                raise ServingError("protocol", f"{name} is not the file of the manifest")
            path = folder / name
            path.write_bytes(content)
            paths.append(path)
        return paths

    def rotate_keys(self) -> int:
        """Makes the server forget the evaluation keys, and removes the secret ones; returns how many files.

        The server is asked, not trusted, to forget: what counts is that the secret key is gone.
        """
        for session in self._state.pin.sessions.values():
            with suppress(ServingError):
                self._channel.delete(f"/v1/sessions/{session}")
        return self._state.rotate()

    def _trusted_manifest(self) -> wire.Manifest:
        pin = self._state.pin
        content = self._channel.get("/v1/manifest", _MESSAGE_BYTES)
        try:
            signed = wire.SignedManifest.model_validate_json(content)
            manifest = signed.verified(self._public_key or pin.public_key or None)
        except ValidationError:
            raise ServingError("manifest", "the server's manifest is not one") from None
        except bundles.WireError as error:
            raise ServingError("manifest", str(error)) from None
        promises.refuse_incredible(manifest)
        if manifest.weights_commitment != pin.commitment:
            if manifest.issued_at < pin.issued_at:
                raise ServingError("dishonest", "the server shows an older manifest, of other weights")
            pin.answers, pin.tolerance = [], 0.0  # another head: what was answered before no longer counts
        pin.public_key, pin.commitment = signed.public_key, manifest.weights_commitment
        pin.issued_at = max(pin.issued_at, manifest.issued_at)
        self._state.save()
        return manifest

    def _downloaded_extractor(self) -> LocalExtractor:
        from lexveil.pipeline.settings import load_settings

        settings = self._settings or load_settings()
        with tempfile.TemporaryDirectory(prefix="lexveil-") as folder:
            self.download_extractor(Path(folder))
            return LocalExtractor(Path(folder), settings)

    def _layout_for(self, documents: int) -> wire.LayoutName:
        """`slot` where a request would be half full: below, blocks cost less to send and to evaluate."""
        slot = self.manifest.layouts.get("slot")
        if slot is None or "block" not in self.manifest.layouts:
            return next(iter(self.manifest.layouts))
        full = promises.parameters(slot).documents_per_ciphertext
        return "slot" if 2 * documents >= full else "block"

    def _checked_logits(self, name: wire.LayoutName, matrix: Floats, bound: float) -> tuple[Floats, Any]:
        """The documents' logits, once the known answers and duplicates among them have come out right."""
        layout, pin = self.manifest.layouts[name], self._state.pin
        bound = max(bound, promises.error_bound(layout, 1.0))  # probes have norm 1
        own = probe_features(pin.probe_seed, OWN_PROBES, matrix.shape[1])
        known = [promises.known_answers(self.manifest, matrix.shape[1])]
        if pin.answers:
            known.append(honesty.KnownAnswers(own, np.array(pin.answers), pin.tolerance))
        first_time = None if pin.answers else own
        mixed = honesty.mix(matrix, known, promises.parameters(layout).documents_per_ciphertext, first_time)
        logits = self._logits(name, mixed.features)
        found = honesty.check(mixed, logits, known, bound)
        if not found.honest:
            raise ServingError(
                "dishonest",
                f"the server's answers are wrong: {found.wrong_probes} of {found.probes} known ones, "
                f"{found.unequal_twins} of {found.twins} duplicates; nothing was kept",
            )
        answers = logits[mixed.documents]
        if first_time is not None:
            pin.answers, pin.tolerance = answers[len(matrix) :].tolist(), bound
            self._state.save()
        return answers[: len(matrix)], found

    def _logits(self, name: wire.LayoutName, matrix: Floats) -> Floats:
        layout = self.manifest.layouts[name]
        keys = self._state.keys(name, promises.parameters(layout))
        ciphertexts = keys.encrypt(matrix)
        replies: list[bytes] = []
        for start in range(0, len(ciphertexts), layout.ciphertexts_per_request):
            part = ciphertexts[start : start + layout.ciphertexts_per_request]
            replies += self._evaluated(name, part, keys)
        try:
            return keys.decrypt(replies, len(matrix))
        except MalformedError as error:
            raise ServingError("protocol", f"the server's answer was refused: {error}") from None

    def _evaluated(
        self, name: wire.LayoutName, ciphertexts: Sequence[bytes], keys: ClientKeys
    ) -> list[bytes]:
        body, sessions = bundles.bundle(ciphertexts), self._state.pin.sessions
        limit = bundles.max_bundle_bytes(len(ciphertexts), keys.max_reply_bytes)
        content: bytes | None = None
        for _ in range(_SESSIONS_TRIED):
            if name not in sessions:
                sessions[name] = self._open_session(name, keys)
                self._state.save()
            try:
                content = self._channel.post(f"/v1/sessions/{sessions[name]}/classify", body, limit)
                break
            except ServingError as error:
                if error.code != "session":
                    raise
                del sessions[name]  # forgotten: expired, or the server lost its disk
        if content is None:
            raise ServingError("session", "the server forgets the keys as soon as they are uploaded")
        try:
            replies = bundles.unbundle(content, len(ciphertexts), keys.max_reply_bytes)
        except bundles.WireError as error:
            raise ServingError("protocol", f"the server's answer was refused: {error}") from None
        if len(replies) != len(ciphertexts):
            raise ServingError("protocol", "the server answered another number of ciphertexts")
        return replies

    def _open_session(self, name: wire.LayoutName, keys: ClientKeys) -> str:
        body = bundles.bundle([keys.evaluation_keys()])
        content = self._channel.post(f"/v1/sessions?layout={name}", body, _MESSAGE_BYTES)
        try:
            return wire.SessionOpened.model_validate_json(content).session
        except ValidationError:
            raise ServingError("protocol", "the server opened no session") from None


def _checked_norm(features: Floats, layout: wire.Layout, parameters: Parameters) -> float:
    if features.ndim != 2 or features.shape[1] != parameters.n_features or len(features) == 0:
        raise ServingError(
            "features", f"features must have shape (n, {parameters.n_features}), these have {features.shape}"
        )
    norm = float(np.linalg.norm(features, axis=1).max())
    if not norm <= layout.feature_norm:  # also refuses what is not a number
        raise ServingError("features", f"features must be finite, of norm {layout.feature_norm:g} at most")
    return norm
