"""`lexveil detect`, `anonymize` and `review`: personal information in files, and pages to correct it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from lexveil.flows.actions import exclusive_action
from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    CommonOptions,
    InArgument,
    OutArgument,
    Overwrite,
    RecordFields,
    Workers,
    WorkspaceOptions,
    open_workspace,
    refuse_existing,
)


def detect(
    source: InArgument,
    target: OutArgument,
    *,
    overwrite: Overwrite = False,
    fields: RecordFields,
    workers: Workers = None,
    options: CommonOptions,
) -> None:
    """Write the spans of personal information in each record of a file, without a workspace.

    `lexveil detect evaluate GOLD` scores the detector instead, on documents that people have annotated.
    """
    from lexveil.pipeline.masking.standalone import detect_file

    refuse_existing(target, overwrite)
    _convert(detect_file, source, target, fields, workers, options)


def anonymize(
    source: InArgument,
    target: OutArgument,
    *,
    overwrite: Overwrite = False,
    fields: RecordFields,
    workers: Workers = None,
    options: CommonOptions,
) -> None:
    """Write the masked text of each record of a file, without a workspace. Cannot be undone."""
    from lexveil.pipeline.masking.standalone import anonymize_file

    refuse_existing(target, overwrite)
    _convert(anonymize_file, source, target, fields, workers, options)


def _convert(
    convert: Callable[..., dict[str, Any]],
    source: Path,
    target: Path,
    fields: RecordFields,
    workers: int | None,
    options: CommonOptions,
) -> None:
    settings = options.settings(ingest=asdict(fields), workers=workers)
    from lexveil.flows.runners.pool import WorkerPool

    with WorkerPool(settings.workers) as pool:
        result = convert(source, target, settings, pool.ordered)
    console.show(result, options.as_json)


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
