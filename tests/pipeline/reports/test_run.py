from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lxml import etree, html  # pyright: ignore[reportAttributeAccessIssue]

from lexveil.nlp.readers import Note, Reason
from lexveil.pipeline.masking.scores import OTHER_DOCUMENTS
from lexveil.pipeline.masking.texts import HELD_BACK
from lexveil.pipeline.models.encrypted_check import EncryptedCheck
from lexveil.pipeline.models.scoring import DenoisingScores, Scores
from lexveil.pipeline.reports.charts import format_figure, format_percent
from lexveil.pipeline.reports.notes import NOTES
from lexveil.pipeline.reports.run import QUARANTINE_HELP, bound_guess, render_report, write_report
from lexveil.pipeline.reports.summary import RunSummary, Spending
from lexveil.pipeline.sources.documents import MISSING_OWNER
from lexveil.pipeline.stages.evaluate import Evaluation, Neighbors
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace

HOSTILE = """<script src="https://evil.example/x.js">$x_{1}$</script>'"--><img src=//evil.example>"""


def summary(**changes: Any) -> RunSummary:
    """A run with every part filled; each figure is another number, so that each can be looked for."""
    card = {
        "name": "linear-0a1b2c3d",
        "kind": "linear",
        "objective": "classify",
        "epsilon": 3.1415,
        "delta": 1e-5,
        "unit": "owner",
        "relation": "add or remove one owner with all of its items",
        "steps": 1234,
        "sample_rate": 0.1875,
        "noise_multiplier": 2.7182,
        "max_grad_norm": 1.25,
        "owners": 417,
        "labels": 11,
        "population": "clients",
        "reservation": "c0ffee" * 5,
        "recipe": "beefed" * 8,
        "encoder_digest": "facade" * 8,
        "created": "2025-03-04T05:06:07+00:00",
        "seeded": False,
        "statement": "Weights trained under (3.14, 1e-05)-differential privacy.",
    }
    run = RunSummary(
        run_id="20250304T050607Z-9f8e",
        started="2025-03-04T05:06:08+00:00",
        finished="2025-03-04T05:16:09+00:00",
        ingested=10_523,
        duplicates=307,
        erased=5,
        quarantined=57,
        quarantine={"broken": 19, "needs_ocr": 38},
        masked=10_519,
        spans_by_type={"PERSON": 40_321, "DATE": 7_654, "CASE_NUMBER": 321},
        chunks={"chunks": 61_234, "chunks_used": 60_987, "truncated": 43},
        model="linear-0a1b2c3d",
        card=card,
        trained_now=True,
        unprotected_losses=(2.345, 1.987, 1.654, 1.432),
        feature_rows=10_517,
        spent=Spending(
            population="clients",
            unit="owner",
            total=5.432,
            limit=10.75,
            delta=2e-6,
            runs=(("abad1dea" * 4, 2.222, "committed"), ("c0ffee" * 5, 3.333, "committed")),
            head="5ca1ab1e" * 8,
        ),
        evaluation=Evaluation(
            Scores(0.8123, 0.6234, 1051),
            Scores(0.8765, 0.7543, 1049),
            EncryptedCheck(64, 0.984375, 3.21e-6, 1e-4),
            neighbors=Neighbors(0.7111, 0.1234, 1051),
        ),
        seconds={"ingest": 12.3, "mask": 345.6, "train": 78.9},
        verdicts={"PASS": 10_401, "REVIEW": 118, "FAIL": 4},
        reasons={"near": 61, "language": 77, "repaired": 13},
        detection={
            "detector": "light",
            "sensitivity": "balanced",
            "shipped": {
                "measured_on": "public judgments, by 5-fold cross-validation",
                "n": 113,
                "er_di": 0.9871,
            },
            "own": {
                "measured": "2025-03-01T00:00:00+00:00",
                "n": 27,
                "er_di": 0.9123,
                "er_qi": None,
                "token_precision": 0.8234,
                "by_type": {"PERSON": {"n": 341, "recall": 0.9345, "found": 352, "precision": None}},
            },
            "note": OTHER_DOCUMENTS,
        },
    )
    return replace(run, **changes)


def with_card(**changes: Any) -> RunSummary:
    run = summary()
    return replace(run, card={**run.card, **changes})


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.create_or_open(tmp_path_factory.mktemp("report") / "workspace")


@pytest.fixture
def page(workspace: Workspace) -> Callable[..., str]:
    def text_of(run: RunSummary) -> str:
        return " ".join(html.fromstring(render_report(workspace, run)).text_content().split())

    return text_of


VARIANTS = {
    "full": summary(),
    "denoising": summary(
        evaluation=Evaluation(DenoisingScores(1.234, 2.346, 90), None, EncryptedCheck(8, 1.0, 1e-7, 1e-4))
    ),
    "nothing held out": summary(evaluation=Evaluation(None, None, EncryptedCheck(8, 1.0, 1e-7, 1e-4))),
    "no diagnostics": summary(
        evaluation=Evaluation(Scores(0.5, 0.4, 80), None, EncryptedCheck(8, 0.5, 1e-7, 1e-4))
    ),
    "cannot be served encrypted": summary(evaluation=Evaluation(Scores(0.5, 0.4, 80), None, None)),
    "model reused": summary(trained_now=False, unprotected_losses=()),
    "one loss": summary(unprotected_losses=(1.5,)),
    "losses that are no numbers": summary(unprotected_losses=(float("nan"), float("inf"))),
    "empty quarantine": summary(quarantined=0, quarantine={}),
    "nothing masked": summary(spans_by_type={}, verdicts={}, reasons={}, detection={}),
    "nothing known of the detector": summary(
        detection={"detector": "x/y", "sensitivity": "strict", "shipped": None, "own": None, "note": ""}
    ),
    "no seconds": summary(seconds={}, chunks={}),
    "nothing in the ledger": summary(spent=Spending("clients", "owner", 0.0, 10.0, 1e-5, (), "0" * 64)),
    "many runs": summary(
        spent=Spending(
            "clients",
            "owner",
            9.9,
            10.0,
            1e-5,
            tuple((f"{n:032x}", 0.1 * n, "open") for n in range(30, 40)),
            "e" * 64,
            earlier=30,
            open=40,
        )
    ),
    "a changed ledger": summary(
        spent=Spending("clients", "owner", 1.0, 10.0, 1e-5, (), "e" * 64, intact=False)
    ),
    "overspent": summary(
        spent=Spending("clients", "owner", 12.0, 10.0, 1e-5, (("a", 12.0, "abandoned"),), "e" * 64)
    ),
    "void": with_card(seeded=True, statement="NOT PRIVATE: trained from a known seed, for a test."),
    "unit document": with_card(unit="document"),
}
every_variant = pytest.mark.parametrize("written", VARIANTS, indirect=True)


@pytest.fixture(scope="module")
def written(request: pytest.FixtureRequest, workspace: Workspace) -> str:
    """The report of a variant, rendered once for all that is asked of it."""
    return render_report(workspace, VARIANTS[request.param])


def test_report_is_whole_private_and_where_the_summary_says(workspace: Workspace) -> None:
    run = summary()
    path = write_report(workspace, run)
    assert str(path) == run.to_json(workspace)["report"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]
    assert path.read_text(encoding="utf-8") == render_report(workspace, run)
    write_report(workspace, replace(run, ingested=1))
    assert path.read_text(encoding="utf-8") != render_report(workspace, run)


@every_variant
def test_report_asks_nothing_of_the_network(written: str) -> None:
    tree = html.fromstring(written)
    assert not tree.xpath("//script | //link | //iframe | //img | //object | //embed | //base | //@onload")
    pointers = tree.xpath("//@src | //@href | //@*[contains(name(), ':href')] | //@srcset | //@action")
    assert pointers
    assert all(pointer.startswith("#") or pointer == "../history.html" for pointer in pointers)
    assert not re.search(r"@import|url\((?!#)", written)
    assert not re.search(r"https?://(?!www\.w3\.org/(2000/svg|1999/xlink)\")", written)


@every_variant
def test_report_is_well_formed(written: str) -> None:
    for drawing in re.findall(r"<svg.*?</svg>", written, flags=re.DOTALL):
        assert etree.fromstring(drawing).get("aria-label")
    tree = html.fromstring(written)
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    links = set(tree.xpath("//a/@href | //use/@*[contains(name(), 'href')]")) - {"../history.html"}
    assert {link[1:] for link in links} <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", written)) <= set(ids)
    levels = [int(head.tag[1]) for head in tree.iter("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    for table in tree.iter("table"):
        assert table.find("caption") is not None
        assert all(row.xpath("th") for row in table.iter("tr"))
    opened = re.findall(r"<(/?(?:section|table|div|ul|dl|figure|p|tr|td|th))\b", written)
    for tag in set(opened):
        assert (
            opened.count(tag)
            == opened.count(tag.removeprefix("/"))
            == opened.count(f"/{tag.removeprefix('/')}")
        )


def test_every_figure_of_the_summary_stands_in_it(page: Callable[..., str], workspace: Workspace) -> None:
    text = page(summary())

    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [*value, *(leaf for part in value.values() for leaf in leaves(part))]
        if isinstance(value, list | tuple):
            return [leaf for part in value for leaf in leaves(part)]
        return [value]

    run = summary().to_json(workspace)
    names = {"report", "changed", "features", "batch"}  # where this file lies itself; the history page's
    agreement = run["encrypted"].pop("agreement")
    assert format_percent(agreement) == "98.43 %"
    assert "98.43 %" in text
    inside = ("card", "spent", "encrypted", "reasons", "neighbors")
    found = run.pop("detection")
    tables = [found, found["shipped"], found["own"], found["own"]["by_type"]["PERSON"]]
    run["scores"] = [value for table in tables for value in table.values() if not isinstance(value, dict)]
    for name, part in run.items():
        for value in leaves(list(part.values()) if name in inside else part):
            if (
                name in names
                or value is None
                or isinstance(value, bool)
                or value in ("micro_f1", "macro_f1", "n")
            ):
                continue
            shown = f"{value:,}" if isinstance(value, int) else None
            shown = format_figure(value) if isinstance(value, float) else shown or value
            if name == "chunks" and isinstance(value, str):
                continue
            assert shown in text, (name, shown)


def test_report_is_the_same_for_the_same_summary(workspace: Workspace) -> None:
    assert render_report(workspace, summary()) == render_report(workspace, summary())


def test_hostile_strings_are_escaped(workspace: Workspace) -> None:
    run = summary(
        run_id=HOSTILE,
        model=HOSTILE,
        quarantine={HOSTILE: 57},
        spans_by_type={HOSTILE: 3, "$\\frac{$": 2},
        chunks={HOSTILE: 1},
        seconds={HOSTILE: 1.0},
        spent=Spending(HOSTILE, HOSTILE, 1.0, 2.0, 1e-5, ((HOSTILE, 1.0, HOSTILE),), HOSTILE),
    )
    run = replace(run, card={**run.card, **{k: HOSTILE for k, v in run.card.items() if isinstance(v, str)}})
    written = render_report(workspace, run)
    tree = html.fromstring(written)
    assert not tree.xpath("//script | //img | //@onload")
    assert "<script" not in written
    for drawing in re.findall(r"<svg.*?</svg>", written, flags=re.DOTALL):
        etree.fromstring(drawing)
    assert HOSTILE in tree.text_content()


def test_every_reason_is_explained(page: Callable[..., str]) -> None:
    codes = [*(reason.value for reason in Reason), MISSING_OWNER, HELD_BACK]
    assert set(codes) == set(QUARANTINE_HELP)
    text = page(summary(quarantine=dict.fromkeys(codes, 1)))
    for code in codes:
        assert all(part in text for part in (code, *QUARANTINE_HELP[code]))


def marks(workspace: Workspace, run: RunSummary) -> dict[str, str]:
    """What each key figure is marked with."""
    tree = html.fromstring(render_report(workspace, run))
    tiles = tree.xpath("//li[contains(@class, 'tile')]")
    return {
        tile.xpath("string(*[@class='name'])"): tile.xpath("string(*[contains(@class, 'mark')])")
        for tile in tiles
    }


def test_figures_measured_on_private_documents_stay_inside(workspace: Workspace) -> None:
    found = marks(workspace, summary())
    free = {name for name, mark in found.items() if mark == "may leave the house"}
    assert free == {"Epsilon", "Unit", "Privacy left"}
    assert {mark for name, mark in found.items() if name not in free} == {"stays inside"}


def test_a_seeded_model_voids_everything(workspace: Workspace, page: Callable[..., str]) -> None:
    run = VARIANTS["void"]
    assert "The privacy guarantee is void." in page(run)
    assert "The privacy guarantee is void." not in page(summary())
    written = render_report(workspace, run)
    assert "may leave the house" not in written
    assert "guesses rightly" not in written
    assert "nearly as likely" not in written


def test_what_is_missing_is_said(page: Callable[..., str]) -> None:
    assert "not trained in this run" in page(VARIANTS["model reused"])
    assert "how useful the model is was not measured" in page(VARIANTS["nothing held out"])
    assert "every file and record could be read" in page(VARIANTS["empty quarantine"])
    assert "No spans were masked" in page(VARIANTS["nothing masked"])
    assert "Without privacy" not in page(VARIANTS["no diagnostics"])
    assert "do not agree on every document" in page(VARIANTS["no diagnostics"])
    assert "its weights are too large for the encryption parameters" in page(
        VARIANTS["cannot be served encrypted"]
    )
    assert "No scores are known for it" in page(VARIANTS["nothing known of the detector"])
    assert "masked by rules alone and marked for review: 77" in page(summary())
    assert "the ledger may refuse another run" in page(VARIANTS["many runs"])
    assert "unlike earlier ones (DATE, features)" in page(summary(batch={"unlike": ["DATE", "features"]}))
    assert "unlike earlier ones" not in page(summary())


def test_the_query_reads_the_features(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    awkward = Workspace.create_or_open(tmp_path / 'o\'brien "& sons"')
    (awkward.features / "current").mkdir(parents=True)
    columns = [["d1"], ["o1"], [[0.5, 0.25]], ["m"], [datetime(2025, 3, 4, tzinfo=UTC)]]
    schema = tables.build_features_schema(2)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    pq.write_table(pa.table(arrays, schema=schema), awkward.features / "current" / "part-00000.parquet")
    (query,) = html.fromstring(render_report(awkward, summary())).xpath("//pre")
    exec(query.text_content(), {})
    assert "0.25" in capsys.readouterr().out


def test_best_guess_bounds_an_attacker() -> None:
    assert bound_guess(0.0, 0.0) == 0.5
    assert bound_guess(0.0, 1.0) == 1.0
    assert bound_guess(1.0, 0.0) == pytest.approx(0.7310585786)
    assert bound_guess(1000.0, 1e-5) == 1.0


def test_figures_are_rounded_to_the_safe_side() -> None:
    assert format_percent(1.0) == "100 %"
    assert format_percent(0.99999) == "99.99 %"
    assert format_percent(0.999664, up=True) == "99.97 %"
    assert format_percent(0.57) == "57 %"
    assert format_figure(1e-5) == "1e-5"
    assert format_figure(1234.56) == "1235"
    assert format_figure(1e10) == "1e+10"


def test_what_documents_do_not_show_is_explained(page: Callable[..., str]) -> None:
    assert NOTES.keys() == {note.value for note in Note}
    assert "Not in the texts" not in page(summary())
    told = page(summary(notes={"unread_picture": 1_234, "covered_text": 3}))
    assert told.index("covered_text") < told.index("unread_picture")
    assert "This file has a bad redaction" in told
    assert "Bad redactions, which leave the text under a box in the file: 3." in told
