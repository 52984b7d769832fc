"""What the application answers to callers of every kind, in this process."""

from __future__ import annotations

import ast
import gc
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures import uploads
from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.server.access import ApiKeys
from lexveil.pipeline.serving.server.app import ServerLimits, create_app
from lexveil.pipeline.serving.server.files import OPENING_SECONDS
from lexveil.pipeline.serving.server.offers import Offer
from lexveil.pipeline.serving.server.quotas import QuotaLimits
from lexveil.pipeline.serving.server.sessions import SessionLimits
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.pipeline.serving.server.tables import SqliteTables
from lexveil.privacy.he.keys import ClientKeys
from lexveil.privacy.he.served_model import LinearHead, ServedModel, model_parameters

ROOT = Path(__file__).resolve().parents[4]
LABELS = ["lease", "loan", "merger"]


@pytest.fixture
def offer(head: LinearHead) -> Offer:
    return Offer(ServedModel(head), LABELS)


class TestNoSecretKey:
    def test_nothing_it_imports_holds_secret_keys(self) -> None:
        program = (
            "import sys, lexveil.pipeline.serving.server.listen, lexveil.pipeline.serving.server.worker\n"
            "found = {'lexveil.privacy.he.keys', 'lexveil.pipeline.serving.client.classifier'}\n"
            "found &= set(sys.modules)\n"
            "sys.exit(f'imported {found}' if found else 0)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        "file",
        [f"pipeline/serving/server/{name}.py" for name in ("app", "listen", "sessions", "worker", "pool")]
        + ["pipeline/serving/wire.py"]
        + [
            f"privacy/he/{name}.py"
            for name in ("evaluate", "network", "scheme", "wire_format", "layout", "served_model")
        ],
    )
    def test_nothing_it_runs_can_make_load_or_use_one(self, file: str) -> None:
        tree = ast.parse((ROOT / file).read_text())
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not names & {"SecretKey", "KeyGenerator", "Decryptor", "secret_key", "decrypt"}

    def test_one_that_is_uploaded_is_refused_and_not_stored(
        self, calling: Any, offer: Offer, honest: Any, tmp_path: Path
    ) -> None:
        state = ServerState(tmp_path / "endpoint")
        secret = uploads.secret_key(honest.keys)
        with calling(create_app(offer, state=state), state) as caller:
            session = caller.open(honest.evaluation)
            kept = list(state.keys_folder.iterdir())
            for blob in (secret, secret + honest.evaluation, honest.evaluation + secret):
                response = caller.post("/v1/sessions", wire.bundle([blob]))
                assert response.status_code in (413, 422)
            assert caller.classify(session, secret).status_code in (400, 422)
            assert list(state.keys_folder.iterdir()) == kept
        for path in (tmp_path / "endpoint").rglob("*"):
            assert path.is_dir() or secret[100:200] not in path.read_bytes()


TEMPORARY = """
import sys, time
import httpx, numpy as np
from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.client.channel import InProcessTransport
from lexveil.pipeline.serving.server.app import create_app
from lexveil.pipeline.serving.server.files import OPENING_SECONDS
from lexveil.pipeline.serving.server.offers import Offer
from lexveil.privacy.he.keys import ClientKeys
from lexveil.privacy.he.served_model import LinearHead, ServedModel, model_parameters
model = ServedModel(LinearHead(np.ones((64, 3)), np.ones(3)))
body = wire.bundle([ClientKeys.generate(model_parameters(model)).evaluation_keys()])
app = create_app(Offer(model, ["a", "b", "c"]))
with httpx.Client(base_url="http://test", transport=InProcessTransport(app)) as http:
    opened = http.post("/v1/sessions", content=body, headers={wire.REQUEST_DIGEST: wire.compute_digest(body)})
    print(opened.status_code, flush=True)
    time.sleep(3600)
"""


class TestTemporaryState:
    def test_a_killed_process_leaves_no_secret_and_the_next_state_deletes_the_rest(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        command = [sys.executable, "-c", TEMPORARY]
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == b"201\n"
                (folder,) = tmp_path.iterdir()
                long_ago = time.time() - 2 * OPENING_SECONDS
                for path in folder.iterdir():
                    os.utime(path, (long_ago, long_ago))
                monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
                first = ServerState.create_temporary()
                assert folder in tmp_path.iterdir()  # its process lives
            finally:
                process.kill()
        left = {path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".keys"}
        assert left <= {"alive", "state.lock", "log.jsonl"}
        second = ServerState.create_temporary()
        assert {state.folder for state in (first, second)} == set(tmp_path.iterdir())

    def test_what_others_may_be_making_or_have_linked_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        other = tmp_path / "other"
        for folder in (tmp_path / "lexveil-endpoint-young", other):
            folder.mkdir()
            (folder / "alive").touch()
        os.utime(other / "alive", (0, 0))
        (tmp_path / "lexveil-endpoint-link").symlink_to(other)
        before = set(tmp_path.rglob("*"))
        state = ServerState.create_temporary()
        assert before <= set(tmp_path.rglob("*"))
        folder = state.folder
        del state
        gc.collect()
        assert not folder.exists()


class TestManifest:
    def test_it_is_signed_by_a_key_that_stays(self, calling: Any, offer: Offer, tmp_path: Path) -> None:
        signed: list[wire.SignedManifest] = []
        for _ in range(2):
            state = ServerState(tmp_path / "endpoint")
            with calling(create_app(offer, state=state), state) as caller:
                content = caller.http.get("/v1/manifest").content
                signed.append(wire.SignedManifest.model_validate_json(content))
        first, second = signed[0].verify(), signed[1].verify(signed[0].public_key)
        assert first.labels == LABELS
        assert first.weights_commitment == second.weights_commitment
        assert set(first.layouts) == {"block", "slot"}
        assert "slots" in first.layouts["block"].reason or "documents" in first.layouts["block"].reason

    def test_another_text_key_or_signature_is_found_out(self, calling: Any, offer: Offer) -> None:
        with calling(create_app(offer)) as caller:
            signed = wire.SignedManifest.model_validate_json(caller.http.get("/v1/manifest").content)
        with calling(create_app(offer)) as caller:
            other = wire.SignedManifest.model_validate_json(caller.http.get("/v1/manifest").content)
        assert other.verify().weights_commitment != signed.verify().weights_commitment  # another salt
        for change in (
            {"manifest": signed.manifest.replace("lease", "loans")},
            {"signature": other.signature},
            {"public_key": other.public_key},
            {"public_key": "?"},
        ):
            with pytest.raises(wire.WireError):
                signed.model_copy(update=change).verify()
        with pytest.raises(wire.WireError):
            signed.verify(pinned=other.public_key)

    def test_other_weights_are_told_and_end_sessions(
        self, calling: Any, offer: Offer, head: LinearHead, honest: Any, tmp_path: Path
    ) -> None:
        state = ServerState(tmp_path / "endpoint")
        with calling(create_app(offer, state=state), state) as caller:
            session = caller.open(honest.evaluation)
        other = Offer(ServedModel(LinearHead(head.weight * 2, head.bias)), LABELS)
        state = ServerState(tmp_path / "endpoint")
        with calling(create_app(other, state=state), state) as caller:
            response = caller.classify(session, honest.request)
            assert (response.status_code, response.json()["error"]) == (404, "session")

    def test_labels_must_differ_and_fit(self, head: LinearHead) -> None:
        for labels in (["a", "a", "b"], ["a", "b"]):
            with pytest.raises(ValueError):
                create_app(Offer(ServedModel(head), labels))


class TestRequests:
    def test_an_answer_is_right_and_bound_to_its_request(
        self, calling: Any, offer: Offer, honest: Any
    ) -> None:
        with calling(create_app(offer)) as caller:
            response = caller.classify(caller.open(honest.evaluation), honest.request)
        request = wire.compute_digest(wire.bundle([honest.request]))
        assert response.headers[wire.REPLY_DIGEST] == wire.compute_reply_digest(request, response.content)
        logits = honest.keys.decrypt(wire.unbundle(response.content, 1, 1 << 20), 1)
        assert np.abs(logits - honest.answer).max() < 1e-2

    def test_refusals_are_one_line_of_json(self, calling: Any, offer: Offer, honest: Any) -> None:
        keys = honest.evaluation
        with calling(create_app(offer)) as caller:
            session = caller.open(keys)
            classify, too_long = f"/v1/sessions/{session}/classify", bytes(10_000_000)
            unsigned = caller.http.post(classify, content=wire.bundle([honest.request]))
            chunked = caller.http.post(classify, content=iter([b"chunks"]))
            closed = caller.open(keys)
            assert caller.http.delete(f"/v1/sessions/{closed}").status_code == 204
            cases = [
                (caller.http.get("/nothing"), 404, "http"),
                (caller.http.get("/v1/extractor/config.json"), 404, "file"),
                (caller.http.get("/v1/sessions"), 405, "http"),
                (caller.post("/v1/sessions?layout=circle", b""), 422, "query"),
                (caller.post("/v1/sessions", b""), 400, "bundle"),
                (caller.post("/v1/sessions", b"{}"), 400, "bundle"),
                (caller.post("/v1/sessions", wire.bundle([keys, keys])), 413, "too_large"),
                (caller.post("/v1/sessions", wire.bundle([b"short"])), 422, "malformed"),
                (caller.post("/v1/sessions", too_long), 413, "too_large"),
                (caller.post(classify, too_long), 413, "too_large"),
                (caller.post(classify, wire.bundle([keys])), 400, "bundle"),
                (caller.post(classify, wire.bundle([b""])), 422, "malformed"),
                (caller.post(classify, wire.bundle([b""] * 33)), 400, "bundle"),
                (caller.post("/v1/sessions/unknown/classify", b""), 404, "session"),
                (caller.classify(closed, honest.request), 404, "session"),
                (caller.http.delete(f"/v1/sessions/{closed}"), 404, "session"),
                (caller.http.delete("/v1/sessions/unknown"), 404, "session"),
                (unsigned, 400, "digest"),
                (chunked, 411, "length"),
            ]
        for response, status, code in cases:
            assert (response.status_code, response.json()["error"]) == (status, code)
            assert set(response.json()) == {"error", "message"}
            assert b"\n" not in response.content

    def test_sessions_and_slots_are_limited(self, calling: Any, offer: Offer, honest: Any) -> None:
        limits = ServerLimits(sessions=SessionLimits(per_tenant=1), quotas=QuotaLimits(slots_per_day=1))
        with calling(create_app(offer, limits)) as caller:
            session = caller.open(honest.evaluation)
            full = caller.post("/v1/sessions", wire.bundle([honest.evaluation]))
            spent = caller.classify(session, honest.request)
        for response, code in ((full, "sessions"), (spent, "quota")):
            assert (response.status_code, response.json()["error"]) == (429, code)
            assert int(response.headers["Retry-After"]) >= 1

    def test_a_session_ends_in_time(self, calling: Any, offer: Offer, honest: Any) -> None:
        with calling(create_app(offer, ServerLimits(sessions=SessionLimits(seconds=0)))) as caller:
            response = caller.classify(caller.open(honest.evaluation), honest.request)
        assert (response.status_code, response.json()["error"]) == (404, "session")

    def test_the_extractor_and_nothing_beside_it(
        self, calling: Any, head: LinearHead, tmp_path: Path
    ) -> None:
        for name in (*wire.EXTRACTOR_FILES, "training_texts.txt"):
            (tmp_path / name).write_text(name)
        app = create_app(Offer(ServedModel(head), LABELS, extractor_dir=tmp_path))
        with calling(app) as caller:
            assert caller.http.get("/v1/extractor/config.json").text == "config.json"
            for name in ("training_texts.txt", "..%2Fconfig.json", "%2e%2e", ".", "config.json%00"):
                assert caller.http.get(f"/v1/extractor/{name}").status_code == 404


class TestTenants:
    def test_a_key_is_needed_and_a_session_is_its_tenants(
        self, calling: Any, offer: Offer, honest: Any, tmp_path: Path
    ) -> None:
        state = ServerState(tmp_path / "endpoint")
        court, firm = (f"Bearer {ApiKeys(state.api_keys).issue(name)}" for name in ("court", "firm"))
        with calling(create_app(offer, state=state)) as caller:
            for method, path in (
                ("GET", "/v1/manifest"),
                ("POST", "/v1/sessions"),
                ("GET", "/v1/extractor/x"),
            ):
                refused = caller.http.request(method, path)
                assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized")
                assert refused.headers["WWW-Authenticate"] == "Bearer"
            assert caller.http.get("/healthz").status_code == caller.http.get("/readyz").status_code == 200
            session = caller.open(honest.evaluation, Authorization=court)
            assert caller.classify(session, honest.request, Authorization=court).status_code == 200
            stolen = caller.classify(session, honest.request, Authorization=firm)
            unknown = caller.classify("x" * 43, honest.request, Authorization=firm)
            assert (stolen.status_code, stolen.content) == (404, unknown.content)
            closed = caller.http.delete(f"/v1/sessions/{session}", headers={"Authorization": firm})
            assert closed.status_code == 404
            assert caller.classify(session, honest.request, Authorization=court).status_code == 200
            metrics = caller.http.get(
                "/metrics", headers={"Authorization": f"Bearer {state.local_token}"}
            ).text
        assert 'lexveil_document_slots_total{tenant="court"}' in metrics
        assert 'tenant="firm"' in metrics
        assert session not in metrics

    def test_callers_without_the_local_token_need_keys_to_be_issued(self, calling: Any, offer: Offer) -> None:
        state = ServerState.create_temporary()
        for opened, status in ((state, 200), (None, 401)):
            with calling(create_app(offer, state=state), opened) as caller:
                for path in ("/v1/manifest", "/metrics"):
                    assert caller.http.get(path).status_code == status

    @pytest.mark.parametrize("profile", ["sealed", "fast"])
    def test_answers_are_charged_against_the_stated_divergence(
        self, calling: Any, head: LinearHead, profile: Any
    ) -> None:
        model = ServedModel(head, profile)
        keys = ClientKeys.generate(model_parameters(model))
        limits = ServerLimits(quotas=QuotaLimits(leakage=2.0**-15))  # twice the divergence of an answer
        with calling(create_app(Offer(model, LABELS), limits)) as caller:
            session = caller.open(keys.evaluation_keys())
            (request,) = keys.encrypt(np.ones((1, 64)) / 8)
            assert caller.classify(session, b"malformed").status_code == 422  # no answer
            statuses = [caller.classify(session, request).status_code for _ in range(3)]
            refused = caller.classify(session, request)
            told = caller.http.get("/metrics").text
        if profile == "fast":  # it promises nothing
            assert statuses == [200, 200, 200]
            return
        assert statuses == [200, 200, 429]
        assert (refused.json()["error"], refused.headers["Retry-After"]) == ("leakage", "86400")
        assert 'lexveil_leakage{model="linear",tenant="local"} 3.0517578125e-05' in told

    def test_what_is_refused_costs_quota_too(self, calling: Any, offer: Offer, honest: Any) -> None:
        damaged = honest.evaluation[:-1]
        for limits, code in (
            (QuotaLimits(cpu_seconds_per_minute=0.01), "CPU time"),
            (QuotaLimits(bytes_per_minute=1), "bytes"),  # one body of the largest size at most
        ):
            with calling(create_app(offer, ServerLimits(quotas=limits))) as caller:
                for _ in range(1000):
                    refused = caller.post("/v1/sessions", wire.bundle([damaged]))
                    if refused.status_code == 429:
                        break
                    assert refused.status_code == 422
                assert (refused.status_code, code in refused.json()["message"]) == (429, True)
                assert int(refused.headers["Retry-After"]) > 0

    def test_downloads_cost_quota(self, calling: Any, head: LinearHead, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_bytes(bytes(1 << 20))
        offer = Offer(ServedModel(head), LABELS, extractor_dir=tmp_path)
        for limits, path, code in (
            (QuotaLimits(cpu_seconds_per_minute=0.01), "/v1/manifest", "CPU time"),
            (QuotaLimits(cpu_seconds_per_minute=0.01), "/v1/extractor/model.safetensors", "CPU time"),
            (QuotaLimits(bytes_per_minute=1), "/v1/extractor/config.json", "bytes"),
        ):
            with calling(create_app(offer, ServerLimits(quotas=limits))) as caller:
                answers = [caller.http.get(path) for _ in range(20)]
            assert answers[0].status_code != 429
            assert (answers[-1].status_code, code in answers[-1].json()["message"]) == (429, True)


class TestOperators:
    def test_logs_tell_route_and_tenant_and_hold_neither_sessions_nor_bodies(
        self, calling: Any, offer: Offer, honest: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        from lexveil.pipeline.serving.server.metrics import JsonLines

        caplog.set_level(logging.DEBUG)
        with calling(create_app(offer)) as caller:
            session = caller.open(honest.evaluation)
            caller.classify(session, honest.request)
            caller.classify(session, b"refused")
        own = [JsonLines().format(record) for record in caplog.records if record.name == "lexveil.serving"]
        lines = [line for line in map(json.loads, own) if line["event"] == "request"]
        assert [line["status"] for line in lines] == [201, 200, 422]
        assert lines[1]["route"] == "/v1/sessions/{session}/classify"
        assert (lines[1]["tenant"], lines[2]["code"]) == ("local", "malformed")
        assert not any(session in line or "refused" in line for line in own)

    def test_an_error_of_the_server_is_told_by_its_type_alone(
        self, calling: Any, offer: Offer, honest: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        state = ServerState(tmp_path / "endpoint")
        caplog.set_level(logging.INFO)
        with calling(create_app(offer, state=state), state) as caller:
            session = caller.open(honest.evaluation)
            assert isinstance(state.tables, SqliteTables)
            state.tables.close()
            response = caller.classify(session, honest.request)
        assert (response.status_code, response.json()["error"]) == (500, "internal")
        (*_, last) = [record for record in caplog.records if record.name == "lexveil.serving"]
        assert last.__dict__["fields"]["error"] == "ProgrammingError"
        assert "database" not in response.text + caplog.text

    def test_expired_keys_are_deleted_after_whatever_went_wrong(
        self,
        calling: Any,
        offer: Offer,
        honest: Any,
        caplog: pytest.LogCaptureFixture,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("lexveil.pipeline.serving.server.app._PURGE_SECONDS", 0.01)
        state = ServerState(tmp_path / "endpoint")
        limits = ServerLimits(sessions=SessionLimits(seconds=0))
        with calling(create_app(offer, limits, state=state), state) as caller:
            caller.open(honest.evaluation)
            elsewhere = state.keys_folder.rename(tmp_path / "elsewhere")
            while not any(record.getMessage() == "purge" for record in caplog.records):
                time.sleep(0.01)
            for path in elsewhere.iterdir():
                os.utime(path, (0, 0))
            elsewhere.rename(state.keys_folder)
            while list(state.keys_folder.iterdir()):
                time.sleep(0.01)

    def test_the_api_is_described_exactly(self, calling: Any, offer: Offer, honest: Any) -> None:
        """A client that is generated from the description gets what it expects."""
        with calling(create_app(offer)) as caller:
            described = caller.http.get("/openapi.json").json()
            session = caller.open(honest.evaluation)
            path = "/v1/sessions/{session}"
            answers = [
                ("get", "/healthz", caller.http.get("/healthz")),
                ("get", "/readyz", caller.http.get("/readyz")),
                ("get", "/metrics", caller.http.get("/metrics")),
                ("get", "/v1/manifest", caller.http.get("/v1/manifest")),
                ("get", "/v1/manifest", caller.http.get("/v1/manifest", headers={"Origin": "null"})),
                ("get", "/v1/extractor/{file}", caller.http.get("/v1/extractor/config.json")),
                ("post", "/v1/sessions", caller.post("/v1/sessions", wire.bundle([honest.evaluation]))),
                ("post", "/v1/sessions", caller.post("/v1/sessions?layout=x", b"")),
                ("post", path + "/classify", caller.classify(session, honest.request)),
                ("post", path + "/classify", caller.classify("x" * 43, honest.request)),
                ("delete", path, caller.http.delete(f"/v1/sessions/{session}")),
                ("delete", path, caller.http.delete(f"/v1/sessions/{session}")),
            ]
        for method, route, answer in answers:
            operation = described["paths"][route][method]
            response = operation["responses"][str(answer.status_code)]
            kinds = list(response.get("content", {}))
            assert kinds == ([answer.headers["content-type"]] if answer.content else []), (route, answer)
            assert (wire.REPLY_DIGEST in answer.headers) == (wire.REPLY_DIGEST in response.get("headers", {}))
        assert described["servers"][0]["url"] == "/"
        operations = [one for route in described["paths"].values() for one in route.values()]
        assert [one["operationId"] for one in operations] == [
            "checkHealth",
            "checkReadiness",
            "readMetrics",
            "getManifest",
            "getExtractorFile",
            "openSession",
            "classify",
            "closeSession",
        ]
        (scheme,) = described["components"]["securitySchemes"]
        for one in operations:  # a key is asked for where it is said to be
            assert one.get("security", []) == ([{scheme: []}] if "401" in one["responses"] else [])
            assert "HTTPValidationError" not in json.dumps(one)
        session_schema = described["paths"][path]["delete"]["parameters"][0]["schema"]
        assert re.fullmatch(session_schema["pattern"], session)

    def test_other_methods_are_told_which_there_are(self, calling: Any, offer: Offer) -> None:
        with calling(create_app(offer)) as caller:
            for method, path, allowed in (
                ("PUT", "/v1/manifest", "GET"),
                ("GET", "/v1/sessions", "POST"),
                ("POST", "/v1/sessions/x", "DELETE"),
                ("TRACE", "/healthz", "GET"),
            ):
                response = caller.http.request(method, path)
                assert (response.status_code, response.headers["Allow"]) == (405, allowed)

    def test_the_api_is_described_without_loading_anything(self, calling: Any, offer: Offer) -> None:
        with calling(create_app(offer)) as caller:
            described = caller.http.get("/openapi.json").json()
            page = caller.http.get("/docs").text
        operation = described["paths"]["/v1/sessions/{session}/classify"]["post"]
        assert {"200", "401", "404", "413", "429", "503"} <= set(operation["responses"])
        assert all(path in page for path in described["paths"])
        assert "http" not in page.replace("https", "http").split("<table>")[0].replace("charset", "")
        assert "<script" not in page
