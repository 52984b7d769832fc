"""The client against the endpoint's application, against servers that lie, and against ones that are busy."""

from __future__ import annotations

import base64
import gzip
import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lexveil.pipeline.serving import bundles, wire
from lexveil.pipeline.serving.client.channel import (
    Channel,
    InProcessTransport,
    RetryPolicy,
    ServingError,
    parse_retry_after,
)
from lexveil.pipeline.serving.client.checks import Line
from lexveil.pipeline.serving.client.classifier import EncryptedClassifier
from lexveil.pipeline.serving.client.trust_store import ClientState
from lexveil.pipeline.serving.server.app import create_app
from lexveil.pipeline.serving.server.offers import Offer
from lexveil.privacy.he.activation import Activation
from lexveil.privacy.he.probes import probe_features
from lexveil.privacy.he.served_model import LinearHead, NetworkHead, ServedModel

RANDOM = np.random.default_rng(3)
HEAD = LinearHead(RANDOM.normal(size=(64, 3)), RANDOM.normal(size=3))
OTHER = LinearHead(RANDOM.normal(size=(64, 3)), RANDOM.normal(size=3))
LABELS = ["lease", "loan", "merger"]
FEATURES = RANDOM.normal(size=(70, 64)).astype(np.float32) / 9
URL = "http://test"
Answer = Callable[[httpx.Request, Callable[[httpx.Request], httpx.Response]], httpx.Response]


def labels_of(head: Any, features: np.ndarray = FEATURES) -> list[str]:
    return [LABELS[index] for index in head.logits(features).argmax(axis=1)]


def app_of(head: Any = HEAD, profile: Any = "sealed") -> Any:
    return create_app(Offer(ServedModel(head, profile), LABELS))


class Between(httpx.BaseTransport):
    """Stands between client and server; `answer` may change whatever passes."""

    def __init__(self, app: Any, answer: Answer) -> None:
        self._inner = InProcessTransport(app)
        self._answer = answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        # A server that shows the manifest of another head does not mind that requests name it.
        request.url = request.url.copy_remove_param("manifest")
        return self._answer(request, self._inner.handle_request)

    def close(self) -> None:
        self._inner.close()


def client_of(
    transport: httpx.BaseTransport, state: ClientState | None = None, **more: Any
) -> EncryptedClassifier:
    http = httpx.Client(base_url=URL, transport=transport)
    retry_policy = more.pop("retry_policy", RetryPolicy(total=0.0))
    return EncryptedClassifier(Channel(http, None, retry_policy), state or ClientState(), **more)


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(ServingError) as caught:
        work()
    assert "\n" not in str(caught.value)
    return caught.value.code


class TestTogether:
    @pytest.mark.parametrize("profile", ["sealed", "fast"])
    def test_labels_and_scores(self, profile: Any) -> None:
        with EncryptedClassifier.in_process(app_of(profile=profile)) as client:
            found = client.classify(FEATURES)
            assert found.labels == labels_of(HEAD)
            assert found.layout == "block"
            assert found.honesty is not None
            assert found.honesty.honest
            assert found.honesty.probes > 1
            np.testing.assert_allclose(found.scores.sum(axis=1), 1)
            assert np.abs(found.logits - HEAD.logits(FEATURES)).max() <= found.error_bound
            assert client.classify(FEATURES[:1]).labels == labels_of(HEAD)[:1]
            assert "lease" not in repr(found) + repr(client)
            assert "logits" not in repr(found)

    def test_labels_within_the_stated_error_are_counted(self) -> None:
        """A server of a network may state one that makes room for its lies: then these are most of them."""
        with EncryptedClassifier.in_process(app_of()) as client:
            found = client.classify(FEATURES)
        assert found.uncertain == 0
        gaps = np.sort(found.logits, axis=1)[:, -1] - np.sort(found.logits, axis=1)[:, -2]
        for bound in (float(gap) / 2 for gap in np.sort(gaps)[[0, 30, 69]]):
            assert replace(found, error_bound=bound).uncertain == np.count_nonzero(gaps <= 2 * bound)

    def test_thousands_go_by_slots(self) -> None:
        many = np.random.default_rng(5).normal(size=(2100, 64)) / 9
        with EncryptedClassifier.in_process(app_of(profile="fast")) as client:
            found = client.classify(many)
        assert found.layout == "slot"
        plain = HEAD.logits(many)
        assert np.abs(found.logits - plain).max() <= found.error_bound

    def test_a_network(self) -> None:
        first = RANDOM.normal(size=(64, 8)) / 3, RANDOM.normal(size=8) / 5
        last = RANDOM.normal(size=(8, 3)) / 4, RANDOM.normal(size=3)
        head = NetworkHead(*first, Activation((0.0, 0.5, 0.3), (-9, 9)), *last)
        unit = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
        with EncryptedClassifier.in_process(app_of(head)) as client:
            found = client.classify(unit)
        assert np.abs(found.logits - head.logits(unit)).max() <= found.error_bound

    @pytest.mark.parametrize(
        "features",
        [np.zeros((2, 63)), np.zeros(64), np.zeros((0, 64)), np.full((1, 64), np.nan), np.full((1, 64), 1e6)],
        ids=["narrow", "flat", "none", "nan", "long"],
    )
    def test_features_that_cannot_be_sent(self, features: np.ndarray) -> None:
        with EncryptedClassifier.in_process(app_of()) as client:
            assert code_of(lambda: client.classify(features)) == "features"
            assert code_of(lambda: client.predict([])) == "features"


class TestState:
    def test_keys_session_and_pin_outlive_the_process_and_are_rotated(self, tmp_path: Path) -> None:
        paths: list[str] = []

        def count(request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]) -> httpx.Response:
            paths.append(f"{request.method} {request.url.path.split('/')[-1][:8]}")
            return send(request)

        transport = Between(app_of(), count)
        for _ in range(2):
            with client_of(_Open(transport), ClientState.for_endpoint(tmp_path, URL)) as client:
                assert client.classify(FEATURES[:3]).labels == labels_of(HEAD)[:3]
        assert paths.count("POST sessions") == 1
        (folder,) = tmp_path.iterdir()
        for path in (folder, *folder.iterdir()):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        secret = (folder / "block.key").read_bytes()
        with client_of(_Open(transport), ClientState.for_endpoint(tmp_path, URL)) as client:
            assert client.rotate_keys() == 1
            assert not (folder / "block.key").exists()
            assert client.classify(FEATURES[:3]).labels == labels_of(HEAD)[:3]
        assert (folder / "block.key").read_bytes() != secret
        assert paths.count("POST sessions") == 2
        transport.close()

    def test_a_key_file_that_others_can_read_is_refused(self, tmp_path: Path) -> None:
        with InProcessTransport(app_of()) as server:
            with client_of(_Open(server), ClientState.for_endpoint(tmp_path, URL)) as client:
                client.classify(FEATURES[:1])
            (path,) = tmp_path.glob("*/block.key")
            path.chmod(0o644)
            with client_of(_Open(server), ClientState.for_endpoint(tmp_path, URL)) as client:
                assert code_of(lambda: client.classify(FEATURES[:1])) == "state"

    def test_a_broken_pin_is_not_replaced_silently(self, tmp_path: Path) -> None:
        with ClientState.for_endpoint(tmp_path, URL).update() as pin:
            pin.public_key = "key"
        (path,) = tmp_path.glob("*/pin.json")
        path.write_text("{}x")
        assert code_of(lambda: ClientState.for_endpoint(tmp_path, URL)) == "state"

    def test_keys_are_uploaded_again_when_the_server_forgot_them(self) -> None:
        state = ClientState()
        with client_of(InProcessTransport(app_of()), state) as client:
            client.classify(FEATURES[:3])
            session = state.pin.sessions["block"]
            state.pin.sessions["block"] = replace(session, name="x" * 43)  # as if the server lost its disk
            assert client.classify(FEATURES[:3]).labels == labels_of(HEAD)[:3]


class _Open(httpx.BaseTransport):
    """The same server for several clients: not closed with the first."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._inner.handle_request(request)


class TestALyingServer:
    def lying(self, head: Any, profile: Any = "sealed") -> httpx.BaseTransport:
        """Shows the manifest of `HEAD` and computes with `head`."""
        shown = InProcessTransport(app_of(HEAD, profile))

        def answer(request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]) -> httpx.Response:
            return shown.handle_request(request) if request.url.path == "/v1/manifest" else send(request)

        return Between(app_of(head, profile), answer)

    @pytest.mark.parametrize("n", [1, 70])
    def test_other_weights_are_found_out_at_first_use(self, n: int) -> None:
        with client_of(self.lying(OTHER)) as client:
            assert code_of(lambda: client.classify(FEATURES[:n])) == "dishonest"

    def test_slightly_other_weights_too(self) -> None:
        stale = LinearHead(HEAD.weight * 1.02, HEAD.bias)
        with client_of(self.lying(stale)) as client:
            assert code_of(lambda: client.classify(FEATURES)) == "dishonest"

    def test_weights_that_only_the_clients_own_probes_see_are_found_out_later(self) -> None:
        """They differ from the stated ones only where no published probe looks."""
        state = ClientState()
        honest = app_of()
        with client_of(InProcessTransport(honest), state) as client:
            client.classify(FEATURES[:8])
            manifest = client.manifest
        assert manifest.probes is not None
        seen = probe_features(manifest.probes.seed, len(manifest.probes.answers), 64)
        unseen = np.eye(64) - np.linalg.pinv(seen) @ seen
        crafted = LinearHead(HEAD.weight + unseen @ OTHER.weight, HEAD.bias)
        inner = InProcessTransport(honest)

        def answer(request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]) -> httpx.Response:
            return inner.handle_request(request) if request.url.path == "/v1/manifest" else send(request)

        with client_of(Between(app_of(crafted), answer), state) as client:
            assert code_of(lambda: client.classify(FEATURES)) == "dishonest"

    def test_answers_of_other_ciphertexts(self) -> None:
        def mixed_up(
            request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]
        ) -> httpx.Response:
            response = send(request)
            if "classify" not in request.url.path:
                return response
            replies = bundles.unbundle(response.content, 32, 1 << 24)
            body = bundles.bundle(replies[::-1])
            digest = wire.compute_reply_digest(request.headers[wire.REQUEST_DIGEST], body)
            return httpx.Response(200, content=body, headers={wire.REPLY_DIGEST: digest})

        with client_of(Between(app_of(HEAD, "fast"), mixed_up)) as client:
            assert code_of(lambda: client.classify(FEATURES)) == "dishonest"


class TestManifest:
    KEY = Ed25519PrivateKey.generate()

    def shown(self, change: dict[str, Any], key: Ed25519PrivateKey | None = None, **more: Any) -> str:
        """The code with which a changed manifest, rightly signed, is refused."""
        with EncryptedClassifier.in_process(app_of()) as client:
            manifest = client.manifest.model_copy(update=change)
        signed = wire.SignedManifest.sign(manifest, key or self.KEY)
        answer = httpx.MockTransport(lambda _: httpx.Response(200, content=signed.model_dump_json()))
        return code_of(lambda: client_of(answer, **more).manifest)

    @pytest.mark.parametrize(
        "change",
        [
            {"labels": ["a", "b"]},
            {"labels": ["a", "a", "b"]},
            {"profile": "fast"},
            {"probes": None},
            {"model": "linear\nhead known since: 2020-01-01"},
            {"model": "linear\x1b[2K"},
            {"model": "x" * 1000},
        ],
        ids=["few", "twice", "profile", "probes", "lines", "terminal", "long"],
    )
    def test_one_that_contradicts_itself(self, change: dict[str, Any]) -> None:
        assert self.shown(change) == "manifest"

    def test_another_protocol_is_named(self) -> None:
        with EncryptedClassifier.in_process(app_of()) as client:
            record = {**client.manifest.model_dump(mode="json"), "protocol": 2}
        signed = {"manifest": json.dumps(record), "public_key": "", "signature": ""}
        answer = httpx.MockTransport(lambda _: httpx.Response(200, json=signed))
        with pytest.raises(ServingError, match=r"^the server speaks protocol 2, this client 3: [^\n]+$"):
            _ = client_of(answer).manifest

    def test_weak_parameters(self) -> None:
        with EncryptedClassifier.in_process(app_of()) as client:
            layout = client.manifest.layouts["block"]
        scheme = {**layout.parameters["scheme"], "coeff_modulus_bits": [60, 60, 60, 60]}
        weak = layout.model_copy(update={"parameters": {**layout.parameters, "scheme": scheme}})
        assert self.shown({"layouts": {"block": weak}}) == "manifest"

    @pytest.mark.parametrize("inflated", ["error_floor", "error_slope"])
    def test_an_error_so_large_that_any_answer_would_pass(self, inflated: str) -> None:
        with EncryptedClassifier.in_process(app_of()) as client:
            layouts = client.manifest.layouts
        vague = layouts["block"].model_copy(update={inflated: 1.0})
        assert self.shown({"layouts": {**layouts, "block": vague}}) == "manifest"

    @pytest.mark.parametrize("inflated", ["error_floor", "error_slope"])
    @pytest.mark.parametrize("profile", ["sealed", "fast"])
    def test_an_error_larger_than_a_linear_head_can_have(self, inflated: str, profile: Any) -> None:
        """A server chose it, up to a quarter of the spread of its known answers, and lied within it."""
        with EncryptedClassifier.in_process(app_of(profile=profile)) as client:
            layouts = client.manifest.layouts
        vague = layouts["block"].model_copy(update={inflated: 0.05})
        change = {"profile": profile, "layouts": {**layouts, "block": vague}}
        assert self.shown(change) == "manifest"

    @pytest.mark.parametrize(
        ("scale", "profile"), [(0.1, "sealed"), (30, "sealed"), (0.2, "fast"), (4, "fast")]
    )
    def test_errors_that_heads_have_are_accepted(self, scale: float, profile: Any) -> None:
        head = LinearHead(scale * HEAD.weight, scale * HEAD.bias)
        with EncryptedClassifier.in_process(app_of(head, profile)) as client:
            assert set(client.manifest.layouts) == {"block", "slot"}

    def test_other_labels_of_the_same_weights_are_another_head(self) -> None:
        """With the labels exchanged, all answers were wrong and all checks passed."""
        with EncryptedClassifier.in_process(app_of()) as client:
            manifest = client.manifest
        other = manifest.model_copy(update={"labels": LABELS[::-1], "issued_at": "9999"})
        extractor = manifest.model_copy(update={"extractor": {"config.json": "0" * 64}, "issued_at": "9999"})
        for changed in (other, extractor):
            state = ClientState()

            def show(manifest: wire.ServerManifest, state: ClientState = state) -> EncryptedClassifier:
                text = wire.SignedManifest.sign(manifest, self.KEY).model_dump_json()
                client = client_of(httpx.MockTransport(lambda _: httpx.Response(200, content=text)), state)
                assert client.manifest == manifest
                return client

            show(manifest)
            state.pin.head_since = "2020"
            lines = state.pin.lines = [Line(np.zeros((2, 64)), np.zeros((2, 3)), 1e-3)]
            later = manifest.model_copy(update={"issued_at": "9998", "session_seconds": 1})
            assert show(later).head_since == "2020"  # nothing else is stated
            assert show(changed).head_since > "2020"
            assert state.pin.lines == lines  # of the same weights
            assert code_of(lambda show=show, later=later: show(later)) == "dishonest"

    def test_answers_rounded_until_any_would_pass(self) -> None:
        with EncryptedClassifier.in_process(app_of()) as client:
            probes = client.manifest.probes
        assert probes is not None
        assert self.shown({"probes": probes.model_copy(update={"rounding": 1.0})}) == "manifest"

    def test_another_key_than_the_pinned_one(self) -> None:
        other = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
        assert self.shown({}, public_key=other) == "manifest"
        state = ClientState()
        with client_of(InProcessTransport(app_of()), state) as client:
            assert client.manifest.labels == LABELS
        assert self.shown({}, state=state) == "manifest"

    def test_an_older_manifest_of_other_weights(self) -> None:
        state = ClientState()
        state.pin.issued_at, state.pin.commitment = "9999", "0" * 64
        assert self.shown({}, state=state) == "dishonest"

    def test_a_wrong_signature(self) -> None:
        def damage(request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]) -> httpx.Response:
            record = json.loads(send(request).content)
            return httpx.Response(
                200, json={**record, "manifest": record["manifest"].replace("lease", "leash")}
            )

        assert code_of(lambda: client_of(Between(app_of(), damage)).manifest) == "manifest"


class TestPatience:
    def busy(
        self, times: int, response: Callable[[], httpx.Response]
    ) -> tuple[httpx.BaseTransport, list[float]]:
        left = [times]

        def answer(request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]) -> httpx.Response:
            if "classify" in request.url.path and left[0]:
                left[0] -= 1
                return response()
            return send(request)

        return Between(app_of(), answer), []

    @pytest.mark.parametrize(
        ("status", "header", "least"), [(503, "7", 7), (429, "11", 11), (503, None, 0), (502, "soon", 0)]
    )
    def test_waits_as_long_as_it_is_asked_to(self, status: int, header: str | None, least: float) -> None:
        headers = {} if header is None else {"Retry-After": header}
        refusal = wire.Refusal(error="busy", message="try again").model_dump()
        transport, waits = self.busy(2, lambda: httpx.Response(status, json=refusal, headers=headers))
        with client_of(transport, retry_policy=RetryPolicy(sleep=waits.append)) as client:
            assert client.classify(FEATURES[:1]).labels == labels_of(HEAD)[:1]
        assert len(waits) == 2
        assert min(waits) >= least

    def test_a_lost_connection_is_tried_again(self) -> None:
        def lost() -> httpx.Response:
            raise httpx.ConnectError("gone")

        transport, waits = self.busy(3, lost)
        with client_of(transport, retry_policy=RetryPolicy(sleep=waits.append)) as client:
            assert client.classify(FEATURES[:1]).labels == labels_of(HEAD)[:1]
        assert len(waits) == 3
        assert waits[2] > waits[0] / 2  # backs off, at random

    def test_but_not_for_ever(self) -> None:
        refusal = wire.Refusal(error="busy", message="try\nagain").model_dump()
        transport, waits = self.busy(
            99, lambda: httpx.Response(503, json=refusal, headers={"Retry-After": "50"})
        )
        with client_of(transport, retry_policy=RetryPolicy(total=120, sleep=waits.append)) as client:
            assert code_of(lambda: client.classify(FEATURES[:1])) == "busy"
        assert sum(waits) <= 120

    def test_where_nobody_has_answered_yet_it_gives_up_sooner(self) -> None:
        def lost(_: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("nobody")

        waits: list[float] = []
        with client_of(httpx.MockTransport(lost), retry_policy=RetryPolicy(sleep=waits.append)) as client:
            assert code_of(lambda: client.classify(FEATURES[:1])) == "unreachable"
        assert 3 < sum(waits) <= 10

    @pytest.mark.parametrize("header", ["9" * 5000, "\u00b2", "-1", "", "Thu, 99 Jan"])
    def test_what_is_no_time_to_wait(self, header: str) -> None:
        assert parse_retry_after(header) is None

    def test_what_is_compressed_is_not_inflated(self) -> None:
        asked: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request.headers["Accept-Encoding"])
            content = gzip.compress(bytes(1 << 20))
            return httpx.Response(200, content=content, headers={"Content-Encoding": "gzip"})

        with pytest.raises(ServingError, match="compressed") as caught:
            _ = client_of(httpx.MockTransport(answer)).manifest
        assert (caught.value.code, asked) == ("protocol", ["identity"])

    def test_a_refusal_does_not_steer_the_terminal(self) -> None:
        refusal = wire.Refusal(error="no", message="no\x1b[2J\u202e more").model_dump()
        answer = httpx.MockTransport(lambda _: httpx.Response(400, json=refusal))
        with pytest.raises(ServingError, match=r"^the server refused \(400\): no\[2J more$"):
            _ = client_of(answer).manifest

    @pytest.mark.parametrize("status", [401, 413, 422])
    def test_a_refusal_is_not_argued_with(self, status: int) -> None:
        refusal = wire.Refusal(error="no", message="no").model_dump()
        transport, waits = self.busy(1, lambda: httpx.Response(status, json=refusal))
        with client_of(transport, retry_policy=RetryPolicy(sleep=waits.append)) as client:
            assert code_of(lambda: client.classify(FEATURES[:1])) == "no"
        assert waits == []


@pytest.mark.parametrize("url", ["http://", "nonsense", "ftp://127.0.0.1", "http://127.0.0.1:99999"])
def test_no_url(url: str) -> None:
    assert (
        code_of(lambda: EncryptedClassifier.connect(url, retry_policy=RetryPolicy(total=0))) == "unreachable"
    )


def test_an_answer_to_another_request_is_refused() -> None:
    kept: list[httpx.Response] = []

    def replay(request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]) -> httpx.Response:
        if "classify" not in request.url.path:
            return send(request)
        if not kept:
            kept.append(send(request))
        return httpx.Response(200, content=kept[0].content, headers=kept[0].headers)

    with client_of(Between(app_of(), replay)) as client:
        client.classify(FEATURES[:1])
        assert code_of(lambda: client.classify(FEATURES[:1])) == "protocol"


@pytest.mark.parametrize(
    ("blobs", "code"),
    # One that is longer than any answer is not read to its end, so it cannot be decrypted.
    [([b"x", b"y"], "dishonest"), ([b"not a ciphertext"], "dishonest"), ([bytes(3_000_000)], "protocol")],
    ids=["two", "no", "long"],
)
def test_an_answer_that_is_none(blobs: list[bytes], code: str) -> None:
    def answer(request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]) -> httpx.Response:
        if "classify" not in request.url.path:
            return send(request)
        body = bundles.bundle(blobs)
        digest = wire.compute_reply_digest(request.headers[wire.REQUEST_DIGEST], body)
        return httpx.Response(200, content=body, headers={wire.REPLY_DIGEST: digest})

    with client_of(Between(app_of(), answer)) as client:
        assert code_of(lambda: client.classify(FEATURES[:1])) == code


class TestTransport:
    URL = "http://192.0.2.1:8300"  # reserved for documentation: nobody has it

    @pytest.mark.parametrize("url", [URL, "HTTP://192.0.2.1", "http://endpoint.example", "http://0.0.0.0:1"])
    def test_no_key_goes_over_plain_http_to_another_machine(self, url: str) -> None:
        assert code_of(lambda: EncryptedClassifier.connect(url, "lxv_key")) == "insecure"

    def test_unless_the_danger_is_named(self, start_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        server = start_server({"hosts": ["0.0.0.0"]})
        url = server.url.replace("127.0.0.1", "0.0.0.0")  # this machine by a name that is not the loopback's
        assert code_of(lambda: EncryptedClassifier.connect(url)) == "insecure"
        token = server.local["Authorization"].split()[1]
        # A proxy would read the key: it is asked neither here nor for the loopback.
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        once = RetryPolicy(total=0)
        for named, danger in ((url, True), (server.url, False)):
            with EncryptedClassifier.connect(named, token, retry_policy=once, insecure_http=danger) as client:
                assert len(client.manifest.labels) == 3

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirects_are_not_followed(self, status: int) -> None:
        asked: list[str] = []

        def redirect(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.host)
            return httpx.Response(status, headers={"Location": "http://elsewhere.example/"})

        assert code_of(lambda: client_of(httpx.MockTransport(redirect)).manifest) == "protocol"
        assert asked == ["test"]
