# ruff: noqa: E501  -- patterns read best on one line
"""Amounts of money, percentages and measures: a known sum can identify a case."""

from __future__ import annotations

from collections.abc import Iterator

from lexveil.nlp.recognizers.base import SHAPED, SHARED, Finding, RuleRecognizer, find_matches

_FIGURE = r"\d{1,3}(?:[,. ']\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d+(?:[.,]\d{1,2})?(?!\d)"
_WORDS = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|(?:a )?hundred|thousand|million|billion)"
_SCALE = r"(?: (?:thousand|million|billion|bn|m|Mio\.?|Millionen|Mrd\.?|Tausend|millions?|milliards?))?"
_SIGN = r"(?:€|\$|£|¥|₹|US\$|C\$|A\$|HK\$|EUR|USD|GBP|CHF|TRL|TRY|YTL|PLN|SEK|NOK|DKK|CZK|HUF|RON|RUB|RUR|UAH|BGN|HRK|FIM|ATS|DEM|FRF|ITL|ESP|BEF|NLG|IEP|GRD|PTE|SKK|EEK|LVL|LTL|CYP|MTL|ISK|JPY|CNY|RMB|INR|CAD|AUD|NZD|HKD|SGD|ZAR|BRL|MXN|Rs\.?|DM|SFr\.?|Fr\.?)"
_UNIT = (
    r"(?:euros?|dollars?|pounds?(?: sterling)?|(?:new )?(?:Turkish )?liras?|zlotys?|francs?|(?:Deutsch(?:e )?)?[Mm]arks?|roubles?|rubles?|kron(?:or|er|as?|e)|crowns?|forints?|schillings?|hryvnias?|lev[as]?|lei|kunas?|drachmas?|"
    r"pesetas?|escudos?|guilders?|markkas?|tolars?|denars?|dinars?|rupees?|yuan|yen|rand|pesos?|"
    r"per ?cent|percent|hectares?|acres?|(?:square|sq\.?|cubic) (?:kilo|centi)?(?:met(?:re|er)s?|feet|ft|m|miles?)|sq\. ?m\.?|kilogram(?:me)?s?|kg|gram(?:me)?s?|tonnes?|tons|kilomet(?:re|er)s?|km|litres?|Euro|Prozent|"
    rf"{_SIGN})"
)
_MONEY_FIRST = SHARED.compile(rf"(?<![\w.]){_SIGN} ?(?:{_FIGURE}){_SCALE}(?![\w%])")
_UNIT_LAST = SHARED.compile(
    rf"(?<![\w.,/§-])(?:{_FIGURE}|{_WORDS}(?:[ -]{_WORDS}){{0,4}}){_SCALE} {_UNIT}(?!\w)"
)
_PERCENT = SHARED.compile(rf"(?<![\w.,/-])(?:{_FIGURE}) ?(?:%|m²|m2\b|km²)")
_CHINESE = SHARED.compile(
    r"(?<![\d.])(?:人民币)?\d[\d,]*(?:\.\d+)?(?:余|多)?[万亿千百]?(?:余|多)?(?:美|欧|港|日)?元|(?<!\d)\d+(?:\.\d+)?%"
)


class LexveilQuantityRecognizer(RuleRecognizer):
    """Amounts of money, percentages, areas, weights and distances."""

    NAME = "QuantityRecognizer"
    TYPES = ("QUANTITY",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the quantities in `text`."""
        yield from find_matches(text, "QUANTITY", SHAPED, _MONEY_FIRST, _UNIT_LAST)
        if "%" in text or "m²" in text or "m2" in text:
            yield from find_matches(text, "QUANTITY", SHAPED, _PERCENT)
        if "元" in text:
            yield from find_matches(text, "QUANTITY", SHAPED, _CHINESE)
