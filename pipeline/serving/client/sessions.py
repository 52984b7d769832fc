"""The sessions of a client, in which a server evaluates its ciphertexts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from pydantic import ValidationError

from lexveil.pipeline.serving import bundles, wire
from lexveil.pipeline.serving.client.channel import MESSAGE_BYTES, Channel, ServingError
from lexveil.pipeline.serving.client.manifest import ServedManifest
from lexveil.pipeline.serving.client.trust_store import ClientState, HeldKeys, OpenSession
from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.wire_format import MalformedError

_TRIED = 3


class ClientSessions:
    """Evaluates features at a server, in a session for each layout, key and head. It is not thread-safe.

    Args:
        channel: connection to the server.
        state: secret keys and pin of the endpoint.
    """

    def __init__(self, channel: Channel, state: ClientState) -> None:
        self._channel, self._state = channel, state

    def evaluate(
        self, served: ServedManifest, name: wire.LayoutName, matrix: Floats, keys: HeldKeys
    ) -> Floats:
        """Return the logits of features, evaluated by the server; NaN if an answer cannot be decrypted.

        The whole exchange comes first. Nothing that follows from decrypted answers, nor whether they can be
        decrypted, changes what is sent.

        Args:
            served: the manifest that the request is about.
            name: layout of the ciphertexts.
            matrix: features. Shape: (n, n_features).
            keys: keys of the layout.

        Returns:
            Logits. Shape: (n, n_classes).

        Raises:
            ServingError: the server fails or refuses.
        """
        layout = served.manifest.layouts[name]
        ciphertexts = keys.keys.encrypt(matrix)
        replies: list[bytes] = []
        for start in range(0, len(ciphertexts), layout.ciphertexts_per_request):
            part = ciphertexts[start : start + layout.ciphertexts_per_request]
            replies += self._send_ciphertexts(served, name, part, keys)
        try:
            return keys.keys.decrypt(replies, len(matrix))
        except (MalformedError, ValueError, RuntimeError):
            return np.full((len(matrix), len(served.manifest.labels)), np.nan)

    def _send_ciphertexts(
        self, served: ServedManifest, name: wire.LayoutName, ciphertexts: Sequence[bytes], keys: HeldKeys
    ) -> list[bytes]:
        """Send one request, and return one reply per ciphertext; none if the answer is malformed."""
        longest = keys.keys.max_reply_bytes
        limit = bundles.max_bundle_bytes(len(ciphertexts), longest)
        content = self._post_in_session(served, name, bundles.bundle(ciphertexts), limit, keys)
        try:
            return bundles.unbundle(content, len(ciphertexts), longest)
        except bundles.WireError:
            return []  # treated like a reply that cannot be decrypted

    def _post_in_session(
        self, served: ServedManifest, name: wire.LayoutName, body: bytes, limit: int, keys: HeldKeys
    ) -> bytes:
        """Post a body in the session of a layout. A session that the server has forgotten is reopened."""
        for _ in range(_TRIED):
            session = self._find_session(served, name, keys)
            try:
                path = f"/v1/sessions/{session.name}/classify?{served.query}"
                return self._channel.post(path, body, limit)
            except ServingError as error:
                if error.code != "session":
                    raise
            with self._state.update() as pin:  # it expired, or the server lost its disk
                if pin.sessions.get(name) == session:
                    del pin.sessions[name]
        raise ServingError("session", "the server forgets the keys as soon as they are uploaded")

    def _find_session(self, served: ServedManifest, name: wire.LayoutName, keys: HeldKeys) -> OpenSession:
        """Return the open session of a key and head; other processes wait while it is opened."""
        head = served.manifest.weights_commitment
        with self._state.update() as pin:
            pin.require_trusted()
            current = self._state.find_keys(name)
            if current is None or current.fingerprint != keys.fingerprint:
                raise ServingError("state", "another process has replaced the secret key; try again")
            session = pin.sessions.get(name)
            if session is None or (session.key, session.head) != (keys.fingerprint, head):
                session = OpenSession(self._open_session(served, name, keys), keys.fingerprint, head)
                pin.sessions[name] = session
            return session

    def _open_session(self, served: ServedManifest, name: wire.LayoutName, keys: HeldKeys) -> str:
        body = bundles.bundle([keys.keys.evaluation_keys()])
        path = f"/v1/sessions?layout={name}&{served.query}"
        content = self._channel.post(path, body, MESSAGE_BYTES)
        try:
            return wire.SessionOpened.model_validate_json(content).session
        except ValidationError:
            raise ServingError("protocol", "the server opened no session") from None

    def close(self, sessions: Sequence[str]) -> None:
        """Ask the server to forget sessions; it does not matter whether it does."""
        for session in sessions:
            with suppress(ServingError):
                self._channel.delete(f"/v1/sessions/{session}")
