# ruff: noqa: E501  -- tables of texts read best on one line each
"""Law books, judges and key words in citations stay readable; what must stay is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.citations import citations
from tests.nlp.recognizers.marked import mark, normalize, unmark


@pytest.mark.parametrize(
    "text",
    [
        "see ⟦Phipson on Evidence (20th ed), para 33-10; McGregor on Damages, 21st ed., 8-003⟧.",
        "⟦Archbold, Criminal Pleading 2022, para 4-245; Snell's Equity; Clerk & Lindsell on Torts⟧ agree",
        "As stated in ⟦Smith and Hogan⟧, it is. The passage in ⟦McGregor, at 8-003⟧, was read",
        "the editors of ⟦Archbold⟧ doubt it. ⟦Dicey, Morris & Collins on the Conflict of Laws⟧, too",
        "Mr McGregor was seen by Archbold's sister",
        "Mr McGregor came. In McGregor, nothing",
        "Quill insisted on Thursday and reported on Damage done",
        # Judges
        "⟦Lord Bridge in Caparo⟧ set out the test, which ⟦Lord Bridge⟧ had doubted",
        "⟦Lord Atkin⟧ said otherwise in ⟦Quill v Pell [1932] AC 562⟧",
        "per ⟦Lord Vane of Quillford⟧ and ⟦Lady Pell⟧'s speech",
        "Lord Vane lived in London. Lady Pell met Lord Vane in May",
        # Cases by one name
        "⟦Quillon Industries plc v Dickman [1990] 2 AC 605⟧ was about shares, and in ⟦Quillon⟧ none were sold",
        "Under ⟦Caparo⟧ and a ⟦Polkey reduction⟧",
        "⟦Case C-131/12 Quill Spain⟧, the rest; ⟦Case C-34/09⟧ Ms Quill came",
        "L'⟦arrêt Perruche⟧ et la ⟦jurisprudence Blanco⟧ ne sont pas en cause",
        "L'arrêt Quillon. M. Quillon est né",
        "⟦CE, Ass., 28 mai 1954, Quillon, n° 28238 ; CE, 19 mai 1933, Pell⟧.",
        # German key words and trade marks
        "(⟦BGH, GRUR 2010, 1098 Rn. 44 - Quillina; C-251/95 - Quill/Pell⟧)",
        "⟦WRP 2015, 1098 - Hohe Düne⟧. Der Inhaber kam",
        "⟦EuGH, GRUR-RR 2009, 356 Rn. 65 - Édition Quill / HABM [PELL / VANE]; BPatG, a. a. O., 30 W (pat) 530/13 - QuillFarben⟧.",
        "⟦EuGH-Urteil Quill da Pell u. a., EU: C: 2015: 565, EuZW 2016, 111; EuGH, Urteil vom 10. Oktober 1973, Quilla, C - 34/73, Slg. 1973, S. 981⟧",
        "in den ⟦Urteilen vom 2. 8. 2017 (ua B 6 KA 7/17 R⟧) und ⟦BSG Urteil vom 19. 3. 1986 - 9a RVi 2/84 - BSGE 60, 58⟧",
        "⟦GRUR 2010, 1098⟧ - Kläger Quill, der",
    ],
)
def test_who_and_what_is_cited_for_the_law_stays(text: str) -> None:
    assert mark(unmark(text), citations(unmark(text))) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "under ⟦N.Y. C.P.L.R. 3211(a)(7)⟧ and ⟦CPLR 3016(b)⟧",
        "⟦CPR 3.4(2)(a)⟧, not ⟦CPR r. 44.3(5)⟧ or ⟦FPR 2010 r 25.2⟧",
        "⟦Tex. R. Civ. P. 91a.1⟧ and ⟦Fla. Stat. 768.28(9)(a)⟧ say",
        "See ⟦Matter of Vane, 20 N.Y.2d 30 (1967)⟧.",
        "⟦In re Marriage of Pell, 83 Cal. App. 4th 1⟧ and ⟦Estate of Vane, 12 N.J. 44⟧",
    ],
)
def test_rules_of_court_and_matters_stay_whole(text: str) -> None:
    assert mark(unmark(text), citations(unmark(text))) == normalize(text)
