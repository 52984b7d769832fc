"""Run as a program by test_hostile_bytes.py, since what it does must not kill a process, and could.

Prints `requests refused answered` when it survived. The application evaluates in this very process.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import httpx
import numpy as np

from fixtures import uploads
from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.client.channel import InProcessTransport
from lexveil.pipeline.serving.server.app import ServerLimits, create_app
from lexveil.pipeline.serving.server.offers import Offer
from lexveil.pipeline.serving.server.sessions import SessionLimits
from lexveil.privacy.he.activation import Activation
from lexveil.privacy.he.keys import ClientKeys
from lexveil.privacy.he.scheme import Scheme
from lexveil.privacy.he.served_model import Head, LinearHead, NetworkHead, ServedModel, model_parameters

LINEAR = LinearHead(np.ones((64, 2)) * [1, -1], np.zeros(2))
NETWORK = NetworkHead(
    np.ones((64, 4)) / 8, np.zeros(4), Activation.square((-9, 9)), np.ones((4, 2)) * [1, -1], np.zeros(2)
)


def client_of(app: Any) -> httpx.Client:
    return httpx.Client(base_url="http://test", transport=InProcessTransport(app))


def attack(head: Head, mutations: int, chance: random.Random) -> tuple[int, int]:
    model = ServedModel(head)
    offer = Offer(model, ["yes", "no"])
    # Mutated keys that happen to be valid open sessions: forgotten at once, or they would fill the server.
    app = create_app(offer)
    forgetful = create_app(offer, ServerLimits(sessions=SessionLimits(seconds=0)))
    keys = ClientKeys.generate(model_parameters(model))
    pieces = len(Scheme(keys.parameters).key_frames)
    own_keys, own_ciphertext = uploads.honest(keys)
    refused = answered = 0
    with client_of(app) as http, client_of(forgetful) as other:

        def post(client: httpx.Client, path: str, blob: bytes) -> httpx.Response:
            body = wire.bundle([blob])
            return client.post(path, content=body, headers={wire.REQUEST_DIGEST: wire.compute_digest(body)})

        def attempt(client: httpx.Client, path: str, blob: bytes) -> None:
            nonlocal refused, answered
            response = post(client, path, blob)
            if response.status_code in (400, 413, 422):
                assert set(response.json()) == {"error", "message"}
                assert b"\n" not in response.content
                refused += 1
            else:
                assert response.status_code in (200, 201), response.status_code
                answered += 1

        classify = f"/v1/sessions/{post(http, '/v1/sessions', own_keys).json()['session']}/classify"
        for blob in uploads.crafted_keys(keys):
            attempt(other, "/v1/sessions", blob)
        for blob in uploads.crafted_ciphertexts(keys):
            attempt(http, classify, blob)
        assert answered == 0, "a crafted upload was answered"
        for blob in uploads.mutated(own_keys, pieces, mutations // 4, chance):
            attempt(other, "/v1/sessions", blob)
        for blob in uploads.mutated(own_ciphertext, 1, mutations, chance):
            attempt(http, classify, blob)
        # The next honest request notices nothing.
        reply = wire.unbundle(post(http, classify, own_ciphertext).content, 1, 1 << 20)
        plain = head.logits(np.ones((1, 64)) / 8)
        assert np.abs(keys.decrypt(reply, 1) - plain).max() < 0.1
    return refused, answered


def main(mutations: int, seed: int) -> None:
    chance = random.Random(seed)
    found = [attack(LINEAR, mutations, chance), attack(NETWORK, mutations // 4, chance)]
    refused, answered = (sum(column) for column in zip(*found, strict=True))
    print(refused + answered, refused, answered)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
