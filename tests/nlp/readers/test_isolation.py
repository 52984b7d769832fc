"""Readers in a process of their own: what one file does there, no other file and no batch feels."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexveil.nlp.readers import Limits, Reason, UnreadableError, documents, isolation, records
from tests.deadlines import wait_until

MIB = 1 << 20


def list_children() -> set[int]:
    """The reading processes of this one."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {
        pid
        for task in tasks
        for pid in map(int, task.read_text().split())
        if b"lexveil.nlp.readers.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    }


def test_documents_and_records_are_the_same_as_here(tmp_path: Path) -> None:
    mail = EmailMessage()
    mail["From"] = "ann@example.org"
    mail.set_content("See.")
    mail.add_attachment(b"First.", maintype="application", subtype="x", filename="a.txt")
    (tmp_path / "a.eml").write_bytes(bytes(mail))
    table = tmp_path / "a.csv"
    table.write_text("id,text\n" + "".join(f'{n},"Clause {n}"\n' for n in range(300)))
    path = tmp_path / "a.eml"
    assert list(isolation.read_documents(path)) == list(documents.read_documents(path))
    assert isolation.read_document(path) == documents.read_document(path)
    slices = list(isolation.plan_slices(table, max_records=100))
    assert slices == list(records.plan_slices(table, max_records=100))
    for piece in slices:
        assert list(isolation.read_slice(table, piece)) == list(records.read_slice(table, piece))
    with pytest.raises(UnreadableError, match="empty"):
        list(isolation.plan_slices(_write(tmp_path / "empty.csv", b"")))
    (reading,) = isolation.read_documents(_write(tmp_path / "a.pdf", b"no PDF"))
    assert reading.reason is Reason.wrong_suffix


def test_a_path_is_that_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        _write(Path("a.txt"), name.encode())
        _write(Path("a.csv"), b"text\n" + name.encode())
        assert isolation.read_document(Path("a.txt")) == name
        assert [reading.text for reading in isolation.read_documents(Path("a.txt"))] == [name]
        (piece,) = isolation.plan_slices(Path("a.csv"))
        assert list(isolation.read_slice(Path("a.csv"), piece)) == [{"text": name}]


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_one_process_reads_many_files_and_a_call_may_be_left(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", b"text\n" + b"x\n" * 1000)
    list(isolation.read_documents(_write(tmp_path / "a.txt", b"x")))
    before = list_children()
    for _ in range(20):
        (piece,) = isolation.plan_slices(path, max_records=1000)
        assert len([*itertools.islice(isolation.read_slice(path, piece), 3)]) == 3
        list(isolation.read_documents(tmp_path / "a.txt"))
    inner = isolation.read_slice(path, piece)
    next(inner)
    (reading,) = isolation.read_documents(tmp_path / "a.txt")  # while another call is open
    assert reading.text == "x"
    assert len(list(inner)) == 999
    assert len(list_children() | before) <= len(before) + 1


def test_every_value_of_a_table_comes_out(tmp_path: Path) -> None:
    """Times of a zone ended the process, and cost every row."""
    moment = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    columns = {
        "text": pa.array(["a", "b", "c"]),
        "filed": pa.array([moment] * 3, pa.timestamp("us", "Europe/Berlin")),
        "sent": pa.array([1_719_828_000_000_000_000] * 3, pa.timestamp("ns", "UTC")),
        "heard": pa.array([[{"at": moment}]] * 3, pa.list_(pa.struct([("at", pa.timestamp("s", "UTC"))]))),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    (piece,) = isolation.plan_slices(tmp_path / "a.parquet")
    rows = isolation.read_slice(tmp_path / "a.parquet", piece)
    found = [one for one in rows if isinstance(one, Mapping)]
    assert [one["text"] for one in found] == ["a", "b", "c"]
    assert [one["filed"] for one in found] == [moment] * 3
    assert str(found[0]["filed"]) == "2024-07-01 12:00:00+02:00"
    assert found[0]["heard"] == [{"at": moment}]


class TestMemory:
    LITTLE = Limits(max_memory=64 * MIB)

    def test_a_file_that_takes_too_much(self, tmp_path: Path) -> None:
        path = _write(tmp_path / "a.txt", b"word " * (10 * MIB))
        assert [r.reason for r in isolation.read_documents(path, self.LITTLE)] == [Reason.over_memory]
        assert [r.text for r in isolation.read_documents(_write(tmp_path / "b.txt", b"x"))] == ["x"]

    def test_a_part_costs_itself(self, tmp_path: Path) -> None:
        mail = EmailMessage()
        mail["From"] = "ann@example.org"
        mail.set_content("Before it.")
        long = "".join(f"{number} and some more words of prose\n" for number in range(MIB)).encode()
        mail.add_attachment(gzip.compress(long), maintype="application", subtype="x", filename="b.txt.gz")
        mail.add_attachment(b"Last.", maintype="application", subtype="x", filename="c.txt")
        found = list(isolation.read_documents(_write(tmp_path / "a.eml", bytes(mail)), self.LITTLE))
        assert [reading.reason for reading in found] == [None, Reason.over_memory, None]
        assert "[attachment not read: over_memory]" in str(found[0].text)

    def test_a_record_costs_itself(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        with path.open("w") as file:
            for number in range(200):
                deep = ",".join(["[]"] * (2 * MIB)) if number == 150 else ""
                file.write(json.dumps({"text": f"Text {number}."})[:-1] + f', "more": [{deep}]}}\n')
        (piece,) = isolation.plan_slices(path, max_bytes=100 * MIB)
        found = list(isolation.read_slice(path, piece, self.LITTLE))
        assert [n for n, one in enumerate(found) if isinstance(one, Reason)] == [150]
        assert found[150] is Reason.over_memory


class TestTime:
    def test_a_file_that_takes_too_long(self, tmp_path: Path) -> None:
        path = _write(tmp_path / "a.docx", _slow_docx())
        limits = Limits(max_seconds=0.2)
        assert [r.reason for r in isolation.read_documents(path, limits)] == [Reason.over_time]

    def test_a_part_costs_itself(self, tmp_path: Path) -> None:
        mail = EmailMessage()
        mail["From"] = "ann@example.org"
        mail.set_content("Before it.")
        mail.add_attachment(_slow_docx(), maintype="application", subtype="x", filename="b.docx")
        mail.add_attachment(b"Last.", maintype="application", subtype="x", filename="c.txt")
        path = _write(tmp_path / "a.eml", bytes(mail))
        found = list(isolation.read_documents(path, Limits(max_seconds=0.2)))
        assert [reading.reason for reading in found] == [None, Reason.over_time, None]

    def test_members_cost_themselves(self, tmp_path: Path) -> None:
        """However many there are: what followed the fifth was lost."""
        slow = _slow_docx()
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for number in range(6):
                archive.writestr(f"{number}.docx", slow)
            archive.writestr("last.txt", b"Last.")
        found = list(isolation.read_documents(tmp_path / "a.zip", Limits(max_seconds=0.2)))
        assert [reading.reason for reading in found] == [Reason.over_time] * 6 + [None]

    def test_members_that_were_given_cost_nothing_again(self, tmp_path: Path) -> None:
        """To pass them takes longer than one document may."""
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for number in range(40):
                archive.writestr(f"{number}.bin", b"\0" + bytes(16 * MIB - 1))
            archive.writestr("slow.docx", _slow_docx())
            archive.writestr("last.txt", b"Last.")
        limits = Limits(max_seconds=0.3, max_ratio=10_000)
        found = list(isolation.read_documents(tmp_path / "a.zip", limits))
        assert [reading.reason for reading in found[-2:]] == [Reason.over_time, None]
        assert (len(found), found[-1].text) == (42, "Last.")

    def test_records_cost_themselves(self, tmp_path: Path) -> None:
        """The first cost its whole slice; another one all that follow it, where it was parsed again."""
        path = tmp_path / "a.jsonl"
        with path.open("w") as file:
            for number in range(20):
                deep = ",".join(["[]"] * (3 * MIB)) if number in (0, 1, 10) else ""
                file.write(f'{{"text": "Text {number}.", "more": [{deep}]}}\n')
        (piece,) = isolation.plan_slices(path, max_bytes=100 * MIB)
        found = list(isolation.read_slice(path, piece, Limits(max_seconds=0.3)))
        assert [n for n, one in enumerate(found) if isinstance(one, Reason)] == [0, 1, 10]
        assert all(found[n] is Reason.over_time for n in (0, 1, 10))

    def test_many_files_may_take_longer_than_one(self, tmp_path: Path) -> None:
        path = _write(tmp_path / "a.csv", b"text\n" + b"some words\n" * 300_000)
        limits = Limits(max_seconds=0.2)
        assert sum(piece.count for piece in isolation.plan_slices(path, limits)) == 300_000


def _slow_docx() -> bytes:
    """Takes about a second: many small paragraphs."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        xml = b"<w:p><w:r><w:t>word</w:t></w:r></w:p>" * 300_000
        head = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        archive.writestr("word/document.xml", head + xml + b"</w:document>")
    return made.getvalue()


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGSEGV, Reason.crashed),
        (signal.SIGABRT, Reason.over_memory),
        (signal.SIGKILL, Reason.crashed),
    ],
)
def test_a_process_that_dies_costs_its_file(tmp_path: Path, number: signal.Signals, reason: Reason) -> None:
    """As a native library would end it."""
    list(isolation.read_documents(_write(tmp_path / "b.txt", b"x")))
    path = _write(tmp_path / "a.docx", _slow_docx())
    (child,) = list_children()

    def strike() -> None:
        wait_until(lambda: _is_running(child))
        os.kill(child, number)

    thread = threading.Thread(target=strike)
    thread.start()
    found = list(isolation.read_documents(path))
    thread.join()
    assert [reading.reason for reading in found] == [reason]
    assert [r.text for r in isolation.read_documents(tmp_path / "b.txt")] == ["x"]
    assert child not in list_children()


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"


def test_nothing_but_data_comes_out() -> None:
    """Hostile bytes may take the process over; its answers must not take over this one."""
    for harmful in (os.system, subprocess.run, Path):
        with pytest.raises(pickle.UnpicklingError):
            list(isolation._unpack(pickle.dumps(harmful)))  # pyright: ignore[reportPrivateUsage]


def test_the_process_has_no_secrets_and_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXVEIL_DATABASE__URL", "postgresql://user:password@host/db")
    isolation._end_all()  # pyright: ignore[reportPrivateUsage]
    list(isolation.read_documents(_write(tmp_path / "a.txt", b"x")))
    (child,) = list_children()
    assert b"password" not in Path(f"/proc/{child}/environ").read_bytes()
    assert "torch" not in Path(f"/proc/{child}/maps").read_text()


def test_the_working_folder_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of documents may come from anyone, and hold a module of the name of a library."""
    for name in ("zstandard", "pyarrow", "olefile", "struct", "lexveil"):
        _write(tmp_path / f"{name}.py", b"open('executed', 'w').close()")
    monkeypatch.chdir(tmp_path)
    isolation._end_all()  # pyright: ignore[reportPrivateUsage]
    for name, magic in (("a.zst", b"(\xb5/\xfd"), ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
        list(isolation.read_documents(_write(tmp_path / name, magic + bytes(600))))
    list(isolation.read_documents(_write(tmp_path / "a.txt.zst", b"(\xb5/\xfd" + bytes(99))))
    assert not (tmp_path / "executed").exists()


def test_a_user_may_have_less_memory_than_the_settings_allow(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from lexveil.nlp.readers import isolation\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (400 << 20, 400 << 20))\n"
        "print([reading.text for reading in isolation.read_documents(Path(sys.argv[1]))])"
    )
    path = _write(tmp_path / "a.txt", b"x")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=True)
    assert done.stdout.strip() == b"['x']"


def test_a_process_that_is_killed_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that read rare formats get the file in a folder, which the process removes if it lives."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    program = _write(tmp_path / "bin/wpd2text", b"#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    isolation._end_all()  # pyright: ignore[reportPrivateUsage]
    path = _write(tmp_path / "a.wpd", b"\xffWPC" + bytes(600))
    (reading,) = isolation.read_documents(path, Limits(max_seconds=0.1))  # a second by the clock
    isolation._end_all()  # pyright: ignore[reportPrivateUsage]
    monkeypatch.undo()
    assert reading.reason is Reason.over_time
    assert not [*(tmp_path / "tmp").rglob("*")]


def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from lexveil.nlp.readers import isolation\n"
        "list(isolation.read_documents(Path(sys.argv[1])))\n"
        "print(*Path('/proc/self/task').glob('*/children').__next__().read_text().split(), flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    path = _write(tmp_path / "a.txt", b"x")
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    child = int(done.stdout)
    wait_until(lambda: not Path(f"/proc/{child}").exists() or _is_gone(child))
    assert not [*(tmp_path / "tmp").iterdir()]


def test_a_parent_that_is_killed_while_a_program_reads_leaves_no_file(tmp_path: Path) -> None:
    """The program's copy of the document stayed, and so did the program."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "tmp").mkdir()
    program = _write(
        tmp_path / "bin/wpd2text", f'#!/bin/sh\necho $$ > "{tmp_path}/pid"\nexec sleep 60\n'.encode()
    )
    program.chmod(0o755)
    path = _write(tmp_path / "a.wpd", b"\xffWPC" + bytes(600))
    code = (
        "import sys; from pathlib import Path; from lexveil.nlp.readers import isolation\n"
        "list(isolation.read_documents(Path(sys.argv[1])))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    environment["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], env=environment) as parent:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
        assert [file for file in (tmp_path / "tmp").rglob("*") if file.is_file()]
        parent.kill()
    wait_until(lambda: _is_gone(int((tmp_path / "pid").read_text())))
    assert not [*(tmp_path / "tmp").iterdir()]


def test_a_process_that_has_read_a_large_document_does_not_wait_for_the_next(tmp_path: Path) -> None:
    """It kept the memory, beside what finding and masking the document take."""
    counts: list[int] = []
    for characters in (100, 6 << 20):
        (reading,) = isolation.read_documents(_write(tmp_path / "a.txt", b"words " * (characters // 6)))
        assert not reading.reason
        processes = "/proc/self/task/*/children"
        counts.append(sum(len(path.read_text().split()) for path in Path("/").glob(processes[1:])))
    assert counts[0] - counts[1] == 1


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_markup_in_a_record_costs_that_record(tmp_path: Path) -> None:
    """It was parsed in the process that holds the keys, without limits."""
    path = tmp_path / "a.jsonl"
    long = "<b><i><u>" * 20 + "<p>some words</p>" * 400_000
    texts = ["<p>J&uuml;rgen</p>", long, "<p>One</p>", "no <markup>"]
    path.write_text("".join(json.dumps({"body": {"html": [text]}}) + "\n" for text in texts))
    (piece,) = isolation.plan_slices(path, max_bytes=100 * MIB)
    found = list(isolation.read_slice(path, piece, Limits(max_seconds=0.3), "body.html"))
    shown = [one if isinstance(one, Reason) else one["body.html"] for one in found]
    assert shown == ["J\u00fcrgen", Reason.over_time, "One", "no <markup>"]


def test_a_function_has_the_limits_of_a_file() -> None:
    data = b"x" * MIB
    assert isolation.run(gzip.decompress, gzip.compress(data), limits=Limits()) == data
    bomb = gzip.compress(bytes(200 * MIB))
    for reason, content in ((Reason.over_memory, bomb), (Reason.broken, b"no gzip")):
        with pytest.raises(UnreadableError, match=reason):
            isolation.run(gzip.decompress, content, limits=Limits(max_memory=64 * MIB))
    with pytest.raises(UnreadableError, match="crashed"):
        isolation.run(os._exit, 3, limits=Limits())
