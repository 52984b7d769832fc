# ruff: noqa: E501  -- texts read best on one line each
"""Languages of documents, and the rules that read their parts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from safetensors import safe_open
from safetensors.numpy import save

from lexveil.nlp.detection import language
from lexveil.nlp.detection.language import SERVED_LANGUAGES, detect_language, select_rules
from lexveil.nlp.vocabulary import CONTINENTAL

ENGLISH = "The court of appeal dismissed the claim because the notice had been served out of time. "
GERMAN = "Die Revision wird zurückgewiesen, weil der Kläger die Frist nicht eingehalten hat. "
CHINESE = "被告人以非法占有为目的，秘密窃取他人财物，其行为已构成盗窃罪。"
POLISH = "Sąd Apelacyjny oddalił apelację powoda, ponieważ termin do jej wniesienia upłynął. "


@pytest.fixture(scope="module", autouse=True)
def loaded_classifiers() -> None:
    """Load each classifier once, outside of the tests."""
    for text in (ENGLISH, "Верховный суд оставил жалобу без удовлетворения", "رفضت المحكمة العليا الاستئناف"):
        detect_language(text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", ENGLISH),
        ("en", ENGLISH.upper()),
        ("de", GERMAN),
        ("zh", CHINESE),
        ("pl", POLISH),
        ("pt", "O recurso não merece provimento, uma vez que o prazo legal já havia decorrido. "),
        ("it", "La Corte rigetta il ricorso perché la notifica è stata eseguita fuori termine. "),
        ("ja", "東京地方裁判所は、被告人に対し懲役三年の判決を言い渡した。"),
        ("ko", "서울중앙지방법원은 피고인에게 징역 3년을 선고하였다."),
        ("ru", "Верховный суд Российской Федерации оставил жалобу истца без удовлетворения."),
        ("el", "Το δικαστήριο απέρριψε την έφεση του ενάγοντος."),
        ("ar", "رفضت المحكمة العليا الاستئناف المقدم من المدعي لفوات المهلة القانونية"),
    ],
)
def test_one_language(language: str, text: str) -> None:
    assert detect_language(text) == language
    assert detect_language(text * 200) == language


@pytest.mark.parametrize("text", ["", "§ 12", "12.03.2019, 4 711,00", "\x00\u200b", "Re: X"])
def test_too_little_to_say(text: str) -> None:
    assert detect_language(text) == ""


def test_the_main_language_of_a_mixed_document_is_that_of_most_of_it() -> None:
    assert detect_language(ENGLISH * 8 + CHINESE) == "en"
    assert detect_language(CHINESE * 8 + ENGLISH) == "zh"


def test_a_piece_in_another_served_language_gets_its_rules_too() -> None:
    assert select_rules(ENGLISH, "en") == ("en",)
    assert select_rules(GERMAN * 4, "en") == ("en", "de")
    assert select_rules(ENGLISH * 4, "de") == ("en", "de")
    assert select_rules(ENGLISH + "（张某某）", "en") == ("en", "zh")
    assert select_rules(CHINESE, "zh") == ("zh",)
    assert select_rules(ENGLISH, "zh") == ("en",)
    assert select_rules(CHINESE + ENGLISH * 4, "zh") == ("en", "zh")


def test_an_unserved_language_shares_rules_or_gets_those_of_english() -> None:
    assert "pl" not in SERVED_LANGUAGES
    assert select_rules(POLISH * 3, "pl") == (CONTINENTAL,)
    assert select_rules("Powód wniósł o zapłatę.", "pl") == ("en", CONTINENTAL)
    assert select_rules("", "ja") == ("en",)
    assert select_rules("", "") == ("en",)


@given(st.text(max_size=200), st.sampled_from(["", "en", "zh", "de", "pl"]))
def test_any_text_has_rules(text: str, main: str) -> None:
    assert select_rules(text, main)
    detect_language(text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Der Beklagte trägt die Kosten des Rechtsstreits."),
        ("de", "IM NAMEN DES VOLKES. DAS URTEIL WIRD AUFGEHOBEN UND DIE SACHE ZURÜCKVERWIESEN."),
        (
            "en",
            "IN WITNESS WHEREOF the parties have executed this agreement on the date first above written.",
        ),
        ("fr", "La cour d'appel a rejeté le recours formé par le demandeur."),
        ("nl", "De rechtbank heeft het beroep van de eiser ongegrond verklaard."),
        ("es", "El tribunal desestimó el recurso interpuesto por el demandante."),
        ("uk", "Верховний Суд залишив касаційну скаргу позивача без задоволення."),
        ("he", "בית המשפט העליון דחה את הערעור של התובע"),
        ("th", "ศาลฎีกาพิพากษายกคำร้องของโจทก์"),
        ("zh", "北京市高级人民法院"),
        ("zh", "𠮷田𠮷田𠮷田𠮷田"),
    ],
)
def test_more_languages(language: str, text: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("张某某", "zh"),
        ("张", ""),
        ("Court of Appeal", ""),
        ("the Court of Appeal held", "en"),
    ],
)
def test_chinese_needs_fewer_letters_than_english(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_japanese_is_not_chinese() -> None:
    assert detect_language("東京地方裁判所は被告人に判決を言い渡した") == "ja"
    assert detect_language("东京地方法院对被告人作出判决") == "zh"


def test_a_long_document_is_sampled_throughout() -> None:
    assert detect_language(GERMAN * 2 + ENGLISH * 200) == "en"
    assert detect_language(ENGLISH * 2 + GERMAN * 200) == "de"


@pytest.mark.parametrize(
    ("text", "main", "rules"),
    [
        ("Vertragspartner: Acme Ltd", "de", ("de",)),
        ("§ 12", "de", ("de",)),
        ("12.03.2019", "zh", ("en",)),
        ("被告人John Smith在场", "zh", ("en", "zh")),
        ("被告人以非法占有为目的，秘密窃取他人财物，价值3000元，见USB数据", "zh", ("zh",)),
        (GERMAN * 3, "pl", ("de",)),
        (GERMAN * 3 + CHINESE, "en", ("en", "de", "zh")),
    ],
    ids=["too short to classify", "no words", "no Chinese", "Latin name", "few Latin letters", "German part", "three"],
)  # fmt: skip
def test_rules_of_a_part(text: str, main: str, rules: tuple[str, ...]) -> None:
    assert select_rules(text, main) == rules


@pytest.mark.slow
def test_the_tables_are_unpacked_once_per_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def again() -> dict[str, NDArray[Any]]:
        language._read_tables.cache_clear()
        return language._read_tables()[0]

    def compare(tables: dict[str, NDArray[Any]]) -> None:
        for name, table in tables.items():
            np.testing.assert_array_equal(table, expected[name])

    expected = again()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    compare(again())
    (path,) = (tmp_path / "cache" / "lexveil").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(language, "_unpack_tables", lambda: pytest.fail("they were unpacked again"))
        patch.setattr(tempfile, "TemporaryFile", lambda *_, **__: pytest.fail("a file was written"))
        compare(again())
    path.write_bytes(path.read_bytes()[:-4])
    compare(again())
    named = {"languages": " ".join(language._read_tables()[1])}
    for tables, metadata in (
        (expected, None),
        (expected, {"other": ""}),
        (expected, {"languages": "en de"}),
        ({name: table[:1] for name, table in expected.items()}, named),
        ({name: table[..., None] for name, table in expected.items()}, named),
        ({**expected, "tk_output": expected["tk_output"] + 10**6}, named),
    ):
        path.write_bytes(save(tables, metadata))
        assert language._read_cached(path) is None
    path.write_bytes(save(expected))
    compare(again())
    with safe_open(path, "np") as file:
        assert file.metadata() == named


@pytest.mark.slow
def test_the_answers_are_those_of_py3langid() -> None:
    for script, text in {
        "latin": POLISH,
        "cyrillic": "Верховный суд Российской Федерации",
        "arabic": "رفضت المحكمة",
    }.items():
        whole = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        whole.set_languages(language._CANDIDATES[script].split())
        for sample in (text, text[:7], text * 20, ENGLISH, "", "1"):
            assert language._load_classifier(script).classify(sample) == whole.classify(sample)


LONG = {
    "en": "The applicant complained that the length of the proceedings had been excessive and that the courts of "
    "the State had failed to examine the merits of the appeal. It follows that the complaint to the Court is "
    "well-founded and that the respondent must pay the costs of the proceedings to the applicant. ",
    "de": "Die Klage ist nicht begründet, weil die Frist zu der Erhebung der Klage von dem Kläger nicht gewahrt ist "
    "und die Voraussetzungen für eine Wiedereinsetzung nicht vorliegen. Das Urteil und die Anordnung der Kosten "
    "beruhen auf den Vorschriften der Zivilprozessordnung, die mit dem Gesetz im Einklang stehen. ",
    "fr": "La requête est rejetée parce que le délai n'a pas été respecté par la requérante et que les moyens de la "
    "demande ne sont pas fondés. Les dépens de la procédure sont à la charge de la partie qui succombe dans le "
    "litige, et la cour renvoie les parties devant le tribunal pour le surplus de leurs demandes. ",
    "nl": "De vordering van de eiser wordt afgewezen omdat het beroep niet binnen de termijn van de wet is ingesteld "
    "en de gronden van het hoger beroep niet zijn bewezen. De kosten van het geding komen voor rekening van de "
    "partij die in het ongelijk is gesteld, en de zaak wordt naar de rechtbank terugverwezen. ",
    "da": "Retten fandt at sagsøgeren ikke havde bevist at aftalen var indgået, og at kravet derfor måtte afvises. "
    "Sagens omkostninger skal betales af den part som har tabt sagen, og dommen kan ankes til landsretten. ",
    "pt": "O pedido do autor foi julgado improcedente porque o prazo da lei não foi respeitado e os fundamentos do "
    "recurso não se provaram. As custas do processo são da responsabilidade da parte vencida na causa. ",
}


@pytest.mark.parametrize("name", LONG)
def test_small_words_decide_as_the_classifier_does(name: str) -> None:
    assert detect_language(LONG[name] * 3) == name


@pytest.mark.parametrize(
    ("main", "quoted"), [("fr", "en"), ("nl", "en"), ("da", "en"), ("en", "fr"), ("en", "de")]
)
def test_a_quotation_in_another_language_does_not_decide(main: str, quoted: str) -> None:
    assert detect_language(LONG[main] * 6 + LONG[quoted]) == main
    assert detect_language(LONG[quoted] + LONG[main] * 6) == main


@pytest.mark.parametrize("name", ["fr", "nl", "da", "pt"])
def test_only_english_and_german_are_told_by_their_small_words(name: str) -> None:
    assert language._read_small_words(LONG[name] * 3) == ""  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("name", ["en", "de"])
def test_what_is_half_of_another_language_is_left_to_the_classifier(name: str) -> None:
    small = language._read_small_words  # pyright: ignore[reportPrivateUsage]
    assert small(LONG[name] * 3) == name
    assert small(LONG[name] + LONG["fr"]) == ""
    assert small(LONG["en"] + LONG["de"]) == ""
    assert small(LONG[name][:60]) == ""
