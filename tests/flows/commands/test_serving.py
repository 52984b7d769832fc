"""`lexveil serve` and its end; the client's `classify` and `keys rotate`."""

from __future__ import annotations

import signal
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lexveil.flows.commands.serving import EndpointOptions
from lexveil.pipeline.workspace.workspace import Workspace
from tests.deadlines import HANGS_AFTER
from tests.flows.command_line import Lexveil, assert_refused

if TYPE_CHECKING:
    from tests.conftest import Command, Finished

NOBODY = "http://127.0.0.1:9"


def test_an_end_while_it_starts_is_logged(
    finished: Finished, command_in: Callable[[Path], Command], tmp_path: Path
) -> None:
    """SIGTERM comes before the server has handlers of its own, at whatever moment that is."""
    workspace = finished.workspace.with_settings(finished.settings)
    before = len(workspace.log.read())  # its training is logged
    process = command_in(tmp_path).start("serve", "-w", workspace.root, "--port", "0")
    while len(workspace.log.read()) == before:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=HANGS_AFTER)
    assert process.returncode == 0
    assert "url" not in output  # it never listened
    assert [entry.outcome for entry in workspace.log.read()[before:]] == ["started", "done"]


def test_the_url_is_printed_once_it_listens(
    finished: Finished, command_in: Callable[[Path], Command], tmp_path: Path
) -> None:
    words = ("serve", "-w", finished.workspace.root, "--port", "0")
    process = command_in(tmp_path).start(*words, XDG_STATE_HOME=str(tmp_path / "state"))
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("url: ").strip()
    with urllib.request.urlopen(url + "/readyz", timeout=HANGS_AFTER) as answer:  # and no port 0
        assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=HANGS_AFTER)
    assert process.returncode == 0


def test_an_end_that_a_callback_swallows_is_not_lost(
    finished: Finished, lexveil: Lexveil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception of the handler would be lost in an import, a finalizer or a library's callback."""
    from lexveil.pipeline.serving import endpoint

    workspace = finished.workspace.with_settings(finished.settings)
    before, find = len(workspace.log.read()), endpoint.export_model

    def interrupted(*arguments: Any) -> Any:
        with suppress(BaseException):
            signal.raise_signal(signal.SIGTERM)
        return find(*arguments)

    monkeypatch.setattr(endpoint, "export_model", interrupted)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    assert lexveil("serve", "-w", workspace.root, "--port", "0").code == 0
    assert [entry.outcome for entry in workspace.log.read()[before:]] == ["started", "done"]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_api_keys_are_issued_and_revoked_without_serving(lexveil: Lexveil, tmp_path: Path) -> None:
    workspace = Workspace.create_or_open(tmp_path / "w")
    _ = workspace.keys
    assert lexveil("serve", "--list-api-keys", "-w", "w", "--json").json == {"api_keys": []}
    assert not list(workspace.root.rglob("state.sqlite"))  # who only looks writes nothing
    issued = lexveil("serve", "--new-api-key", "office", "-w", "w", "--json").json
    assert issued["tenant"] == "office"
    key_id = issued["api_key"].split("_")[1]
    lexveil("serve", "--new-api-key", "guest", "--expires-in", "1", "-w", "w")
    rows = lexveil("serve", "--list-api-keys", "-w", "w", "--json").json["api_keys"]
    assert {row["tenant"]: row["expires"] == "never" for row in rows} == {"office": True, "guest": False}
    assert [row["id"] for row in rows if row["tenant"] == "office"] == [key_id]
    assert rows[0].items() >= {"last_used": "never", "slots_today": 0, "leakage": 0.0}.items()
    assert lexveil("serve", "--revoke-api-key", key_id, "-w", "w", "--json").json == {"revoked": key_id}
    assert lexveil("serve", "--revoke-api-key", "unknown", "-w", "w").code == 2
    done = [(entry.action, entry.outcome) for entry in workspace.log.read() if entry.outcome != "started"]
    assert done == [
        ("issue-api-key", "done"),
        ("issue-api-key", "done"),
        ("revoke-api-key", "done"),
        ("revoke-api-key", "failed: EndpointError"),
    ]
    assert issued["api_key"] not in workspace.log.export().decode()


def test_what_a_client_cannot_use(lexveil: Lexveil, tmp_path: Path, write_jsonl: Callable[..., Path]) -> None:
    path = write_jsonl([{"id": 1, "text": "Text."}])
    assert_refused(lexveil, tmp_path, "classify", "none.jsonl", "out.jsonl", says="none.jsonl")
    for words in (("classify", path, "out.jsonl"), ("keys", "rotate")):
        assert_refused(lexveil, tmp_path, *words, "--api-key-file", "none", says="API key file none")
        assert_refused(lexveil, tmp_path, *words, "--url", NOBODY, "--ca", "none", says="certificate")
        assert_refused(lexveil, tmp_path, *words, "--url", "http://endpoint.example", says="--insecure-http")
    assert_refused(lexveil, tmp_path, "classify", path, "out.jsonl", "--url", NOBODY, says="error")


def test_keys_are_removed_though_the_server_cannot_be_told(lexveil: Lexveil, tmp_path: Path) -> None:
    result = lexveil("keys", "rotate", "--url", NOBODY, "--state", tmp_path / "state", "--json").json
    assert result["server_told"] is False
    assert not result["removed"]


def test_options_become_the_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("lxv_from_file\n")
    monkeypatch.setenv("LEXVEIL_API_KEY", "lxv_from_environment")
    options = EndpointOptions(
        url="https://office.example",
        api_key_file=tmp_path / "key",
        state=tmp_path / "state",
        server_key="public",
        ca=tmp_path / "ca.pem",
        certificate=tmp_path / "client.pem",
        certificate_key=tmp_path / "client.key",
        insecure_http=True,
    )
    endpoint = options.endpoint(checks=False)
    assert (endpoint.url, endpoint.api_key, endpoint.public_key) == (options.url, "lxv_from_file", "public")
    assert (endpoint.checks, endpoint.state, endpoint.insecure_http) == (False, options.state, True)
    assert (endpoint.ca, endpoint.certificate, endpoint.key) == (
        options.ca,
        options.certificate,
        options.certificate_key,
    )
    usual = EndpointOptions().endpoint()
    assert (usual.url, usual.api_key, usual.checks) == ("http://127.0.0.1:8300", "lxv_from_environment", True)
