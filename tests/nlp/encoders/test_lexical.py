"""Features of words: what counts as a term, and what of a text enters the features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.encoders.lexical import hash_term, list_terms, load_table


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The Lessee pays.", ["the", "lessee", "the lessee", "pays", "lessee pays"]),
        ("a 12 lease", ["lease", "a lease"]),
        ("盗窃罪", ["盗", "窃", "罪", "盗窃", "窃罪", "盗窃罪"]),
        ("法 x 法", ["法", "法"]),
        ("12 (3)", []),
    ],
)
def test_terms_are_words_pairs_and_runs_of_han(text: str, terms: list[str]) -> None:
    assert list(list_terms(text)) == terms


def test_a_mask_counts_as_its_type_whatever_its_number() -> None:
    assert list(list_terms("[PERSON_1] sued [ORGANIZATION_22]")) == list(
        list_terms("person sued organization")
    )


def test_features_are_of_norm_one_or_zero() -> None:
    table = load_table()
    assert table.dimension == 512
    assert np.linalg.norm(table.embed("The borrower shall repay the loan.")) == pytest.approx(1, abs=1e-5)
    for text in ("", "12 34", "Xqzvw Zzkqj"):
        assert not table.embed(text).any()


def test_few_known_words_of_another_language_weigh_little() -> None:
    """By chance, each of them is a word of a language of the table."""
    embed = load_table().embed
    polish = embed(
        "Usługodawca nie ponosi odpowiedzialności za szkody, jakie poniesie użytkownik w roku 2019."
    )
    assert np.linalg.norm(polish) < 0.7
    german = "Der Vermieter haftet nicht für Schäden, die dem Mieter entstehen."
    assert np.linalg.norm(embed(german)) == pytest.approx(1, abs=1e-5)


def test_texts_of_a_language_are_centered_by_its_own_mean() -> None:
    """Passages on unlike matters had much in common: what was subtracted was mostly of other languages."""
    embed = load_table().embed
    unlike = {
        "en": (
            "The tenant shall pay the rent on the first day of each month.",
            "All disputes are settled by arbitration under the rules of the chamber.",
            "The borrower represents that its financial statements are complete and correct.",
        ),
        "zh": (
            "被告人盗窃他人财物，数额较大",
            "合同当事人应当按照约定履行自己的义务",
            "公司股东会由全体股东组成",
        ),
    }
    for texts in unlike.values():
        rows = np.stack([embed(text) for text in texts])
        assert abs(float((rows @ rows.T)[np.triu_indices(len(texts), 1)].mean())) < 0.1


def test_a_word_that_public_law_lacks_leaves_no_trace() -> None:
    table = load_table()
    bare = table.embed("The tenant shall pay the rent, and the landlord shall repair the roof.")
    named = table.embed("The tenant shall pay the rent, Kowalczyk, and the landlord shall repair the roof.")
    # The name divides a pair of words, and is no term itself.
    assert hash_term("kowalczyk") not in table.hashes
    np.testing.assert_allclose(
        table.embed("Kowalczyk. The tenant shall pay the rent."),
        table.embed("The tenant shall pay the rent."),
    )
    assert bare @ named > 0.95


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        (
            "The tenant shall pay the rent on the first day of each month.",
            "Rent is due monthly; the lessee pays it to the landlord.",
            "All disputes are settled by arbitration under the rules of the chamber.",
        ),
        (
            "Der Mieter hat die Miete monatlich zu entrichten.",
            "Die Miete ist zu Beginn des Monats zu zahlen.",
            "Der Angeklagte wird zu einer Freiheitsstrafe verurteilt.",
        ),
        (
            "被告人盗窃他人财物，数额较大",
            "以非法占有为目的，秘密窃取公私财物的，是盗窃",
            "合同当事人应当按照约定履行自己的义务",
        ),
    ],
)
def test_texts_on_one_matter_are_near_in_each_language(text: str, near: str, far: str) -> None:
    embed = load_table().embed
    assert embed(text) @ embed(near) > embed(text) @ embed(far) + 0.05


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=200))
def test_any_text_gives_bounded_features(text: str) -> None:
    features = load_table().embed(text)
    assert np.isfinite(features).all()
    assert np.linalg.norm(features) <= 1 + 1e-5
