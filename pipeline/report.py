"""The run report: one HTML file that asks nothing of the network and runs no script.

Every figure is marked by whether it may leave the house: what was measured on private documents carries no
noise and stays inside; what follows from the settings alone, and the weights, may go. The report is given
counts and scores only, so it can't hold a document's text, a name or the path of a source.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.models import NOT_COVERED, audit_line
from pipeline.review import REASONS
from pipeline.stages.evaluate import Denoising, Evaluation, Scores
from pipeline.summary import RunSummary, Spent, report_path
from pipeline.workspace import Workspace, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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

# The drawing library gets these stand-ins, the page the names of its style sheet: one drawing serves both
# the light and the dark page.
_INKS = {
    "#0a0b01": "var(--ink)",
    "#0a0b02": "var(--muted)",
    "#0a0b03": "var(--line)",
    "#0a0b04": "var(--accent)",
    "#0a0b05": "var(--soft)",
    "#0a0b06": "var(--alarm)",
}
_INK, _MUTED, _LINE, _ACCENT, _SOFT, _ALARM = _INKS
_WIDTH = 6.4  # inches of 72 units: near the width on the page, so that letters keep their size
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
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "figure": figure, "percent": percent}
    card, spent = summary.card, summary.spent
    return environment.get_template("report.html.j2").render(
        run=summary,
        card=card,
        audit=audit_line(card),
        spent=spent,
        left=max(0.0, spent.limit - spent.total),
        best_guess=best_guess(card["epsilon"], card["delta"]),
        best_guess_of_all=best_guess(spent.total, spent.delta),
        reasons=[
            (code, n, *QUARANTINE_HELP.get(code, _UNKNOWN_REASON)) for code, n in _falling(summary.quarantine)
        ],
        spans=_falling(summary.spans_by_type),
        verdicts=[
            (name, summary.verdicts[name], VERDICTS[name]) for name in VERDICTS if name in summary.verdicts
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
        features=str(workspace.features),
        total_seconds=sum(summary.seconds.values()),
        **_plots(summary),
    )


def best_guess(epsilon: float, delta: float) -> float:
    """The most often, as a share, that anyone can guess rightly whether one unit took part.

    For an attacker who knows everything else and starts from even odds:
    (e^epsilon + delta) / (1 + e^epsilon), where the two kinds of error are equal on the bound of
    (epsilon, delta)-DP (Kairouz, Oh & Viswanath 2015, "The Composition Theorem for Differential
    Privacy", theorem 2.1).
    """
    return min(1.0, (1 + delta * math.exp(-epsilon)) / (1 + math.exp(-epsilon)))


def count(number: int) -> str:
    """`12345` -> `12,345`."""
    return f"{number:,}"


def figure(number: float) -> str:
    """Four significant digits: `1e-05` -> `1e-5`."""
    return re.sub(r"e([+-])0+", r"e\1", f"{number:.4g}")


def percent(share: float, up: bool = False) -> str:
    """A share in percent, rounded down, so that 100 % means every one; a bound is rounded `up`."""
    hundredths = round(share * 10_000, 6)
    return f"{(math.ceil(hundredths) if up else math.floor(hundredths)) / 100:.4g} %"


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
    if isinstance(found, Denoising):
        plain = twin if isinstance(twin, Denoising) else None
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
    checks = (
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
    pattern = str(workspace.features.resolve() / "part-*.parquet").replace("'", "''")
    sql = f"SELECT doc_id, owner, model, features FROM '{pattern}'"  # noqa: S608  shown, not run
    return f"import duckdb\nduckdb.sql({json.dumps(sql, ensure_ascii=False)}).show()"


def _plots(summary: RunSummary) -> dict[str, Markup | None]:
    import matplotlib

    losses = [loss for loss in summary.unprotected_losses if math.isfinite(loss)]
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "lexveil", "font.size": 10.5}
    with matplotlib.rc_context(style):
        return {
            "spans_plot": _spans_plot(summary.spans_by_type),
            "budget_plot": _budget_plot(summary.spent, summary.card["reservation"]),
            "training_plot": _training_plot(losses),
        }


def _short(label: str) -> str:
    return label if len(label) <= 26 else f"{label[:25]}…"


def _spans_plot(spans: Mapping[str, int]) -> Markup | None:
    if not spans:
        return None
    total = sum(spans.values())
    bars = _falling(spans)
    drawing, axes = _canvas(0.28 * len(bars) + 0.25)
    _bars(axes, [label for label, _ in bars], [float(n) for _, n in bars], [_ACCENT] * len(bars))
    for row, (_, n) in enumerate(bars):
        axes.annotate(count(n), (n, row), (4, 0), textcoords="offset points", va="center", color=_INK)
    axes.set_xlim(0, 1.18 * max(1, bars[0][1]))
    named = ", ".join(f"{label} {count(n)}" for label, n in bars)
    return _svg(drawing, "spans", f"Bar chart of {count(total)} masked spans by type: {named}.")


def _budget_plot(spent: Spent, reservation: str) -> Markup:
    """Each run alone, all together, and the limit. Not stacked: runs don't add up by plain addition."""
    first = max(0, len(spent.runs) - _MOST_RUNS)
    shown = list(enumerate(spent.runs, start=1))[first:]
    labels = [f"run {n}{' · this model' if run[0] == reservation else ''}" for n, run in shown]
    values = [run[1] for _, run in shown]
    colours = [_ACCENT if run[0] == reservation else _SOFT for _, run in shown]
    drawing, axes = _canvas(0.3 * (len(shown) + 1) + 0.55)
    _bars(axes, [*labels, "all together"], [*values, spent.total], [*colours, _INK])
    for row, value in enumerate([*values, spent.total]):
        axes.annotate(
            figure(value), (value, row), (4, 0), textcoords="offset points", va="center", color=_INK
        )
    axes.axvline(spent.limit, color=_ALARM, linewidth=1.5, linestyle=(0, (4, 3)))
    axes.annotate(
        f"limit {figure(spent.limit)}",
        (spent.limit, 1),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        color=_ALARM,
    )
    axes.set_xlim(0, 1.15 * max(spent.limit, spent.total, *values, 0.0))
    alt = (
        f"Bar chart of epsilon: {len(spent.runs)} runs alone, {figure(spent.total)} spent by all together, "
        f"limit {figure(spent.limit)}. The table holds every figure."
    )
    return _svg(drawing, "budget", alt)


def _training_plot(losses: Sequence[float]) -> Markup | None:
    if not losses:
        return None
    reach = len(losses) // 20
    windows = [losses[max(0, n - reach) : n + reach + 1] for n in range(len(losses))]
    smooth = [sum(window) / len(window) for window in windows]
    steps = range(1, len(losses) + 1)
    drawing, axes = _canvas(2.6)
    axes.plot(steps, losses, color=_SOFT, linewidth=1.2, marker="o" if len(losses) == 1 else None)
    axes.plot(steps, smooth, color=_ACCENT, linewidth=2)
    axes.set_xlabel("step", color=_MUTED)
    axes.set_ylabel("loss", color=_MUTED)
    axes.grid(axis="y", color=_LINE, linewidth=0.8)
    axes.tick_params(colors=_MUTED, length=0)
    axes.spines["bottom"].set_visible(True)
    ends = f"from {figure(smooth[0])} to {figure(smooth[-1])}"
    alt = f"Line chart of the training loss over {len(losses)} steps: {ends}."
    return _svg(drawing, "training", alt)


def _canvas(height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    drawing = Figure(figsize=(_WIDTH, height), layout="constrained")
    drawing.patch.set_visible(False)
    axes = drawing.add_subplot()
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
        spine.set_color(_LINE)
    return drawing, axes


def _bars(axes: Axes, labels: Sequence[str], values: Sequence[float], colours: Sequence[str]) -> None:
    rows = range(len(labels))
    axes.barh(rows, values, color=list(colours), height=0.62)
    # A dollar sign would start a formula.
    axes.set_yticks(rows, labels=[_short(label) for label in labels], parse_math=False, color=_INK)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    axes.set_ylim(len(labels) - 0.5, -0.5)  # the first on top


def _svg(drawing: Figure, name: str, alt: str) -> Markup:
    """Inline SVG with text as text. Ids are made unique to the page, colours left to its style sheet."""
    buffer = io.StringIO()
    drawing.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    for stand_in, ink in _INKS.items():
        svg = svg.replace(stand_in, ink)
    head = Markup('<svg role="img" aria-label="{}" ').format(alt)
    return head + Markup(svg.removeprefix("<svg "))  # noqa: S704  escaped by the drawing library
