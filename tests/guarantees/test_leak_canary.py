"""Promise: after a run through Prefect, nothing that a document brought along lies in clear where it may not.

Canaries stand in a document's text (as a free word, a person's name and an e-mail address), in the names of
a file and of its folder, in ids, owners, an unused field, records and files that can't be read, and in
exceptions raised inside a shard and inside a whole stage. Everything that the runs leave is searched: the
output, the workspace, Prefect's home with its database, the temporary folder.

What may hold what in clear:

* `masked/` holds words of the text that aren't personal information;
* labels are taken as public and aren't searched for.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow.parquet as pq
import pytest

FREE, PERSON, EMAIL = "zqfreecanary", "Zqmoorhenson", "zqmailcanary@zqhost.example"
FOLDER, FILE, SIDECAR_ID, SIDECAR_OWNER = (
    "zqfoldercanary",
    "zqfilecanary",
    "zqsideidcanary",
    "zqsideownercanary",
)
RECORD_ID, OWNER, FIELD = "zqidcanary", "zqownercanary", "zqfieldcanary"
BROKEN, BROKEN_FILE, TRAINING = "zqbrokencanary", "zqbrokenfilecanary", "zqtrainingcanary"
CANARIES = (
    *(FREE, PERSON, EMAIL, FOLDER, FILE, SIDECAR_ID, SIDECAR_OWNER),
    *(RECORD_ID, OWNER, FIELD, BROKEN, BROKEN_FILE, TRAINING),
)
RECORDED_WITHIN_SECONDS = 60
TEXT = (
    f"STATEMENT OF CLAIM\n\nMr Walter {PERSON} of 12 Mill Lane, Leeds LS1 4AB, brings this claim about the "
    f"{FREE} that he bought. Mr {PERSON} can be reached at {EMAIL}. The defendant denies everything."
)
# Like `lexveil`, but reading one document fails at first, and so does training, with content in the message.
# Spawned workers import this file too, so it reaches them.
FAILING = f"""
import os
from pathlib import Path

import pipeline.stages.ingest as ingest
import pipeline.stages.train as train
from pipeline.records import SourceDocument

read_item = ingest.read_item


def failing(item, settings):
    outcomes = list(read_item(item, settings))
    for outcome in outcomes:
        if isinstance(outcome, SourceDocument) and {FREE!r} in outcome.text:
            try:
                Path("failed").touch(exist_ok="CANARY_ALWAYS" in os.environ)
            except FileExistsError:
                continue
            raise ValueError(outcome.text, outcome.source_id, outcome.owner, item.path, outcome)
    return iter(outcomes)


def fit(config, split, *arguments, **more):
    raise KeyError({TRAINING!r})


ingest.read_item = failing
train.fit = fit

if __name__ == "__main__":
    from flows.cli import main

    main()
"""


def write_sources(folder: Path) -> None:
    """A small corpus with the canaries in it."""
    from fixtures.generate import generate

    generate(folder, 10, 11, "jsonl")
    (records,) = (folder / "corpus" / "records").iterdir()
    own = {"id": RECORD_ID, "text": TEXT, "owner": OWNER, "label": "property", "meta": {"note": FIELD}}
    unread = {"id": BROKEN, "owner": BROKEN, "label": "property", "meta": {"note": BROKEN}}
    cut = json.dumps({"id": BROKEN, "text": BROKEN})[:-3]
    with records.open("a", encoding="utf-8") as sink:
        sink.writelines(line + "\n" for line in (json.dumps(own), json.dumps(unread), cut))
    place = folder / "corpus" / FOLDER
    place.mkdir()
    (place / f"{FILE}.txt").write_text(f"A letter.\n\n{TEXT}")
    (place / f"{BROKEN_FILE}.docx").write_bytes(b"PK\3\4 no archive " + BROKEN_FILE.encode())
    about = {"file_name": f"{FILE}.txt", "id": SIDECAR_ID, "owner": SIDECAR_OWNER, "label": "contract"}
    (place / "metadata.jsonl").write_text(json.dumps(about) + "\n")


def forms(canary: str) -> list[bytes]:
    """A canary as it could stand in a file: as it is, in another encoding, or inside base64 or hex."""
    plain = canary.encode()
    found = [plain, canary.encode("utf-16-le"), plain.hex().encode()]
    for shift in range(3):
        # The characters at both ends depend on what stands beside the canary.
        inside = base64.b64encode(b"\0" * shift + plain)[-(-shift * 8 // 6) : -4]
        found.append(inside)
    return found


FORMS = {canary: forms(canary) for canary in CANARIES}


def contents(path: Path) -> Iterator[bytes]:
    """A file's bytes, what base64 in lines says, and every value of a table, whose pages are compressed."""
    data = path.read_bytes()
    yield data
    with suppress(ValueError):
        yield base64.b64decode(b"".join(data.split()), validate=True)
    if path.suffix == ".parquet":
        table = pq.ParquetFile(path).read()
        yield repr((table.schema.metadata, table.schema)).encode()
        for column in table.columns:
            for value in column.to_pylist():
                yield value if isinstance(value, bytes) else str(value).encode()
    if data.startswith(b"SQLite format 3\0"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            for (name,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
                for row in database.execute(f'select * from "{name}"'):
                    yield from (value if isinstance(value, bytes) else str(value).encode() for value in row)


def search(folder: Path) -> dict[str, set[str]]:
    """The files below a folder that hold each canary. The names of the files count as their content."""
    found: dict[str, set[str]] = {canary: set() for canary in CANARIES}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        held = b"\n".join([name.encode(), *contents(path)])
        lower = held.lower()
        for canary, shapes in FORMS.items():
            if canary.lower().encode() in lower or any(shape in held for shape in shapes):
                found[canary].add(name)
    return {canary: names for canary, names in found.items() if names}


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


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = tmp_path_factory.mktemp("entry") / "failing.py"
    script.write_text(FAILING)
    return script


@pytest.fixture(scope="module")
def ran(
    tmp_path_factory: pytest.TempPathFactory,
    command_in: Callable[[Path], Any],
    sources: Path,
    failing: Path,
) -> Ran:
    folder = tmp_path_factory.mktemp("canary")
    command = command_in(folder)
    # Ids come from random keys: an owner held out may leave too few of these documents to train on.
    few = {"LEXVEIL_TRAIN__HELD_OUT": "0"}
    first = command.run_script(failing, *request(sources, folder), **few)
    failed = search_all(folder, first)
    second = command.run(*request(sources, folder), "--json", **few)
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
    """What is sealed in the workspace opens to them: the search had something to find."""
    from pipeline.settings import Settings
    from pipeline.stages.ingest import read_catalogue, read_quarantine
    from pipeline.stages.mask import restore_document
    from pipeline.workspace import Workspace

    place, settings = Workspace.open(ran.workspace), Settings()
    ids = read_catalogue(place, Settings()).column("doc_id").to_pylist()
    texts = [restore_document(place, settings, doc_id) for doc_id in ids]
    for canary in (FREE, PERSON, EMAIL):
        assert sum(canary in text for text in texts) == 2
    where = [place for _, place in read_quarantine(place, settings)]
    assert sum(BROKEN_FILE in path for path in where) == 1


def test_the_seal_alone_keeps_them_out_of_prefect_s_database(
    tmp_path: Path, command_in: Callable[[Path], Any], sources: Path, failing: Path, prefect_server: Any
) -> None:
    """A shard that fails at every try, with the seal and without it: only then does the search find them."""
    command = command_in(tmp_path)
    settings = {"CANARY_ALWAYS": "1", "PREFECT_API_URL": prefect_server.url}
    before = search(prefect_server.home)
    sealed = command.run_script(failing, *request(sources, tmp_path), **settings)
    assert sealed.returncode == 1
    assert "error: shard: ValueError" in sealed.stderr.splitlines()
    database = list(prefect_server.home.glob("prefect.db*"))
    assert comes(lambda: any(b"StageError: shard: ValueError" in path.read_bytes() for path in database))
    assert search(prefect_server.home) == before == {}

    unsealed = command.run_script(failing, *request(sources, tmp_path), **settings, LEXVEIL_DEBUG="unsafe")
    assert unsealed.returncode == 1
    assert comes(lambda: {FREE, PERSON, EMAIL} <= search(prefect_server.home).keys())


def comes(true: Callable[[], bool]) -> bool:
    """Whether something comes true; the server writes a little later than things happen."""
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


def test_what_is_told_above_of_the_masked_text_is_so(ran: Ran) -> None:
    """Else the permission in `allowed` would be wider than it needs to be."""
    assert any(name.startswith("workspace/masked/") for name in ran.ended[FREE])
    assert not (ran.workspace / "protected" / "pending.json").exists()
    assert stat.S_IMODE((ran.workspace / "protected").stat().st_mode) == 0o700
