"""Tables of cited law by system: the marked ranges are the citations exactly; other text has none."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lexveil.nlp.citations import citations
from tests.nlp.recognizers.marked import mark, unmark

CASES = (
    "⟦Roe v. Poe, 99 S. Ct. 12 (1978)⟧",
    "⟦Case T-12/03 Roe v Commission [2005] ECR II-12⟧",
    "⟦United States v. Vane, 12 F.3d 34 (1st Cir. 1993)⟧",
    "⟦Roe v. Poe, 45 F.4th 12 (2d Cir. 2022)⟧",
    "⟦Vane v. Roe, (2001) 5 SCC 12⟧",
    "⟦Roe v. Poe, 2012 SCC 5⟧",
    "⟦Vane v Roe [2001] HCA 12⟧",
    "⟦Roe v Poe [2015] EWHC 123 (QB)⟧",
    "⟦Vane and Others v. the United Kingdom, nos. 123/04 and 456/05, 3 May 2010⟧",
    "⟦Roe v. Poe, 2020 WL 123456⟧",
    "⟦Vane v. Roe, 12 N.E.3d 345 (Ill. 2014)⟧",
    "See ⟦Vane v. Turkey, no. 12345/05, § 44, ECHR 2010⟧.",
    "⟦Roe v. Poe, 410 U.S. 113, 120 (1973)⟧",
    "⟦In re Vane, 5 F.3d 12 (9th Cir. 1993)⟧",
    "⟦Vane v Roe [2010] UKSC 12⟧",
    "⟦Roe v Poe [1999] 1 AC 1⟧",
    "⟦R v Vane [2004] EWCA Crim 12⟧",
    "⟦Ex parte Roe, 20 Wall. 590⟧",
    "⟦Poe v Quill Ltd (1992) 175 CLR 1⟧",
    "⟦R. v. Vane, [1990] 1 S.C.R. 12⟧",
    "⟦Roe v. State of Elm, AIR 1970 SC 12⟧",
    "⟦Case C-131/12 Vane v Roe, EU:C:2014:317⟧",
    "⟦ECLI:EU:C:2014:317⟧",
    "⟦Roe v. Poe, 123 Cal. App. 4th 45⟧",
    "⟦Vane v. Roe, No. 12-345, 2013 WL 12345 (S.D.N.Y. May 3, 2013)⟧",
    "⟦Roe v. Poe, 55 F. Supp. 2d 12 (D. Mass. 1999)⟧",
)
STATUTES = (
    "⟦Article 3 of Protocol No. 1⟧",
    "⟦Cal. Penal Code § 187⟧",
    "⟦Schedule 2 to the Equality Act 2010⟧",
    "the ⟦Companies Act 2006⟧",
    "⟦17 C.F.R. § 240.10b-5⟧",
    "⟦Council Regulation (EC) No 44/2001⟧",
    "⟦Council Directive 93/13/EEC⟧",
    "⟦Articles 101 and 102 TFEU⟧",
    "⟦Article 267 TFEU⟧",
    "⟦section 5 of the Children Act 1989⟧",
    "⟦Fed. R. Evid. 404(b)⟧",
    "⟦15 U.S.C. §§ 78j(b), 78t⟧",
    "under ⟦section 2(1) of the Human Rights Act 1998⟧",
    "⟦Article 6 § 1 of the Convention⟧",
    "pursuant to ⟦42 U.S.C. § 1983⟧",
    "see ⟦Fed. R. Civ. P. 12(b)(6)⟧",
    "⟦Directive 95/46/EC⟧ applies",
    "⟦Regulation (EU) 2016/679⟧",
    "⟦section 138 of the Criminal Code, RSC 1985, c C-46⟧",
    "⟦Rule 39 of the Rules of Court⟧",
    "⟦Article 8 of the European Convention on Human Rights⟧",
    "⟦28 C.F.R. § 35.104⟧",
    "⟦s 51 of the Senior Courts Act 1981⟧",
    "the ⟦Data Protection Act 2018⟧",
)
EPONYMS = (
    "a ⟦Batson challenge⟧",
    "a ⟦Brady violation⟧",
    "an ⟦Osman warning⟧",
    "the ⟦Hadley principle⟧",
    "the ⟦Ladd v Marshall test⟧",
    "He sought a ⟦Mareva injunction⟧.",
    "The ⟦Bolam test⟧ applies.",
    "It was a ⟦Ponzi scheme⟧.",
    "A ⟦Miranda warning⟧ was given.",
    "They obtained an ⟦Anton Piller order⟧.",
    "It was ⟦Wednesbury unreasonableness⟧.",
    "⟦The Hague Convention⟧ governs it.",
    "⟦Chevron deference⟧ is gone.",
    "It follows from the ⟦Carltona principle⟧.",
    "He made a ⟦Calderbank offer⟧.",
    "She had ⟦Salduz rights⟧.",
    "The ⟦Salomon principle⟧ holds.",
    "Text is in 14-point ⟦Times New Roman⟧.",
    "The ⟦Daubert standard⟧ was met.",
    "It was a ⟦Terry stop⟧.",
    "An ⟦Alford plea⟧ was entered.",
    "The court gave an ⟦Allen charge⟧.",
    "A ⟦Norwich Pharmacal order⟧ was made.",
    "It is a ⟦Henderson abuse⟧.",
)
GERMAN = (
    "⟦BVerfGE 12, 345⟧",
    "⟦§ 1 Abs. 2 Nr. 3 StGB⟧",
    "⟦OLG Köln, Urteil vom 3. Mai 2001 - 7 U 61/01⟧",
    "⟦BGH NJW 2005, 123⟧",
    "⟦Art. 6 Abs. 1 Satz 2 EMRK⟧",
    "⟦§§ 133, 157 BGB⟧",
    "⟦§ 242 BGB⟧",
    "Das folgt aus ⟦§ 823 Abs. 1 BGB⟧.",
    "Nach ⟦Art. 2 Abs. 1 GG⟧ ist das frei.",
    "vgl. ⟦BGH, Urteil vom 3. Mai 2001 - VIII ZR 4/00, BGHZ 148, 1⟧",
    "⟦BVerfG, Beschluss vom 12. Juli 2005 - 1 BvR 9/04⟧",
    "so ⟦BAG NZA 2010, 1234⟧",
    "⟦§§ 280, 281 BGB⟧",
    "gemäß ⟦§ 35a Satz 1 Nr. 2 VwVfG⟧",
    "⟦EuGH, Urteil vom 6. Oktober 2015 - C-362/14⟧",
    "(⟦Reh/Vane, StGB, § 63 Rn. 33⟧)",
    "vgl. ⟦Ulmer in: Vane/Reh, jurisPK-SGG, 1. Aufl 2017, § 29 RdNr 64⟧",
    "⟦Ulmer, in: Vane, VwGO-Kommentar, 14. Aufl. 2014, § 5 Rn. 3⟧",
    "so ⟦Vane / v. Reh / Ulmer, a. a. O., § 37 Rn. 1⟧",
    "⟦Reh in Ulmer-Vane / Reh, aaO, § 160a RdNr 19e⟧",
    "⟦EGMR, Roe c. Turquie, Urteil⟧",
    "⟦GRUR 1999, 723 Rdnr. 25, 30, 32 - Seerose⟧;",
    "Nach dem ⟦TV-Ärzte Hessen⟧ gilt das.",
    "Er wird nach ⟦TVöD⟧ bezahlt.",
    "Das Urteil ⟦des Amtsgerichts Fürth⟧ ist falsch.",
    "Sie klagt vor dem ⟦Sozialgericht (SG) Braunschweig⟧ auf Rente.",
)
CONTINENTAL = (
    "l'⟦article 1240 du code civil⟧",
    "⟦Cass. civ. 1re, 3 mai 2001, n° 99-12.345⟧",
    "⟦STS 123/2015, de 3 de mayo⟧",
    "⟦Cass. civ., sez. III, 3 maggio 2001, n. 6206⟧",
    "⟦artikel 6:162 BW⟧",
    "⟦HR 3 mei 2001, ECLI:NL:HR:2001:AB1234⟧",
)
CHINESE = (
    "依照⟦《中华人民共和国刑法》第二百六十四条⟧之规定",
    "根据⟦《中华人民共和国民法典》第一千一百六十五条⟧",
    "⟦参照最高人民法院指导案例24号⟧",
    "依照⟦《刑事诉讼法》第十五条⟧",
    "⟦《最高人民法院关于适用〈中华人民共和国民事诉讼法〉的解释》第九十条⟧",
)
NO_LAW = (
    "Herr Paragraf wohnt in Köln.",
    "They met at section house Elm.",
    "Article by Roe",
    "Roe v. Poe was settled by the parties.",
    "Ann Roe lives in Elm Street.",
    "The claimant met Mr Vane in Turkey.",
    "On 3 May 2020 she paid 500 euros.",
    "No. 12 Elm Street",
    "She wrote to Quill Ltd about it.",
    "Der Kläger wohnt in der Elmstraße 12.",
    "Reh, Vane und Ulmer kamen 2015, S. meldet die Zeitung.",
    "Die Vane AG Reh zahlte nicht.",
    "Das Landgericht Vane freizusprechen bat er.",
    "Es zahlten Reh/Vane, GmbH, 2015, 12 Euro.",
    "vgl. Vane, der am Morgen aufstand und ging, 2015",
    "Viele Grüße, LG Mandy.",
    "LG Sabine, bitte melde dich.",
    "VG Renate und Karl",
    "SG Peter.",
    "vgl. Reh, Das Gutachten über die Mutter Ute Vane, 2019, S. 12",
    "Vgl. Vane, Brief an Ute Reh vom Sommer, 2018, S. 3",
    "dazu Reh, Aussage, 2020, S. 44",
    "Das Amtsgericht Vane mit Urteil",
    "die Weigerung des Amtsgerichts Vane zu entlassen",
    "die Entscheidung des Landgerichts Vane nicht zu verurteilen",
    "Er spielt beim MTV Stuttgart und bei RTV.",
    "Zeuge Vane, a. a. O., S. 4",
    "Ute Vane, aaO, S. 4",
    "Herr Vane, Ermittlungsverfahren, S. 12",
    "Frau Vane, BGB, S. 12",
    "被告人张三住北京市海淀区。",
    "Il habite 12 rue de l'Orme à Lyon.",
    "Section leader Roe resigned.",
    "Article by Ann Vane in the Times",
    "Mr Bolam tests it.",
    "The Bolam family moved away.",
    "No Wednesbury children were seen.",
    "Ms Miranda was warned by him.",
    "Dr Terry stopped the car.",
    "Mrs Salomon has principles.",
    "Allen charged him ten pounds.",
)


def cited(marked: str) -> str:
    text = unmark(marked)
    return mark(text, citations(text))


@pytest.mark.parametrize("marked", CASES)
def test_cases_with_their_reports(marked: str) -> None:
    assert cited(marked) == marked


@pytest.mark.parametrize("marked", STATUTES)
def test_acts_codes_rules_and_treaties(marked: str) -> None:
    assert cited(marked) == marked


@pytest.mark.parametrize("marked", EPONYMS)
def test_names_that_stand_for_a_rule(marked: str) -> None:
    assert cited(marked) == marked


@pytest.mark.parametrize("marked", GERMAN)
def test_german_law(marked: str) -> None:
    assert cited(marked) == marked


@pytest.mark.parametrize("marked", CONTINENTAL)
def test_law_of_other_countries_whose_form_is_unmistakable(marked: str) -> None:
    assert cited(marked) == marked


@pytest.mark.parametrize("marked", CHINESE)
def test_chinese_law(marked: str) -> None:
    assert cited(marked) == marked


@pytest.mark.parametrize("text", NO_LAW)
def test_people_places_and_uncited_cases_are_no_law(text: str) -> None:
    assert citations(unmark(text)) == []


def test_several_citations_of_one_sentence_are_apart() -> None:
    marked = (
        "⟦Roe v. Poe, 410 U.S. 113 (1973)⟧, which Ann Vane cites, "
        "and ⟦section 2 of the Human Rights Act 1998⟧"
    )
    assert cited(marked) == marked


def test_ranges_are_sorted_and_do_not_overlap() -> None:
    text = " ".join(unmark(one) for one in (*CASES, *STATUTES, *EPONYMS))
    found = citations(text)
    assert found == sorted(found)
    assert all(end <= start for (_, end), (start, _) in pairwise(found))


@pytest.mark.parametrize(
    "claimed",
    [
        "Human Rights",
        "the Human Rights Act 1998 at home",
        "under section 2(1) of the Human Rights Act 1998 at home",
    ],
)
def test_an_act_with_its_section_stays_whatever_is_claimed(claimed: str) -> None:
    text = "It is under section 2(1) of the Human Rights Act 1998 at home."
    start = text.index(claimed)
    found = citations(text, [(start, start + len(claimed))])
    assert [text[one:end] for one, end in found] == ["section 2(1) of the Human Rights Act 1998"]
