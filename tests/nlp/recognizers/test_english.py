"""English: people, homes and companies invented for these tests; what must be found is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.address import EnglishAddressRecognizer
from lexveil.nlp.recognizers.age_birth import EnglishAgeBirthRecognizer
from lexveil.nlp.recognizers.family import EnglishFamilyRecognizer
from lexveil.nlp.recognizers.organization import EnglishOrganizationRecognizer
from lexveil.nlp.recognizers.person import EnglishPersonRecognizer, is_a_name, trim_name
from tests.nlp.recognizers.marked import find_in, normalize, unmark


@pytest.mark.parametrize(
    "text",
    [
        "Mr ⟦Osgood Pell⟧ left.",
        "Ms ⟦Quill⟧ and Dr ⟦Fern⟧ spoke",
        "Mrs. ⟦Ada Q. Thornbury⟧'s car",
        "Mr. and Mrs. ⟦Pell⟧",
        "Judge ⟦Elmsworth⟧ ruled",
        "Sir ⟦Karl Poe⟧",
        "Detective Sergeant ⟦Vane⟧ testified",
        "Mr ⟦van der Berg⟧",
        "Ms ⟦O'Hara⟧",
        "Mr ⟦de la Cruz⟧",
        "Dr ⟦Jean-Luc Poirot-Lane⟧",
        "Mr ⟦Karl Poe Jr⟧. left",
        "Mr ⟦K.⟧ appealed",
        "Mr ⟦Bond⟧ paid the bond",
        "Mr Justice ⟦Vane⟧",
        "Herr ⟦Winter⟧",
        "Mme ⟦Lefort⟧",
        "Señora ⟦Quiroga⟧",
    ],
)
def test_people_by_their_title(text: str) -> None:
    assert find_in(EnglishPersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "the plaintiff ⟦Ann Roe⟧ alleges",
        "the applicant, ⟦Osgood Pell⟧, complained",
        "the defendant ⟦JOHN ELM⟧",
        "witness: ⟦Adam Kerr⟧",
        "his wife ⟦Nora Moss⟧ and",
        "a man named ⟦Bob Poe⟧ came",
        "known as ⟦Bob Poe⟧",
        "née ⟦Fern⟧",
        "maiden name ⟦Holm⟧",
        "⟦Ann Roe⟧, born on 4 May 1972",
        "⟦Nora Moss⟧, aged 47,",
        "⟦Karl Poe⟧, an individual",
        "⟦Ann Roe⟧, who lives in",
        "represented by ⟦Mary Fern⟧, a lawyer",
        "care of ⟦Karl Poe⟧",
        "⟦Karl Poe⟧ Esq. appeared",
        "⟦Iris Joss⟧, President, read",
        "⟦Mary Fern⟧, Q.C.",
        "⟦J.P.⟧ complained",
        "Present: ⟦C. Ottley⟧ (Chair), Mrs ⟦P. Vane-Hart⟧, ⟦J. Quorn⟧\n",
        "2 | ⟦B. Quorn⟧ | 3,400",
        "Pt: ⟦QUORN, Ada⟧ (F, 41)",
        "I appoint ⟦Clement Quorn⟧ executor",
        "DEPOSITION OF ⟦ADA R. QUORN⟧\n",
        "The petitioner's son ⟦Chunnu⟧ is a minor",
        "Cllr ⟦Quorn⟧ declared an interest",
        "the case of ⟦A.B.⟧ was",
    ],
)
def test_people_by_the_words_around_them(text: str) -> None:
    assert find_in(EnglishPersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "/s/ ⟦Osgood Pell⟧",
        "By: ⟦Ada Thornbury⟧",
        "Name: ⟦Ada Thornbury⟧\nTitle: President",
        "Printed Name: ⟦Ada Thornbury⟧",
        "Witness: ⟦Adam Kerr⟧  Date: today",
        "Attention: ⟦Karl Poe⟧",
        "Dear ⟦Ann Roe⟧,",
        "CASE OF ⟦OSGOOD⟧ v. TURKEY\n",
        "⟦ANN ROE⟧,\n   Plaintiff,",
        "⟦ANN ROE⟧ et al.,\n   Plaintiffs,",
        "⟦Ann Roe⟧ and ⟦Bob Poe⟧,\nDefendants.",
        "⟦Roe⟧ v. Acme Ltd\n",
        "⟦Roe⟧ and Others v. Poland\n",
        "In re ⟦Osgood Pell⟧\n",
        "In the Matter of ⟦Osgood Pell⟧\n",
        "Estate of ⟦Ada Thornbury⟧\n",
    ],
)
def test_people_in_signatures_and_captions(text: str) -> None:
    assert find_in(EnglishPersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "the plaintiff alleges",
        "The Plaintiff Shall Pay",
        "the defendant Company",
        "the witness was heard",
        "the Applicant Government",
        "the Lender and the Borrower",
        "Defendant's Motion to Dismiss",
        "Section 4 of the Act",
        "the Supreme Court of Norway",
        "the Court of Appeal",
        "State v. Acme Ltd\n",
        "Turkey v. Poland\n",
        "N.A. and L.P.",
        "the U.S. law",
        "e.g. this",
        "Mr",
        "Dear Sir or Madam,",
        "Title: President",
        "By: ",
        "Attention: Legal Department",
    ],
)
def test_words_that_name_nobody(text: str) -> None:
    assert find_in(EnglishPersonRecognizer(), text) == unmark(text)


@pytest.mark.parametrize(
    ("text", "titled", "name"),
    [
        ("Mr Osgood Pell", False, "Osgood Pell"),
        ("the Osgood Pell Agreement", False, "Osgood Pell"),
        ("(Osgood Pell),", False, "Osgood Pell"),
        ("Osgood Pell's", False, "Osgood Pell"),
        ("Osgood P.", False, "Osgood P."),
        ("Osgood Pell of", False, "Osgood Pell"),
        ("Osgood Banks", False, "Osgood Banks"),
        ("Bond", True, "Bond"),
        ("Bond", False, None),
        ("the Lender", False, None),
        ("Lady Judge", True, None),
        ("2019 12", False, None),
        (" ,.", False, None),
        ("", False, None),
    ],
)
def test_a_name_is_trimmed(text: str, titled: bool, name: str | None) -> None:
    trimmed = trim_name(text, 0, len(text), titled=titled)
    assert (text[slice(*trimmed)] if trimmed else None) == name


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("so Osgood Pell came", "Osgood Pell", True),
        ("so PELL came", "PELL", False),
        ("so QUILLFEATHER came", "QUILLFEATHER", True),
        ("so osgood came", "osgood", False),
        ("so Pell2 came", "Pell2", False),
        ("so Al came", "Al", False),
        ("in Norway today", "Norway", False),
        ("REASONS OF OSGOOD PELL HERE\nthen", "OSGOOD PELL", False),
        ("OSGOOD PELL\nthen", "OSGOOD PELL", True),
        ("so A B C D E F G came", "A B C D E F G", False),
    ],
)
def test_what_a_model_calls_a_name_must_look_like_one(text: str, name: str, expected: bool) -> None:
    start = text.index(name)
    assert is_a_name(text, start, start + len(name)) is expected


@pytest.mark.parametrize(
    "text",
    [
        "lives at ⟦12 Elm Road⟧, alone",
        "at ⟦1600 Maple Avenue, Suite 4, Springfield, IL 62704⟧.",
        "of ⟦221B Baker Street, London NW1 6XE⟧",
        "at ⟦14 Elm Crescent⟧. Daubert factors apply",
        "to ⟦9 Rose St⟧. Albans Road was closed",
        "at ⟦12 High St⟧. Ada Roe saw it",
        "at ⟦100 Main St. Roeville, IL 62704⟧ on",
        "r/o ⟦Vill. Roepur, P.S. Poegarh⟧",
        "⟦Flat 3, 12 Elm Road, Leeds LS1 4AB⟧",
        "⟦14 North Elm St.⟧, then",
        "⟦123 45th Street⟧",
        "⟦5 Mill Lane, Ashby⟧ was",
        "⟦P.O. Box 123, Springfield, IL 62704⟧",
        "⟦Springfield, Illinois 62704⟧",
        "⟦SW1A 1AA⟧",
        "⟦Berliner Straße 5, 10115 Berlin⟧",
        "born in ⟦Elmsworth⟧",
        "resides in ⟦Elmsworth, Kent⟧",
        "living in the ⟦town of Elmsworth⟧",
        "the ⟦village of Ash⟧",
        "⟦Elmsworth village⟧",
        "12 Angry Men",
        "Section 12 Road Traffic Act",
        "5 Court orders",
        "12 days",
        "$12 Drive",
        "§ 12 Lane",
        "in the United Kingdom",
        "located in the State",
        "lives in fear",
        "works at the Court",
        "Article 6 Convention",
        "the District Court",
        "Elmsworth District Court",
    ],
)
def test_addresses(text: str) -> None:
    assert find_in(EnglishAddressRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦Quillfeather Logistics LLC⟧ paid",
        "between ⟦Acme Widgets, Inc.⟧ and",
        "⟦Pell Holdings Ltd⟧ and",
        "⟦Roe & Vane LLP⟧",
        "⟦Pell, Quill & Vane, LLP⟧",
        "⟦Nordlicht GmbH & Co. KG⟧",
        "⟦Osgood S.p.A.⟧ sued",
        "⟦Banque de Pell S.A.⟧ is",
        "⟦Elm Bank⟧ refused",
        "⟦Thornbury Hospital⟧",
        "⟦Elmsworth Teachers Union⟧",
        "the ⟦University of Elmsworth⟧",
        "The ⟦Bank of Elmsworth⟧",
        "the Company",
        "the Supreme Court",
        "the Lender Company",
        "the Holding Company",
        "Limited Liability",
        "this Corporation",
        "The Bank",
        "the Bank of the State",
        "an insurance company",
        "the Union",
        "Co",
    ],
)
def test_organizations(text: str) -> None:
    assert find_in(EnglishOrganizationRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "Roe, aged ⟦47⟧, left",
        "aged ⟦forty-two⟧.",
        "at the age of ⟦12⟧,",
        "She is ⟦73 years old⟧.",
        "a ⟦six-year-old⟧ boy",
        "⟦18 months old⟧",
        "⟦21 yo⟧",
        "the defendant, ⟦34⟧, said",
        "persons under 18 years of age",
        "at least 16 years old",
        "until she is 65 years old",
        "retirement at the age of 67,",
        "the age of majority",
        "aged care",
        "12 years in prison",
        "5 years ago",
    ],
)
def test_ages(text: str) -> None:
    assert find_in(EnglishAgeBirthRecognizer(), text, "AGE") == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "born on ⟦4 May 1972⟧ in",
        "born in Elmsworth on ⟦4 May 1972⟧",
        "(born ⟦1972⟧)",
        "(b. ⟦1972⟧)",
        "DOB: ⟦04/05/1972⟧",
        "D.O.B. ⟦1972-05-04⟧",
        "Date of birth: ⟦May 4, 1972⟧",
        "birthday is ⟦4 May 1972⟧",
        "née le ⟦3 juillet 1970⟧",
        "geboren am ⟦12. März 1980⟧",
        "born free",
        "date of birth unknown",
        "signed on 4 May 1972",
        "The company was born of a merger",
    ],
)
def test_dates_of_birth(text: str) -> None:
    assert find_in(EnglishAgeBirthRecognizer(), text, "BIRTH_DATE") == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "Roe and ⟦his wife⟧ left",
        "⟦my mother-in-law⟧",
        "⟦their children⟧",
        "⟦his stepdaughter⟧",
        "the applicant's ⟦late father⟧",
        "the victim's ⟦common-law husband⟧",
        "the deceased's ⟦grandson⟧",
        "Roe's ⟦younger brother⟧",
        "the ⟦wife⟧ of the applicant",
        "a ⟦brother⟧ of Mr Roe",
        "⟦sister⟧ Ann Roe",
        "husband and wife",
        "a child",
        "the children of the marriage",
        "parent company",
        "sister ship",
        "brotherhood",
        "family law",
        "the mother tongue",
    ],
)
def test_kin(text: str) -> None:
    assert find_in(EnglishFamilyRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "signed by Ann B. Roe, ⟦Dunn & Partners LLP⟧, for the buyer",
        "represented by Osgood B. Pell of ⟦Thornbury & Vane LLP⟧; he",
        "Karen Pell, ⟦Thornbury Logistics Ltd⟧, wrote",
        "⟦Pell, Roe & Partners LLP⟧ sued",
        "of 7 Lucy Way, North Quillford BA1 9SA and ⟦Thornbury Packaging Ltd⟧, agree",
        "at 86 Quill Mall, Rochford, CO 96205.",
        "of 3 Pell Falls, South Quillville, NV 32758 after",
        "⟦Philips NV⟧ paid",
        "in which Valerie H. Pell and ⟦Thornbury & Vane LLP⟧ appeared",
        "code written by Osgood B. Pell for ⟦Thornbury Logistics Inc.⟧ in May",
        "code written by Karen Pell for ⟦Thornbury Logistics Inc.⟧ in May",
        "of 135 Lydia Union, Quillside",
        "⟦Pell Institute for Advanced Studies Inc.⟧ paid",
    ],
)
def test_a_company_ends_where_a_person_or_an_address_begins(text: str) -> None:
    assert find_in(EnglishOrganizationRecognizer(), text, "ORGANIZATION") == normalize(text)


def test_the_person_before_a_firm_is_found() -> None:
    text = "signed by ⟦Ann B. Roe⟧, Dunn & Partners LLP, for the buyer"
    assert find_in(EnglishOrganizationRecognizer(), text, "PERSON") == normalize(text)
