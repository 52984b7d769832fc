"""What a command writes where it is told: links stay, streams are written through, the rest appears whole."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.workspace.outputs import place_output, refuse_existing, write_output

PROGRAM = """
import sys
from pathlib import Path
from lexveil.pipeline.workspace.outputs import place_output, refuse_existing, write_output
refuse_existing(Path(sys.argv[1]), overwrite=False)
write_output(Path(sys.argv[1]), b"written")
with place_output(Path(sys.argv[1]), False, overwrite=False) as place:
    place.write_bytes(b" twice")
"""


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_standard_output_is_written_on_where_it_stands(tmp_path: Path, name: str) -> None:
    """A file that the shell appends to is neither replaced nor written from its start."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    log = tmp_path / "log"
    log.write_text("before ")
    with log.open("ab") as shell:
        command = [sys.executable, "-c", PROGRAM, name]
        subprocess.run(command, cwd=tmp_path, stdout=shell, check=True)
    assert log.read_text() == "before written twice"
    assert Path("/dev/stdout").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "log"]


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    link, file = tmp_path / "link", tmp_path / "kept" / "file"
    file.parent.mkdir()
    link.symlink_to("kept/file")
    write_output(link, b"new")
    assert link.is_symlink()
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o600)
    with pytest.raises(SourceError, match="--overwrite"):
        refuse_existing(link, overwrite=False)
    with place_output(link, False, overwrite=True) as place:
        place.write_bytes(b"newer")
    assert link.is_symlink()
    assert file.read_bytes() == b"newer"
    assert len(list(file.parent.iterdir())) == 1


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "pipe"])
def test_a_folder_is_not_written_to_a_stream(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    target = tmp_path / "pipe" if name == "pipe" else Path(name)
    with pytest.raises(SourceError, match="is not a folder"), place_output(target, True, overwrite=True):
        pytest.fail("the work began")


def test_a_pipe_and_a_device_stay(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    refuse_existing(pipe, overwrite=False)
    write_output(pipe, b"through")
    reader.join()
    assert got == [b"through"]
    assert pipe.is_fifo()
    write_output(Path("/dev/null"), b"gone")
    assert Path("/dev/null").is_char_device()


def test_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for target in (tmp_path, tmp_path / "none" / "file", tmp_path / "loop" / "file", tmp_path / ("x" * 300)):
        with pytest.raises(SourceError, match="cannot write"):
            write_output(target, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["loop"]
