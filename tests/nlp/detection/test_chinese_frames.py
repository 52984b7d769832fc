"""Chinese names by kind of text, with the detector that ships: the frames that no detector was trained on."""

from __future__ import annotations

import pytest

from benchmarks.chinese import find_by, frames, score_frames
from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.masking.anonymize import CheckedText, anonymize_text
from lexveil.nlp.masking.mask import unkeyed_seed
from lexveil.nlp.masking.policy import build_policy
from lexveil.nlp.masking.scope import DocumentNames, Scope

pytestmark = pytest.mark.model


def mask(text: str, model: str) -> CheckedText:
    (detection,) = Detector.load(model).detect_many([text])
    scope = Scope([DocumentNames.read(text, detection.spans)], unkeyed_seed)
    return anonymize_text(text, detection.spans, build_policy(), scope, language=detection.language)


@pytest.fixture(scope="module")
def rates() -> dict[str, dict[str, float]]:
    probes = {
        kind: written if kind.startswith("hostile") else written[::2]
        for kind, written in frames("held-out").items()
    }
    return {
        system: {name: share for name, (share, _) in score_frames(probes, find_by(system)).items()}
        for system in ("rules", "both")
    }


@pytest.mark.parametrize(
    "kind", ["prose", "header", "table", "listed", "traditional", "minority", "foreign", "clean"]
)
def test_names_are_found_in_each_kind(rates: dict[str, dict[str, float]], kind: str) -> None:
    assert rates["both"][f"frames {kind}"] >= 0.93


def test_names_in_hostile_texts(rates: dict[str, dict[str, float]]) -> None:
    assert rates["both"]["frames hostile"] >= 0.8
    assert rates["rules"]["frames hostile"] >= 0.4
    assert rates["both"]["frames hostile clean"] == 1


def test_the_rules_alone_miss_prose(rates: dict[str, dict[str, float]]) -> None:
    assert rates["rules"]["frames prose"] < 0.2
    assert rates["rules"]["frames header"] >= 0.9


@pytest.mark.parametrize("system", ["rules", "both"])
def test_law_and_courts_stay(rates: dict[str, dict[str, float]], system: str) -> None:
    assert rates[system]["law kept"] >= 0.99


TEXT = "那批货最后是孟小勇拉走的，提货单上也是他签的字。原告葛兰芝对此没有异议，被告恒远贸易有限公司未答辩。"


def test_a_name_that_the_rules_miss_is_masked_and_no_pass() -> None:
    by_rules, by_both = mask(TEXT, "rules"), mask(TEXT, "light")
    assert "孟小勇" not in by_rules.text + by_both.text
    assert by_rules.verdict == "REVIEW"
    assert by_both.verdict == "PASS"


def test_one_person_in_both_writings_has_one_pseudonym() -> None:
    text = "原告葛蘭芝起訴。证人称葛兰芝当时在场，被告孟小勇不在。"
    masked = mask(text, "light")
    entities = {r.original: r.entity for r in masked.masked.replacements if r.type == "PERSON"}
    assert entities["葛蘭芝"] == entities["葛兰芝"] != entities["孟小勇"]
