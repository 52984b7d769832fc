# ruff: noqa: E501  -- patterns read best on one line
"""Members of somebody's family: the relation, said of a person.

"His wife" and "the applicant's late father" say who somebody is through somebody else; "husband and
wife" in a statute's words says nothing about anybody and stays. A name that follows is left to the
person recognizers, so that one person keeps one pseudonym.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nlp.recognizers.base import LABELLED, UPPER, Found, RuleRecognizer

_RELATION = (
    r"(?:(?:ex-|ex |former |late |deceased |elder |eldest |older |oldest |younger |youngest |only |twin |common-law |"
    r"maternal |paternal |minor |infant |adult |adopted |biological |foster |estranged |then |second |first )*"
    r"(?:grand(?:mother|father|son|daughter|parents?|child(?:ren)?)|step-?(?:mother|father|son|daughter|brother|sister|child(?:ren)?)"
    r"|(?:mother|father|sister|brother|son|daughter|parents?)-in-law|half-?(?:brother|sister)"
    r"|wife|husband|spouse|widow(?:er)?|fiancée?|cohabitee|mother|father|mum|dad|parents|sons?|daughters?|brothers?|sisters?|siblings?"
    r"|uncle|aunt|nephews?|nieces?|cousins?|child|children|twins)\b)"
)
_POSSESSED = re.compile(
    rf"\b((?:[Hh]is|[Hh]er|[Mm]y|[Tt]heir) {_RELATION})|(?:\b(?:[Tt]he )?(?:applicant|plaintiff|defendant|deceased|victim|witness|"
    rf"claimant|petitioner|respondent|appellant|tenant|accused|testator|decedent|employee)s?'s?|\b[{UPPER}]\w+'s?) ({_RELATION})"
)
_OF = re.compile(
    rf"(?:\b(?:the|a) )({_RELATION})(?= of (?:the (?:applicant|plaintiff|defendant|deceased|victim|witness|claimant|petitioner|"
    rf"respondent|appellant|accused|testator|decedent)|(?:Mr|Mrs|Ms|Dr)\b|[{UPPER}]\w+ [{UPPER}]))"
)
_NAMED = re.compile(rf"(?<!')\b({_RELATION})(?=,? (?:(?:Mr|Mrs|Ms|Miss|Dr)\.? )?[{UPPER}]\w+ [{UPPER}]\w+)")
_CHINESE = re.compile(
    r"(?:(?:被告人?的|原告的|被害人的|之|某|系(?=\S{0,6}的))的?)?"
    r"((?:其|他的?|她的?|我的?|(?<=的)|(?<=之)|(?<=某))(?:前|亡|已故|大|小|二|三|长|次|继|养|生|亲)?(?:兄弟姐妹|兄弟|姐妹|配偶|爱人|子女|孩子|婚生子|婚生女|妻子|丈夫|前妻|前夫|父亲|母亲|父母|儿子|女儿|长子|次子|长女|次女|"
    r"哥哥|弟弟|姐姐|妹妹|爷爷|奶奶|外公|外婆|祖父|祖母|外祖父|外祖母|岳父|岳母|公公|婆婆|叔叔|伯父|姑姑|姨妈|舅舅|侄子|侄女|"
    r"外甥女?|孙子|孙女|堂[兄弟姐妹]|表[哥弟姐妹]|堂兄|表弟|表姐|叔父|姑母|姨母|舅父|舅舅|女婿|儿媳|嫂子|姐夫|妹夫|妻|夫|子|女)(?![子人儿性孩朋士友方款工的]))"
)


class FamilyRecognizer(RuleRecognizer):
    TYPES = ("FAMILY_MEMBER",)

    def find(self, text: str) -> Iterator[Found]:
        for pattern in (_POSSESSED, _OF, _NAMED, _CHINESE):
            for match in pattern.finditer(text):
                group = match.lastindex or 1
                yield Found(match.start(group), match.end(group), "FAMILY_MEMBER", LABELLED)
