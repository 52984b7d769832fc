"""The run report: one HTML file without scripts, which loads nothing from the network.

Every figure is marked by whether it may leave the organization: what was measured on private documents
carries no noise and must stay inside; what follows from the settings alone, and the weights, may be shared.
The report is made of counts and scores only, so it cannot contain a document's text, a name, or the path of a
source.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from lexveil.pipeline.masking.decisions import REASONS
from lexveil.pipeline.models.card import NOT_COVERED, describe_learning, format_audit
from lexveil.pipeline.models.scoring import DenoisingScores, Scores
from lexveil.pipeline.reports.charts import (
    ACCENT,
    ALARM,
    INK,
    LINE,
    MUTED,
    SOFT,
    create_drawing,
    draw_bars,
    drawing_style,
    format_count,
    format_figure,
    get_templates,
    render_svg,
)
from lexveil.pipeline.reports.notes import explain_notes
from lexveil.pipeline.reports.summary import RunSummary, Spending, report_path
from lexveil.pipeline.stages.evaluate import Evaluation
from lexveil.pipeline.workspace.features import format_features_path
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace

QUARANTINE_HELP: Mapping[str, tuple[str, str]] = {
    "empty": (
        "No bytes, or nothing but white space.",
        "Usually nothing; check that the export was complete.",
    ),
    "broken": ("Damaged, truncated, or not valid in its format.", "Fetch it again from its origin."),
    "encrypted": ("Needs a password or a private key.", "Save it without one and run again."),
    "wrong_suffix": ("Its content has another format than its name says.", "Rename it and run again."),
    "over_size": ("Larger than one document may be.", "Split it, or raise ingest.max_file_bytes."),
    "decompression_bomb": (
        "Grows enormously when it is decompressed.",
        "Find out who sent it; raise ingest.max_text_bytes only for a file you trust.",
    ),
    "needs_ocr": (
        "At least one page is an image, and text recognition is missing or failed.",
        "Install Tesseract with the languages of your documents and run again.",
    ),
    "unsupported": ("No reader for this format.", "Convert it to PDF, DOCX, HTML, e-mail or plain text."),
    "missing_text": (
        "A valid record without the field that contains the text.",
        "Name the right field with --text-field, or correct the record.",
    ),
    "missing_owner": (
        "A record without the field that names its owner, so that its privacy cannot be accounted for.",
        "Name the right field with --owner-field, or complete the record.",
    ),
    "second_pass": (
        "Masked, but the second pass still found what was masked, or other certain personal data.",
        "Run lexveil review with its doc_id, decide about what is left, and apply the decisions with "
        "lexveil mask --decisions.",
    ),
    "unreadable_text": (
        "Its text layer is no text: the letters of its font stand for others.",
        "Print it to a new PDF, or install Tesseract and run again.",
    ),
    "too_many_parts": ("Contains more documents than are read of one file.", "Unpack it and run again."),
    "over_time": (
        "Takes longer to read than a file may.",
        "Split it, or raise ingest.read_seconds if you trust it.",
    ),
    "over_memory": (
        "Takes more memory to read than a file may.",
        "Split it, or raise ingest.read_bytes if you trust it.",
    ),
    "crashed": (
        "The library that reads it ended its process, often for want of memory.",
        "Save it again in another format, or raise ingest.read_bytes if you trust it.",
    ),
    "inaccessible": ("Not a regular file, missing, or not readable for this user.", "Check its permissions."),
}
VERDICTS: Mapping[str, str] = {
    "PASS": "Nothing of what was masked is left, in any form that was searched for.",
    "REVIEW": "A person should look: lexveil review writes a page for each document.",
    "FAIL": "Something is left. The document is held back: it is not among the masked documents.",
}
MEASURES: Mapping[str, str] = {
    "er_di": "direct identifiers whose every mention was masked completely",
    "er_qi": "quasi-identifiers whose every mention was masked completely",
    "token_recall": "share of the words to be masked that were masked",
    "token_precision": "share of the masked words that had to be masked",
    "span_f1": "same characters and same type",
    "overlap_f1": "overlapping at all",
}
_UNKNOWN_REASON = (
    "A reason that this report does not explain.",
    "Ask the administrator of this installation.",
)


def write_report(workspace: Workspace, summary: RunSummary) -> Path:
    """Write the report of a run durably, readable by its owner only (mode 0600).

    The same summary gives the same bytes.

    Returns:
        The path, `runs/<run_id>/report.html`.
    """
    path = report_path(workspace, summary.run_id)
    write_bytes(path, render_report(workspace, summary).encode(), mode=0o600)
    return path


def render_report(workspace: Workspace, summary: RunSummary) -> str:
    """Render the report as HTML. Strings of the summary are escaped."""
    card, spent = summary.card, summary.spent
    return (
        get_templates()
        .get_template("report.html.j2")
        .render(
            run=summary,
            card=card,
            audit=format_audit(card),
            spent=spent,
            left=max(0.0, spent.limit - spent.total),
            best_guess=bound_guess(card["epsilon"], card["delta"]),
            best_guess_of_all=bound_guess(spent.total, spent.delta),
            reasons=[
                (code, n, *QUARANTINE_HELP.get(code, _UNKNOWN_REASON))
                for code, n in _sort_by_count(summary.quarantine)
            ],
            notes=explain_notes(summary.notes),
            spans=_sort_by_count(summary.spans_by_type),
            verdicts=[
                (name, summary.verdicts[name], VERDICTS[name])
                for name in VERDICTS
                if name in summary.verdicts
            ],
            second_pass=[
                (REASONS.get(name, name), n)
                for name, n in _sort_by_count(summary.reasons)
                if name != "language"
            ],
            unserved=summary.reasons.get("language", 0),
            measures=MEASURES,
            not_covered=[line.format(unit=card["unit"]) for line in NOT_COVERED],
            utility=_build_utility_rows(summary.evaluation),
            attention=_list_attention(summary),
            learned=describe_learning(card["kind"]),
            query=_write_query(workspace),
            workspace=str(workspace.root),
            features=format_features_path(workspace),
            total_seconds=sum(summary.seconds.values()),
            **_draw_plots(summary),
        )
    )


def bound_guess(epsilon: float, delta: float) -> float:
    """Return the largest probability with which anyone can correctly guess whether one unit took part.

    The attacker knows everything else and starts from even odds. The bound is
    (e^epsilon + delta) / (1 + e^epsilon), where the two kinds of error are equal on the bound of
    (epsilon, delta)-DP (Kairouz, Oh & Viswanath 2015, "The Composition Theorem for Differential
    Privacy", theorem 2.1).
    """
    return min(1.0, (1 + delta * math.exp(-epsilon)) / (1 + math.exp(-epsilon)))


def _sort_by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _build_utility_rows(evaluation: Evaluation) -> list[tuple[str, float | None, float | None, str]]:
    """Return rows of (measure, with privacy, without, how to read it)."""
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
                "higher is better; every label counts equally",
            ),
            *bent,
            *_build_neighbor_rows(evaluation),
        ]
    if isinstance(found, DenoisingScores):
        plain = twin if isinstance(twin, DenoisingScores) else None
        return [
            ("denoising loss", found.loss, plain.loss if plain else None, "lower is better"),
            (
                "loss of a uniform guess",
                found.uniform,
                plain.uniform if plain else None,
                "for comparison",
            ),
        ]
    return []


def _build_neighbor_rows(evaluation: Evaluation) -> list[tuple[str, float | None, float | None, str]]:
    near = evaluation.neighbors
    if near is None:
        return []
    how = f"by the features alone, without the model's answer; {format_figure(near.chance)} by chance"
    return [("same label among the ten nearest", near.same_class, None, how)]


def _list_attention(summary: RunSummary) -> list[tuple[str, str]]:
    """Return what a person should look at, as (anchor of the section, sentence)."""
    spent, evaluation = summary.spent, summary.evaluation
    truncated = summary.chunks.get("truncated", 0)
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
            f"Could not be read and are in the quarantine: {format_count(summary.quarantined)}.",
        ),
        (
            summary.notes.get("covered_text", 0),
            "documents",
            f"Bad redactions, which leave the text under a box in the file: "
            f"{format_count(summary.notes.get('covered_text', 0))}.",
        ),
        (
            truncated,
            "documents",
            f"Longer than the model reads, so that their end is masked but not used in training: "
            f"{format_count(truncated)}.",
        ),
        (
            not sum(summary.spans_by_type.values()),
            "masking",
            "Nothing was masked: check the language of the texts and the settings.",
        ),
        (
            summary.verdicts.get("FAIL", 0),
            "masking",
            f"Held back by the second pass: {format_count(summary.verdicts.get('FAIL', 0))}.",
        ),
        (
            summary.verdicts.get("REVIEW", 0),
            "masking",
            f"Masked, but a person should look at them: {format_count(summary.verdicts.get('REVIEW', 0))}.",
        ),
        (
            summary.reasons.get("language", 0),
            "masking",
            f"In a language that no detector serves: {format_count(summary.reasons.get('language', 0))}.",
        ),
        (
            not spent.intact,
            "privacy",
            "The privacy ledger was changed, or lacks entries that it had: see `lexveil ledger verify`.",
        ),
        (
            spent.open,
            "privacy",
            f"Training runs that never ended, charged in full: {format_count(spent.open)}.",
        ),
        (
            spent.limit - spent.total < summary.card["epsilon"],
            "privacy",
            "Less privacy is left than this model cost: the ledger may refuse another run like it.",
        ),
        (
            bool((summary.card.get("audit") or {}).get("failed")),
            "privacy",
            "The audit of this model has failed: its epsilon is not reliable.",
        ),
        (
            summary.unprotected_zeros,
            "training",
            "Gradients, one per owner and step, that were not finite and counted as zero: "
            f"{format_count(summary.unprotected_zeros)}. Look for damaged documents.",
        ),
        (
            evaluation.utility is None,
            "training",
            "No documents were held out for measuring: it is unknown how useful the model is.",
        ),
        (
            evaluation.encrypted is None,
            "encrypted",
            "This model cannot be served encrypted: its weights are too large for the encryption parameters.",
        ),
        (
            evaluation.encrypted is not None and evaluation.encrypted.agreement < 1,
            "encrypted",
            "Encrypted and plain classification do not agree on every document.",
        ),
    )
    return [(anchor, sentence) for applies, anchor, sentence in checks if applies]


def _write_query(workspace: Workspace) -> str:
    path = json.dumps(format_features_path(workspace), ensure_ascii=False)
    return (
        "import os\nimport duckdb\n\n"  # noqa: S608  shown, not run
        f"features = {path}\n"
        # The link may be switched while a query reads through it: it would read parts of both versions.
        "features = os.path.realpath(features) if os.path.isdir(features) else features\n"
        'sql = "SELECT doc_id, owner, model, features FROM read_parquet($1)"\n'
        'duckdb.sql(sql, params=[features + "/part-*.parquet"]).show()'
    )


def _draw_plots(summary: RunSummary) -> dict[str, Markup | None]:
    losses = [loss for loss in summary.unprotected_losses if math.isfinite(loss)]
    with drawing_style():
        return {
            "spans_plot": _draw_spans(summary.spans_by_type),
            "budget_plot": _draw_budget(summary.spent, summary.card["reservation"]),
            "training_plot": _draw_losses(losses),
        }


def _draw_spans(spans: Mapping[str, int]) -> Markup | None:
    if not spans:
        return None
    total = sum(spans.values())
    rows = _sort_by_count(spans)
    drawing, axes = create_drawing(0.28 * len(rows) + 0.25)
    draw_bars(axes, [label for label, _ in rows], [float(n) for _, n in rows], [ACCENT] * len(rows))
    for row, (_, n) in enumerate(rows):
        axes.annotate(format_count(n), (n, row), (4, 0), textcoords="offset points", va="center", color=INK)
    axes.set_xlim(0, 1.18 * max(1, rows[0][1]))
    named = ", ".join(f"{label} {format_count(n)}" for label, n in rows)
    return render_svg(drawing, "spans", f"Bar chart of {format_count(total)} masked spans by type: {named}.")


def _draw_budget(spent: Spending, reservation: str) -> Markup:
    """Draw each run alone, all together, and the limit. Not stacked: epsilons do not simply add up."""
    shown = list(enumerate(spent.runs, start=spent.earlier + 1))
    labels = [f"run {n}{' · this model' if run[0] == reservation else ''}" for n, run in shown]
    values = [run[1] for _, run in shown]
    colors = [ACCENT if run[0] == reservation else SOFT for _, run in shown]
    drawing, axes = create_drawing(0.3 * (len(shown) + 1) + 0.55)
    draw_bars(axes, [*labels, "all together"], [*values, spent.total], [*colors, INK])
    for row, value in enumerate([*values, spent.total]):
        axes.annotate(
            format_figure(value), (value, row), (4, 0), textcoords="offset points", va="center", color=INK
        )
    axes.axvline(spent.limit, color=ALARM, linewidth=1.5, linestyle=(0, (4, 3)))
    axes.annotate(
        f"limit {format_figure(spent.limit)}",
        (spent.limit, 1),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        color=ALARM,
    )
    axes.set_xlim(0, 1.15 * max(spent.limit, spent.total, *values, 0.0))
    alt = (
        f"Bar chart of epsilon: the last {len(shown)} of {spent.earlier + len(shown)} runs alone, "
        f"{format_figure(spent.total)} spent by all together, limit {format_figure(spent.limit)}. "
        "The table holds every figure."
    )
    return render_svg(drawing, "budget", alt)


def _draw_losses(losses: Sequence[float]) -> Markup | None:
    if not losses:
        return None
    reach = len(losses) // 20
    windows = [losses[max(0, n - reach) : n + reach + 1] for n in range(len(losses))]
    smooth = [sum(window) / len(window) for window in windows]
    steps = range(1, len(losses) + 1)
    drawing, axes = create_drawing(2.6)
    axes.plot(steps, losses, color=SOFT, linewidth=1.2, marker="o" if len(losses) == 1 else None)
    axes.plot(steps, smooth, color=ACCENT, linewidth=2)
    axes.set_xlabel("step", color=MUTED)
    axes.set_ylabel("loss", color=MUTED)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.tick_params(colors=MUTED, length=0)
    axes.spines["bottom"].set_visible(True)
    ends = f"from {format_figure(smooth[0])} to {format_figure(smooth[-1])}"
    alt = f"Line chart of the training loss over {len(losses)} steps: {ends}."
    return render_svg(drawing, "training", alt)
