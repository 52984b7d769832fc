"""Whether a client accepts an answer depends on its secret key. A lying server sees that once a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from fixtures import liars
from lexveil.pipeline.serving import bundles, wire
from lexveil.pipeline.serving.classify import Endpoint, rotate_keys
from lexveil.pipeline.serving.client.channel import Channel, InProcessTransport, RetryPolicy, ServingError
from lexveil.pipeline.serving.client.classifier import EncryptedClassifier
from lexveil.pipeline.serving.client.trust_store import ClientState
from lexveil.pipeline.serving.server.app import ServerLimits, create_app
from lexveil.pipeline.serving.server.offers import Offer
from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.parameters import Parameters
from lexveil.privacy.he.scheme import Scheme
from lexveil.privacy.he.served_model import ServedModel, model_parameters
from lexveil.privacy.he.wire_format import frame_length, inflate

URL = "http://127.0.0.1:9"  # where nobody listens: what is sent goes through `Between`
HEAD = liars.build_head("linear")
DOCUMENTS = liars.draw_documents(np.random.default_rng(2), 70)
Spoil = Callable[[list[bytes]], list[bytes]]
Servers = Callable[[], "Between"]


class Between(httpx.BaseTransport):
    """A server that computes honestly, and then spoils the replies. It notes what it is sent."""

    def __init__(self) -> None:
        limits = ServerLimits(ciphertexts_per_request=1)  # several requests for all documents
        self._server = InProcessTransport(create_app(Offer(ServedModel(HEAD), liars.LABELS), limits))
        self.spoil: Spoil = lambda replies: replies
        self.sent: list[str] = []

    def close(self) -> None:
        self._server.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        words = [word for word in request.url.path.split("/") if 0 < len(word) < 40]  # not the session
        self.sent.append(" ".join([request.method, *words]))
        response = self._server.handle_request(request)
        if not request.url.path.endswith("/classify") or not response.is_success:
            return response
        body = bundles.bundle(self.spoil(bundles.unbundle(response.content, 32, 1 << 24)))
        digest = wire.compute_reply_digest(request.headers[wire.REQUEST_DIGEST], body)
        return httpx.Response(200, content=body, headers={wire.REPLY_DIGEST: digest})


@pytest.fixture
def servers() -> Iterator[Callable[[], Between]]:
    """Makes servers, and closes them."""
    made: list[Between] = []

    def make() -> Between:
        made.append(Between())
        return made[-1]

    yield make
    for server in made:
        server.close()


def classify(server: Between, state: Path | None, documents: Floats = DOCUMENTS) -> None:
    """Classify with a new client, as a scheduled job would."""
    http = httpx.Client(base_url=URL, transport=liars.Unclosed(server))
    channel = Channel(http, None, RetryPolicy(total=0.0))
    with EncryptedClassifier(channel, ClientState.for_endpoint(state, URL)) as client:
        client.classify(documents)


def refusal_of(work: Callable[[], object]) -> str | None:
    try:
        work()
    except ServingError as error:
        return error.code
    return None


def add_to_key_part(reply: bytes, parameters: Parameters, amount: int) -> bytes:
    """Add a number to the polynomial that decryption multiplies by the secret key."""
    scheme = Scheme(parameters)
    (before, words, after), prime = _cut(scheme, reply), scheme.primes[0]
    assert scheme.output_primes == 1
    half = len(words) // 2
    words[half:] = (words[half:] + np.uint64(amount)) % np.uint64(prime)
    return before + words.tobytes() + after


def _cut(scheme: Scheme, reply: bytes) -> tuple[bytes, Any, bytes]:
    frame = scheme.output_frame
    stored = inflate(reply, frame_length(frame))
    assert isinstance(frame[0], bytes)
    assert isinstance(frame[1], int)
    start, end = len(frame[0]), len(frame[0]) + frame[1]
    return stored[:start], np.frombuffer(stored[start:end], "<u8").copy(), stored[end:]


def test_bisecting_on_refusals_ends_with_the_first(servers: Servers, tmp_path: Path) -> None:
    """The attack of an audit: what is added reaches the logits times the key, and refusals measure it."""
    parameters = model_parameters(ServedModel(HEAD))
    server = servers()
    classify(server, tmp_path)
    (key,) = tmp_path.glob("*/block.key")
    former = key.read_bytes()
    low, high = 0.0, 60.0  # of the exponent
    refused: list[bool] = []
    for _ in range(12):
        middle = (low + high) / 2
        server.spoil = lambda replies, amount=int(2.0**middle): [
            add_to_key_part(reply, parameters, amount) for reply in replies
        ]
        before = len(server.sent)
        code = refusal_of(lambda: classify(server, tmp_path, DOCUMENTS[:4]))
        if len(server.sent) == before:
            assert code == "refused"  # not asked anything any more: nothing to learn
            continue
        assert code in (None, "dishonest")
        refused.append(code is not None)
        low, high = (low, middle) if code else (middle, high)
    assert refused.count(True) == 1
    assert refused[-1]
    assert not key.exists()

    server.spoil = lambda replies: replies
    assert refusal_of(lambda: classify(server, tmp_path)) == "refused"
    endpoint = Endpoint(URL, state=tmp_path)
    assert refusal_of(lambda: rotate_keys(endpoint)) == "refused"
    assert rotate_keys(endpoint, trust_again=True)["server_notified"] is False  # nobody listens there
    classify(server, tmp_path)
    assert key.read_bytes() != former


def one_in_each(change: Callable[[bytes], bytes]) -> Spoil:
    return lambda replies: [change(replies[0]), *replies[1:]]


def far_off(reply: bytes) -> bytes:
    return add_to_key_part(reply, model_parameters(ServedModel(HEAD)), 1 << 55)


SPOILT: dict[str, Spoil] = {
    "wrong": one_in_each(far_off),
    "no ciphertext": one_in_each(lambda _: b"none"),
    "cut": one_in_each(lambda reply: reply[:-1]),
    "empty": one_in_each(lambda _: b""),
}


@pytest.mark.parametrize("which", ["every", "first", "last"])
def test_a_refusal_looks_the_same_whatever_its_reason(servers: Servers, which: str) -> None:
    seen: set[tuple[str, ...]] = set()
    for spoil in SPOILT.values():
        server, asked = servers(), [0]

        def once(replies: list[bytes], spoil: Spoil = spoil, asked: list[int] = asked) -> list[bytes]:
            asked[0] += 1
            chosen = {"every": True, "first": asked[0] == 1, "last": asked[0] == 3}[which]
            return spoil(replies) if chosen else replies

        server.spoil = once
        code = refusal_of(lambda server=server: classify(server, None))
        if code is None:  # a wrong ciphertext happened to hold no probe and no document that has a twin
            continue
        assert code == "dishonest"
        seen.add(tuple(server.sent))
    assert len(seen) == 1
    (requests,) = seen
    assert requests[:2] == ("GET v1 manifest", "POST v1 sessions")
    assert requests[-1] == "DELETE v1 sessions"
    assert len(requests) >= 5
    assert set(requests[2:-1]) == {"POST v1 sessions classify"}


def test_without_checks_what_cannot_be_decrypted_ends_the_key_too(servers: Servers, tmp_path: Path) -> None:
    server = servers()
    server.spoil = SPOILT["no ciphertext"]
    http = httpx.Client(base_url=URL, transport=liars.Unclosed(server))
    client = EncryptedClassifier(Channel(http), ClientState.for_endpoint(tmp_path, URL), checks=False)
    assert refusal_of(lambda: client.classify(DOCUMENTS)) == "dishonest"
    assert refusal_of(lambda: client.classify(DOCUMENTS)) == "refused"
    assert not [*tmp_path.glob("*/*.key")]
