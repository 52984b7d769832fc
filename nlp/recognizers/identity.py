# ruff: noqa: E501  -- patterns read best on one line
"""Numbers that states and others give to people, after a label or in a form of their own.

`lexveil.nlp.recognizers.national` reads the numbers that Presidio has patterns and check digits for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.letters import HAN
from lexveil.nlp.recognizers.base import (
    CHECKED,
    LABELED,
    SHAPED,
    SHARED,
    Finding,
    RuleRecognizer,
    find_matches,
)

_SSN = SHARED.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_SSN_MASKED = SHARED.compile(r"(?<![\w-])[xX*]{3}-?[xX*]{2}-?\d{4}(?![\w-])")
# Of the immigration authority of the United States.
_ALIEN = SHARED.compile(r"(?<![\w-])A ?\d{3}[ -]\d{3}[ -]\d{3}(?![\w-])")
_CHINESE_ID = SHARED.compile(
    r"(?<!\d)[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?!\d)"
)
_CHINESE_ID_MASKED = SHARED.compile(r"(?<!\d)[1-9]\d{5}[\d*xX]{8}[\d*xX]{3}[\dXx*](?!\d)")
_CREDIT_CODE = SHARED.compile(r"(?<![0-9A-Z])[159Y][1239]\d{6}[0-9A-HJ-NPQRTUWXY]{10}(?![0-9A-Z])")
_FRENCH_NIR = SHARED.compile(
    r"(?<!\d)[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}(?!\d)"
)
_VAT = SHARED.compile(
    r"(?<!\w)(?:ATU\d{8}|BE ?[01]\d{3}\.?\d{3}\.?\d{3}|DE ?\d{9}|DK ?\d{8}|ES ?[A-Z\d]\d{7}[A-Z\d]|FR ?[A-Z\d]{2} ?\d{9}"
    r"|GB ?\d{3} ?\d{4} ?\d{2}|IT ?\d{11}|NL ?\d{9}B\d{2}|PL ?\d{10}|CHE-?\d{3}\.\d{3}\.\d{3})(?!\w)"
)
# A telephone or an account number of the same length is the better guess.
_BARE = SHAPED - 0.03
# What may separate the label and the number: a colon, "no.", "is", brackets; never a sentence.
_GAP = r"[\s.-]*(?:\(?(?:no|nos|number|num|nr|card|id|#)\b\.?\)?)?\s*(?:is|was|of|:|#|=)?\s*"
_LABELED = SHARED.compile(
    r"(?i)\b(?:passport|driver'?s?'? licen[cs]e|driving licen[cs]e|D/?L|Führerschein|licen[cs]e(?= no)"
    r"|social security|SSN|SIN|TIN|EIN|ITIN|tax(?:payer)? (?:identification|id|reference)|tax id|national (?:insurance|id(?:entity|entification)?)"
    r"|identity card|identification card|id card|id|NINO|NHS|medicare|medicaid|green card|membership|student (?:id|no|number)|NMC|GMC|HCPC|NPI|PIN|warrant card|collar|alien registration|A-number|badge"
    r"|bar (?:no|number|roll)|SBN|state bar|inmate|prisoner|booking|employee (?:id|no|number)|employer identification"
    r"|alien (?:no|number)|A-?file|A#|BRP|residence permit|travel document|DNI|NIE|CUI[TL]|RUT|CURP|RFC|OIB|JMBG|KRS|REGON|KvK|SIREN|SIRET|C\.? ?F(?=\.)|P\.? ?IVA|R\.? ?N(?=\.)|UTR|IRN|individual reference number|cédula(?: de ciudadanía)?|(?:patient|hosp(?:ital|\.)?|unit|chart) (?:id|no|number)|medical record|MRN|policy|VIN|vehicle identification|company (?:no|number|registration)"
    r"|registration|registered (?:no|number)|VAT(?: registration)?|PESEL|NIP|BSN|CPF|CNPJ|codice fiscale|Steuer-?ID"
    r"|Steueridentifikationsnummer|Steuernummer|USt-?Id(?:Nr)?|Personalausweis|Reisepass|Personalausweisnummer"
    r"|Sozialversicherungsnummer|HRB|HRA)\b"
    + _GAP
    + r"((?=[A-Z\d./ -]*\d)(?:[A-Z]{2} (?=[A-Z]\d))?[A-Z]{0,4}[ -]?\d[A-Z\d]*(?:[ ./-][A-Z\d]*\d[A-Z\d]*){0,5})(?!\w)"
)
_LABELED_ZH = SHARED.compile(
    r"(?:身[份分]证(?:统一)?(?:字号|编号|号?码?)|国民身分证统一编号|居留证(?:统一证号|号码?)|健保卡号|公民身份号码|公民身份证号码?|护照号?码?|驾驶证号?码?|社会信用代码|证件号码?|车牌号?码?|执业证号)[为是:,\s]*"
    rf"([A-Z\d{HAN}]?[A-Z\d*]{{4,20}})"
)
_BRAZILIAN = SHARED.compile(
    r"(?<![\w.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\w)|(?<![\w.])\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}(?!\w)"
)
# Accounts of the messengers and payment services of China.
_MESSENGER_ZH = SHARED.compile(
    r"(?:微信|QQ|抖音|快手|支付宝|微博|小红书|陌陌)(?:账户|账?号码?|名|ID|昵称)?[为是:,\s]{0,3}(?<![A-Za-z0-9])([A-Za-z][\w-]{4,29}|\d{5,12})(?![\w@])",
)
# A number this long that counts nothing identifies somebody, whoever issued it.
_LONG = SHARED.compile(
    r"(?<![\w.,/$€£#-])\d{9,20}(?![\w%]|[.,/-]\d| (?:euros?|dollars?|EUR|USD|liras?|TRL|元))"
)
# What states call their numbers elsewhere. After such a label a wrong check digit, or a letter read for a
# digit, doesn't matter: people mistype numbers, and scans misread them.
_LONG_LABEL = (
    r"(?i:\b(?:cod(?:ice|\.)? ?fisc(?:ale|\.)?|part(?:ita|\.)? ?iva|cart[ae] d['’ ]?identit[àé]|patente|tessera sanitaria"
    r"|documento nacional de identidad|seguridad social|c[ée]dula|cuit|cuil|curp|pasaporte|passaporte?|passeport|paspoort|paszport\w{0,3}"
    r"|burgerservice|rijksregister|sofi|rijbewijs|pesel|regon|dow(?:ód|odu|odem) osobist\w{1,3}|cnpj|cpf|ctps|t[íi]tulo de eleitor"
    r"|cart[ãa]o de cidad[ãa]o|bilhete de identidade|s[ée]curité sociale|s[ée]cu|num[ée]ro (?:national|fiscal)|carte nationale d['’]identité|titre de s[ée]jour|permis de conduire"
    r"|siren|siret|rcs(?: de)? [\w-]{2,30}|steuer-?(?:id(?:entifikation)?s?)?-?|idnr|(?:sozial|renten|kranken|unfall)?versicher(?:ungs|ten)|svnr|rvnr|personalausweis|reisepass|führerschein|ausweis"
    r"|personnummer|personnr|f[øö]dselsnummer|organisationsnummer|henkilötunnus|hetu|adóazonosító|személyi|kimlik"
    r"|osobn[aeu] iskaznic[aeu]|jmbg|oib|aadhaa?r|bsn))"
)
_SHORT_LABEL = (
    r"\b(?:[Rr]odn(?:é|ého|ým) čísl\w{1,2}|[Ll]ičn[aeu] kart[aeu]|[Mm]atični broj|ЕГН|ИНН|СНИЛС|[Пп]аспорт|ОГРН|ΑΦΜ|ΑΜΚΑ|ΑΔΤ|ЈМБГ|[Мм]атични број"
    r"|C\. ?C\.(?= ?(?:[Nn][.º°o]{1,2} ?)?\d[\d.]{5})|C\. ?F\.|CF|P\. ?I\.|D\.? ?N\.? ?I\b|N\.? ?I\.? ?[EF]\b|C\.I\.F|NUSS|NIPC|NISS|NIP|NIT|CNH|RG|NIR|SS|PNC(?: ?ID)?|CRO|CHI|PPSN?|CNI|IČO?|DIČ|r\. ?č|CPR|CVR|CNP|CUI|KRS|KvK|PAN|RUT|RFC|NIN|PIS(?:/PASEP)?|SV|AHV|TAJ|CCCD|CMND)"
)
_NUMBER_WORDS = r"(?i:nummer|number|numer\w{0,3}|n[uú]m(?:ero)?|num[ée]ro|numero|n[rcoº°]|no|n|č|szám|jele|broj|id|mf|me|sob|o|sous|le|under|unter|der|seria|s[ée]rie|is|ist|est|è|es|was|de|du|di|della|ssp)"
_MISTYPED = tuple(
    SHARED.compile(
        rf"{label}(?:[^\w\n]{{0,3}}{_NUMBER_WORDS}(?![^\W\d])){{0,4}}[^\w\n]{{0,3}}(?<!\w)"
        r"((?=[^\d\n]{0,12}\d)(?:[A-Z]{1,6}[ ./-]?){0,2}\d[A-Z\d]{0,20}(?:[ ./-](?:[A-Z]{0,3}\d[A-Z\d]{0,15}|[A-Z])(?![A-Za-z])){0,7})(?!\w)"
    )
    for label in (_LONG_LABEL, _SHORT_LABEL)
)
_MISTYPED_DIGITS = 5
_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d\d|(?:19|20)\d\d[./-]\d\d[./-]\d\d")
_PLOTS = SHARED.compile(
    r"(?i:\b(?:plots?|parcels?|cadastral (?:units?|plots?|parcels?)|land regist\w{1,6}(?: entry| folio)?|folio|title|deed)(?: of land)?,? (?:nos?\.?|numbers?|under nos?\.) ?)(\d[\d/.-]*(?:(?:, | and |, and )\d[\d/.-]*)*(?<=\d))"
)


def chinese_id_is_valid(number: str) -> bool:
    """Return True if the check digit is that of GB 11643-1999, section 4.3.

    The weights of the first 17 digits are 2^(17-i) mod 11.
    """
    total = sum(int(digit) * (2 ** (17 - i) % 11) for i, digit in enumerate(number[:17]))
    return "10X98765432"[total % 11] == number[17].upper()


def french_nir_is_valid(number: str) -> bool:
    """Return True if the two check digits are 97 minus the number modulo 97.

    Corsica's 2A and 2B count as 19 and 18.
    """
    compact = number.replace(" ", "").replace("2A", "19").replace("2B", "18")
    return 97 - int(compact[:13]) % 97 == int(compact[13:])


_FEWEST_DIGITS = 4  # fewer after a label are a paragraph or a count


class LexveilIdentityRecognizer(RuleRecognizer):
    """Numbers of people: social security, identity cards, tax, land registry, and unknown long ones."""

    NAME = "IdentityRecognizer"
    TYPES = ("ID_NUMBER",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the identity numbers in `text`."""
        yield from find_matches(text, "ID_NUMBER", LABELED + 0.01, _SSN)
        for pattern, is_valid, score in (
            (_CHINESE_ID, chinese_id_is_valid, CHECKED),
            (_FRENCH_NIR, french_nir_is_valid, LABELED),
        ):
            for match in pattern.finditer(text):
                if is_valid(match.group()):
                    yield Finding(match.start(), match.end(), "ID_NUMBER", score)
        yield from find_matches(
            text,
            "ID_NUMBER",
            SHAPED,
            *(
                _ALIEN,
                _SSN_MASKED,
                _CHINESE_ID,
                _CHINESE_ID_MASKED,
                _CREDIT_CODE,
                _VAT,
                _BRAZILIAN,
            ),
        )
        yield from find_matches(text, "ID_NUMBER", _BARE, _LONG)
        yield from find_matches(text, "ID_NUMBER", LABELED, _MESSENGER_ZH, group=1)
        yield from find_matches(text, "ID_NUMBER", LABELED, _PLOTS, group=1)
        for pattern, fewest in (
            (_LABELED, _FEWEST_DIGITS),
            (_LABELED_ZH, _FEWEST_DIGITS),
            *((pattern, _MISTYPED_DIGITS) for pattern in _MISTYPED),
        ):
            for match in pattern.finditer(text):
                number = match.group(1)
                if sum(map(str.isdigit, number)) >= fewest and not _DATE.fullmatch(number):
                    yield Finding(match.start(1), match.end(1), "ID_NUMBER", LABELED)
