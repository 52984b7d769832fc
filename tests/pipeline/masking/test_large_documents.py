"""Memory of large documents: masking and restoring take a few bytes for each of their characters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LINE = "the goods were sent back because their colour was not the one that had been agreed upon\n"
# One character of four bytes makes each character of a string take four.
PARAGRAPH = "write to ada.quill@example.org about it \U0001f512\n" + 40 * LINE + "\n"
SMALL, LARGE = 1_300_000, 4_600_000  # two pieces and five: the memory of one piece does not count

MASK = """
import sys
from pathlib import Path
from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio

keep_model_libraries_out_of_presidio()
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace.workspace import Workspace

settings = Settings.model_validate({"mask": {"detector": "rules"}})
for source in map(Path, sys.argv[1:]):
    workspace = Workspace.create_or_open(source.with_suffix("")).with_settings(settings)
    ingest(workspace, [source])
    assert mask(workspace).counts()["documents"] == 1
    print(workspace.catalogue.read().column("doc_id")[0], flush=True)
    print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], flush=True)
"""
RESTORE = """
import sys
from pathlib import Path
from lexveil.flows.cli import main

for _ in range(2):
    doc_id, workspace, target = (sys.argv.pop(1) for _ in range(3))
    given, sys.argv = sys.argv, ["lexveil", "restore", doc_id, target, "--workspace", workspace]
    try:
        main()
    except SystemExit as end:
        assert not end.code
    sys.argv = given
    print("peak", Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], flush=True)
"""


def run_child(code: str, *arguments: str | Path) -> list[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_a_large_document_takes_little_memory(tmp_path: Path) -> None:
    sources = [tmp_path / "small.txt", tmp_path / "large.txt"]
    for source, size in zip(sources, (SMALL, LARGE), strict=True):
        source.write_text(PARAGRAPH * (size // len(PARAGRAPH)), encoding="utf-8")
    first, small, second, large = run_child(MASK, *sources)
    assert 1024 * (int(large) - int(small)) < 10 * (LARGE - SMALL)

    ids = zip((first, second), sources, strict=True)
    triples = [(doc_id, source.with_suffix(""), source.with_suffix(".out")) for doc_id, source in ids]
    told = run_child(RESTORE, *(part for triple in triples for part in triple))
    small, large = (told[place + 1] for place, word in enumerate(told) if word == "peak")
    assert 1024 * (int(large) - int(small)) < 12 * (LARGE - SMALL)
    for source in sources:
        assert source.with_suffix(".out").read_bytes() == source.read_bytes()
