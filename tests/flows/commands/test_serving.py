"""`lexveil serve` and its end; the client's `classify` and `keys rotate`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.postgres import NoPostgres, server
from lexveil.flows.commands.serving import EndpointOptions
from lexveil.pipeline.models.saved import find_model
from lexveil.pipeline.serving.server.access import ApiKeys
from lexveil.pipeline.serving.server.state import ServerState, open_log
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace
from tests.deadlines import HANGS_AFTER, wait_until
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
    from lexveil.pipeline.serving import export

    workspace = finished.workspace.with_settings(finished.settings)
    before, find = len(workspace.log.read()), export.export_model

    def interrupted(*arguments: Any) -> Any:
        with suppress(BaseException):
            signal.raise_signal(signal.SIGTERM)
        return find(*arguments)

    monkeypatch.setattr(export, "export_model", interrupted)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    assert lexveil("serve", "-w", workspace.root, "--port", "0").code == 0
    assert [entry.outcome for entry in workspace.log.read()[before:]] == ["started", "done"]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers


def list_open_files(process_id: int) -> list[str]:
    opened: list[str] = []
    for path in Path(f"/proc/{process_id}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            opened.append(os.readlink(path))  # noqa: PTH115
    return opened


def test_a_running_endpoint_reads_nothing_of_the_workspace_and_follows_it(
    finished: Finished, command_in: Callable[[Path], Command], lexveil: Lexveil, tmp_path: Path
) -> None:
    """The process that faces the network is another one: it has no master key, and opens none."""
    workspace = finished.workspace.with_settings(finished.settings)
    key = (workspace.protected / "master.key").read_text().strip()
    (workspace.protected / "master.key").unlink()
    secrets = {"LEXVEIL_MASTER_KEY": key, "LEXVEIL_RUNNER_ADDRESS": "tcp://a-cluster:1"}
    place = {"XDG_STATE_HOME": str(tmp_path / "state")}
    process = command_in(tmp_path).start("serve", "-w", workspace.root, "--port", "0", **place, **secrets)
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("url: ").strip()
    below = list_processes(process.pid)
    assert len(below) >= 2  # the server and a worker
    for process_id in below:
        environment = Path(f"/proc/{process_id}/environ").read_bytes()
        assert not any(secret.encode() in environment for secret in (*secrets, *secrets.values())), process_id
        opened = list_open_files(process_id)
        assert opened
        assert not [path for path in opened if "protected" in path]
    server, *_ = below
    for thread in Path(f"/proc/{server}/task").iterdir():  # one that a library started is confined, too
        assert "NoNewPrivs:\t1" in (thread / "status").read_text()
    state = workspace.root / "endpoint" / "state"
    assert lexveil("log", "verify", "--endpoint", state, "--json").json["intact"] is True
    (entry, switched) = open_log(state).read()
    assert (entry.action, entry.outcome) == ("serve", "started")
    assert (switched.action, switched.outcome) == ("serve-model", "done")
    assert switched.facts["model"] == find_model(workspace, "linear").name

    os.environ.update(secrets)
    try:
        erased = lexveil("erase", a_document(workspace), "-w", workspace.root, "--json")
    finally:
        for name in secrets:
            del os.environ[name]
    assert erased.code == 0, erased.err
    wait_until(lambda: ready(url) == 503)
    wait_until(lambda: open_log(state).read()[-1].facts == {})  # first it is no longer served
    process.kill()  # whatever becomes of the parent, the server ends
    process.wait()
    wait_until(lambda: not [one for one in below if Path(f"/proc/{one}").exists()])
    *_, dropped, ended = open_log(state).read()
    assert (dropped.action, dropped.facts) == ("serve-model", {})  # by the erasure
    assert (ended.action, ended.outcome) == ("serve", "done")


def list_processes(parent: int) -> list[int]:
    """All processes below one, as /proc tells."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [found for child in map(int, children) for found in (child, *list_processes(child))]


def ready(url: str) -> int:
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=HANGS_AFTER) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def a_document(workspace: Workspace) -> str:
    return tables.to_strings(workspace.catalogue.read(), "doc_id")[0]


def test_a_bundle_is_served_without_a_workspace(
    finished: Finished, command_in: Callable[[Path], Command], lexveil: Lexveil, tmp_path: Path
) -> None:
    bundle, state = tmp_path / "bundle", tmp_path / "server"
    exported = lexveil("serve", "export", bundle, "-w", finished.workspace.root, "--json").json
    assert exported["output"] == str(bundle)
    shutil.rmtree(finished.workspace.root)
    issued = lexveil("serve", "--state", state, "--new-api-key", "office", "--json").json
    words = ("serve", "--bundle", bundle, "--state", state, "--port", "0")
    process = command_in(tmp_path).start(*words, XDG_STATE_HOME=str(tmp_path / "home"))
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("url: ").strip()
    request = urllib.request.Request(url + "/v1/manifest")
    request.add_header("Authorization", f"Bearer {issued['api_key']}")
    with urllib.request.urlopen(request, timeout=HANGS_AFTER) as answer:
        assert json.loads(json.load(answer)["manifest"])["model"] == exported["model"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=HANGS_AFTER)
    assert process.returncode == 0
    done = [(entry.action, entry.outcome) for entry in open_log(state).read() if entry.outcome != "started"]
    assert done == [("issue-api-key", "done"), ("serve-model", "done"), ("serve", "done")]
    assert lexveil("log", "verify", "--endpoint", state, "--json").json["intact"] is True


def test_folders_that_are_no_bundle_or_state(lexveil: Lexveil, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    says = "there is no serving bundle"
    assert_refused(lexveil, nothing, "serve", "--bundle", nothing, "--state", tmp_path / "s", says=says)
    assert_refused(lexveil, tmp_path, "serve", "--state", tmp_path / "s", says="--bundle")
    assert_refused(lexveil, tmp_path, "log", "verify", "--endpoint", nothing, says="not the folder")


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_what_was_kept_beside_the_master_key_is_moved(killed: bool, lexveil: Lexveil, tmp_path: Path) -> None:
    workspace = Workspace.create_or_open(tmp_path / "w")
    _ = workspace.keys
    former = ServerState(workspace.protected / "endpoint")
    key = former.signing_key.private_bytes_raw()
    ApiKeys(former.api_keys).issue("office")
    with former.lock():  # a server of the earlier version still runs
        says = "another endpoint serves"
        assert_refused(lexveil, tmp_path / "labels", "serve", "--new-api-key", "court", "-w", "w", says=says)
    if killed:  # an earlier command was, after it moved one file
        moved = workspace.root / "endpoint" / "state" / "api-keys.json"
        moved.parent.mkdir(parents=True, exist_ok=True)
        (former.folder / "api-keys.json").rename(moved)
    assert lexveil("serve", "--new-api-key", "court", "-w", "w").code == 0
    state = ServerState(workspace.root / "endpoint" / "state")
    assert state.signing_key.private_bytes_raw() == key
    assert len(json.loads((state.folder / "api-keys.json").read_bytes())) == 2
    assert not list(workspace.protected.rglob("signing.key"))


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


@pytest.mark.slow
def test_what_a_client_cannot_use(lexveil: Lexveil, tmp_path: Path, write_jsonl: Callable[..., Path]) -> None:
    path = write_jsonl([{"id": 1, "text": "Text."}])
    assert_refused(lexveil, tmp_path, "classify", "none.jsonl", "out.jsonl", says="none.jsonl")
    for words in (("classify", path, "out.jsonl"), ("keys", "rotate")):
        assert_refused(lexveil, tmp_path, *words, "--api-key-file", "none", says="API key file none")
        assert_refused(lexveil, tmp_path, *words, "--url", NOBODY, "--ca", "none", says="certificate")
        assert_refused(lexveil, tmp_path, *words, "--url", "http://endpoint.example", says="--insecure-http")
    assert_refused(lexveil, tmp_path, "classify", path, "out.jsonl", "--url", NOBODY, says="error")


@pytest.mark.slow
def test_keys_are_removed_though_the_server_cannot_be_told(lexveil: Lexveil, tmp_path: Path) -> None:
    result = lexveil("keys", "rotate", "--url", NOBODY, "--state", tmp_path / "state", "--json").json
    assert result["server_notified"] is False
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


@pytest.mark.slow
def test_commands_of_one_server_hold_for_all_replicas(
    lexveil: Lexveil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each on a machine of its own: they have the database in common, no folder."""
    with ExitStack() as opened:
        try:
            url = opened.enter_context(server())
        except NoPostgres as reason:
            pytest.skip(str(reason))
        monkeypatch.setenv("LEXVEIL_ENCRYPTED__STATE_URL", url)
        monkeypatch.setenv("LEXVEIL_ENCRYPTED__STATE_KEY", "ab" * 32)
        one, other, third = (tmp_path / name for name in ("one", "other", "third"))
        for reading in (
            ("serve", "--state", other, "--list-api-keys"),
            ("log", "verify", "--endpoint", other),
        ):
            # Neither makes an identity, nor brings that of a folder: this is for whoever serves.
            asked = lexveil(*reading)
            assert (asked.code, "no server has used it" in asked.err, other.exists()) == (2, True, False)
        key = lexveil("serve", "--state", one, "--new-api-key", "office", "--json").json["api_key"]
        (row,) = lexveil("serve", "--state", other, "--list-api-keys", "--json").json["api_keys"]
        assert (row["id"], row["tenant"], row["last_used"]) == (key.split("_")[1], "office", "never")
        assert not other.exists()  # what only reads makes no folder
        assert lexveil("serve", "--state", third, "--revoke-api-key", row["id"]).code == 0
        again = lexveil("serve", "--state", one, "--revoke-api-key", row["id"])
        assert (again.code, "no API key" in again.err) == (2, True)
        verified = lexveil("log", "verify", "--endpoint", one, "--json").json
        assert (verified["intact"], verified["entries"]) == (True, 6)
        monkeypatch.setenv("LEXVEIL_ENCRYPTED__STATE_KEY", "cd" * 32)
        refused = lexveil("serve", "--state", one, "--new-api-key", "thief")
        assert (refused.code, refused.err.count("\n"), "state_key" in refused.err) == (2, 1, True)
    refused = lexveil("serve", "--state", one, "--list-api-keys")  # the database is gone
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert url not in refused.err


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"LEXVEIL_ENCRYPTED__STATE_URL": "postgresql://h/d"}, "state_key"),
        ({"LEXVEIL_ENCRYPTED__STATE_KEY": "ab" * 32}, "state_url"),
        (
            {
                "LEXVEIL_ENCRYPTED__STATE_URL": "postgresql://h/d",
                "LEXVEIL_ENCRYPTED__STATE_KEY": "ab" * 32,
                "LEXVEIL_DATABASE__URL": "postgresql://h/d",
            },
            "not the workspace's",
        ),
        (
            {"LEXVEIL_ENCRYPTED__STATE_URL": "mysql://h/d", "LEXVEIL_ENCRYPTED__STATE_KEY": "ab" * 32},
            "state_url",
        ),
    ],
)
def test_settings_of_replicas_that_cannot_be(
    lexveil: Lexveil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: dict[str, str], says: str
) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert_refused(lexveil, tmp_path, "serve", "--state", tmp_path / "state", "--list-api-keys", says=says)
