"""Client and server together, through the in-process transport and over a real socket."""

from __future__ import annotations

import ast
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn

from pipeline.serving import wire
from pipeline.serving.client import EncryptedClassifier, InProcessTransport, ServingError
from pipeline.serving.server import Limits, ServedHead, create_app
from privacy.he.keys import ClientKeys
from privacy.he.parameters import choose

ROOT = Path(__file__).resolve().parents[3]
RANDOM = np.random.default_rng(3)
WEIGHT, BIAS = RANDOM.normal(size=(64, 3)), RANDOM.normal(size=3)
LABELS = ["lease", "loan", "merger"]
HEAD = ServedHead(WEIGHT, BIAS, LABELS)
FEATURES = RANDOM.normal(size=(70, 64)).astype(np.float32) / 8
PLAIN = [LABELS[index] for index in (FEATURES @ WEIGHT + BIAS).argmax(axis=1)]


@pytest.fixture(scope="module")
def keys() -> bytes:
    return ClientKeys.generate(choose(64, 3)).evaluation_keys()


@contextmanager
def http_to(app: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url="http://test", transport=InProcessTransport(app)) as client:
        yield client


@contextmanager
def running(app: Any) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


class TestTogether:
    def test_over_a_real_socket(self) -> None:
        with running(create_app(HEAD)) as url, EncryptedClassifier.connect(url) as client:
            assert client.manifest.labels == LABELS
            assert client.classify(FEATURES).labels == PLAIN

    def test_in_process_in_several_requests(self) -> None:
        app = create_app(HEAD, Limits(ciphertexts_per_request=1))
        with EncryptedClassifier.in_process(app) as client:
            assert client.classify(FEATURES).labels == PLAIN
            assert client.classify(FEATURES[:1]).labels == PLAIN[:1]

    def test_keys_are_uploaded_again_when_the_server_forgot_them(self) -> None:
        apps = [create_app(HEAD), create_app(HEAD)]

        class Restarting(InProcessTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                self._transport.app = apps[0]
                return super().handle_request(request)

        http = httpx.Client(base_url="http://test", transport=Restarting(apps[0]))
        with EncryptedClassifier(http) as client:
            assert client.classify(FEATURES[:3]).labels == PLAIN[:3]
            del apps[0]
            assert client.classify(FEATURES[:3]).labels == PLAIN[:3]

    def test_the_extractor_is_downloaded_and_checked(self, tmp_path: Path) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        source.mkdir()
        target.mkdir()
        (source / "config.json").write_text("{}")
        (source / "model.safetensors").write_bytes(b"weights")
        (source / "training_texts.txt").write_text("not for download")
        app = create_app(ServedHead(WEIGHT, BIAS, LABELS, extractor_dir=source))
        with EncryptedClassifier.in_process(app) as client:
            assert client.download_extractor(target) == [
                target / "config.json",
                target / "model.safetensors",
            ]
            assert (target / "model.safetensors").read_bytes() == b"weights"
            (source / "model.safetensors").write_bytes(b"exchanged")
            with pytest.raises(ServingError, match="manifest"):
                client.download_extractor(target)
        with http_to(app) as http:
            for name in ("training_texts.txt", "..%2Fsource%2Fconfig.json", "%2e%2e", ".", "config.json%00"):
                assert http.get(f"/v1/extractor/{name}").status_code == 404


class TestServer:
    def test_nothing_it_imports_holds_secret_keys(self) -> None:
        program = (
            "import sys, pipeline.serving.server\n"
            "found = {'privacy.he.keys', 'pipeline.serving.client'} & set(sys.modules)\n"
            "sys.exit(f'imported {found}' if found else 0)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        "file",
        ["pipeline/serving/server.py", "pipeline/serving/wire.py"]
        + [f"privacy/he/{name}.py" for name in ("evaluate", "scheme", "frames", "layout", "parameters")],
    )
    def test_nothing_it_runs_can_make_load_or_use_one(self, file: str) -> None:
        tree = ast.parse((ROOT / file).read_text())
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not names & {"SecretKey", "KeyGenerator", "Decryptor", "secret_key", "decrypt"}

    def test_health_and_manifest(self) -> None:
        with http_to(create_app(HEAD)) as http:
            assert http.get("/healthz").json() == {"status": "ok"}
            manifest = http.get("/v1/manifest").json()
        assert manifest["labels"] == LABELS
        assert manifest["does_not_hide"]
        assert manifest["logit_bound"] > 0

    def test_refusals_are_one_line_of_json(self, keys: bytes) -> None:
        with http_to(create_app(HEAD)) as http:
            session = http.post("/v1/sessions", content=wire.bundle([keys])).json()["session"]
            classify = f"/v1/sessions/{session}/classify"
            too_long = bytes(40_000_000)
            cases = [
                (http.get("/nothing"), 404, "http"),
                (http.get("/v1/extractor/config.json"), 404, "file"),
                (http.get("/v1/sessions"), 405, "http"),
                (http.post("/v1/sessions"), 400, "bundle"),
                (http.post("/v1/sessions", content=b"{}"), 400, "bundle"),
                (http.post("/v1/sessions", content=wire.bundle([keys, keys])), 413, "too_large"),
                (http.post("/v1/sessions", content=wire.bundle([b"short"])), 422, "malformed"),
                (http.post("/v1/sessions", content=too_long), 413, "too_large"),
                (http.post(classify, content=too_long), 413, "too_large"),
                (http.post(classify, content=wire.bundle([keys])), 400, "bundle"),
                (http.post(classify, content=wire.bundle([b""])), 422, "malformed"),
                (http.post("/v1/sessions/unknown/classify", content=b""), 404, "session"),
            ]
        for response, status, code in cases:
            assert (response.status_code, response.json()["error"]) == (status, code)
            assert b"\n" not in response.content

    def test_sessions_are_capped_and_expire(self, keys: bytes) -> None:
        body = wire.bundle([keys])
        with http_to(create_app(HEAD, Limits(sessions=2))) as http:
            assert [http.post("/v1/sessions", content=body).status_code for _ in range(3)] == [201, 201, 503]
            assert http.post("/v1/sessions", content=body).headers["Retry-After"]
        with http_to(create_app(HEAD, Limits(sessions=1, session_seconds=0))) as http:
            opened = [http.post("/v1/sessions", content=body) for _ in range(2)]
            assert [response.status_code for response in opened] == [201, 201]
            session = opened[0].json()["session"]
            response = http.post(f"/v1/sessions/{session}/classify", content=b"")
            assert response.json()["error"] == "session"

    def test_logs_hold_neither_sessions_nor_bodies(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG), EncryptedClassifier.in_process(create_app(HEAD)) as client:
            client.classify(FEATURES[:1])
            session = client._session
        own = [record.getMessage() for record in caplog.records if record.name == "lexveil.serving"]
        assert session is not None
        assert any("/v1/sessions/{session}/classify 200" in line for line in own)
        assert not any(session in line for line in own)

    def test_labels_must_differ_and_fit(self) -> None:
        for labels in (["a", "a", "b"], ["a", "b"], ["a"]):
            with pytest.raises(ValueError):
                create_app(ServedHead(WEIGHT, BIAS, labels))


class TestClient:
    def test_nobody_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with pytest.raises(ServingError) as caught:
            EncryptedClassifier.connect(f"http://127.0.0.1:{port}")
        assert caught.value.code == "unreachable"

    @pytest.mark.parametrize("url", ["http://", "nonsense", "ftp://127.0.0.1", "http://127.0.0.1:99999"])
    def test_no_url(self, url: str) -> None:
        with pytest.raises(ServingError):
            EncryptedClassifier.connect(url)

    @pytest.mark.parametrize(
        "features",
        [np.zeros((2, 63)), np.zeros(64), np.zeros((0, 64)), np.full((1, 64), np.nan), np.full((1, 64), 1e6)],
    )
    def test_features_that_cannot_be_sent(self, features: np.ndarray) -> None:
        with EncryptedClassifier.in_process(create_app(HEAD)) as client:
            with pytest.raises(ServingError) as caught:
                client.classify(features)
            assert caught.value.code == "features"

    @pytest.mark.parametrize(
        "change",
        [
            {"protocol": 2},
            {"labels": ["a", "b"]},
            {"steps": [1]},
            {"feature_norm": -1},
            {"more": 1},
            {"parameters": {"n_features": 64, "n_classes": 3}},
            {"parameters": {}},
        ],
    )
    def test_a_manifest_it_does_not_trust(self, change: dict[str, Any]) -> None:
        with http_to(create_app(HEAD)) as http:
            manifest = http.get("/v1/manifest").json() | change
        answer = httpx.MockTransport(lambda _: httpx.Response(200, content=json.dumps(manifest)))
        client = EncryptedClassifier(httpx.Client(base_url="http://test", transport=answer))
        with pytest.raises(ServingError) as caught:
            client.classify(FEATURES)
        assert caught.value.code == "manifest"

    @pytest.mark.parametrize(
        "answer", [b"", wire.bundle([b"x", b"y"]), wire.bundle([b"not a ciphertext"]), bytes(3_000_000)]
    )
    def test_an_answer_it_does_not_trust(self, answer: bytes) -> None:
        class Lying(InProcessTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                honest = super().handle_request(request)
                return httpx.Response(200, content=answer) if "classify" in request.url.path else honest

        http = httpx.Client(base_url="http://test", transport=Lying(create_app(HEAD)))
        with EncryptedClassifier(http) as client, pytest.raises(ServingError) as caught:
            client.classify(FEATURES[:1])
        assert caught.value.code == "protocol"

    def test_results_are_not_printed(self) -> None:
        with EncryptedClassifier.in_process(create_app(HEAD)) as client:
            predictions = client.classify(FEATURES[:2])
        assert "lease" not in repr(predictions)
        assert "logits" not in repr(predictions)
        assert repr(client) == "EncryptedClassifier(...)"
