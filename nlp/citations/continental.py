# ruff: noqa: E501, SIM905  -- patterns read best on one line
"""German, French, Spanish, Polish and Dutch law: decisions with their file numbers, journals, statutes.

Germany cites a decision by court, date and file number. The decision of a lower court in the same case has the
same form; `lexveil.nlp.recognizers.case_number.find_own_numbers` recognizes it by its position.
"""

from __future__ import annotations

from lexveil.nlp.citations.rule import compile_rule
from lexveil.nlp.letters import LOWER, UPPER

# -- Germany ----------------------------------------------------------------------------------------

# The file number of a German court: I ZR 12/03, 7 U 61/01, L 5 KR 12/10.
FILE_NUMBER_DE = r"(?:[A-Z] \d{1,2}(?:/\d{1,2} ?[a-z])? [A-Z]{1,4} \d{1,5}/\d{2}(?: [A-Z]{1,2}\b){0,2}|GmS-OGB \d{1,2}/\d{2}|(?:(?:[IVX]{1,5}|\d{1,3}|[A-Z]{1,2}) )?(?:[A-Z][A-Za-z]{0,4}(?:-[A-Z][A-Za-z]{0,3})?|[a-z]{1,2}|ZR|StR|ZB|BvR)(?: \([A-Za-z]{1,6}\)| [A-Z]{1,3})? \d{1,5}[/.]\d{2,4}(?: \([A-Z]\)| [A-Z]{1,3}\b)?)"
_COURT_DE = (
    rf"(?:BGH|BVerfG|BVerwG|BAG|BSG|BFH|BPatG|EuGH|EuG|EGMR|RG|RFH|BayObLG|BayVGH|KG|GmS-?OGB|(?:(?:Schleswig-Holsteinisches |Bayerisches |Hessisches |Thüringer |Sächsisches |Hanseatisches |Brandenburgisches |Saarländisches |Niedersächsisches )?"
    rf"(?:OLG|LG|AG|VG|OVG|VGH|LAG|ArbG|LSG|SG|FG)(?: [{UPPER}][\w/-]+(?:[ -](?:am|an der|a\.|i\.)? ?[{UPPER}][\w.]+)?)?)|Bundesgerichtshofs?|Bundesverfassungsgerichts?|Bundesverwaltungsgerichts?|Bundesarbeitsgerichts?|Bundessozialgerichts?|Bundesfinanzhofs?)"
)
_HIGHEST_DE = r"(?:BGH|BVerfG|BVerwG|BAG|BSG|BFH|BPatG|EuGH|EuG|EGMR|Bundesgerichtshofs?|Bundesverfassungsgerichts?|Bundesverwaltungsgerichts?|Bundesarbeitsgerichts?|Bundessozialgerichts?|Bundesfinanzhofs?)"
_DATE_DE = r"\d{1,2}\. ?(?:\d{1,2}\.|Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember) ?\d{2,4}"
_JOURNAL_DE = (
    r"(?:Neue Juristische Wochenschrift(?:-[\w-]+(?: Zivilrecht)?)?(?: - NJW(?:-RR)? -)?|BGHZ|BGHSt|BGHR|BVerfGE|BVerfGK|BVerwGE|BAGE|BSGE|BFHE|BFH ?/ ?NV|BStBl(?:\.? (?:I{1,3}))?|BGBl\.? ?I{0,3}|RGZ|RGSt|NJW(?:-RR|-Spezial)?|NZA(?:-RR)?|NVwZ(?:-RR)?|NStZ(?:-RR)?|NZI|NZG|NZM|NZS|WM|ZIP|MDR|GRUR(?:-RR|Int)?|FamRZ|VersR|DB|BB|DStR|EFG|"
    r"JZ|JR|JuS|StV|wistra|WuM|EuZW|EuGRZ|DVBl|DÖV|BauR|BeckRS|BRAK-Mitt|CR|K&R|MMR|ZD|ZUM|AuR|AP|EzA|SozR|ZInsO|ZMR|ZfBR|VBlBW|BayVBl|InfAuslR|juris|Mitt|Bl\.f\.PMZ|BlPMZ|Slg\.?|Buchholz|JurBüro|ZUR|NuR|RdL|AgrarR|HFR|StE)"
)
_LOCATOR_DE = r"(?:Rn\.?|RdNr\.?|Rdnr\.?|Rdn\.?|Rz\.?|Tz\.?|S\.|Nr\.|juris|Ls\.)"
_REPORT_DE = rf"{_JOURNAL_DE}(?:,? (?:I{{1,3}} )?\d{{1,4}}(?:[ ,]{{1,2}}(?:{_LOCATOR_DE} ?)?(?:<|\()?\d{{1,5}}[a-z]?(?: ?f{{1,2}}\.)?(?: ?[>)])?)*)(?:[ ,]{{1,2}}{_LOCATOR_DE} ?\d+(?: ?f{{1,2}}\.?)?)*"
_SUB_DE = (
    r"(?:(?:,|;)? ?(?:und |bis |oder |sowie |i\. ?V\. ?m\. |iVm\.? |in Verbindung mit |auch |bzw\. |- ?)?(?:§§? ?|Art\.? ?)?"
    r"(?:(?:Abs(?:ätzen?|atz|\.)?|Sätzen?|Satz|S\.?|Nrn?\.?|Nummern?|Alt(?:ernative|\.)?|Var\.|Halbs(?:atz|\.)?|Hs\.?|lit\.|Buchst(?:abe|\.)?|Unterabs\.|UAbs\.|Ziff(?:er|\.)?|Teils(?:atz|\.)|Fall) ?(?:\d+[a-z]?|[a-z]{1,2}|[IVX]+)\b|\d{1,4}[a-z]?\b(?!\.\d|/| ?[€%]|\. ?[A-Z])|ff?\.)){0,20}"  # bounded: otherwise a run of articles without a code would be scanned to its end from each of them
)
_CODE_DE = rf"(?:(?:[{UPPER}][{LOWER}]{{0,8}}){{1,4}}[{UPPER}][{LOWER}{UPPER}]{{0,4}}(?:-[{UPPER}]+)?(?: (?:[IVX]{{1,4}}|\d{{1,2}})\b)?(?: (?:19|20)\d\d\b)?|(?:des|der|dieses) (?:[{UPPER}a-zäöü][\w-]*[ ]){{0,4}}?[{UPPER}][\w-]*(?:gesetz(?:es|buch(?:e?s)?)?|ordnung|verordnung|satzung|richtlinie|vertrag(?:e?s)?|konvention|verfassung)\b)"

# -- France -----------------------------------------------------------------------------------------

_DATE_FR = r"(?:\d{1,2}(?:er)? (?:janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre|janv\.|févr\.|avr\.|juill\.|sept\.|oct\.|nov\.|déc\.) \d{4}|\d{1,2}/\d{1,2}/\d{4})"
_CHAMBER_FR = r"(?:(?:[Cc]iv\.?|[Cc]h\. civ\.|[Cc]hambre civile) ?(?:\d|1re|1ère|2e|2ème|3e|3ème)?|[Ss]oc\.?|[Cc]om\.?|[Cc]rim\.?|[Aa]ss\.? ?[Pp]lén\.?|[Cc]h\. ?mixte|[Rr]eq\.?|QPC)"
_COURT_FR = (
    rf"(?:Cass\.?,? ?(?:{_CHAMBER_FR})?|(?:Civ\. (?:1re|2e|3e)|Soc\.|Com\.|Crim\.|Ass\. plén\.)|C\.?E\.?(?: (?:ass|sect|ord)\.?)?|Conseil d'[ÉE]tat|CAA(?: de)? [{UPPER}][\w-]+|C\.?A\.?(?: de| d')? ?[{UPPER}][\w-]+(?:-[\w-]+)*|"
    rf"(?:TGI|TJ|TA|TI|T\. ?com\.|Trib\. ?com\.|CPH|TASS)(?: de| d')? ?[{UPPER}][\w-]+|T\. ?confl\.|Cons\. const\.|Conseil constitutionnel|CJUE|CJCE|CEDH)"
)
_NUMBER_FR = r"(?:req\. |pourvoi |aff\. |requête |RG |décision )?[nN]°s? ?(?:RG ?:? ?)?[A-Z]{0,2} ?(?:\d{2}[-/]\d{2}\.\d{3}|\d{4}-\d{1,4} (?:DC|QPC|L|LP|AN|I|ORGA|D)|\d{2}[A-Z]{2}\d{5}|[\d/.-]{4,12}\d)(?:(?:,| et) (?:n° ?)?[A-Z]? ?(?:\d{2}-\d{2}\.\d{3}|\d{4,7}))*"
_ARTICLE_FR = r"(?:[LRDA]\.? ?\*?)?\d+(?:er)?(?:[-.]\d+)*(?:[- ](?:bis|ter|quater|[A-Z])\b)?"

# What follows a cited decision: a report, a place in the text, a collection.
_SOURCE_DE = rf"(?:{_REPORT_DE}|{_LOCATOR_DE} ?\d+(?: f{{1,2}}\.)?|juris|www\.[a-z.-]+\.(?:de|eu)|zit(?:iert)? nach juris|n\.? ?v\.|zur Veröffentlichung)"
_NUMBER_DE = rf"(?:Az\.?:? ?|Rs\. ?)?(?:I-)?{FILE_NUMBER_DE}(?: ?[<(\[][\w ./-]{{2,20}}[>)\]])?(?:(?:,|,? und) (?:I-)?{FILE_NUMBER_DE}){{0,4}}"
_BETWEEN_DE = r"[ ,;:()-]{1,4}"

_COURT_PL = rf"(?:SN|NSA|WSA|S[AOR]|TK|TSUE|ETPC|Sąd(?:u|em)?|Trybunał(?:u|em)?|(?:Naj|Na|Ap|Ok|Re|Wo|Ad|Ko|Sp)[{LOWER}]+(?:ego|ości|ym)|Izby|(?:Cywilnej|Karnej|Pracy)|Unii|Europejskiej|składu|siedmiu|sędziów|pełnego|[iz]|we? [{UPPER}][{LOWER}]+(?: [{UPPER}][{LOWER}]+)?)"

RULES = (
    # Germany. Decisions in a chain have no court before them: "...; vom 3. Mai 2001 VIII R 4/00, BFHE 195, 1".
    compile_rule(rf"(?:\b(?:vom|v\.) )?(?<![\d.]){_DATE_DE}{_BETWEEN_DE}{_NUMBER_DE}(?:{_BETWEEN_DE}{_SOURCE_DE})+", "/", "."),
    compile_rule(rf"(?<=[;,] )(?:vom |v\. )?{_DATE_DE}{_BETWEEN_DE}{_NUMBER_DE}|\b(?:und|sowie|und vom|vom) (?:vom )?{_DATE_DE} (?:- )?{FILE_NUMBER_DE}(?= ?[-,;)<])", "/", "."),
    compile_rule(rf"(?<![\w/]){_NUMBER_DE}{_BETWEEN_DE}{_REPORT_DE}", "/"),
    compile_rule(rf"\b{_COURT_DE}(?: ?[-<(] ?{_COURT_DE} ?[->)])?(?: ?< ?Kammer ?>)?,? (?:vom|v\.) {_DATE_DE}(?:{_BETWEEN_DE}{_NUMBER_DE}(?:{_BETWEEN_DE}{_SOURCE_DE})*|(?:{_BETWEEN_DE}{_SOURCE_DE})+)|\b{_HIGHEST_DE} (?:vom|v\.) {_DATE_DE}", ".", "vom"),
    compile_rule(rf"\b(?:EuGH|EuG|EGMR|Gerichtshofs?(?: der Europäischen (?:Union|Gemeinschaften))?(?: \(EuGH\))?)(?:(?!Kläger|Beschwerde|Angeklagt|Herrn? |Frau |Zeug)[^;()\n]){{0,60}}? (?:vom|v\.) {_DATE_DE}[ ,;:(-]{{1,4}}(?:Rs\.? ?|Nr\. ?|Beschwerde-?Nr\. ?)?[CTF]? ?-? ?\d{{1,5}}/\d{{2}}(?:[ ,-]{{1,3}}\[?(?:{_SOURCE_DE}|[{UPPER}][\w-]+)\]?)?", "EuG", "EGMR", "erichtshof"),
    compile_rule(rf"\b(?:vom|v\.) {_DATE_DE}(?: ?-? ?[{UPPER}][\w-]{{1,20}} ?-)?[ ,(\[]{{1,3}}(?:(?:BGBl|GVBl|GVOBl|Amtsbl|RGBl|BAnz|GBl|MBl|Nds\. GVBl|GV\.? NRW)\.?[ ,]|{_REPORT_DE})", "BGBl", "GVBl", "GVOBl", "Amtsbl", "RGBl", "BAnz", "GBl", "MBl", "GV", "BStBl", "BFH", "NJW", "juris", "DB", "BB"),
    compile_rule(rf"\b(?:VO|Verordnung(?:en)?|Richtlinien?|RL|Rahmenbeschluss(?:es)?|Beschluss(?:es)?)(?: ?[<(] ?(?:EG|EU|EWG|EURATOM|EGKS) ?[>)])? ?(?:Nrn?\.? ?)?\d{{1,4}} ?/ ?\d{{1,4}}(?: ?/ ?(?:EG|EU|EWG|JI|GASP|EURATOM))?(?: (?:des (?:Europäischen Parlaments und des )?Rates|der Kommission))?(?: vom {_DATE_DE})?", "VO", "Verordnung", "Richtlinie", "RL ", "eschluss"),
    compile_rule(rf"\bStand:? (?:{_DATE_DE}|(?:Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember) \d{{4}}|\d{{1,2}}/\d{{2,4}})|\b(?:ZDv|ZE|Zentralen? Dienstvorschrift)(?: [A-Z])?\d?-? ?\d{{2,4}}/\d{{1,3}}", "Stand", "ZDv", "ZE", "Dienstvorschrift"),
    compile_rule(r"(?i:(?<!\w)[a-zäöü]{0,24}verfahren|\bsache|\w{0,16}beschwerde|normenkontrolle)s? (?:(?:[12] Bv[A-Z]|[IVX]{1,4} [RB]) \d{1,4}/\d{2}(?:(?:,| und| sowie) (?=[12IVX]))?){1,6}", "Bv", " R ", " B "),
    compile_rule(rf"(?:\b{_COURT_DE}|\bSenats(?:urteil|beschluss|entscheidung)e?s?|(?:[Uu]rteil|[Bb]eschluss|[Bb]eschluß|[Ee]ntscheidung)(?:e?s|e)?)(?:[-, ]{{1,2}}(?:\(?(?:(?:Versäumnis|Teil|Grund|Zwischen|End)?[Uu]rteile?|Beschl(?:uss|uß|üsse|\.)|Urt\.|U\.|B\.|Entscheidung|Vorlagebeschluss|Senatsurteil)\)?))?(?: des [\w. -]{{3,60}}?)?(?: der \d\. Kammer des [\w ]{{3,20}})?,? ?(?:vom|v\.)? ?{_DATE_DE}"
         rf"[ ,;:(-]{{1,4}}(?:Az\.?:? ?|Rs\. ?)?(?:{FILE_NUMBER_DE}(?:(?:,| und) {FILE_NUMBER_DE}){{0,4}}|C ?- ?\d{{1,4}}/\d{{2}})(?:[ ,;)-]{{1,4}}(?:{_REPORT_DE}|{_LOCATOR_DE} ?\d+(?: f{{1,2}}\.)?|juris))*", "/", "."),
    compile_rule(rf"\b(?:{_COURT_DE}[,:]? ?)?{_REPORT_DE}(?: ?[=;] ?{_REPORT_DE})*", *r"BGHZ BGHSt BVerfG BVerwGE BAGE BSGE BFH BStBl BGBl RGZ RGSt NJW NZA NVwZ NStZ NZI NZG NZM NZS WM ZIP MDR GRUR FamRZ VersR DB BB DStR EFG JZ JR JuS StV wistra WuM EuZW EuGRZ DVBl DÖV BauR BeckRS CR K&R MMR ZD ZUM AP EzA SozR ZInsO ZMR juris Slg Buchholz".split()),
    compile_rule(rf"§§? ?\d+[a-z]?{_SUB_DE}(?: ?{_CODE_DE})?", "§"),
    compile_rule(rf"\bArt(?:\.|ikeln?|ikels)? ?\d+[a-z]?{_SUB_DE} (?:{_CODE_DE}|(?:der )?EMRK|GG|DSGVO|DS-GVO|AEUV|EUV)", "Art"),
    compile_rule(rf"(?<![\w-])[{UPPER}][\w-]{{0,60}}(?:gesetz(?:es|buch(?:e?s)?)?|verordnung|ordnung|gesetze)(?: vom {_DATE_DE})?(?: \((?:[A-Z]\w+|BGBl[^()\n]{{3,30}})\))?(?=[ ,.;)])", "gesetz", "ordnung"),
    compile_rule(r"\bBT-?Drucks?(?:ache|\.)? ?\d{1,2}/\d{1,5}(?:,? S\. ?\d+)?|\bBR-?Drucks?(?:ache|\.)? ?\d{1,4}/\d{2}(?:,? S\. ?\d+)?", "BT-Dr", "BR-Dr", "BTDr", "BRDr"),
    # France
    compile_rule(rf"(?<![\w.]){_COURT_FR}(?:, ?(?:(?:décision|arrêt|ord\.|ass\.|sect\.|ch\. réun\.|[Pp]ôle \d+(?: ?- ?ch\. ?\d+)?|{_CHAMBER_FR}|\d+e(?:r|ème)?(?: et \d+e)? (?:ch\.|ss-sect\.|chambres?(?: réunies)?)|ch\. \d+(?:, sect\. [A-Z])?|section [A-Z])))*,? ?(?:du )?(?:{_DATE_FR}(?:,? ?{_NUMBER_FR})?|{_NUMBER_FR}(?: du {_DATE_FR})?)"
         rf"(?:,? ?(?:Bull\.? ?(?:civ\.?|crim\.?)?(?: \d{{4}})?,? ?[IVX]*,? ?n° ?\d+|(?:Rec(?:ueil|\.)?|Lebon)[ ,.\w]{{0,12}}p\. ?\d+|P(?:ubli)?\.?(?: au bulletin)?|[DJ](?:CP)?\.? ?(?:G|E|S)?,? ?\d{{4}},? ?(?:[\w.]{{1,6}} )?\d+))*", "Cass", "Civ", "Soc", "Com", "Crim", "CE", "C.E", "Conseil", "CA", "C.A", "TGI", "TJ", "TA", "Cons", "Trib", "T. co", "CPH", "CJUE", "CJCE", "CEDH"),
    compile_rule(rf"\b[Aa]rt(?:icles?|s?\.) ?{_ARTICLE_FR}(?:(?:,| et| ou| à)(?: suivants| s\.)? ?(?:{_ARTICLE_FR})?)*(?:,? (?:al(?:inéa|\.)? ?\d+(?:er)?|\d°|§ ?\d))*(?: (?:du|de la|de l'|des) (?:(?:code|Code|loi|Loi|[Cc]onvention|[Cc]onstitution|décret|[Dd]éclaration|[Tt]raité|[Cc]harte|règlement|ordonnance|directive)(?: (?:de|du|des|d'|la|le|les|l'|et|à|sur|en|[{LOWER}{UPPER}'-]{{3,20}})){{0,10}}|TFUE|RGPD|CEDH|même code))?", "rt"),
    compile_rule(rf"\b(?:[Ll]oi|[Dd]écret|[Oo]rdonnance|[Aa]rrêté)(?: organique| constitutionnelle)? [nN]° ?\d{{2,4}}-\d{{1,4}}(?: du {_DATE_FR})?|\b(?:[Ll]oi|[Dd]écret|[Oo]rdonnance) du {_DATE_FR}", "oi ", "écret", "rdonnance", "rrêté"),
    # Spain, Poland, the Netherlands
    compile_rule(r"\b(?:STS|STC|ATS|ATC|SAP|SAN|STSJ|STJUE|STEDH|SSTS|RTC)(?: (?:M|B|V|SE|(?:de )?[A-Z][a-z]\w+(?= \(|,? (?:n[úu]m|nº))))?(?: \([^)\n]{1,40}\))?,? (?:n[úu]m\. ?|nº ?)?\d{1,5}/\d{2,4}(?:,? de \d{1,2} de [a-z]+(?: de \d{4})?)?", "ST", "AT", "SA", "RTC", "RJ"),
    compile_rule(rf"\b(?:[Ww]yrok(?:u|iem|ach|i)?|[Uu]chwał[aąyę]|[Pp]ostanowieni[eau]m?)(?: {_COURT_PL}){{0,8}}? z(?: dnia)? \d{{1,2}} [^\W\d]+ \d{{4}} r(?:\.|oku),?(?: \(?sygn\.(?: akt)?)? [IVX]{{1,4}} [A-Z][A-Za-z]{{0,4}} \d{{1,5}}/\d{{2,4}}", "yrok", "chwał", "ostanowieni"),
    compile_rule(r"\b[Uu]staw[ayęąo]\w{0,2} z(?: dnia)? \d{1,2} [^\W\d]+ \d{4} r(?:\.|oku)(?: (?:o|Prawo|Kodeks)(?: [^\W\d]+){1,6}?(?=[ ,.;)]))?", "staw"),
    compile_rule(r"\b(?:HR|PHR|ABRvS|AbRvS|CRvB|CBb|Hoge Raad|Rb\.?(?: [A-Z]\w+)?|Hof(?: [A-Z]\w+)?),? \d{1,2} [a-z]+ \d{4}(?:,? (?:ECLI:[A-Z0-9:.]+|NJ \d{4}(?:/|, )\d+|LJN \w+|JOR \d{4}/\d+))*", "HR", "RvS", "RvB", "CBb", "Hoge", "Rb", "Hof"),
    compile_rule(r"\bartikel(?:en)? \d+[a-z]?(?::\d+[a-z]?)?(?:(?:,| en| lid) \d+)* (?:van (?:het|de) )?(?:(?:Burgerlijk|Algemene|Wetboek|Grondwet)[\w ]{0,60}?(?:[Ww]etboek|recht|vordering|[Gg]rondwet)|BW|Rv|Sr|Sv|Awb|WvSr|WvSv|EVRM|Gw)\b", "artikel"),
    compile_rule(r"\b[Cc]ode (?:(?:de (?:la |l')?|du |des |d')[a-zéèêâîôûç' -]{4,50}?|civil|pénal|rural)(?= |,|\.|;|\)|$)", "ode "),
)  # fmt: skip
