"""Classification through a real server gives the labels that the plain model gives."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fixtures.documents import documents
from lexveil.flows.serve import serve_workspace
from lexveil.nlp.encoders.documents import extract
from lexveil.pipeline.errors import EndpointError, SettingsError, SourceError, TrainingRefusedError
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.models.encoding import encode_texts, restore_encoding
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import find_model
from lexveil.pipeline.serving.classify import Endpoint, classify_file
from lexveil.pipeline.serving.client.extractor import LocalExtractor
from lexveil.pipeline.serving.confinement import confine
from lexveil.pipeline.serving.endpoint import build_limits
from lexveil.pipeline.settings import EncryptedSettings, load_settings

if TYPE_CHECKING:
    from lexveil.pipeline.workspace.workspace import Workspace
    from tests.conftest import Finished

WriteJsonl = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[3]
ROWS = [{"id": d.id, "text": d.text} for d in documents(5, 21)]


@pytest.fixture(scope="module")
def served(
    finished_once: Finished, warm: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    """`lexveil serve` on a finished workspace, with an API key that it issued."""
    place = finished_once.workspace.root
    program = [str(warm / "lexveil"), "serve", "-w", str(place), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    issued = subprocess.run(
        [*program, "--new-api-key", "office"], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    key = json.loads(issued.stdout)["api_key"]
    state = tmp_path_factory.mktemp("state")
    with (state / "log").open("wb") as log:
        server = subprocess.Popen(
            [*program, "--port", "0"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=log
        )
    while not (found := re.search(r"http://127\.0\.0\.1:\d+", (state / "log").read_text())):
        assert server.poll() is None, (state / "log").read_text()
        time.sleep(0.1)
    yield Endpoint(found.group(), key, state / "client")
    server.terminate()
    server.wait()


def test_the_same_labels_as_the_plain_model(
    finished_once: Finished, served: Endpoint, write_jsonl: WriteJsonl, tmp_path: Path
) -> None:
    settings = finished_once.settings
    told = classify_file(write_jsonl(ROWS), tmp_path / "out.jsonl", served, load_settings())
    model = open_model(find_model(finished_once.workspace, "linear").folder, settings)
    masked = [outcome.text for outcome in mask_texts([row["text"] for row in ROWS], load_settings().mask)]
    train = restore_encoding(settings, model.config).train
    logits = extract(model, encode_texts(masked, train, "embedding")).logits
    plain = [model.config.labels[place] for place in logits.argmax(axis=1)]
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert found == [{"id": row["id"], "label": label} for row, label in zip(ROWS, plain, strict=True)]
    assert (told["documents"], told["unreadable"], told["profile"]) == (5, 0, "sealed")
    assert told["checks_passed"] > 0
    assert 0 <= told["uncertain"] < len(ROWS)


def test_what_cannot_be_read_is_counted(served: Endpoint, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps(ROWS[0]) + "\n{broken\n", encoding="utf-8")
    told = classify_file(source, tmp_path / "out.jsonl", served, load_settings())
    assert (told["documents"], told["unreadable"]) == (1, 1)


def test_nothing_to_classify(served: Endpoint, write_jsonl: WriteJsonl, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no readable document"):
        classify_file(write_jsonl([{"text": ""}]), tmp_path / "out.jsonl", served, load_settings())
    assert not (tmp_path / "out.jsonl").exists()


def test_nobody_listens(write_jsonl: WriteJsonl, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    nobody, source = Endpoint(f"http://127.0.0.1:{port}", state=tmp_path / "state"), write_jsonl(ROWS)
    with pytest.raises(EndpointError) as caught:
        classify_file(source, tmp_path / "out.jsonl", nobody, load_settings())
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_no_model_to_serve(masked: Workspace) -> None:
    with pytest.raises(TrainingRefusedError, match="lexveil train"):
        serve_workspace(masked.with_settings(load_settings()), None, lambda: False)


def test_a_tenant_has_the_limits_of_its_own_section() -> None:
    told = {"office": {"weight": 2.0, "slots_per_day": 5}}
    limits = build_limits(load_settings(encrypted={"workers": 3, "tenants": told}).encrypted)
    own = limits.tenants["office"]
    assert (own.weight, own.slots_per_day) == (2.0, 5)
    assert own.slots_per_minute == limits.quotas.slots_per_minute
    assert own.cpu_seconds_per_minute == limits.quotas.cpu_seconds_per_minute == 225  # of three workers
    with pytest.raises(SettingsError):
        load_settings(encrypted={"tenants": {"a b": {}}})


@pytest.mark.parametrize("own", [{"direct": "surrogate"}, {"detector": "rules"}, {"preset": "strict"}])
def test_a_client_masks_as_the_training_did(served: Endpoint, own: dict[str, str]) -> None:
    """Other tokens are other inputs: their logits would differ by thousands of times the stated error."""
    texts = [row["text"] for row in ROWS]
    with served.connect(load_settings()) as client, served.connect(load_settings(mask=own)) as other:
        usual, found = client.predict(texts), other.predict(texts)
    assert abs(usual.logits - found.logits).max() <= usual.error_bound + found.error_bound
    assert found.labels == usual.labels


def test_the_extractor_is_downloaded_once(served: Endpoint, tmp_path: Path) -> None:
    with served.connect(load_settings()) as client:
        (tmp_path / "one").mkdir()
        client.download_extractor(tmp_path / "one")
        digests = client.manifest.extractor
    (kept,) = (path for path in served.state_folder.glob("*/extractor"))
    files = {path.name: path for path in kept.iterdir()}
    assert set(files) == set(digests.values())
    changed = files[digests["masking.json"]]
    old = changed.stat().st_mtime_ns
    with served.connect(load_settings()) as client:
        client.download_extractor(tmp_path / "one")
        assert changed.stat().st_mtime_ns == old
        changed.write_bytes(b"damaged")
        (masking,) = (path for path in client.download_extractor(tmp_path / "one") if "masking" in path.name)
    assert json.loads(masking.read_bytes())["detector"] == "default"
    assert changed.read_bytes() == masking.read_bytes()


def test_a_model_that_does_not_state_its_masking_is_warned_of(
    served: Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A model of an earlier version: this machine's masking is used, which may be another."""
    own = load_settings(mask={"detector": "rules", "direct": "surrogate"})
    with served.connect(own) as client:
        client.download_extractor(tmp_path)
    assert LocalExtractor(tmp_path, own).masking != own.mask
    assert not caplog.messages
    (tmp_path / "masking.json").unlink()
    assert LocalExtractor(tmp_path, own).masking == own.mask
    (message,) = caplog.messages
    assert "does not state how its model's training texts were masked" in message


def test_certificates_of_the_database_may_be_read_whatever_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[Path] = []

    def note(readable: list[Path], _: list[Path]) -> list[str]:
        allowed.extend(readable)
        return []

    monkeypatch.setattr("lexveil.pipeline.serving.confinement.confine_server", note)
    (tmp_path / "bundle").mkdir()
    url = "postgresql://endpoint:a[b?c#d@host/endpoint?sslmode=verify-full&sslrootcert=/etc/authority.pem"
    settings = EncryptedSettings(host="0.0.0.0", state_url=url, state_key="ab" * 32)
    confine(tmp_path / "bundle", tmp_path / "state", settings)
    assert Path("/etc/authority.pem") in allowed
