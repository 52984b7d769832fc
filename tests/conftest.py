"""What the tests of several packages share. Heavy things are made once, where a test asks for them."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import absl.logging
import hypothesis
import pytest

from lexveil.flows.environment import collect_seldom
from lexveil.flows.runners.pool import ONE_THREAD
from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio
from tests.deadlines import HANGS_AFTER, stop
from tests.selection import marks_of, marks_of_file

if TYPE_CHECKING:
    from lexveil.pipeline.settings import Settings
    from lexveil.pipeline.workspace.workspace import Workspace

# As in a worker, before torch is imported: threads of several processes wait for each other on few cores.
os.environ.update(ONE_THREAD)
collect_seldom()

# As in a worker: Presidio would take seconds to import torch for each process of tests.
keep_model_libraries_out_of_presidio()

# Absl's handler, which dp-accounting brings, closes its stream when Prefect sets logging up, unless it is
# this one: in a test that captures its output, pytest's own file would be closed.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

# A deadline would be a timed assertion, which a busy machine breaks.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

ROOT = Path(__file__).parents[1]
DOCUMENTS, SEED, STEPS = 40, 7, 5
# Files of tests that take minutes, by --durations.
_SLOWEST_FIRST = (
    "test_docs", "test_tasks", "test_deployments", "test_leak_canary", "test_joint_kills", "test_resume",
    "test_upgrade", "test_leak_canary_scaled", "test_hostile", "test_joint_training", "test_joint_audit",
    "test_main", "test_nothing_leaves", "test_large_documents", "test_protections", "test_transformer",
    "test_serving", "test_listen", "test_audit", "test_endpoint", "test_ingest_again",
    "test_ledger_remembers", "test_audit_gate", "test_packaging",
)  # fmt: skip
SERVER_SECONDS = HANGS_AFTER
# As in the server of a run: to register types of blocks takes a third of a start.
NO_BLOCKS = {"PREFECT_API_BLOCKS_REGISTER_ON_START": "0", "PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION": "0"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help="leave out tests that need something large or are marked slow",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out whole files and folders unread: importing them takes as long as the tests of the others."""
    if not config.getoption("--quick"):
        return None
    files = [collection_path] if collection_path.is_file() else [*collection_path.rglob("test_*.py")]
    tests = [file for file in files if file.match("test_*.py")]
    return True if tests and all(map(marks_of_file, tests)) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by what they need, if marks are asked for; only `slow` is marked by hand.

    The slowest files come first, so that no process is left alone with one of them at the end.
    """
    left_out: list[pytest.Item] = []
    asked = config.getoption("--quick") or config.getoption("-m")  # to read all imports takes seconds
    for item in items if asked else ():
        marks = marks_of(item.path, getattr(item, "fixturenames", ()))
        for mark in marks:
            item.add_marker(mark)
        if config.getoption("--quick") and (marks or item.get_closest_marker("slow")):
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        kept = set(items) - set(left_out)
        items[:] = [item for item in items if item in kept]
    places = {name: place for place, name in enumerate(_SLOWEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def pytest_collection_finish() -> None:
    """Let no search for garbage look at tests and libraries, which stay until the end."""
    gc.freeze()


@pytest.hookimpl(trylast=True)  # pytest itself looks for garbage there
def pytest_unconfigure() -> None:
    """Let the interpreter free all of it: libraries report on stderr what is left at its end."""
    gc.unfreeze()


@dataclass(frozen=True)
class Finished:
    """A workspace in which the main job has run. Copy it before changing it.

    gold: what is true of each document, by its text without white space, since PDF files wrap lines.
    first: the JSON of the run.
    """

    workspace: Workspace
    settings: Settings
    sources: list[Path]
    expected: dict[str, Any]
    gold: dict[str, dict[str, Any]]
    first: dict[str, Any]


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> None:
    """Neither the environment nor a lexveil.toml of whoever runs the tests may steer them."""
    for name in [name for name in os.environ if name.startswith("LEXVEIL_")]:
        del os.environ[name]


@pytest.fixture(autouse=True)
def logging_as_before() -> Generator[None]:
    """A command or a server sets logging up for a process of its own; after the test it is as before."""
    loggers = [logging.getLogger(name) for name in ("lexveil", "lexveil.serving", "uvicorn", "uvicorn.error")]
    before = [(list(logger.handlers), logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, state in zip(loggers, before, strict=True):
        logger.handlers[:], logger.propagate, logger.level = state
    logging.captureWarnings(False)


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Write records to a JSONL file below the test's folder."""

    def write(records: Iterable[Mapping[str, Any]], name: str = "records.jsonl") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(dict(record), ensure_ascii=False) + "\n" for record in records)
        path.write_text("".join(lines), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def postgres() -> Generator[str]:
    """The URL of a database on a real PostgreSQL server, which all tests of a process share."""
    from fixtures.postgres import NoPostgres, server

    pytest.importorskip("psycopg")
    try:
        with server() as url:
            yield url
    except NoPostgres as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def aws_server() -> Generator[str]:
    """The URL of moto's HTTP server, which answers for AWS; all tests of a process share it."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


@pytest.fixture
def aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, as boto3 and s3fs find it: by the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL": aws_server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    return aws_server


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """A folder that the first process of a test run fills and all others share. To read, not to change."""
    from filelock import FileLock

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def get(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return get


@pytest.fixture(scope="session")
def corpus(make_once: Callable[..., Path]) -> Path:
    """A small synthetic corpus in all formats: `corpus/`, `gold.jsonl`, `expected.json`."""
    from fixtures.generate import generate

    return make_once("synthetic", lambda folder: generate(folder, DOCUMENTS, SEED))


@pytest.fixture(scope="session")
def finished_once(corpus: Path, make_once: Callable[..., Path]) -> Finished:
    """The main job over the corpus, in this process and without a scheduler. To read, not to change."""
    from lexveil.pipeline.job import run_job
    from lexveil.pipeline.request import make_request
    from lexveil.pipeline.settings import Settings
    from lexveil.pipeline.workspace.workspace import Workspace

    settings = Settings.model_validate(
        {
            "ingest": {"owner_field": "owner", "shard_documents": 16},
            "train": {"steps": STEPS, "held_out": 0.3},
            "encrypted": {"sample": 8},
        }
    )
    sources = [corpus / "corpus"]

    def make(folder: Path) -> None:
        while True:
            workspace = Workspace.create_or_open(folder / "workspace")
            first = run_job(workspace, make_request(workspace.with_settings(settings), sources))
            if first["utility"] is not None:
                break
            shutil.rmtree(folder / "workspace")  # its random key holds out none of the eleven owners
        (folder / "first.json").write_text(json.dumps(first), encoding="utf-8")

    folder = make_once("finished", make)
    workspace = Workspace.open(folder / "workspace")
    first = json.loads((folder / "first.json").read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (corpus / "gold.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = json.loads((corpus / "expected.json").read_text(encoding="utf-8"))
    gold = {squeezed(row["text"]): row for row in rows}
    return Finished(workspace, settings, sources, expected, gold, first)


@pytest.fixture
def finished(finished_once: Finished, tmp_path: Path) -> Finished:
    """A copy of the finished workspace, to change at will."""
    from lexveil.pipeline.workspace.workspace import Workspace

    root = tmp_path / "finished"
    for attempt in range(5):
        try:
            shutil.copytree(finished_once.workspace.root, root, symlinks=True)
            break
        except shutil.Error:  # SQLite's helper files come and go while another process reads the workspace
            if attempt == 4:
                raise
            shutil.rmtree(root)
    base = finished_once
    return Finished(Workspace.open(root), base.settings, base.sources, base.expected, base.gold, base.first)


@pytest.fixture(scope="session")
def bert_in() -> Callable[..., Path]:
    """A small BERT of random weights in a folder, with the commonest tokens of the default's tokenizer."""

    def make(folder: Path, *, vocab_size: int = 4000, **config: Any) -> Path:
        import importlib.util

        import torch
        from transformers import BertConfig, BertModel
        from transformers.utils import logging

        from lexveil.nlp.encoders.public import PACKAGE

        spec = importlib.util.find_spec(PACKAGE)
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent / "model"
        small: dict[str, Any] = {
            "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
            "max_position_embeddings": 64, "vocab_size": vocab_size,
        }  # fmt: skip
        logging.disable_progress_bar()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            BertModel(BertConfig(**{**small, **config})).save_pretrained(folder)
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            shutil.copyfile(package / name, folder / name)
        tokenizer = json.loads((package / "tokenizer.json").read_text(encoding="utf-8"))
        known = tokenizer["model"]["vocab"]
        tokenizer["model"]["vocab"] = {token: i for token, i in known.items() if i < vocab_size}
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="session")
def masked_once(make_once: Callable[..., Path]) -> Workspace:
    """A workspace with twelve masked documents of a few owners, ready to train on. To copy, not to change."""
    from fixtures.generate import generate
    from lexveil.pipeline.settings import Settings
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask
    from lexveil.pipeline.workspace.workspace import Workspace

    settings = Settings.model_validate(
        {"ingest": {"owner_field": "owner", "shard_documents": 8}, "train": {"steps": 3, "held_out": 0.0}}
    )

    def make(folder: Path) -> None:
        generate(folder, 12, 3, layout="jsonl")
        workspace = Workspace.create_or_open(folder / "workspace").with_settings(settings)
        ingest(workspace, [folder / "corpus"])
        mask(workspace)

    return Workspace.open(make_once("small", make) / "workspace")


@pytest.fixture
def masked(masked_once: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the masked workspace, to train on."""
    from lexveil.pipeline.workspace.workspace import Workspace

    shutil.copytree(masked_once.root, tmp_path / "masked")
    return Workspace.open(tmp_path / "masked")


@dataclass(frozen=True)
class Command:
    """The real `lexveil` in processes of its own, with a Prefect home and a temporary folder of its own.

    database: of Prefect, with its tables made, to begin with.
    warm: a program for `run` that stands for `lexveil`, by a fork of a process that has loaded the libraries.
    """

    folder: Path
    database: Path | None = None
    warm: Path | None = None
    entry: str = "from lexveil.flows.cli import main; main()"

    @property
    def prefect_home(self) -> Path:
        return self.folder / "prefect"

    def environment(self, **more: str) -> dict[str, str]:
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        database = self.prefect_home / "prefect.db"
        if self.database is not None and "PREFECT_API_URL" not in more and not database.exists():
            self.prefect_home.mkdir(exist_ok=True)
            shutil.copyfile(self.database, database)
        outside = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        own = {
            "PREFECT_HOME": str(self.prefect_home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(temporary),
            "LEXVEIL_WORKERS": "1",
            "LEXVEIL_TRAIN__STEPS": str(STEPS),
        }
        return {**outside, **own, **more}

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start the command as an interpreter of its own, which has this process as its parent."""
        return self._open([sys.executable, "-c", self.entry], arguments, environment)

    def _open(
        self, program: list[str], arguments: Iterable[str | Path], environment: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        command = [*program, *map(str, arguments)]
        place = self.environment(**environment)
        return subprocess.Popen(command, env=place, cwd=self.folder, stdout=pipe, stderr=pipe, text=True)

    def run_script(
        self, script: Path, *arguments: str | Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """The same with a script in place of the entry point; spawned workers import it too."""
        command = [sys.executable, str(script), *map(str, arguments)]
        return subprocess.run(
            command,
            env=self.environment(**environment),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command, by a fork of the warm process if there is one."""
        program = [sys.executable, "-c", self.entry] if self.warm is None else [str(self.warm)]
        return _wait_for(self._open(program, arguments, environment))

    def run_alone(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command as an interpreter of its own, where what it loads at its start matters."""
        return _wait_for(self.start(*arguments, **environment))


def _wait_for(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope="session")
def prefect_database(make_once: Callable[..., Path]) -> Path:
    """Prefect's database with its tables, and nothing in them: to make them takes seconds."""

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
        subprocess.run(command, env=Command(folder).environment(), check=True, capture_output=True)

    return make_once("prefect-database", make) / "prefect" / "prefect.db"


@pytest.fixture(scope="session")
def warm(make_once: Callable[..., Path]) -> Path:
    """A folder of programs in which `lexveil` is a fork of a warm process, which all tests share."""
    from tests import warm_lexveil

    def make(folder: Path) -> None:
        address, programs = folder / "socket", folder / "bin"
        tests = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
        own = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(ROOT / "tests" / "warm_lexveil.py"), str(address), str(tests)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command, env={**os.environ, **own}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        programs.mkdir()
        (programs / "lexveil").write_text(warm_lexveil.make_client(str(address)), encoding="utf-8")
        (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        for program in ("lexveil", "python"):
            (programs / program).chmod(0o755)
        (programs / "activate").write_text("", encoding="utf-8")
        while not address.exists():
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
            time.sleep(0.05)

    return make_once("warm", make) / "bin"


@pytest.fixture(scope="session")
def command_in(prefect_database: Path, warm: Path) -> Callable[[Path], Command]:
    """`lexveil` with its homes below a folder."""
    return lambda folder: Command(folder, prefect_database, warm / "lexveil")


@dataclass(frozen=True)
class PrefectServer:
    url: str
    home: Path


@contextmanager
def start_prefect_server(
    home: Path, database: Path | None = None, **environment: str
) -> Generator[PrefectServer]:
    """A `prefect server start` of its own, until the block ends; `database` as in `Command`."""
    import httpx

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    own = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        "PYTHONTZPATH": "",  # else it lists the system's folder of time zones whenever it reads a schedule
        **NO_BLOCKS,
        **environment,
    }
    if database is not None:
        shutil.copyfile(database, home / "prefect.db")
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--no-ui", "--analytics-off"],
            env=Command(home).environment(**own),
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}/api"
    try:
        with httpx.Client(timeout=5) as client:  # one: to load the certificates of all authorities takes long
            for _ in range(int(5 * SERVER_SECONDS)):
                assert server.poll() is None, "the Prefect server ended"
                try:
                    if client.get(f"{url}/health").is_success:
                        break
                except httpx.HTTPError:
                    pass
                time.sleep(0.2)
            else:
                pytest.fail("the Prefect server did not start")
        yield PrefectServer(url, home)
    finally:
        stop(server)


@pytest.fixture(scope="module")
def prefect_server(
    prefect_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[PrefectServer]:
    """One `prefect server start` for all tests of a file: a start takes as long as a small run.

    Not for all files: one that nobody asks anything takes two percent of a core.
    """
    with start_prefect_server(tmp_path_factory.mktemp("prefect-server"), prefect_database) as server:
        yield server


@pytest.fixture(scope="session")
def prefect_server_in() -> Callable[..., AbstractContextManager[PrefectServer]]:
    """Another server, with its home in a folder and an environment of its own."""
    return start_prefect_server
