# ruff: noqa: E501  -- patterns read best on one line
"""Companies, law firms and other organisations. Courts and the state are not personal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nlp.recognizers.base import HAN, LABELLED, LOWER, SHAPED, UPPER, Found, RuleRecognizer
from nlp.recognizers.vocabulary import LEGAL_WORDS

SUFFIX = (
    r"(?:Inc|INC|Incorporated|Corp|CORP|Corporation|CORPORATION|LLC|L\.L\.C|LLP|L\.L\.P|LP|L\.P|Ltd|LTD|Limited|LIMITED|PLC|plc|P\.C|"
    r"N\.A|Co|CO|Company|COMPANY|GmbH(?: & Co\. KG)?|AG|KG|mbH|e\.V|S\.A\.S|S\.A\.R\.L|S\.a\.r\.l|S\.A|SA|SAS|SARL|S\.p\.A|S\.r\.l|"
    r"B\.V|BV|N\.V|NV|AB|ASA|Oy|A/S|ApS|Pty|Pte|K\.K|A\.Ş|Sp\. z o\.o|d\.o\.o|s\.r\.o|Bhd)"
)
_WORD = (
    rf"(?:[{UPPER}][\w'&-]*(?:\.[\w'&-]+)*|[{UPPER}][a-z]{{0,2}}\.|\d+[A-Za-z][\w'&-]*|&|\([{UPPER}][\w ]+\))"
)
_SUFFIXED = re.compile(
    rf"(?<![\w&])(?:{_WORD},?[ ]|(?:of|and|de|the|for|du|des|und|van|der|y|e) ){{0,7}}{_WORD},?[ ]{SUFFIX}\b(?:\.(?=[\s,;:)'\"]|$)|(?<=\.))?"
    rf"(?:,? {SUFFIX}\b\.?)?"
)
_FIRM = re.compile(
    rf"(?<!\w)[{UPPER}][\w'-]+(?:, [{UPPER}][\w'-]+){{0,4}},? (?:&|and) [{UPPER}][\w'-]+(?=,? (?:LLP|L\.L\.P\.|Solicitors|Attorneys|P\.C\.|PLLC))"
)
_INSTITUTION = re.compile(
    rf"(?<!\w)(?:[{UPPER}][{LOWER}{UPPER}'.-]+ ){{1,4}}(?:University|Hospital|College|School|Clinic|Bank|Church|Foundation|Institute|"
    rf"Prison|Airlines|Railways|Insurance|Airport|Cemetery|Trust Company|Savings Bank|Partners|Associates|Holdings|Group|Party|Union|"
    rf"Association|Society|Federation)\b(?: of (?:[{UPPER}][\w'-]+ ?){{1,3}})?"
)
_OF = re.compile(
    rf"(?<!\w)(?:University|Bank|Church|College|Hospital|Institute|Municipality|Diocese) (?:of|for) (?:the )?"
    rf"[{UPPER}][\w'-]+(?: (?:and |of |for )?[{UPPER}][\w'-]+){{0,3}}"
)
_FORM_ZH = r"(?:股份有限公司|有限责任公司|有限公司)"
_RUN_ZH = re.compile(
    rf"[{HAN}A-Za-z0-9()×*·]{{2,40}}?(?P<suffix>(?:{_FORM_ZH}|合伙企业|律师事务所|会计师事务所|集团|信用社|合作社|公司|银行|医院|大学|学院|"
    rf"中学|小学|幼儿园|酒店|宾馆|工作室|商行|经营部|加工厂)(?:{_FORM_ZH})?(?:[{HAN}]{{0,6}}(?:分公司|分行|支行))?)(?![{HAN}]{{0,4}}(?:法院|检察院))"
)
# A Chinese sentence has no spaces: the name begins after the last word that can't stand in one.
_CUT_ZH = re.compile(
    r"原告|被告人?|上诉人|申请人|第三人|被害单位|单位|法定代表人|委托|诉讼代理人|代理人|系|由|与|向|在|于|为|是|的|及|到|将|对|经|"
    r"至|从|称|以|被|给|和|或|则|该|本|其|因|并|等|名|任|担任|通过|位于|附近|指派|出具|鉴定|律师|员工|投保|所有|登记|案|元|接受|致|日|月|年|号|诉"
)
_GENERIC_ZH = re.compile(
    r"^(?:该|本|其|某|各|一|这|两|多|保险|物业|银行|股份|有限|有限责任|分|母|子|总|外国|家|所在|商业|人民|附属)*(?:公司|银行|医院|学院|大学|集团|酒店|宾馆|小学|中学|支行|合作社)$"
)


class OrganisationRecognizer(RuleRecognizer):
    TYPES = ("ORGANIZATION",)

    def find(self, text: str) -> Iterator[Found]:
        for match in _SUFFIXED.finditer(text):
            start = _skip_drafting(text, match.start(), match.end())
            if start is not None:
                yield Found(start, match.end(), "ORGANIZATION", LABELLED)
        for match in _FIRM.finditer(text):
            yield Found(match.start(), match.end(), "ORGANIZATION", SHAPED)
        for pattern in (_INSTITUTION, _OF):
            for match in pattern.finditer(text):
                start = _skip_drafting(text, match.start(), match.end())
                if start is not None:
                    yield Found(start, match.end(), "ORGANIZATION", SHAPED)


class ChineseOrganisationRecognizer(RuleRecognizer):
    TYPES = ("ORGANIZATION",)

    def find(self, text: str) -> Iterator[Found]:
        for match in _RUN_ZH.finditer(text):
            start = match.start()
            suffix_at = match.start("suffix")
            for cut in _CUT_ZH.finditer(text, start, suffix_at):
                start = cut.end()
            name = text[start : match.end()]
            opened = name.find(")")
            if opened >= 0 and "(" not in name[:opened]:
                start += opened + 1
                name = text[start : match.end()]
            if len(name) >= 4 and not _GENERIC_ZH.match(name):
                yield Found(start, match.end(), "ORGANIZATION", SHAPED)


_OPENING = re.compile(
    r"(?:The|This|That|Between|And|Of|By|And|For|To|In|With|From|of|and|the|for|de|e|y|und|du)[ ]"
)


def _skip_drafting(text: str, start: int, end: int) -> int | None:
    """Where the name begins after "The", "of", ...; None where only drafting words are left."""
    while (opening := _OPENING.match(text, start, end)) is not None:
        start = opening.end()
    words = re.findall(r"[^\W\d_]+", text[start:end])
    telling = [w for w in words[:-1] if w[0].isupper() and w.lower() not in LEGAL_WORDS]
    return start if telling else None
