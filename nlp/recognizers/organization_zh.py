"""Chinese companies, law firms and other organizations. Courts and the state are not personal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.letters import HAN
from lexveil.nlp.recognizers.base import CHINESE, SHAPED, Finding, RuleRecognizer

_FORM_ZH = r"(?:股份有限公司|有限责任公司|有限公司)"
_RUN_ZH = CHINESE.compile(
    rf"[{HAN}A-Za-z0-9()×*·]{{2,40}}?(?P<suffix>(?:{_FORM_ZH}|合伙企业|律师事务所|会计师事务所|集团|信用社|合作社|公司|银行|医院|大学|学院|"
    rf"中学|小学|幼儿园|酒店|宾馆|工作室|商行|经营部|加工厂)(?:{_FORM_ZH})?(?:[{HAN}]{{0,6}}(?:分公司|分行|支行))?)(?![{HAN}]{{0,4}}(?:法院|检察院))"
)
# A Chinese sentence has no spaces: the name begins after the last word that cannot be part of one.
_CUT_ZH = re.compile(
    r"原告|被告人?|上诉人|申请人|第三人|被害单位|单位|法定代表人|委托|诉讼代理人|代理人|系|由|与|向|在|于|为|是|的|及|到|将|对|经|"
    r"至|从|称|以|被|给|和|或|则|该|本|其|因|并|等|名|任|担任|去|跟|让|叫|把|说|她|他|通过|位于|附近|指派|出具|鉴定|律师|员工|投保|所有|登记|案|元|接受|致|日|月|年|号|诉"
)
_GENERIC_ZH = re.compile(
    r"^(?:该|本|其|某|各|一|这|两|多|保险|物业|银行|股份|有限|有限责任|分|母|子|总|外国|家|所在|商业|人民|附属)*(?:公司|银行|医院|学院|大学|集团|酒店|宾馆|小学|中学|支行|合作社)$"
)


class ChineseOrganizationRecognizer(RuleRecognizer):
    """Organizations by the word for what they are, in Chinese texts."""

    NAME = "ChineseOrganisationRecognizer"
    TYPES = ("ORGANIZATION",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the organizations in `text`."""
        for match in _RUN_ZH.finditer(text):
            start = _name_start(text, match)
            name = text[start : match.end()]
            if len(name) >= 4 and not _GENERIC_ZH.match(name):
                yield Finding(start, match.end(), "ORGANIZATION", SHAPED)


def _name_start(text: str, match: re.Match[str]) -> int:
    """Return where the name begins inside a run of characters without a break."""
    start = match.start()
    for cut in _CUT_ZH.finditer(text, start, match.start("suffix")):
        start = cut.end()
    # A bracket that is closed in the name but opened before it ends what is not of the name.
    closing = text.find(")", start, match.end())
    if closing >= 0 and "(" not in text[start:closing]:
        start = closing + 1
    return start
