"""Which language a document is in, and whose rules read its pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.detection.language import SERVED_LANGUAGES, detect_language, select_rules

ENGLISH = "The court of appeal dismissed the claim because the notice had been served out of time. "
GERMAN = "Die Revision wird zurückgewiesen, weil der Kläger die Frist nicht eingehalten hat. "
CHINESE = "被告人以非法占有为目的，秘密窃取他人财物，其行为已构成盗窃罪。"
POLISH = "Sąd Apelacyjny oddalił apelację powoda, ponieważ termin do jej wniesienia upłynął. "


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


def test_an_unserved_language_gets_the_rules_of_english() -> None:
    assert "pl" not in SERVED_LANGUAGES
    assert select_rules(POLISH, "pl") == ("en",)
    assert select_rules("", "") == ("en",)


@given(st.text(max_size=200), st.sampled_from(["", "en", "zh", "de", "pl"]))
def test_any_text_has_rules(text: str, main: str) -> None:
    assert select_rules(text, main)
    detect_language(text)
