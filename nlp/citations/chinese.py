# ruff: noqa: E501  -- patterns read best on one line
"""Chinese law: statutes in 《》 with their articles, judicial interpretations, cases cited for comparison.

The number of a judgment alone is not a citation: it may be that of the lower court's judgment in the same
case. It is one if the text makes a comparison: 参照, 参见, 类案, a guiding case.
"""

from __future__ import annotations

from lexveil.nlp.citations.rule import make_rule
from lexveil.nlp.letters import HAN

_NUMERAL = r"[〇零一二三四五六七八九十百千\d]"
_ARTICLES = rf"第{_NUMERAL}+[条款项编章节](?:之(?:[一二三四五六七八九十]+|\d+))?(?:第?[(〇零一二三四五六七八九十百千\d)]+[款项目])*"
_NUMBER = rf"[(〔\[]\d{{4}}[)〕\]][{HAN}]{{1,3}}\d{{0,6}}[{HAN}]{{1,6}}(?:第)?\d{{1,7}}(?:[-之]\d{{1,3}})?号"
_NUMBER_TW = rf"\d{{2,3}} ?年度? ?[{HAN}]{{1,8}}字 ?第 ?\d{{1,6}} ?号"
_CASE = rf"[{HAN}A-Za-z×*()]{{2,30}}诉[{HAN}A-Za-z×*()、]{{2,40}}案"

RULES = (
    make_rule(rf"《[^》\n]{{2,60}}》(?:\([^()\n]{{2,20}}\))?(?:{_ARTICLES}(?:[、,和及至或]|以及)?)+", "《"),
    make_rule(
        r"《[^》\n]{1,60}(?:法|条例|规定|解释|办法|决定|意见|通知|细则|规则|法典|批复|宪法|公约|纪要|标准|规范|制度|修正案|公报|答复|指引|规程)(?:\([^)\n]{1,20}\))*》(?:\([^()\n]{2,20}\))?",
        "《",
    ),
    make_rule(rf"(?:{_ARTICLES}[、,和及至或]?)+", "条"),
    make_rule(r"(?:法释|法发|法|法办|高检发释字|法函|国发|国务院令)[〔(\[]\d{4}[〕)\]]第?\d+号", "号"),
    make_rule(rf"(?:指导(?:性)?案例|典型案例|参考案例)第?{_NUMERAL}+号(?:[:,]? ?{_CASE})?|(?:最高人民法院)?(?:发布的)?第{_NUMERAL}+号指导(?:性)?案例(?:[:,]? ?{_CASE})?|《最高人民法院公报》\d{{4}}年第\d+期(?:(?:刊登|登载)?的?{_CASE})?", "案例", "公报"),
    make_rule(
        rf"(?:参照|参见|参考|援引|引用|类案|检索|例如|如在|类似案件|生效判例|同类案件)(?:(?!本案|原审|一审|二审|再审)[^。;\n]){{0,70}}?{_NUMBER}(?:(?:民事|刑事|行政|执行)?(?:判决|裁定|调解)书?)?(?:[、,和及与]{_NUMBER}(?:(?:民事|刑事|行政|执行)?(?:判决|裁定|调解)书?)?)*",
        "参", "援引", "引用", "类", "检索", "例", "如在",
    ),
    # Taiwan names what it follows: 最高法院109年度台上字第2345号判决意旨参照.
    make_rule(
        rf"(?:最高(?:行政)?法院|[{HAN}]{{2,8}}法院)? ?{_NUMBER_TW}(?:[、,和及与] ?{_NUMBER_TW})* ?(?:民事|刑事|行政)?(?:判决先例|判决|裁定|判例)(?:要旨|意旨|见解)?(?:可资|足资|亦同此旨|可供|,)?(?:参照|参看)",
        "参照", "参看",
    ),
    make_rule(r"(?:司法院)?(?:大法官)?(?:院)?释字第? ?\d{1,4} ?号(?:解释)?(?:意旨|理由书)?|(?:宪法法庭)?\d{3}年宪判字第\d{1,3}号", "释字", "宪判"),
)  # fmt: skip
