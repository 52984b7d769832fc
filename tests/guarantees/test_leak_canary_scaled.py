"""The canaries again, where runs are scaled out: shards on Dask and Ray, and everything that a server keeps,
Prefect's records as well as Lexveil's keys, catalogue, log and ledger, in PostgreSQL.

Each run fails inside a shard, is tried again, and fails in training. While it goes on, what workers and
clusters write below the temporary folder is kept, since they remove it at their end.
"""

from __future__ import annotations

import importlib.util
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.canaries import CANARIES, FREE, TRAINING, failing, search, write_sources
from fixtures.postgres import NoPostgres, server
from tests.deadlines import HANGS_AFTER

if TYPE_CHECKING:
    from tests.conftest import Command

RUNNERS = {"dask": "prefect_dask", "ray": "prefect_ray"}
LOOK_EVERY_SECONDS = 0.25
RECORDED_WITHIN_SECONDS = HANGS_AFTER


@dataclass(frozen=True)
class Scaled:
    """A PostgreSQL server, and a Prefect server that keeps its records there."""

    database: str
    prefect: Any
    sources: Path


@pytest.fixture(scope="module")
def scaled(
    tmp_path_factory: pytest.TempPathFactory, prefect_server_in: Callable[..., Any]
) -> Generator[Scaled]:
    folder = tmp_path_factory.mktemp("scaled")
    write_sources(folder)
    try:
        postgres = server()
        url = postgres.__enter__()
    except NoPostgres as missing:
        pytest.skip(str(missing))
    try:
        asked = url.replace("postgresql://", "postgresql+asyncpg://")
        home = tmp_path_factory.mktemp("prefect")
        with prefect_server_in(home, PREFECT_API_DATABASE_CONNECTION_URL=asked) as prefect:
            yield Scaled(url, prefect, folder / "corpus")
    finally:
        postgres.__exit__(None, None, None)


@contextmanager
def kept(folder: Path, copy: Path) -> Generator[None]:
    """Copy the last state of everything that exists below `folder` in the meantime to `copy`."""
    seen: dict[Path, tuple[tuple[int, int, int], bytes]] = {}
    over = threading.Event()

    def look() -> None:
        for path in folder.rglob("*"):
            with suppress(OSError):
                found, name = path.stat(), path.relative_to(folder)
                state = (found.st_ino, found.st_mtime_ns, found.st_size)
                if stat.S_ISREG(found.st_mode) and (name not in seen or seen[name][0] != state):
                    seen[name] = state, path.read_bytes()

    def watch() -> None:
        while not over.wait(LOOK_EVERY_SECONDS):
            look()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
        look()
    for name, (_, content) in seen.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(content)


def write_tables(url: str, folder: Path) -> set[str]:
    """Every row of every table of a database as text. Returns the names of the tables."""
    import psycopg
    from psycopg import sql

    folder.mkdir(parents=True, exist_ok=True)
    names: set[str] = set()
    listed = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'"
    with closing(psycopg.connect(url)) as connection:
        for schema, table in connection.execute(listed).fetchall():
            query = sql.SQL("SELECT whole::text FROM {} AS whole").format(sql.Identifier(schema, table))
            rows = [str(row[0]) for row in connection.execute(query).fetchall()]
            (folder / f"{schema}.{table}.txt").write_text("\n".join(rows), encoding="utf-8")
            names.add(table)
    return names


@dataclass(frozen=True)
class Ran:
    folder: Path
    process: CompletedProcess[str]
    tables: set[str]


@pytest.fixture(scope="module", params=sorted(RUNNERS))
def ran(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    command_in: Callable[[Path], Command],
    scaled: Scaled,
) -> Generator[Ran]:
    runner: str = request.param
    if importlib.util.find_spec(RUNNERS[runner]) is None:
        pytest.skip(f"the extra {runner} is not installed")
    folder = tmp_path_factory.mktemp(runner)
    scratch = Path(tempfile.mkdtemp(prefix="lvc-", dir="/tmp"))  # Ray's sockets want a short path
    given = {
        **failing(tmp_path_factory.mktemp("entry"), folder / "failed"),
        "LEXVEIL_RUNNER": runner,
        "LEXVEIL_TRAIN__HELD_OUT": "0",
        "LEXVEIL_DATABASE__URL": scaled.database,
        "LEXVEIL_LEDGER__POPULATION": runner,  # the database is one for both
        "PREFECT_API_URL": scaled.prefect.url,
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "TMPDIR": str(scratch),
    }
    asked = ["run", scaled.sources, "-w", folder / "workspace", "--owner-field", "owner"]
    try:
        with kept(scratch, folder / "scratch"):
            process = command_in(folder).run_alone(*asked, **given)
        (folder / "out.txt").write_text(process.stdout + process.stderr)
        told = b"train: KeyError"
        deadline = time.monotonic() + RECORDED_WITHIN_SECONDS
        tables: set[str] = set()
        while time.monotonic() < deadline:  # the server writes a little later than things happen
            tables = write_tables(scaled.database, folder / "database")
            if told in (folder / "database" / "public.task_run_state.txt").read_bytes():
                break
            time.sleep(0.5)
        yield Ran(folder, process, tables)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def test_the_run_failed_where_it_should(ran: Ran) -> None:
    assert ran.process.returncode == 1
    errors = [line for line in ran.process.stderr.splitlines() if line.startswith("error")]
    assert errors == ["error: train: KeyError"]
    assert (ran.folder / "failed").exists()


def test_the_failures_are_in_postgresql_without_their_content(ran: Ran) -> None:
    states = (ran.folder / "database" / "public.task_run_state.txt").read_text(encoding="utf-8")
    assert "AwaitingRetry" in states or "Retrying" in states
    assert "StageError: train: KeyError" in states
    assert {"data_keys", "catalogue", "flow_run"} <= ran.tables


def test_workers_left_something_to_search(ran: Ran) -> None:
    scratch = [path.relative_to(ran.folder).as_posix() for path in (ran.folder / "scratch").rglob("*")]
    assert any("ray" in name or "dask" in name for name in scratch)


def test_no_canary_is_where_it_may_not_be(ran: Ran, scaled: Scaled) -> None:
    found = search(ran.folder)
    leaks = {canary: {name for name in names if not allowed(canary, name)} for canary, names in found.items()}
    assert {canary: names for canary, names in leaks.items() if names} == {}
    assert search(scaled.prefect.home) == {}


def allowed(canary: str, name: str) -> bool:
    return canary == FREE and name.startswith("workspace/masked/part-")


def test_the_search_would_find_them(scaled: Scaled, tmp_path: Path) -> None:
    """A row with all of them is found, in text and in bytes; they are in the sources."""
    import psycopg

    with closing(psycopg.connect(scaled.database, autocommit=True)) as connection:
        connection.execute("CREATE TABLE control (told text, sealed bytea)")
        connection.execute("INSERT INTO control VALUES (%s, %s)", (TRAINING, " ".join(CANARIES).encode()))
        write_tables(scaled.database, tmp_path)
        connection.execute("DROP TABLE control")
    assert search(tmp_path).keys() == set(CANARIES)
    assert search(scaled.sources.parent).keys() == set(CANARIES) - {TRAINING}
