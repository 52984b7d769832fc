# ruff: noqa: E501  -- patterns read best on one line
"""German companies, associations and institutions. Courts, ministries and offices are not personal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.recognizers.base import GERMAN, LABELED, SHAPED, Finding, RuleRecognizer, find_matches

_FORM = (
    r"(?:g?GmbH(?: ?& ?(?:Co\.? ?(?:KGaA|KG|OHG)|atypisch Still(?:e Gesellschaft)?))?|mbH(?: ?& ?Co\.? ?KG)?|AG(?: ?& ?Co\.? ?(?:KGaA|KG|OHG))?|KGaA|KG|OHG|oHG|GbR|UG(?: \(haftungsbeschränkt\))?(?: ?& ?Co\.? ?KG)?|"
    r"SE(?: ?& ?Co\.? ?KGaA?)?|eG|e\. ?G\.|e\. ?V\.|e\. ?K\.|PartG(?: ?mbB)?|PartGmbB|EWIV|VVaG|Ltd\.?(?: ?& ?Co\.? ?KG)?|Limited|B\. ?V\.|N\. ?V\.|S\. ?A\.(?: ?R\. ?L\.)?|S\. ?p\. ?A\.|Inc\.?|s\. ?r\. ?o\.|Sp\. z o\. ?o\.|d\. ?o\. ?o\.)"
)
_WORD = rf"(?:[{UPPER}\d][\w&.'’/-]*(?:…|\.\.\.)?-?|&|\+|[\"„“][{UPPER}][\w .-]{{0,30}}[\"“”])"
_SUFFIXED = GERMAN.compile(
    rf"(?<![\w.])(?:{_WORD}[ ]|(?:für|und|der|des|von|zur|zum|im|am|in|mit|the|of) ){{0,7}}?(?:{_WORD}[ -]){{1,6}}?{_FORM}(?![\w-])"
)
_HYPHENATED = GERMAN.compile(
    rf"(?<![\w.])(?:[{UPPER}][\w.…]*-){{1,4}} ?(?:{_FORM}|Gruppe|Konzern(?:s)?|Fonds|Stiftung|Verein|Verlag|Werke?|Kliniken?|Märkte)(?![\w-])"
)
_FIRM = GERMAN.compile(
    rf"\b(?:Firma|Fa\.|Unternehmen|Gesellschaft) ([\"„“] ?[^\"“”\n]{{1,30}}?[\"“”]|[{UPPER}][\w&.…-]*(?: [{UPPER}&][\w&.…-]*){{0,3}})"
)
_INSTITUTION = GERMAN.compile(
    rf"\b(?:(?:[{UPPER}][{LOWER}]+(?:er|es|e|en|ische[rsn]?|liche[rsn]?) )?(?:Sparkasse|Volksbank|Raiffeisenbank|Krankenhaus|Klinikum|Klinik|Universitätsklinikum|Universität|Hochschule|Fachhochschule|Gymnasium|Grundschule|Gesamtschule|Kita|Kindergarten|"
    rf"Seniorenheim|Pflegeheim|Diakonissenhaus|Verlag|Gewerkschaft|Verband|Verein|Brauerei|Autohaus|Hotel|Gasthof|Apotheke|AOK|Kirchengemeinde|Pfarrei)(?: (?:der|des|für|am|im|St\.|zu|zum|zur|an|in))*(?: ?[\"„“]?[{UPPER}][\w.…-]*[\"“”]?){{1,3}})"
)
# Words of drafting before a company's name.
_OPENING = re.compile(
    r"(?:(?:Der|Die|Das|Dem|Den|Des|Ein|Eine|Einer|Bei|Mit|Von|Zur|Zum|Firma|Fa\.|Kläger(?:in)?|Beklagte[nr]?|Arbeitgeberin|Antragstellerin|Antragsgegnerin|Beschwerdeführerin|Gesellschaft|Tochtergesellschaft|Muttergesellschaft|Rechtsvorgängerin|Versicherung|und|der|des|von|für|in|im|am|zur|zum|mit)[ ])+"
)


_CAPITAL_OR_DIGIT = re.compile(rf"[{UPPER}\d]")
_FORM_ALONE = re.compile(_FORM)


class GermanOrganizationRecognizer(RuleRecognizer):
    """Organizations by their legal form, or by the word for what they are, in German texts."""

    NAME = "GermanOrganisationRecognizer"
    TYPES = ("ORGANIZATION",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the organizations in `text`."""
        for match in _SUFFIXED.finditer(text):
            opening = _OPENING.match(text, match.start(), match.end())
            start = opening.end() if opening else match.start()
            name = text[start : match.end()]
            if _CAPITAL_OR_DIGIT.search(name) and not _FORM_ALONE.fullmatch(name):
                yield Finding(start, match.end(), "ORGANIZATION", LABELED)
        yield from find_matches(text, "ORGANIZATION", LABELED, _HYPHENATED)
        yield from find_matches(text, "ORGANIZATION", SHAPED, _FIRM, group=1)
        yield from find_matches(text, "ORGANIZATION", SHAPED, _INSTITUTION)
