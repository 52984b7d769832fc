"""Promise: after a run through Prefect, nothing from a document is stored in clear where it must not be.

The canaries of `fixtures.canaries` go through it. Everything that the runs leave is searched: the output, the
workspace with its reports, history page, metrics and log, the traces that a collector was sent, Prefect's
home with its database, the temporary folder. Other databases and runners: `test_leak_canary_scaled.py`.

What may hold what in clear:

* `masked/` holds words of the text that aren't personal information;
* labels are taken as public and aren't searched for.
"""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.canaries import (
    BROKEN_FILE,
    CANARIES,
    EMAIL,
    FORMS,
    FREE,
    PERSON,
    TRAINING,
    failing,
    search,
    write_sources,
)
from tests.deadlines import HANGS_AFTER

if TYPE_CHECKING:
    from tests.conftest import Command, PrefectServer

RECORDED_WITHIN_SECONDS = HANGS_AFTER


@dataclass(frozen=True)
class Ran:
    """A run that fails inside a shard, is tried again, fails in training; and the run that takes it up.

    failed, ended: what a search found after each.
    """

    folder: Path
    sources: Path
    first: CompletedProcess[str]
    second: CompletedProcess[str]
    failed: dict[str, set[str]]
    ended: dict[str, set[str]]

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    write_sources(folder)
    return folder / "corpus"


@contextmanager
def collector(folder: Path) -> Generator[str]:
    """A collector of traces that stores what it receives, unchanged, in `folder`."""
    folder.mkdir()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            (folder / f"{time.monotonic_ns()}.bin").write_bytes(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any, **more: Any) -> None:
            del args, more

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@pytest.fixture(scope="module")
def ran(
    tmp_path_factory: pytest.TempPathFactory, command_in: Callable[[Path], Command], sources: Path
) -> Ran:
    folder = tmp_path_factory.mktemp("canary")
    command = command_in(folder)
    with collector(folder / "traces") as url:
        # Ids come from random keys: an owner held out may leave too few of these documents to train on.
        given = {"LEXVEIL_TRAIN__HELD_OUT": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": url}
        broken = failing(tmp_path_factory.mktemp("entry"), folder / "failed")
        first = command.run_alone(*request(sources, folder), **given, **broken)
        failed = search_all(folder, first)
        second = command.run(*request(sources, folder), "--json", **given)
    return Ran(folder, sources, first, second, failed, search_all(folder, second))


def request(sources: Path, folder: Path) -> list[str | Path]:
    return ["run", sources, "-w", folder / "workspace", "--owner-field", "owner"]


def search_all(folder: Path, process: CompletedProcess[str]) -> dict[str, set[str]]:
    (folder / "out.txt").write_text(process.stdout + process.stderr)
    (folder / "tmp" / "nothing").touch()
    return search(folder)


def test_the_search_finds_every_canary_in_the_sources(sources: Path) -> None:
    found = search(sources.parent)
    assert found.keys() == set(CANARIES) - {TRAINING}


@pytest.mark.parametrize("shape", range(6))
def test_the_search_sees_through_encodings(shape: int, tmp_path: Path) -> None:
    for canary in CANARIES:
        (tmp_path / "file").write_bytes(b"\xff\0" + FORMS[canary][shape] + b"\0")
        assert canary in search(tmp_path)


def test_the_runs_failed_and_ended_as_they_should(ran: Ran) -> None:
    assert ran.first.returncode == 1
    assert [line for line in ran.first.stderr.splitlines() if line.startswith("error")] == [
        "error: train: KeyError"
    ]
    assert (ran.folder / "failed").exists()
    assert ran.second.returncode == 0, ran.second.stderr
    result = json.loads(ran.second.stdout)
    assert (result["ingested"], result["quarantined"]) == (12, 3)
    assert result["unit"] == "owner"


def test_the_failures_are_in_prefect_s_database_without_their_content(ran: Ran) -> None:
    with closing(sqlite3.connect(ran.folder / "prefect" / "prefect.db")) as database:
        states = set(database.execute("select name, message from task_run_state"))
    assert "Retrying" in {name for name, _ in states}
    assert "Task run encountered an exception StageError: train: KeyError" in {text for _, text in states}


def test_the_canaries_went_through_the_run(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts opened from the sealed workspace contain them: the search had something to find."""
    from lexveil.pipeline.masking.vault import restore_document
    from lexveil.pipeline.settings import Settings
    from lexveil.pipeline.workspace import tables
    from lexveil.pipeline.workspace.documents import read_quarantine
    from lexveil.pipeline.workspace.workspace import Workspace

    place, settings = Workspace.open(ran.workspace), Settings()
    ids = tables.to_strings(place.with_settings(settings).catalogue.read(), "doc_id")
    texts = [restore_document(place.with_settings(settings), doc_id) for doc_id in ids]
    for canary in (FREE, PERSON, EMAIL):
        assert sum(canary in text for text in texts) == 2
    where = [row.where for row in read_quarantine(place.with_settings(settings))]
    assert sum(BROKEN_FILE in path for path in where) == 1


def test_the_seal_alone_keeps_them_out_of_prefect_s_database(
    tmp_path: Path, command_in: Callable[[Path], Command], sources: Path, prefect_server: PrefectServer
) -> None:
    """A shard that fails at every try, with the seal and without it: only then does the search find them."""
    command = command_in(tmp_path)
    broken = failing(tmp_path / "entry", tmp_path / "failed")
    settings = {"CANARY_ALWAYS": "1", "PREFECT_API_URL": prefect_server.url, **broken}
    before = search(prefect_server.home)
    sealed = command.run(*request(sources, tmp_path), **settings)
    assert sealed.returncode == 1
    assert "error: ingest: ValueError" in sealed.stderr.splitlines()
    database = list(prefect_server.home.glob("prefect.db*"))
    assert comes(lambda: any(b"StageError: ingest: ValueError" in path.read_bytes() for path in database))
    assert search(prefect_server.home) == before == {}

    unsealed = command.run(*request(sources, tmp_path), **settings, LEXVEIL_DEBUG="unsafe")
    assert unsealed.returncode == 1
    assert comes(lambda: {FREE, PERSON, EMAIL} <= search(prefect_server.home).keys())


def comes(true: Callable[[], bool]) -> bool:
    """Return True once the condition holds; the server writes with a delay."""
    deadline = time.monotonic() + RECORDED_WITHIN_SECONDS
    while not true() and time.monotonic() < deadline:
        time.sleep(0.5)
    return true()


@pytest.mark.parametrize("moment", ["failed", "ended"])
def test_no_canary_is_where_it_may_not_be(ran: Ran, moment: str) -> None:
    found: dict[str, set[str]] = getattr(ran, moment)
    leaks = {canary: {name for name in names if not allowed(canary, name)} for canary, names in found.items()}
    assert {canary: names for canary, names in leaks.items() if names} == {}


def allowed(canary: str, name: str) -> bool:
    return canary == FREE and name.startswith("workspace/masked/part-")


def test_the_search_went_through_what_operators_see(ran: Ran) -> None:
    """Metrics, traces, log and history page were there to be searched, and say something."""
    from lexveil.pipeline.monitoring.metrics import metrics_path
    from lexveil.pipeline.workspace.workspace import Workspace

    traces = b"".join(path.read_bytes() for path in sorted((ran.folder / "traces").iterdir()))
    for name in (b"lexveil.run", b"lexveil.mask.shard", b"lexveil.train", b"StageError"):
        assert name in traces
    metrics = metrics_path(Workspace.open(ran.workspace)).read_text(encoding="utf-8")
    assert 'lexveil_runs_total{action="run",outcome="failed"} 1.0' in metrics
    assert 'lexveil_spans{type="PERSON"}' in metrics
    history = (ran.workspace / "runs" / "history.html").read_text(encoding="utf-8")
    assert f"{json.loads(ran.second.stdout)['run_id']}/report.html" in history
    assert (ran.workspace / "protected" / "log.jsonl").read_bytes().count(b"\n") >= 4


def test_what_is_told_above_of_the_masked_text_is_so(ran: Ran) -> None:
    """Else the permission in `allowed` would be wider than it needs to be."""
    assert any(name.startswith("workspace/masked/") for name in ran.ended[FREE])
    assert not (ran.workspace / "protected" / "pending.json").exists()
    assert stat.S_IMODE((ran.workspace / "protected").stat().st_mode) == 0o700
