"""Numbers, network addresses and dates in any language; what must be found is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.account import LexveilAccountRecognizer, iban_is_valid, luhn_is_valid
from lexveil.nlp.recognizers.date import LexveilDateRecognizer
from lexveil.nlp.recognizers.email import LexveilEmailRecognizer
from lexveil.nlp.recognizers.identity import (
    LexveilIdentityRecognizer,
    chinese_id_is_valid,
    french_nir_is_valid,
)
from lexveil.nlp.recognizers.national import LexveilNationalNumberRecognizer
from lexveil.nlp.recognizers.online import LexveilOnlineRecognizer
from lexveil.nlp.recognizers.phone import LexveilPhoneRecognizer
from lexveil.nlp.recognizers.plate import LexveilPlateRecognizer
from lexveil.nlp.recognizers.quantity import LexveilQuantityRecognizer
from tests.nlp.recognizers.marked import find_in, mark, normalize, unmark


@pytest.mark.parametrize(
    "text",
    [
        "write to ⟦a.roe@mail.example.org⟧, please",
        "(⟦ann+work@example.com⟧)",
        "<⟦ANN.ROE@EXAMPLE.COM⟧>",
        "⟦o'neil@example.ie⟧ wrote",
        "'⟦ann@example.com⟧'",
        "mailto:⟦ann_roe-1@sub.mail.example.co.uk⟧.",
        "⟦jörg@müller.de⟧ schrieb",
        "⟦a@b.io⟧; ⟦c@d.io⟧",
        "⟦ann％roe@example.com⟧",
        "致函⟦wang.fang@example.cn⟧的信箱",
        "邮箱：⟦li@邮件.中国⟧。",
        "an @ alone",
        "ann@localhost",
        "@handle",
        "ann@example.",
        "⟦ann at example dot com⟧",
        "a@@example.com",
        "price @ 5.00 each",
    ],
)
def test_email_addresses(text: str) -> None:
    assert find_in(LexveilEmailRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "call ⟦(785) 555-0142⟧ now",
        "Tel. ⟦785-555-0142⟧",
        "phone: ⟦785.555.0142⟧",
        "⟦+1 785 555 0142⟧ is hers",
        "mobile ⟦07700 900123⟧",
        "⟦+44 20 7946 0018⟧",
        "⟦0044 20 7946 0018⟧",
        "fax no. ⟦020 7946 0018⟧",
        "⟦(020) 7946 0018⟧ was dialed",
        "reached at ⟦785 555 0142 ext. 12⟧",
        "telephone number is ⟦555-0142⟧",
        "she texted ⟦07700 900 456⟧ and ⟦07700 900 457⟧",
        "⟦+33 1 23 45 67 89⟧",
        "téléphone ⟦01 23 45 67 89⟧",
        "Telefon: ⟦030 123456⟧",
        "Tel.: ⟦+49 (0)30 123456-78⟧",
        "Handy ⟦0170 1234567⟧",
        "电话⟦13800138000⟧",
        "手机号码：⟦138****8000⟧",
        "座机⟦0571-87654321⟧",
        "致电⟦+44 20 7946 0018⟧咨询",
    ],
)
def test_telephone_numbers(text: str) -> None:
    assert find_in(LexveilPhoneRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "Section 12.3 and 2019-2020",
        "no. 12345/67",
        "on 12/03/2020",
        "1,234,567.00 euros",
        "SSN 219-09-9999",
        "192.168.100.200",
        "4111 1111 1111 1111",
        "ISBN 978-3-16-148410-0",
        "the years 1998 - 2003",
        "from 1914 to 1918",
        "§ 823 Abs. 1",
        "Call me tomorrow at 5",
        "EIN 12-3456789",
        "ZIP 62704-1234",
        "pages 100-200 of 12345",
        "第1234567890号",
        "call +0 0000",
    ],
)
def test_numbers_that_are_no_telephones(text: str) -> None:
    assert find_in(LexveilPhoneRecognizer(), text) == unmark(text)


@pytest.mark.parametrize(
    "text",
    [
        "to ⟦DE89 3704 0044 0532 0130 00⟧ today",
        "IBAN ⟦GB82WEST12345698765432⟧.",
        "⟦de89370400440532013000⟧",
        "⟦DE89-3704-0044-0532-0130-00⟧",
        "⟦FR14 2004 1010 0505 0001 3M02 606⟧ of Ms Roe",
        "⟦DE89 3704 0044 0532 0130 00⟧ HELD",
        "汇入⟦DE89370400440532013000⟧账户",
        "card ⟦4539 1488 0343 6467⟧",
        "card ⟦4539-1488-0343-6467⟧ expires",
        "⟦4539148803436467⟧",
        "⟦xxxx-xxxx-xxxx-1234⟧",
        "⟦**** **** **** 1234⟧",
        "account no. ⟦12345678⟧",
        "client account ⟦12345678⟧",
        "sort code ⟦12-34-56⟧",
        "Account number: ⟦0012 3456 78⟧",
        "bank account ending in ⟦4321⟧",
        "SWIFT: ⟦DEUTDEFF500⟧",
        "routing number ⟦021000021⟧",
        "Konto Nr. ⟦1234567⟧",
        "账号为⟦6222021234567890123⟧",
        "尾号⟦1234⟧的银行卡",
        "to ⟦DE88 3704 0044 0532 0130 00⟧ today",
        "card ⟦4539 1488 0343 6468⟧",
        "card ⟦4111 1111 1111 1111⟧",
        "to DE88 3704 0044 0532 0130 today",
        "4539 1488 0343 6468 units",
        "0000 0000 0000 0000",
        "on account of 12 errors",
        "the account of Ms Roe",
        "account for 2019",
        "balance of account 3",
        "case no. 12345678",
    ],
)
def test_accounts_and_cards(text: str) -> None:
    assert find_in(LexveilAccountRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "SSN ⟦219-09-9999⟧",
        "⟦xxx-xx-1234⟧",
        "身份证号⟦11010519491231002X⟧",
        "⟦110105194912310021⟧",
        "⟦110105********002X⟧",
        "统一社会信用代码⟦91110000600037341L⟧",
        "护照号码：⟦E12345678⟧",
        "车牌号为⟦浙A12345⟧",
        "passport no. ⟦C01X00T47⟧",
        "Passport No: ⟦AB123456⟧",
        "driver's license ⟦D1234567⟧",
        "badge number ⟦4321⟧",
        "inmate no. ⟦A-12345⟧",
        "Steuer-ID ⟦12 345 678 901⟧",
        "HRB ⟦12345⟧",
        "VAT ⟦GB 123 4567 89⟧",
        "⟦ATU12345678⟧",
        "⟦CHE-123.456.789⟧",
        "NHS number ⟦943 476 5919⟧",
        "⟦123.456.789-09⟧",
        "⟦12.345.678/0001-95⟧",
        "⟦1 84 12 76 451 089 46⟧",
        "plot no. ⟦123/4⟧",
        "plots nos. ⟦12/3 and 12/4⟧",
        "title no. ⟦1234⟧",
        "the number ⟦987654321012⟧",
        "000-12-3456 is none",
        "666-12-3456",
        "900-12-3456",
        "219-00-9999",
        "policy of the state",
        "inmate 12",
        "id est",
        "123456789 euros",
        "$123456789",
        "in 12345678",
        "License 12 of them",
        "1.234.567.890",
    ],
)
def test_identity_numbers(text: str) -> None:
    assert find_in(LexveilIdentityRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "NINO ⟦AB123456C⟧",
        "pesel ⟦44051401359⟧",
        "Aadhaar ⟦2345 6789 0124⟧",
        "NHS ⟦943 476 5919⟧",
        "codice fiscale ⟦RSSMRA85T10A562S⟧",
        "Kfz-Kennzeichen ⟦B-AB 1234⟧",
        "on 12.05.2004",
        "12345/04",
        "2019-2020",
        "the sum of 100 000 000",
        "AB123456C",
        "1234567",
    ],
)
def test_national_numbers(text: str) -> None:
    assert find_in(LexveilNationalNumberRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "codice fiscale ⟦RSSMRA80A01H501X⟧",
        "cod. fisc. ⟦RSSMRA80A01H5O1X⟧, nato a Roma",
        "C. F. ⟦RSS MRA 80A01 H501X⟧",
        "Mario Rossi, ⟦RSSMRA80A01H501X⟧, dichiara",
        "P. IVA ⟦01234567891⟧",
        "D.N.I. nº ⟦12.345.678-A⟧, comparece",
        "documento nacional de identidad número ⟦12345678-A⟧",
        "Ana Ruiz, ⟦12345678A⟧, comparece",
        "burgerservicenummer ⟦1234.56.789⟧",
        "rijksregisternummer ⟦85.07.30-033.62⟧",
        "nr PESEL: ⟦440514 01358⟧, wniósł",
        "(PESEL: ⟦4405I401359⟧)",
        "dowód osobisty ⟦ABA123456⟧",
        "inscrito no CPF sob o nº ⟦12345678900⟧",
        "portador do RG ⟦12.345.678-X⟧",
        "numéro de sécurité sociale ⟦1 85 05 78 006 084 00⟧",
        "n° de sécu : ⟦1 85 05 78 O06 084 36⟧, a interjeté",
        "au RCS de Paris sous le numéro ⟦123 456 789⟧",
        "Steuer-Identifikationsnummer: ⟦12 345 678 901⟧",
        "Rentenversicherungsnummer ⟦65 170839 J 004⟧, hat",
        "Aadhaar No. ⟦1234 5678 9012⟧",
        "TFN ⟦123 456 783⟧",
        "rodné číslo ⟦800101/1234⟧",
        "henkilötunnus ⟦010180-123X⟧",
        "СНИЛС ⟦112-233-445 96⟧",
        "passeport délivré le 12.05.2004",
        "Reisepass 12.05.2004",
        "la patente de 2004",
        "RG 7 und RG 8",
    ],
)
def test_a_label_makes_up_for_a_wrong_check_digit(text: str) -> None:
    plain = unmark(text)
    found = [
        (finding.start, finding.end)
        for recognizer in (LexveilIdentityRecognizer(), LexveilNationalNumberRecognizer())
        for finding in recognizer.find(plain)
    ]
    assert mark(plain, found) == normalize(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("NINO AB123456C", "ID_NUMBER"),
        ("routing number 021000021", "ACCOUNT_NUMBER"),
        ("Kfz-Kennzeichen B-AB 1234", "PLATE"),
    ],
)
def test_national_numbers_have_the_type_of_their_kind(text: str, kind: str) -> None:
    assert kind in {finding.type for finding in LexveilNationalNumberRecognizer().find(text)}


@pytest.mark.parametrize(
    "text",
    [
        "see ⟦https://example.org/a?b=1#c⟧.",
        "(⟦http://example.org⟧)",
        "⟦www.example.com/path⟧,",
        "⟦WWW.EXAMPLE.COM⟧",
        "at ⟦example.com⟧ and ⟦mail.example.co.uk:8080/x⟧",
        "⟦EXAMPLE.COM⟧ is",
        "⟦ftp://files.example.net/roe.pdf⟧",
        "访问⟦https://example.cn/⟧页",
        "登录⟦example.cn⟧网站",
        "v. Union",
        "Acme S.p.A. sued",
        "e.g. this",
        "i.e. that",
        "Art. 3.No. 4",
        "ann@example.com",
        "Inc. is",
        "the end.The next",
        "no.4",
    ],
)
def test_web_addresses(text: str) -> None:
    assert find_in(LexveilOnlineRecognizer(), text, "URL") == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "IP ⟦192.168.0.1⟧.",
        "⟦10.0.0.0/24⟧",
        "⟦192.0.2.17:443⟧",
        "地址为⟦192.0.2.17⟧登录",
        "⟦2001:db8::ff00:42:8329⟧ logged",
        "⟦fe80::1%eth0⟧",
        "⟦::ffff:1⟧",
        "⟦00:1A:2B:3C:4D:5E⟧",
        "⟦001a.2b3c.4d5e⟧",
        "⟦00-1A-2B-3C-4D-5E⟧",
        "version 1.2.3.4",
        "section 1.2.3.4 applies",
        "§ 1.2.3.4",
        "at 10:20:30 hours",
        "a::b",
        "256.1.1.1",
        "1.2.3",
        "00-1A-2B-3C-4D",
    ],
)
def test_addresses_of_machines(text: str) -> None:
    assert find_in(LexveilOnlineRecognizer(), text, "IP_ADDRESS") == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "the car, ⟦AB12 CDE⟧, stopped",
        "licence plate ⟦AB12 CDE⟧",
        "license plate number ⟦7ABC123⟧",
        "registration number ⟦34 ABC 123⟧",
        "registration mark: ⟦AB12CDE⟧",
        "Kennzeichen ⟦B-AB 1234⟧",
        "amtliches Kennzeichen ⟦M-XY 123⟧",
        "a blue Volkswagen (⟦HH-AB 123⟧)",
        "the truck ⟦KA 01 AB 1234⟧",
        "⟦AA-229-AA⟧",
        "⟦KA 01 AB 1234⟧",
        "⟦京A12345⟧",
        "⟦浙B·1234D⟧",
        "驾驶⟦粤BD12345⟧小型轿车",
        "⟦川A××345⟧",
        "the vehicle of 2019",
        "registered office",
        "a plate of food",
        "BMW 320 was new",
        "ICAO-229-AA",
        "京东公司",
        "the car on page 12",
        "plate no. 1",
    ],
)
def test_license_plates(text: str) -> None:
    assert find_in(LexveilPlateRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "paid ⟦€ 1,234.56⟧ to",
        "⟦$5 million⟧",
        "⟦EUR 12 000⟧",
        "⟦CHF 1'000⟧",
        "⟦Rs. 50,000⟧",
        "⟦£12⟧",
        "⟦12,000 euros⟧",
        "⟦five hundred dollars⟧",
        "⟦2,000 Turkish liras⟧",
        "⟦1.234,56 Euro⟧",
        "⟦25%⟧",
        "⟦12.5 %⟧ of",
        "⟦3,5 Prozent⟧",
        "⟦twenty-five per cent⟧",
        "⟦30 hectares⟧",
        "⟦45 m²⟧",
        "⟦10 km⟧ away",
        "⟦2.5 kg⟧ of heroin",
        "⟦人民币5000元⟧",
        "⟦3.5万元⟧",
        "⟦50%⟧的股份",
        "⟦200美元⟧",
        "page 12",
        "12 people",
        "in 1999",
        "§ 12",
        "5 times",
        "元旦",
        "two cars",
        "the pound",
        "no. 500",
        "12 years",
    ],
)
def test_quantities(text: str) -> None:
    assert find_in(LexveilQuantityRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "on ⟦4 May 1972⟧ and ⟦2019-03-04⟧",
        "⟦May 4, 1972⟧",
        "⟦4th of May, 1972⟧",
        "⟦the beginning of May 2001⟧",
        "⟦12 and 13 June 2001⟧",
        "⟦early May 2003⟧",
        "⟦JANUARY 5, 2001⟧",
        "⟦Sept. 3, 2001⟧",
        "⟦04/05/1972⟧",
        "⟦4.5.1972⟧",
        "⟦4-5-72⟧",
        "⟦2019-03-04T10:20:30Z⟧",
        "于⟦2019-03-04⟧签订",
        "⟦March 2001⟧",
        "⟦March to June 2001⟧",
        "⟦4 May⟧ at noon",
        "on ⟦May 4⟧ she",
        "in ⟦1999⟧",
        "between ⟦1998 and 2001⟧",
        "since ⟦2003⟧",
        "summer of ⟦1999⟧",
        "am ⟦12. März 1980⟧",
        "im ⟦Mai 2003⟧",
        "le ⟦3 juillet 2010⟧",
        "⟦2018年5月1日⟧",
        "⟦二〇一八年五月一日⟧",
        "⟦5月1日⟧",
        "⟦2018年⟧至",
        "⟦2018年5月⟧",
        "⟦２０１８年５月１日⟧",
        "⟦中華民國110年3月5日⟧",
        "⟦109年2月1日⟧",
        "⟦民國一百零八年⟧間",
    ],
)
def test_dates(text: str) -> None:
    assert find_in(LexveilDateRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "Section 5 May be amended.",
        "The Lender may assign. Section 5 May be amended.",
        "Clause 12 May not apply",
        "may 5 of them",
        "Ms May spoke",
        "1,234 items",
        "1999 people",
        "version 1.2.3",
        "no. 12345/99",
        "March on",
        "in 19999",
        "in 1999/2000",
        "in 2000%",
        "31.12",
        "13/13/2000/1",
        "1234年",
    ],
)
def test_numbers_that_are_no_dates(text: str) -> None:
    assert find_in(LexveilDateRecognizer(), text) == unmark(text)


@pytest.mark.parametrize(
    ("number", "is_valid"),
    [
        ("GB82 WEST 1234 5698 7654 32", True),
        ("GB82WEST12345698765432", True),
        ("NO9386011117947", True),
        ("GB82 WEST 1234 5698 7654 33", False),
        ("GB28 WEST 1234 5698 7654 32", False),
        ("GB82", False),
    ],
)
def test_check_digits_of_ibans(number: str, is_valid: bool) -> None:
    assert iban_is_valid(number) is is_valid


@pytest.mark.parametrize(
    ("number", "is_valid"),
    [("4012888888881881", True), ("4539 1488 0343 6467", True), ("4012888888881882", False), ("18", True)],
)
def test_check_digits_of_cards(number: str, is_valid: bool) -> None:
    assert luhn_is_valid(number) is is_valid


@pytest.mark.parametrize(
    ("number", "is_valid"),
    [
        ("11010519491231002X", True),
        ("11010519491231002x", True),
        ("110105194912310021", False),
        ("11010519491231003X", False),
    ],
)
def test_check_digits_of_chinese_identity_cards(number: str, is_valid: bool) -> None:
    assert chinese_id_is_valid(number) is is_valid


@pytest.mark.parametrize(
    ("number", "is_valid"),
    [
        ("1 84 12 76 451 089 46", True),
        ("184127645108946", True),
        ("1 84 12 76 451 089 47", False),
        ("2 84 12 76 451 089 46", False),
        ("1 84 12 2A 451 089 33", True),
        ("1 84 12 2A 451 089 34", False),
    ],
)
def test_check_digits_of_french_social_security(number: str, is_valid: bool) -> None:
    assert french_nir_is_valid(number) is is_valid


@pytest.mark.parametrize(
    "text",
    [
        "call ⟦oh seven seven double oh, nine double oh, four one seven⟧ now",
        "one or two of the three",
        "His number is ⟦+44 7700\n900 417⟧. He",
        "mobile is ⟦+44 7700\u0300 900\u0301 582⟧.",
    ],
)
def test_numbers_that_are_said_broken_or_marked(text: str) -> None:
    assert find_in(LexveilPhoneRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "His A-file is ⟦A078-123-456⟧.",
        "Alien number: ⟦A 078 123 456⟧",
        "DNI ⟦32.456.789⟧, domiciliado",
        "CUIT ⟦20-32456789-3⟧ y",
        "OIB: ⟦12345678903⟧",
    ],
)
def test_numbers_of_other_states(text: str) -> None:
    assert find_in(LexveilIdentityRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "to ⟦GB71 TEST 8475\n4699 9166 11⟧ by",
        "to ⟦GB71 TEST 8475 4699 \n9166 11⟧ by",
        "card ⟦4111 1111\n1111 1111⟧ was",
        "rows\n1234\n5678\n1357\n2468\nend",
    ],
)
def test_account_numbers_over_a_line_end(text: str) -> None:
    assert find_in(LexveilAccountRecognizer(), text) == normalize(text)
