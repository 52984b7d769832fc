"""The run report: one self-contained HTML file for a data-protection officer and an analytics lead."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path

from pipeline.summary import RunSummary, report_path
from pipeline.tables import sync_folder
from pipeline.workspace import Workspace


def write_report(workspace: Workspace, summary: RunSummary) -> Path:
    """Write the report of a run, whole or not at all, readable by its owner only. Returns its path."""
    path = report_path(workspace, summary.run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as sink:
        sink.write(_render(workspace, summary))
        sink.flush()
        os.fsync(sink.fileno())
    partial.replace(path)
    sync_folder(path.parent)
    return path


def _render(workspace: Workspace, summary: RunSummary) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in summary.to_json(workspace).items()
    )
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Lexveil</title><table>{rows}</table>'
