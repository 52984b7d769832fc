"""`lexveil detect`, `anonymize` and `review`: personal information in files, and pages to correct it on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lexveil.flows.actions import exclusive_action
from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    CommonOptions,
    Overwrite,
    RecordFields,
    Workers,
    WorkspaceOptions,
    open_workspace,
)

if TYPE_CHECKING:
    from lexveil.pipeline.masking.conversion import FileOptions

InArgument = Annotated[
    Path, typer.Argument(metavar="IN", help="File of records, document or folder; - is standard input.")
]
OutArgument = Annotated[
    Path, typer.Argument(metavar="OUT", help="File or folder to write; - is standard output.")
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Format of a stream, or of an unknown suffix: jsonl, json, csv, tsv, parquet or txt. "
        "For folders: format of every result.",
    ),
]
KeepOption = Annotated[
    str | None,
    typer.Option(help="Fields of a record to write with its result, UNMASKED; separated by commas."),
]
IndexOption = Annotated[
    Path | None,
    typer.Option("--index", help="For folders: file to write that maps results to source files."),
]


@dataclass(frozen=True)
class MaskOptions:
    """Options that override `[mask]`."""

    preset: Annotated[
        str | None, typer.Option(help="Policy: balanced, strict or court-publication. Default: balanced")
    ] = None
    detector: Annotated[
        str | None,
        typer.Option(help="Detector: default, light, multilingual, rules, a folder. Default: default"),
    ] = None
    language: Annotated[
        str | None, typer.Option(help="Language of all texts, as en or de. Default: each is detected")
    ] = None


def detect(
    source: InArgument,
    target: OutArgument,
    *,
    kind: FormatOption = None,
    keep: KeepOption = None,
    index: IndexOption = None,
    overwrite: Overwrite = False,
    fields: RecordFields,
    mask: MaskOptions,
    workers: Workers = None,
    options: CommonOptions,
) -> None:
    """Write the spans of personal information in the records of a file or folder, without a workspace.

    `lexveil detect evaluate GOLD` scores the detector instead, on documents that people have annotated.
    Results have the names of their files.
    """
    from lexveil.pipeline.masking.standalone import FileOptions, detect_file

    how = FileOptions(kind, _split(keep), True, index, overwrite)
    _convert(detect_file, source, target, how, fields, mask, workers, options)


def anonymize(
    source: InArgument,
    target: OutArgument,
    *,
    kind: FormatOption = None,
    keep: KeepOption = None,
    keep_names: Annotated[
        bool,
        typer.Option("--keep-names", help="Keep the names of files and folders, which may name the parties."),
    ] = False,
    index: IndexOption = None,
    overwrite: Overwrite = False,
    fields: RecordFields,
    mask: MaskOptions,
    workers: Workers = None,
    options: CommonOptions,
) -> None:
    """Write the masked texts of the records of a file or folder, without a workspace. Cannot be undone.

    Numbers replace the names of files and folders.
    """
    from lexveil.pipeline.masking.standalone import FileOptions, anonymize_file

    how = FileOptions(kind, _split(keep), keep_names, index, overwrite)
    _convert(anonymize_file, source, target, how, fields, mask, workers, options)


def _split(names: str | None) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in (names or "").split(","))))


def _convert(
    convert: Callable[..., dict[str, Any]],
    source: Path,
    target: Path,
    how: FileOptions,
    fields: RecordFields,
    mask: MaskOptions,
    workers: int | None,
    options: CommonOptions,
) -> None:
    settings = options.settings(ingest=asdict(fields), mask=asdict(mask), workers=workers)
    from lexveil.flows.runners.pool import WorkerPool

    quiet = options.as_json or not sys.stderr.isatty()
    with console.progress(quiet) as progress, WorkerPool(settings.workers) as pool:
        result = convert(source, target, settings, pool.ordered, how, progress)
    console.show(result, options.as_json, target)


def evaluate(
    gold: Annotated[
        Path, typer.Argument(metavar="GOLD", help="TAB JSON or span JSONL, also as .gz or .zst.")
    ],
    workers: Workers = None,
    location: Annotated[
        str | None,
        typer.Option(
            "--workspace", "-w", help="Workspace to keep the scores in, for the reports of its runs."
        ),
    ] = None,
    *,
    options: CommonOptions,
) -> None:
    """Score the detector on documents in which people have annotated the personal information.

    er_di and er_qi: the share of DIRECT and QUASI entities masked at every mention (TAB's metrics). The
    detector and its operating point come from the settings ([mask] detector, preset).

    Score on documents that the detector was not trained on: the shipped ones learned from TAB's train and
    dev cases, so scores on these are too good.
    """
    settings = options.settings(workers=workers)
    workspace = None if location is None else open_workspace(location, settings)
    from lexveil.flows.runners.pool import WorkerPool
    from lexveil.pipeline.masking.evaluation import evaluate_gold, store_scores

    with WorkerPool(settings.workers) as pool:
        scores = evaluate_gold(gold, settings.mask, pool.ordered)
    if workspace is not None:
        store_scores(workspace, scores)
    result: dict[str, Any] = {"gold": str(gold), **scores, "stored": workspace is not None}
    if not options.as_json:
        rows = [{"type": name, **row} for name, row in result.pop("by_type").items()]
        result = {**result, "by_type": rows}
    console.show(result, options.as_json)


def explain(
    document: Annotated[
        str, typer.Argument(metavar="DOC_ID", help="A doc_id, or the id that the document has in the source.")
    ],
    text: Annotated[
        bool, typer.Option("--text", help="Also show the ORIGINAL characters of each span.")
    ] = False,
    *,
    options: WorkspaceOptions,
) -> None:
    """Show, for each span of a masked document, what found it, and why it is masked or kept.

    Needs the master key. Shows what the masking has stored. Without --text, positions and types only.
    """
    workspace = options.open()
    from lexveil.pipeline.reports.explanation import explain_document

    with workspace.log.record("explain") as outcome:
        explained = explain_document(workspace, document, text)
        outcome |= {"doc_id": explained["doc_id"], "text": text}
    console.show(explained, options.as_json)


def review(
    documents: Annotated[
        list[str] | None,
        typer.Argument(metavar="DOC_ID", help="A doc_id, or the id that the document has in the source."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Write a page for every document.")] = False,
    gold: Annotated[
        bool, typer.Option("--gold", help="Write the reviewed documents as gold for training and scoring.")
    ] = False,
    *,
    options: WorkspaceOptions,
) -> None:
    """Write pages on which people accept, reject and add what is masked. Needs the master key.

    Open a page in a browser and press ? there. It exports a file without text, which `lexveil mask
    --decisions FILE` applies. Pages and gold contain the original text: they are stored under
    protected/review.
    """
    workspace = options.open()
    from lexveil.pipeline.errors import SourceError
    from lexveil.pipeline.reports.review_page import write_gold, write_reviews

    if bool(documents) + every + gold != 1:
        raise SourceError("name documents, or give --all or --gold")
    if gold:
        with exclusive_action(workspace, "review-gold"):
            written = write_gold(workspace)
        console.show(written, options.as_json)
        return
    with exclusive_action(workspace, "review") as outcome, console.progress(options.as_json) as progress:
        paths = write_reviews(workspace, documents or [], progress)
        outcome["pages"] = len(paths)
    pages = len(paths) - every
    console.show({"pages": pages, "open": str(paths[0]) if pages else "none"}, options.as_json)
