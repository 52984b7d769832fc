"""Run as a program by test_hostile_bytes.py, since what it does must not kill a process, and could.

Prints `requests refused answered` when it survived. A bundle's digest is made anew for each mutation, as an
attacker would.
"""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import tenseal.sealapi as seal
import zstandard

from pipeline.serving import wire
from pipeline.serving.client import EncryptedClassifier, InProcessTransport
from pipeline.serving.server import Limits, ServedHead, create_app
from privacy.he.activation import Activation
from privacy.he.evaluate import Evaluator
from privacy.he.frames import Malformed, header, inflate, split
from privacy.he.keys import ClientKeys
from privacy.he.network import NetworkEvaluator
from privacy.he.parameters import choose
from privacy.he.scheme import Scheme, to_bytes

PARAMETERS = choose(64, 2)
NETWORK = choose(64, 2, n_hidden=4, degree=2)
HEAD = ServedHead(np.ones((64, 2)) * [1, -1], np.zeros(2), ["yes", "no"])
ROOMY = 1 << 26


def crafted_keys(own: bytes) -> Iterator[bytes]:
    scheme = Scheme(PARAMETERS)
    generator = seal.KeyGenerator(scheme.context)
    elements = scheme.galois_elements
    galois, public = split(own, 2)
    relin = to_bytes(generator.create_relin_keys())
    secret = to_bytes(generator.secret_key())
    other = ClientKeys.generate(choose(1024, 200))
    yield other.evaluation_keys()
    yield ClientKeys.generate(choose(64, 2, profile="fast")).evaluation_keys()
    for first in (
        relin,
        to_bytes(generator.create_galois_keys(elements[:-1])),
        to_bytes(generator.create_galois_keys([*elements, 27])),
        to_bytes(generator.create_galois_keys()),
        secret,
        public,
        *crafted_stored(inflate(galois, ROOMY)),
    ):
        yield first + public
    (ciphertext,) = ClientKeys.generate(PARAMETERS).encrypt(np.ones((1, 64)))
    for second in (relin, secret, galois, ciphertext, *crafted_stored(inflate(public, ROOMY))):
        yield galois + second
    yield from (b"", galois, public, own + public, public + galois, own + b"\0")


def crafted_stored(stored: bytes) -> Iterator[bytes]:
    yield zeroed(stored, 16 + 32)  # no key at all
    yield stored[:-1]
    yield stored + b"\0"
    yield header(stored[3:5], 0)
    yield b""
    yield bomb(stored)
    # An inner header that claims compression: SEAL would inflate whatever follows.
    inner = stored.index(b"\x5e\xa1\x10", 16)
    yield stored[: inner + 5] + b"\x02" + stored[inner + 6 :]


def crafted_ciphertexts(own: bytes, keys: bytes) -> Iterator[bytes]:
    stored = inflate(own, ROOMY)
    metadata = 16 + 32 + 1  # header, parms_id, NTT flag; then size, degree, primes, scale
    yield keys
    yield zeroed(stored, metadata)
    for size in (0, 1, 3, 2**63):
        yield stored[:metadata] + struct.pack("<Q", size) + stored[metadata + 8 :]
    empty = stored[:metadata] + struct.pack("<Q", 0) + stored[metadata + 8 : metadata + 40]
    for words in (b"", header(stored[3:5], 8) + bytes(8)):
        body = empty[16:] + words
        yield header(stored[3:5], len(body)) + body
    for scale in (0.0, 1.0, float("nan"), float("inf"), -1.0, 2.0**200):
        yield stored[: metadata + 24] + struct.pack("<d", scale) + stored[metadata + 32 :]
    yield stored[:16] + bytes(32) + stored[48:]  # another level
    yield stored[:120] + b"\xff" * (len(stored) - 120)  # coefficients past the modulus
    yield bomb(stored)
    yield from (b"", b"\x5e\xa1\x10", stored[:16], stored[:-1], stored + b"\0")


def zeroed(stored: bytes, start: int) -> bytes:
    return stored[:start] + bytes(len(stored) - start)


def bomb(stored: bytes) -> bytes:
    body = zstandard.ZstdCompressor().compress(bytes(1 << 28))
    return stored[:5] + b"\x02" + b"\0\0" + struct.pack("<Q", 16 + len(body)) + body


def mutated(own: bytes, own_pieces: int, count: int, chance: random.Random) -> Iterator[bytes]:
    pieces = split(own, own_pieces)
    forms = (own, b"".join(inflate(piece, ROOMY) for piece in pieces))
    for number in range(count):
        content = bytearray(forms[number % 2])
        # Half of the mutations in the first bytes, where the structure is.
        end = len(content) if chance.random() < 0.5 else 200
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(end)] = chance.randrange(256)
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
        yield bytes(content)


def client_of(app: Any) -> httpx.Client:
    return httpx.Client(base_url="http://test", transport=InProcessTransport(app))


def main(mutations: int, seed: int) -> None:
    chance = random.Random(seed)
    # Mutated keys that happen to be valid open sessions: forgotten at once, or they would fill the server.
    app, forgetful = create_app(HEAD), create_app(HEAD, Limits(session_seconds=0))
    keys = ClientKeys.generate(PARAMETERS)
    own_keys, (own_ciphertext,) = keys.evaluation_keys(), keys.encrypt(np.ones((1, 64)))
    refused = answered = 0
    with client_of(app) as http, client_of(forgetful) as uploads:

        def post(client: httpx.Client, path: str, blob: bytes) -> None:
            nonlocal refused, answered
            response = client.post(path, content=wire.bundle([blob]))
            if response.status_code in (400, 413, 422):
                assert set(response.json()) == {"error", "message"}
                assert b"\n" not in response.content
                refused += 1
            else:
                assert response.status_code in (200, 201), response.status_code
                answered += 1

        opened = http.post("/v1/sessions", content=wire.bundle([own_keys])).json()["session"]
        classify = f"/v1/sessions/{opened}/classify"
        for blob in crafted_keys(own_keys):
            post(uploads, "/v1/sessions", blob)
        for blob in crafted_ciphertexts(own_ciphertext, own_keys):
            post(http, classify, blob)
        assert answered == 0, "a crafted upload was answered"
        for blob in mutated(own_keys, 2, mutations // 4, chance):
            post(uploads, "/v1/sessions", blob)
        for blob in mutated(own_ciphertext, 1, mutations, chance):
            post(http, classify, blob)
        # The next honest request notices nothing.
        reply = wire.unbundle(http.post(classify, content=wire.bundle([own_ciphertext])).content, 1, 1 << 20)
        assert np.abs(keys.decrypt(reply, 1) - [[64, -64]]).max() < 1e-3
    with EncryptedClassifier.in_process(app) as client:
        assert client.classify(-np.ones((1, 64))).labels == ["no"]
    more_refused, more_answered = against_a_network(mutations // 4, chance)
    print(refused + answered + more_refused + more_answered, refused + more_refused, answered + more_answered)


def against_a_network(mutations: int, chance: random.Random) -> tuple[int, int]:
    """Relinearisation keys, which a linear head has not: straight to the evaluator."""
    weight, bias = np.ones((64, 4)) / 8, np.zeros(4)
    last = np.ones((4, 2)) * [1, -1], np.zeros(2)
    activation = Activation.square((-9, 9))
    evaluator = NetworkEvaluator(NETWORK, (weight, bias), activation, last, np.ones((1, 64)) / 8)
    keys = ClientKeys.generate(NETWORK)
    own, (request,) = keys.evaluation_keys(), keys.encrypt(np.ones((1, 64)) / 8)
    galois, relin, public = split(own, 3)
    for blob in (galois, public, *crafted_stored(inflate(relin, ROOMY))):
        assert not loads(evaluator, galois + blob + public, request), "a crafted upload was taken"
    for first, second, third in ((relin, galois, public), (galois, public, relin), (relin, relin, relin)):
        assert not loads(evaluator, first + second + third, request), "a crafted upload was taken"
    taken = sum(loads(evaluator, blob, request) for blob in mutated(own, 3, mutations, chance))
    logits = keys.decrypt([evaluator.evaluate(request, evaluator.load_keys(own))], 1)
    assert np.abs(logits - [[4, -4]]).max() < 0.1
    return mutations - taken, taken


def loads(evaluator: Evaluator, upload: bytes, request: bytes) -> bool:
    try:
        evaluator.evaluate(request, evaluator.load_keys(upload))
    except Malformed:
        return False
    return True


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
