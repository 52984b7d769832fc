# ruff: noqa: E501  -- patterns read best on one line
"""Members of somebody's family in Chinese: the word of kinship, with a possessive before it.

Words of two or more characters refer to somebody wherever a judgment or a statement uses them, except in the
lists of relatives that statutes contain ("父母、子女、配偶"). Those of one character need a possessor.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from lexveil.nlp.letters import HAN
from lexveil.nlp.recognizers.base import CHINESE, LABELED, SHAPED, Finding, RuleRecognizer, find_matches

_SURE = (
    r"(?:(?:同父异母|同母异父)的?)?(?:前|亡|继|养|生|亲|大|小|二|三|四|堂|表|老)?(?:兄弟姐妹|妻子|丈夫|老公|老婆|爱人|父亲|母亲|父母|爸爸|妈妈|爸妈|儿子|女儿|"
    r"哥哥|弟弟|姐姐|妹妹|姐妹|爷爷|奶奶|外公|外婆|姥姥|姥爷|祖父母|祖父|祖母|外祖父|外祖母|岳父母|岳父|岳母|丈人|丈母娘|公公|婆婆|叔叔|伯父|伯母|婶婶|婶子|姑姑|姑妈|姑父|姑母|"
    r"姨妈|姨父|姨母|阿姨|舅舅|舅妈|舅父|舅母|侄子|侄女|侄儿|外甥女|外甥|孙子|孙女|外孙女|外孙|女婿|儿媳妇?|嫂子|嫂嫂|姐夫|妹夫|妻弟|妻兄|妻妹|妻姐|小舅子|小姨子|大伯|大舅子|弟媳|弟妹)"
    r"|(?:前妻|前夫|亡妻|亡夫|长子|次子|三子|长女|次女|三女|独子|独女|养子|养女|继子|继女|继父|继母|养父|养母|生父|生母|堂兄|堂哥|堂弟|堂姐|堂妹|表兄|表哥|表弟|表姐|表妹|大哥|二哥|三哥|大姐|二姐|三姐|"
    r"大姨|二姨|三姨|四姨|小姨|大姑|二姑|小姑|大舅|二舅|三舅|小舅|大伯|二伯|二叔|三叔|小叔|婚生子|婚生女|非婚生子|非婚生女|男孩|女孩(?=由|归|随))"
)
# Every word of kinship begins with one of these, which is fast to look for.
_FIRST = r"(?=[同前亡继养生亲大小二三四堂表老兄姐妻丈爱父母爸妈儿女哥弟妹爷奶外姥祖岳公婆叔伯婶姑姨阿舅侄孙嫂长次独婚非男配子成近])"
_WORD = CHINESE.compile(rf"{_FIRST}({_SURE})(?![人式院节型化友娘])")
# One character after a possessor: 其子, 张某之女.
_SHORT = CHINESE.compile(
    rf"((?:其|之(?<=[某甲乙丙丁\d人]之)|(?<=[{HAN}]{{2}})之)(?:长|次|独|养|继|亡|前)?"
    r"(?:兄弟|配偶|爱人|子女|儿女|孩子|双亲|家父|家母|妻|夫|父|母|子|女|兄|弟|姐|妹|嫂|叔|伯|舅|姑|姨|侄|媳|婿|孙|爷|爸|妈))"
    r"(?![儿性孩朋士友方款工式院们目])"
)
_CHILDREN = CHINESE.compile(
    r"(?:育有|生育|生有|育|生下|抚养|诞下)(?:了)?((?:婚生)?[一二两三四五1-5](?:个)?(?:子|女|儿|男|(?:男|女)?孩|(?:儿|女)子|女儿|(?:男|女)婴)(?:[一二两三四五1-5](?:个)?(?:子|女|儿|男|女儿))?)(?!人|性)"
)
_AT_HOME = CHINESE.compile(
    r"(?:家中|家里|上)(?:还|尚)?有((?:年迈|患病|年幼|生病|老|幼|未成年)?的?(?:双亲|孩子|子女|小孩|儿女|老人|配偶))"
)
_POSSESSED_MORE = CHINESE.compile(
    r"(?:他|她|我|自己的?|本人的?)((?:配偶|子女|孩子|小孩|儿女|双亲|家父|家母|两个孩子))(?!的?(?:抚养费|权))"
)
_BESIDE = CHINESE.compile(
    r"(?<=[妻夫公婆人亲母爸妈子女儿哥弟姐妹爷奶])[、和与及]((?:孩子|子女|配偶|小孩|儿女))"
)
# A statute's list has at least three of them and refers to nobody.
_KIN = rf"(?:{_SURE}|配偶|子女|成年子女|孙子女|外孙子女|兄弟姐妹|近亲属)"
_ROW = CHINESE.compile(rf"{_FIRST}{_KIN}(?:[、,或和]{_KIN}){{2,}}")
_GENERIC = CHINESE.compile(
    r"(?:夫妻|子女|父母)(?:关系|感情|共同|财产|义务|双方)|母亲节|父亲节|兄弟(?:单位|公司)|女儿国"
)


class ChineseFamilyRecognizer(RuleRecognizer):
    """Words of kinship in Chinese texts, outside the lists of statutes."""

    TYPES = ("FAMILY_MEMBER",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the members of families in `text`."""
        generic = [match.span() for pattern in (_ROW, _GENERIC) for match in pattern.finditer(text)]
        for finding in chain(
            find_matches(text, "FAMILY_MEMBER", LABELED, _WORD, _SHORT, group=1),
            find_matches(
                text, "FAMILY_MEMBER", SHAPED, _CHILDREN, _AT_HOME, _POSSESSED_MORE, _BESIDE, group=1
            ),
        ):
            if not any(first <= finding.start < last for first, last in generic):
                yield finding
