"""The run report: one HTML file that asks nothing of the network and runs no script.

Every figure is marked by whether it may leave the house: what was measured on private documents carries no
noise and stays inside; what follows from the settings alone, and the weights, may go. The report is given
counts and scores only, so it can't hold a document's text, a name or the path of a source.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from lexveil.pipeline.masking.decisions import REASONS
from lexveil.pipeline.models.card import NOT_COVERED, format_audit
from lexveil.pipeline.models.scoring import DenoisingScores, Scores
from lexveil.pipeline.reports.charts import (
    ACCENT,
    ALARM,
    INK,
    LINE,
    MUTED,
    SOFT,
    bars,
    canvas,
    count,
    drawing_style,
    figure,
    pages,
    svg,
)
from lexveil.pipeline.reports.summary import RunSummary, Spent, report_path
from lexveil.pipeline.stages.evaluate import Evaluation
from lexveil.pipeline.workspace.features import format_features_path
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace

QUARANTINE_HELP: Mapping[str, tuple[str, str]] = {
    "empty": (
        "No bytes, or nothing but white space.",
        "Usually nothing; check that the export was complete.",
    ),
    "broken": ("Damaged, cut short, or against its format's grammar.", "Fetch it anew from where it came."),
    "encrypted": ("Needs a password or a private key.", "Save it without one and run again."),
    "wrong_suffix": ("Its content is of another format than its name says.", "Rename it and run again."),
    "over_size": ("Larger than one document may be.", "Split it, or raise ingest.max_file_bytes."),
    "decompression_bomb": (
        "Grows beyond every measure when it is decompressed.",
        "Find out who sent it; raise ingest.max_text_bytes only for a file you trust.",
    ),
    "needs_ocr": (
        "At least one page is a picture, and no text recognition was there to read it, or it failed.",
        "Install Tesseract with the languages of your documents and run again.",
    ),
    "unsupported": ("No reader for this format.", "Convert it to PDF, DOCX, HTML, e-mail or plain text."),
    "missing_text": (
        "A sound record without the field that holds the text.",
        "Name the right field with --text-field, or mend the record.",
    ),
    "missing_owner": (
        "A record without the field that names its owner, whose privacy could therefore not be counted.",
        "Name the right field with --owner-field, or complete the record.",
    ),
    "second_pass": (
        "Masked, and the second pass still found what was masked, or something else that can't be mistaken.",
        "Run lexveil review with its doc_id, decide about what is left, and apply it with "
        "lexveil mask --decisions.",
    ),
    "inaccessible": ("Not a regular file, gone, or not readable for this user.", "Check its permissions."),
}
VERDICTS: Mapping[str, str] = {
    "PASS": "Nothing of what was masked is left, in any form that was looked for.",
    "REVIEW": "A person should look: lexveil review writes a page for each document.",
    "FAIL": "Something is left. Held back: it is not among the masked documents.",
}
MEASURES: Mapping[str, str] = {
    "er_di": "direct identifiers of which every mention was masked whole",
    "er_qi": "quasi-identifiers of which every mention was masked whole",
    "token_recall": "words to be masked that were",
    "token_precision": "masked words that had to be",
    "span_f1": "same characters and same type",
    "overlap_f1": "overlapping at all",
}
_UNKNOWN_REASON = ("A reason that this report has no words for.", "Ask whoever keeps this installation.")

_MOST_RUNS = 10


def write_report(workspace: Workspace, summary: RunSummary) -> Path:
    """Write the report of a run, whole or not at all, readable by its owner only (mode 0600).

    The same summary gives the same bytes. Returns the path, `runs/<run_id>/report.html`.
    """
    path = report_path(workspace, summary.run_id)
    write_bytes(path, render(workspace, summary).encode(), mode=0o600)
    return path


def render(workspace: Workspace, summary: RunSummary) -> str:
    """The report as HTML. Strings of the summary are escaped."""
    card, spent = summary.card, summary.spent
    return (
        pages()
        .get_template("report.html.j2")
        .render(
            run=summary,
            card=card,
            audit=format_audit(card),
            spent=spent,
            left=max(0.0, spent.limit - spent.total),
            best_guess=best_guess(card["epsilon"], card["delta"]),
            best_guess_of_all=best_guess(spent.total, spent.delta),
            reasons=[
                (code, n, *QUARANTINE_HELP.get(code, _UNKNOWN_REASON))
                for code, n in _falling(summary.quarantine)
            ],
            spans=_falling(summary.spans_by_type),
            verdicts=[
                (name, summary.verdicts[name], VERDICTS[name])
                for name in VERDICTS
                if name in summary.verdicts
            ],
            second_pass=[
                (REASONS.get(name, name), n) for name, n in _falling(summary.reasons) if name != "language"
            ],
            unserved=summary.reasons.get("language", 0),
            measures=MEASURES,
            not_covered=[line.format(unit=card["unit"]) for line in NOT_COVERED],
            utility=_utility(summary.evaluation),
            attention=_attention(summary),
            query=_query(workspace),
            workspace=str(workspace.root),
            features=format_features_path(workspace),
            total_seconds=sum(summary.seconds.values()),
            **_plots(summary),
        )
    )


def best_guess(epsilon: float, delta: float) -> float:
    """The most often, as a share, that anyone can guess rightly whether one unit took part.

    For an attacker who knows everything else and starts from even odds:
    (e^epsilon + delta) / (1 + e^epsilon), where the two kinds of error are equal on the bound of
    (epsilon, delta)-DP (Kairouz, Oh & Viswanath 2015, "The Composition Theorem for Differential
    Privacy", theorem 2.1).
    """
    return min(1.0, (1 + delta * math.exp(-epsilon)) / (1 + math.exp(-epsilon)))


def _falling(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _utility(evaluation: Evaluation) -> list[tuple[str, float | None, float | None, str]]:
    """Rows of (measure, with privacy, without, which way is better)."""
    found, twin, relu = evaluation.utility, evaluation.without_privacy, evaluation.with_relu
    if isinstance(found, Scores):
        plain = twin if isinstance(twin, Scores) else None
        bent = (
            [("micro F1 with ReLU", None, relu.micro_f1, "what the polynomial costs")]
            if isinstance(relu, Scores)
            else []
        )
        return [
            ("micro F1", found.micro_f1, plain.micro_f1 if plain else None, "higher is better"),
            (
                "macro F1",
                found.macro_f1,
                plain.macro_f1 if plain else None,
                "higher is better; every label counts alike",
            ),
            *bent,
        ]
    if isinstance(found, DenoisingScores):
        plain = twin if isinstance(twin, DenoisingScores) else None
        return [
            ("denoising loss", found.loss, plain.loss if plain else None, "lower is better"),
            (
                "loss of knowing nothing",
                found.uniform,
                plain.uniform if plain else None,
                "what to compare it with",
            ),
        ]
    return []


def _attention(summary: RunSummary) -> list[tuple[str, str]]:
    """What a person should look at, as (anchor of the section, sentence)."""
    spent, evaluation = summary.spent, summary.evaluation
    truncated = summary.chunks.get("truncated", 0)
    unsettled = sum(state == "open" for _, _, state in spent.runs)
    unlike = summary.batch.get("unlike", ())
    checks = (
        (
            len(unlike),
            "documents",
            f"The documents that are new in this run are unlike earlier ones ({', '.join(unlike)}); "
            "the history page shows how.",
        ),
        (
            summary.quarantined,
            "documents",
            f"Could not be read and wait in the quarantine: {count(summary.quarantined)}.",
        ),
        (
            truncated,
            "documents",
            f"Longer than the model reads, their end masked but not learnt from: {count(truncated)}.",
        ),
        (
            not sum(summary.spans_by_type.values()),
            "masking",
            "Nothing was masked: check the language of the texts and the settings.",
        ),
        (
            summary.verdicts.get("FAIL", 0),
            "masking",
            f"Held back by the second pass: {count(summary.verdicts.get('FAIL', 0))}.",
        ),
        (
            summary.verdicts.get("REVIEW", 0),
            "masking",
            f"Masked, but a person should look at them: {count(summary.verdicts.get('REVIEW', 0))}.",
        ),
        (
            summary.reasons.get("language", 0),
            "masking",
            f"In a language that no detector serves: {count(summary.reasons.get('language', 0))}.",
        ),
        (unsettled, "privacy", f"Training runs that never ended, charged in full: {count(unsettled)}."),
        (
            spent.limit - spent.total < summary.card["epsilon"],
            "privacy",
            "Less is left than this model cost: the ledger may refuse another run like it.",
        ),
        (
            bool((summary.card.get("audit") or {}).get("failed")),
            "privacy",
            "The audit of this model has failed: its epsilon can't be relied on.",
        ),
        (
            evaluation.utility is None,
            "training",
            "Nothing was held out to measure on: how useful the model is isn't known.",
        ),
        (
            evaluation.encrypted.agreement < 1,
            "encrypted",
            "Encrypted and plain classification do not agree on every document.",
        ),
    )
    return [(anchor, sentence) for found, anchor, sentence in checks if found]


def _query(workspace: Workspace) -> str:
    place = json.dumps(format_features_path(workspace), ensure_ascii=False)
    return (
        "import os\nimport duckdb\n\n"  # noqa: S608  shown, not run
        f"features = {place}\n"
        # A query that read through the link could meet a switch, and read half of either version.
        "features = os.path.realpath(features) if os.path.isdir(features) else features\n"
        'sql = "SELECT doc_id, owner, model, features FROM read_parquet($1)"\n'
        'duckdb.sql(sql, params=[features + "/part-*.parquet"]).show()'
    )


def _plots(summary: RunSummary) -> dict[str, Markup | None]:
    losses = [loss for loss in summary.unprotected_losses if math.isfinite(loss)]
    with drawing_style():
        return {
            "spans_plot": _spans_plot(summary.spans_by_type),
            "budget_plot": _budget_plot(summary.spent, summary.card["reservation"]),
            "training_plot": _training_plot(losses),
        }


def _spans_plot(spans: Mapping[str, int]) -> Markup | None:
    if not spans:
        return None
    total = sum(spans.values())
    rows = _falling(spans)
    drawing, axes = canvas(0.28 * len(rows) + 0.25)
    bars(axes, [label for label, _ in rows], [float(n) for _, n in rows], [ACCENT] * len(rows))
    for row, (_, n) in enumerate(rows):
        axes.annotate(count(n), (n, row), (4, 0), textcoords="offset points", va="center", color=INK)
    axes.set_xlim(0, 1.18 * max(1, rows[0][1]))
    named = ", ".join(f"{label} {count(n)}" for label, n in rows)
    return svg(drawing, "spans", f"Bar chart of {count(total)} masked spans by type: {named}.")


def _budget_plot(spent: Spent, reservation: str) -> Markup:
    """Each run alone, all together, and the limit. Not stacked: runs don't add up by plain addition."""
    first = max(0, len(spent.runs) - _MOST_RUNS)
    shown = list(enumerate(spent.runs, start=1))[first:]
    labels = [f"run {n}{' · this model' if run[0] == reservation else ''}" for n, run in shown]
    values = [run[1] for _, run in shown]
    colours = [ACCENT if run[0] == reservation else SOFT for _, run in shown]
    drawing, axes = canvas(0.3 * (len(shown) + 1) + 0.55)
    bars(axes, [*labels, "all together"], [*values, spent.total], [*colours, INK])
    for row, value in enumerate([*values, spent.total]):
        axes.annotate(figure(value), (value, row), (4, 0), textcoords="offset points", va="center", color=INK)
    axes.axvline(spent.limit, color=ALARM, linewidth=1.5, linestyle=(0, (4, 3)))
    axes.annotate(
        f"limit {figure(spent.limit)}",
        (spent.limit, 1),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        color=ALARM,
    )
    axes.set_xlim(0, 1.15 * max(spent.limit, spent.total, *values, 0.0))
    alt = (
        f"Bar chart of epsilon: {len(spent.runs)} runs alone, {figure(spent.total)} spent by all together, "
        f"limit {figure(spent.limit)}. The table holds every figure."
    )
    return svg(drawing, "budget", alt)


def _training_plot(losses: Sequence[float]) -> Markup | None:
    if not losses:
        return None
    reach = len(losses) // 20
    windows = [losses[max(0, n - reach) : n + reach + 1] for n in range(len(losses))]
    smooth = [sum(window) / len(window) for window in windows]
    steps = range(1, len(losses) + 1)
    drawing, axes = canvas(2.6)
    axes.plot(steps, losses, color=SOFT, linewidth=1.2, marker="o" if len(losses) == 1 else None)
    axes.plot(steps, smooth, color=ACCENT, linewidth=2)
    axes.set_xlabel("step", color=MUTED)
    axes.set_ylabel("loss", color=MUTED)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.tick_params(colors=MUTED, length=0)
    axes.spines["bottom"].set_visible(True)
    ends = f"from {figure(smooth[0])} to {figure(smooth[-1])}"
    alt = f"Line chart of the training loss over {len(losses)} steps: {ends}."
    return svg(drawing, "training", alt)
