# ruff: noqa: E501  -- patterns read best on one line
"""Chinese names: a surname and one to three characters behind a word that says who speaks or sits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nlp.recognizers.base import HAN, LABELLED, SHAPED, Found, RuleRecognizer
from nlp.recognizers.vocabulary import COMPOUND_SURNAMES_ZH, SURNAMES_ZH

_SURNAME = rf"(?:{'|'.join(COMPOUND_SURNAMES_ZH)}|[{''.join(dict.fromkeys(SURNAMES_ZH))}])"
# Characters that go on with the sentence rather than with the name.
_STOP = (
    "犯在于与和及等的因以被将对向为是系到从至称供述经由均也不未并其又持窜驾酒伙辩认诉案付驶进出去来打把用自如没无有还贩容留"
    "实死受委提收支返赔归某这那该此都就让使则之后前上下内外间时年月日说问找给叫带同约听看见所或且但而先再即仍只各另亦曾已于携"
    "非涉吸抢盗骗殴购卖拿取乘骑坐驻辖人"
)
_GIVEN = rf"(?![{_STOP}])[{HAN}]"
_MASKED = r"(?:某{1,2}[甲乙丙丁戊己庚辛]?\d?|[×xX*]{1,2}\d?|[甲乙丙丁](?![" + HAN + r"]))"
_NAME = rf"(?:{_SURNAME}[ ]?(?:{_MASKED}|{_GIVEN}[ ]?(?:{_GIVEN})?(?:某|[×xX*])?))"
_FOREIGN = rf"[{HAN}]{{2,8}}[·•・][{HAN}]{{2,8}}(?:[·•・][{HAN}]{{2,8}})?"
_ROLE = (
    r"(?:被告单位诉讼代表人|诉讼代表人|附带民事诉讼原告人|附带民事诉讼被告人|反诉原告|反诉被告|再审申请人|被申请人|申请执行人|被执行人|"
    r"被上诉人|上诉人|申请人|第三人|原审被告人|被告人|原告人|原告|被告|被害人近亲属|被害人|受害人|死者|证人|鉴定人|翻译人员|"
    r"犯罪嫌疑人|嫌疑人|同案犯|同案人|吸毒人员|违法行为人|报案人|举报人|辩护人|委托诉讼代理人|诉讼代理人|委托代理人|法定代理人|代理人|"
    r"指定辩护人|法定代表人|负责人|经营者|实际控制人|股东|员工|职工|公诉人|检察员|代理检察员|检察官助理|检察官|审判长|代理审判员|审判员|"
    r"人民陪审员|陪审员|法官助理|法官|书记员|代书记员|执行员|民警|辅警|律师|医生|司机|驾驶员|房东|租客|承租人|出租人|买方|卖方|"
    r"借款人|贷款人|出借人|担保人|保证人|债务人|债权人|继承人|被继承人|监护人|甲方|乙方|丙方|联系人|收件人|姓名|曾用名|别名|绰号|化名|自报名|"
    r"兄弟|姐妹|叔叔|姑姑|舅舅|表哥|堂兄|岳父|岳母|受托人|委托人|收款人|付款人|开户名|户名|签名|签字|承办人|送达人|抄送|此前|妻子|丈夫|前妻|前夫|父亲|母亲|儿子|女儿|哥哥|弟弟|姐姐|妹妹|朋友|同事|邻居|老乡|男友|女友|男朋友|女朋友|之妻|之夫|之子|之女|其妻|其子|其父|其母|其夫|其女)"
)
_LIST = rf"(?:{_FOREIGN}|{_NAME})(?:(?:、|和|与|及|以及|,)(?:{_FOREIGN}|{_NAME}))*"
_ROLED = re.compile(rf"{_ROLE}(?:\((?!以下)[^()]{{1,12}}\))?[:\s]{{0,4}}({_LIST})")
_ANONYMISED = re.compile(rf"(?<![{HAN}])?{_SURNAME}(?:某{{1,2}}[甲乙丙丁]?\d?|[×*]{{1,2}})|{_FOREIGN}")
_BEFORE = re.compile(
    rf"(?:^|[,。、;:\n\s(])({_NAME})(?=,?\(?(?:男|女)[,,。)])|(?<=[,。、;:\n\s(])({_NAME})(?=(?:的)?(?:证言|供述|陈述|笔录|身份证|户籍|到案|辨认))"
)
_CONTEXT = re.compile(
    rf"接受({_NAME})(?=的?委托)|指派({_NAME})(?=律师|[,。、]|担任|为)|致:?\s?({_NAME})(?=[,:\n先女]|$)|({_NAME})(?=先生|女士|同志|小姐|医生|老师|经理)"
    rf"|(?<=[,。;与和])({_NAME})(?=骑行|驾驶|步行|乘坐|持有|提交|辩称|诉称|主张|承认|表示|认可|签订|签署|签名|出借|借款|受伤|要求|诉至)"
    rf"|(?:育有[一二三两]?[子女个]{{1,2}}|经办人为?|抚养|跟随|(?<=[,。;])随|名叫|名为|知情人)({_NAME})|与({_NAME})(?=登记结婚|结婚|系|之间|签订|[,。、])"
    rf"|(?:情况|事实)(?:有|由)({_LIST})(?=证实|证明|[,。、知])"
    rf"|(?m:^\s*({_NAME})\s*$)"
)
_SPACED = re.compile(
    rf"(?:审\s*判\s*长|审\s*判\s*员|人民陪审员|书\s*记\s*员|法\s*官\s*助\s*理|公\s*诉\s*人)[ \t:]+({_SURNAME}[ \t]{{0,6}}[{HAN}](?:[ \t]{{0,3}}[{HAN}])?)(?=[\s,。]|$)"
)
_ITEM = re.compile(rf"{_FOREIGN}|{_NAME}")
_NEVER = re.compile(
    rf"(?:{_SURNAME}(?:法|律|院|司|告|案|方|公|家|个|种|次|名|位|某某人民))|方法|方式|时间|和平|同意|公司|任何|安全|安排|高度|高速|明知|明显|成立|成年|都是|单位|经营|经济|经过|金额|金钱|全部|全体|相关|相同|相应|相互|应当|常住|向前|多次|关于|关系|平时|平台|程序|程度|温度|水平|水泥|万元|时候|时许|连续|单独|左右|路口|路段|白色|黄色|黑色|红色|宁波|计算|计划|解除|解释|支付|国家|国籍|文化|文书|后果|申请|车辆|车牌|严重|严格|富强|危险|危害|盛某人民"
)


class ChinesePersonRecognizer(RuleRecognizer):
    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Found]:
        for match in _ROLED.finditer(text):
            for item in _ITEM.finditer(text, match.start(1), match.end(1)):
                yield from _settled(text, item.start(), item.end(), LABELLED)
        for match in _BEFORE.finditer(text):
            group = match.lastindex or 1
            yield from _settled(text, match.start(group), match.end(group), LABELLED)
        for match in _CONTEXT.finditer(text):
            group = match.lastindex or 1
            for item in _ITEM.finditer(text, match.start(group), match.end(group)):
                yield from _settled(text, item.start(), item.end(), SHAPED)
        for match in _SPACED.finditer(text):
            yield Found(match.start(1), match.end(1), "PERSON", LABELLED)
        for match in _ANONYMISED.finditer(text):
            yield Found(match.start(), match.end(), "PERSON", SHAPED)


def _settled(text: str, start: int, end: int, score: float) -> Iterator[Found]:
    """Two characters or three? What a document repeats with other characters behind it is the name."""
    while end > start and text[end - 1] == " ":
        end -= 1
    name = text[start:end]
    if _NEVER.match(name):
        return
    if len(name) == 3 and re.fullmatch(rf"[{HAN}]{{3}}", name) and name[:2] not in COMPOUND_SURNAMES_ZH:
        whole, shorter = text.count(name), text.count(name[:2])
        if shorter >= 3 and whole * 2 < shorter and not re.match(r"[,。、;:()\s]|$", text[end : end + 1]):
            end -= 1
    yield Found(start, end, "PERSON", score)
