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
from privacy.he.frames import header, inflate
from privacy.he.keys import ClientKeys
from privacy.he.parameters import choose
from privacy.he.scheme import Scheme, to_bytes

PARAMETERS = choose(64, 2)
HEAD = ServedHead(np.ones((64, 2)) * [1, -1], np.zeros(2), ["yes", "no"])
ROOMY = 1 << 26


def crafted_keys(own: bytes) -> Iterator[bytes]:
    scheme = Scheme(PARAMETERS)
    generator = seal.KeyGenerator(scheme.context)
    elements = scheme.galois_elements
    yield to_bytes(generator.create_relin_keys())
    yield to_bytes(generator.create_galois_keys(elements[:-1]))
    yield to_bytes(generator.create_galois_keys([*elements, 27]))
    yield to_bytes(generator.create_galois_keys())
    yield to_bytes(generator.secret_key())
    other = ClientKeys.generate(choose(1024, 200))
    yield other.evaluation_keys()
    stored = inflate(own, ROOMY)
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


def mutated(own: bytes, count: int, chance: random.Random) -> Iterator[bytes]:
    forms = (own, inflate(own, ROOMY))
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
        for blob in mutated(own_keys, mutations // 4, chance):
            post(uploads, "/v1/sessions", blob)
        for blob in mutated(own_ciphertext, mutations, chance):
            post(http, classify, blob)
        # The next honest request notices nothing.
        reply = wire.unbundle(http.post(classify, content=wire.bundle([own_ciphertext])).content, 1, 1 << 20)
        assert np.abs(keys.decrypt(reply, 1) - [[64, -64]]).max() < 1e-3
    with EncryptedClassifier.in_process(app) as client:
        assert client.classify(-np.ones((1, 64))).labels == ["no"]
    print(refused + answered, refused, answered)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
