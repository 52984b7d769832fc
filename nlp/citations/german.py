# ruff: noqa: E501, SIM905  -- patterns read best on one line
"""German law: decisions with their file numbers, journals, statutes.

Germany cites a decision by court, date and file number. The decision of a lower court in the same case has the
same form; `lexveil.nlp.recognizers.case_number.find_own_numbers` recognizes it by its position.
"""

from __future__ import annotations

from lexveil.nlp.citations.rule import make_rule
from lexveil.nlp.letters import LOWER, UPPER

# The file number of a German court: I ZR 12/03, 7 U 61/01, L 5 KR 12/10.
FILE_NUMBER_DE = r"(?:[A-Z] \d{1,2}(?:/\d{1,2} ?[a-z])? [A-Z]{1,4} \d{1,5}/\d{2}(?: [A-Z]{1,2}\b){0,2}|GmS-OGB \d{1,2}/\d{2}|(?:(?:[IVX]{1,5}|\d{1,3}[a-z]?|[A-Z]{1,2}) )?(?:[A-Z][A-Za-z]{0,4}(?:-[A-Z][A-Za-z]{0,3})?|[a-z]{1,2}|ZR|StR|ZB|BvR)(?: \([A-Za-z]{1,6}\)| [A-Z]{1,3})? \d{1,5}(?:- ?\d{1,5})?[/.]\d{2,4}(?: \([A-Z]\)| [A-Z]{1,3}\b)?)"
_COURT_DE = (
    rf"(?:BGH|BVerfG|BVerwG|BAG|BSG|BFH|BPatG|EuGH|EuG|EGMR|RG|RFH|BayObLG|BayVGH|KG|GmS-?OGB|(?:(?:Schleswig-Holsteinisches |Bayerisches |Hessisches |Thüringer |Sächsisches |Hanseatisches |Brandenburgisches |Saarländisches |Niedersächsisches )?"
    rf"(?:OLG|LG|AG|VG|OVG|VGH|LAG|ArbG|LSG|SG|FG)(?: [{UPPER}][\w/-]+(?:[ -](?:am|an der|a\.|i\.)? ?[{UPPER}][\w.]+)?)?)|Bundesgerichtshofs?|Bundesverfassungsgerichts?|Bundesverwaltungsgerichts?|Bundesarbeitsgerichts?|Bundessozialgerichts?|Bundesfinanzhofs?)"
)
_HIGHEST_DE = r"(?:GmS-?OGB|BGH|BVerfG|BVerwG|BAG|BSG|BFH|BPatG|EuGH|EuG|EGMR|Bundesgerichtshofs?|Bundesverfassungsgerichts?|Bundesverwaltungsgerichts?|Bundesarbeitsgerichts?|Bundessozialgerichts?|Bundesfinanzhofs?)"
_DATE_DE = r"\d{1,2}\. ?(?:\d{1,2}\.|Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember) ?\d{2,4}"
_JOURNAL_DE = (
    r"(?:Neue Juristische Wochenschrift(?:-[\w-]+(?: Zivilrecht)?)?(?: - NJW(?:-RR)? -)?|BGHZ|BGHSt|BGHR|BVerfGE|BVerfGK|BVerwGE|BAGE|BSGE|BFHE|BFH ?/ ?NV|BStBl(?:\.? (?:I{1,3}))?|BGBl\.? ?I{0,3}|RGZ|RGSt|NJW(?:-RR|-Spezial)?|NZA(?:-RR)?|NVwZ(?:-RR)?|NStZ(?:-RR)?|NZI|NZG|NZM|NZS|WM|ZIP|MDR|GRUR(?:-RR|-RS|-Prax|Int| Int\.?)?|WRP|BKR|GuT|FamRZ|VersR|DB|BB|DStR|EFG|"
    r"JZ|JR|JuS|StV|wistra|WuM|EuZW|EuGRZ|DVBl|DÖV|BauR|BeckRS|BRAK-Mitt|CR|K&R|MMR|ZD|ZUM|AuR|AP|EzA|SozR|ZInsO|ZMR|ZfBR|VBlBW|BayVBl|NWVBl\.?|NdsVBl\.?|ThürVBl|SächsVBl|FGPrax|InstGE|RdA|ZTR|NZV|MedR|InfAuslR|juris|Mitt|Bl\.f\.PMZ|BlPMZ|Slg\.?|Buchholz|JurBüro|ZUR|NuR|RdL|AgrarR|HFR|StE)"
)
_LOCATOR_DE = r"(?:Rn\.?|RdNr\.?|Rdnr\.?|Rdn\.?|Rz\.?|Tz\.?|S\.|Nr\.|juris|Ls\.)"
# The key word or the trade mark by which a decision is known: "GRUR 2010, 1098 Rn. 44 - Calvin Klein".
_KEYWORD_DE = rf"(?: - (?!(?:Herrn?|Frau|Kläger|Beklagt|Angeklagt|Zeug|Dr\.|Prof\.|Rechtsanw|Richter|Antragst|Antragsg|Beschwerdef|Betroff|Nebenkl)\w*)\"?[{UPPER}\d][\w&/'!+-]*(?:(?: ?/ ?| )(?:[{UPPER}\d][\w&/'!+-]*|of|the|und|and|im|in|am|der|die|das|des|dem|den|für|von|mit|zum|zur|&)){{0,6}}\"?(?: \[[^\]\n]{{2,40}}\])?(?=[;,.)\]]| m\.|\n|\Z))"
_REPORT_DE = rf"{_JOURNAL_DE}(?:,? (?:I{{1,3}} )?\d{{1,4}}(?:[ ,]{{1,2}}(?:{_LOCATOR_DE} ?)?(?:<|\()?\d{{1,5}}[a-z]?(?: ?f{{1,2}}\.)?(?: ?[>)])?)*)(?:[ ,]{{1,2}}{_LOCATOR_DE} ?\d+(?: ?f{{1,2}}\.?)?(?:(?:,| und| bis| -) ?\d{{1,4}}(?![\d/.])(?: ?f{{1,2}}\.?)?){{0,6}})*{_KEYWORD_DE}?"
_SUB_DE = (
    r"(?:(?:,|;)? ?(?:und |bis |oder |sowie |i\. ?V\. ?m\. |iVm\.? |in Verbindung mit |auch |bzw\. |- ?)?(?:§§? ?|Art\.? ?)?"
    r"(?:(?:Abs(?:ätzen?|atz|\.)?|Sätzen?|Satz|S\.?|Nrn?\.?|Nummern?|Alt(?:ernative|\.)?|Var\.|Halbs(?:atz|\.)?|Hs\.?|lit\.|Buchst(?:abe|\.)?|Unterabs\.|UAbs\.|Ziff(?:er|\.)?|Teils(?:atz|\.)|Fall) ?(?:\d+[a-z]?|[a-z]{1,2}|[IVX]+)\b|\d{1,4}[a-z]?\b(?!\.\d|/| ?[€%]|\. ?[A-Z])|ff?\.)){0,20}"  # bounded: otherwise each article in a run without a code would cause a scan to the end of the run
)
_CODE_DE = rf"(?:(?:[{UPPER}][{LOWER}]{{0,8}}){{1,4}}[{UPPER}][{LOWER}{UPPER}]{{0,4}}(?:-[{UPPER}]+)?(?: (?:[IVX]{{1,4}}|\d{{1,2}})\b)?(?: (?:19|20)\d\d\b)?|(?:des|der|dieses) (?:[{UPPER}a-zäöü][\w-]*[ ]){{0,4}}?[{UPPER}][\w-]*(?:gesetz(?:es|buch(?:e?s)?)?|ordnung|verordnung|satzung|richtlinie|vertrag(?:e?s)?|konvention|verfassung)\b)"

# Text after a cited decision: a report, a passage, a collection.
_SOURCE_DE = rf"(?:{_REPORT_DE}|{_LOCATOR_DE} ?\d+(?: f{{1,2}}\.)?|juris|www\.[a-z.-]+\.(?:de|eu)|zit(?:iert)? nach juris|n\.? ?v\.|zur Veröffentlichung)"
_NUMBER_DE = rf"(?:Az\.?:? ?|Rs\. ?)?(?:(?:OVG|VGH|BVerwG) )?(?:I-)?{FILE_NUMBER_DE}(?: ?[<(\[][\w ./-]{{2,20}}[>)\]])?(?:(?:,|,? und) (?:I-)?{FILE_NUMBER_DE}){{0,4}}"
# Who writes about the law, and in what.
_AUTHOR_DE = rf"(?:v\. ?|von |van )?[{UPPER}][{LOWER}][\w-]+"
_AUTHORS_DE = rf"(?!(?:Herrn?|Frau|Kläger|Beklagte|Zeug)\w*\b){_AUTHOR_DE}(?: ?/ ?{_AUTHOR_DE}){{0,5}}"
# Before it stands who is no author.
_UNTITLED_DE = r"(?<!Zeuge )(?<!Zeugin )(?<!Zeugen )(?<!Herr )(?<!Herrn )(?<!Frau )(?<!Kläger )(?<!Klägerin )(?<!Klägers )(?<!Beklagte )(?<!Beklagten )(?<!Beklagter )(?<!Angeklagte )(?<!Angeklagten )(?<!Dr\. )(?<!Prof\. )"
# "Rennert, in: Eyermann", "Seiler in Thomas/Putzo"
_CHAPTER_DE = rf"{_AUTHORS_DE}(?:,? in:? (?:{_AUTHORS_DE}))?"
_CODES_DE = r"(?:BGB|ZPO|StGB|StPO|HGB|GG|VwGO|VwVfG|InsO|AktG|GmbHG|FamFG|UrhG|MarkenG|PatG|EStG|UStG|AO|SGB [IVX]{1,4}|KSchG|BetrVG|ArbGG|UWG|WEG|RVG|GKG|VVG|GVG|EuGVVO|DSGVO|DS-GVO|UmwG|BauGB|AufenthG|AsylG|BetrAVG|TVG|OWiG|StVG|StVO|ABGB|OR|ZGB)"
_COMMENTARIES_DE = r"M(?:ü|ue)Ko(?:-?[A-Z]\w+)?|Beck(?:OK|OGK)(?:[ -]?[A-Z]\w+)?|Staudinger|Palandt|Grüneberg|Soergel|Erman|Zöller|Musielak|Thomas/Putzo|Jauernig|Schönke/Schröder|Meyer-Goßner|Kopp/Schenke|Maunz/Dürig|ErfK|Stein/Jonas|Medicus/Petersen|Larenz/Canaris"
# A code or the name of a work, but no company's form: "VwGO-Kommentar", "jurisPK-SGB VII", "Markengesetz".
_WORK_DE = rf"(?:(?!(?:GmbH|mbH|KGaA|KG|AG|OHG|UG|SE|GbR|eG|MdB|EUR|DM)\b)(?:juris(?:PK|PR)|[{UPPER}][\w]*[A-Z])(?:-[\w]+)*(?: [IVX]{{1,4}}\b)?|[{UPPER}][\w-]*(?:gesetz(?:buch)?|ordnung|kommentar|handbuch|lehrbuch|recht)(?: (?:AT|BT|[IVX]+))?)"
_PASSAGE_DE = r"(?:(?:[Vv]or(?:bem)?\.? ?|Einl\.? ?)?(?:§§? ?\d+[a-z]?|Art\. ?\d+)|Einl\.|Einf\.|S\. ?\d+|(?:RdNr|Rdnr|Rdn|Rn|Rz|Tz|Anm)\.? ?\d+[a-z]?\b|Kap\.? ?\w{1,4})"
_PASSAGES_DE = rf"{_PASSAGE_DE}(?:(?:,| und|;)? ?(?:{_PASSAGE_DE}|\d{{1,4}}\b)(?: ?ff?\.)?){{0,4}}"
_BETWEEN_DE = r"[ ,;:()-]{1,4}"
# The Union, its organs as authors of an act, and what an act is about: no sentence and no person in between.
_UNION_DE = r"(?:EG|EU|EWG|JI|GASP|EURATOM|Euratom|EGKS)"
_UNION_BODY_DE = r"(?: (?i:des europäischen parlaments(?: und des rat(?:e?s))?|des rates|der (?:europäischen )?kommission))?"
_TOPIC_DE = r"(?:(?i:zur|zum|über|betreffend|zwischen|des europäischen|des rates|für|gegen)\b)(?:(?! (?:vom|durch|seitens|dass) |\. [A-ZÄÖÜ]|Kläger|Beklagt|Herrn? |Frau |Zeug|Angeklagt|Antragst|Betroffen|Brief|Schreiben|Bescheid|Urteil)[^;,()\n])"

RULES = (
    # Germany. In a chain, no court precedes a decision: "...; vom 3. Mai 2001 VIII R 4/00, BFHE 195, 1".
    make_rule(rf"(?:\b(?:vom|v\.) )?(?<![\d.]){_DATE_DE}{_BETWEEN_DE}{_NUMBER_DE}(?:{_BETWEEN_DE}{_SOURCE_DE})+", "/", "."),
    make_rule(rf"(?<=[;,] )(?:vom |v\. )?{_DATE_DE}{_BETWEEN_DE}{_NUMBER_DE}|\b(?:und|sowie|und vom|vom) (?:vom )?{_DATE_DE} (?:- )?{FILE_NUMBER_DE}(?= ?[-,;)<])", "/", "."),
    make_rule(rf"(?<![\w/]){_NUMBER_DE}{_BETWEEN_DE}{_REPORT_DE}", "/"),
    make_rule(rf"\b{_COURT_DE}(?: ?[-<(] ?{_COURT_DE} ?[->)])?(?: ?< ?Kammer ?>)?,? (?:vom|v\.) {_DATE_DE}(?:{_BETWEEN_DE}{_NUMBER_DE}(?:{_BETWEEN_DE}{_SOURCE_DE})*|(?:{_BETWEEN_DE}{_SOURCE_DE})+)|\b{_HIGHEST_DE}(?:,? (?:Urteil|Urt\.|Beschluss|Beschl\.|Entscheidung))? (?:vom|v\.) {_DATE_DE}(?: - \d{{1,3}}/\d{{2}}(?= ?[-,;)]))?", ".", "vom"),
    make_rule(rf"\b(?:EuGH|EuG|EGMR|Gerichtshofs?(?: der Europäischen (?:Union|Gemeinschaften))?(?: \(EuGH\))?)(?:(?!Kläger|Beschwerde|Angeklagt|Herrn? |Frau |Zeug)[^;()\n]){{0,60}}? (?:vom|v\.) {_DATE_DE}(?:, [{UPPER}][\w/.& -]{{1,40}}(?=, ?[CTF] ?-))?[ ,;:(-]{{1,4}}(?:Rs\.? ?|Nr\. ?|Beschwerde-?Nr\. ?)?[CTF]? ?-? ?\d{{1,5}}/\d{{2}}(?:[ ,-]{{1,3}}\[?(?:{_SOURCE_DE}|[{UPPER}][\w-]+)\]?)?", "EuG", "EGMR", "erichtshof"),
    make_rule(rf"\b(?:EuGH|EuG|EGMR)(?:[ ,-]{{1,2}}(?:Urteile?|Urt\.|Beschluss|Rs\.?))?,? [{UPPER}][\w./&' -]{{2,80}}?,? (?:EU: ?C: ?\d{{4}}: ?\d+|C ?- ?\d{{1,4}}/\d{{2}}|Slg\.)", "EuG", "EGMR"),
    make_rule(rf"\b{_COURT_DE},? (?:a\. ?a\. ?O\.|aaO),? {_NUMBER_DE}{_KEYWORD_DE}?", "a. a. O", "a.a.O", "aaO"),
    make_rule(rf"\b(?:vom|v\.) {_DATE_DE}(?: ?-? ?[{UPPER}][\w-]{{1,20}} ?-)?[ ,(\[]{{1,3}}(?:(?:BGBl|GVBl|GVOBl|Amtsbl|RGBl|BAnz|GBl|MBl|Nds\. GVBl|GV\.? NRW)\.?[ ,]|{_REPORT_DE})", "BGBl", "GVBl", "GVOBl", "Amtsbl", "RGBl", "BAnz", "GBl", "MBl", "GV", "BStBl", "BFH", "NJW", "juris", "DB", "BB"),
    make_rule(rf"\b(?:VO|(?:Durchführungs|Grund|Rahmen)?[Vv]erordnung(?:en)?|VERORDNUNG|(?:Rahmen|Durchführungs|Änderungs)?[Rr]ichtlinien?|RICHTLINIE|RL|(?:Rahmen|Durchführungs)?[Bb]eschluss(?:es)?){_UNION_BODY_DE}(?: ?[<(] ?{_UNION_DE} ?[>)]| {_UNION_DE})?{_UNION_BODY_DE} ?(?:N[Rr]n?\.? ?)?\d{{1,4}} ?/ ?\d{{1,4}}(?: ?/ ?{_UNION_DE})?{_UNION_BODY_DE}(?:,? vom {_DATE_DE})?", "VO", "erordnung", "VERORDNUNG", "ichtlinie", "RICHTLINIE", "RL ", "eschluss"),
    make_rule(rf"\b(?:[Uu]rteil|[Bb]eschluss|[Ee]ntscheidung)(?:e?s)?(?: des Senats)? vom (?:heutigen|selben|gleichen) Tage?[ ,;:(-]{{1,4}}(?:Az\.?:? ?)?{FILE_NUMBER_DE}|(?:[Uu]rteil|[Ee]ntscheidung|[Bb]eschluss)(?:e?s)? (?:vom|v\.) {_DATE_DE}(?=[ ,-]{{1,4}}(?:\d[A-Z]_\d|\[\d{{4}}\] [A-Z]))", "rteil", "eschluss", "ntscheidung"),
    make_rule(rf"\b(?:EPA|EPO|(?:Großen? )?Beschwerdekammer(?:n)?(?: des (?:EPA|Europäischen Patentamts))?)[ ,(-]{{1,3}}(?:(?:Entscheidung|Stellungnahme)(?: vom {_DATE_DE})?[ ,-]{{1,4}})?[TGJDW] ?\d{{1,4}}/\d{{2}}{_KEYWORD_DE}?", "EPA", "EPO", "eschwerdekammer"),
    # A law by its whole name: "das Gesetz zur Modernisierung des Schuldrechts vom 26. November 2001".
    make_rule(rf"(?<!\w)(?:\w*[Gg]esetz(?:es|e)?|\w*[Vv]erordnung|(?:Rahmen)?[Rr]ichtlinie|RICHTLINIE|\w*[Aa]bkommens?|\w*[Üü]bereinkommens?|[Pp]rotokolls?|[Ss]taatsvertrag(?:e?s)?|(?:[Mm]antel|[Rr]ahmen|[Ee]ntgelt|[Uu]rlaubs)?[Tt]arifvertrag(?:e?s)?|[Gg]esetzentwurfs?|[Bb]eschluss(?:es)? des Rates|[Rr]ahmenbeschluss(?:es)?)(?: {_TOPIC_DE}{{0,200}}?) vom {_DATE_DE}(?: - [A-Z][\w ]{{1,20}} -)?", "esetz", "erordnung", "ichtlinie", "ICHTLINIE", "bkommen", "bereinkommen", "rotokoll", "ertrag", "eschluss", also=("vom ",)),
    make_rule(rf"\bStand:? (?:{_DATE_DE}|(?:Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember) \d{{4}}|\d{{1,2}}/\d{{2,4}})|\b(?:ZDv|ZE|Zentralen? Dienstvorschrift)(?: [A-Z])?\d?-? ?\d{{2,4}}/\d{{1,3}}", "Stand", "ZDv", "ZE", "Dienstvorschrift"),
    make_rule(r"(?i:(?<!\w)[a-zäöü]{0,24}verfahren|\bsache|\w{0,16}beschwerde|normenkontrolle)s? (?:(?:[12] Bv[A-Z]|[IVX]{1,4} [RB]) \d{1,4}/\d{2}(?:(?:,| und| sowie) (?=[12IVX]))?){1,6}", "Bv", " R ", " B "),
    make_rule(rf"(?:\b{_COURT_DE}|\bSenats(?:urteil|beschluss|entscheidung)e?s?|(?:[Uu]rteil|[Bb]eschluss|[Bb]eschluß|[Ee]ntscheidung)(?:e?s|en?)?)(?:[-, ]{{1,2}}(?:\(?(?:(?:Versäumnis|Teil|Grund|Zwischen|End)?[Uu]rteile?|Beschl(?:uss|uß|üsse|\.)|Urt\.|U\.|B\.|Entscheidung|Vorlagebeschluss|Senatsurteil)\)?))?(?: des [\w. -]{{3,60}}?)?(?: der \d\. Kammer des [\w ]{{3,20}})?,? ?(?:vom|v\.)? ?{_DATE_DE}"
         rf"[ ,;:(-]{{1,4}}(?:u\. ?a\. |ua )?(?:Az\.?:? ?|Rs\. ?)?(?:I-)?(?:{FILE_NUMBER_DE}(?:(?:,| und) {FILE_NUMBER_DE}){{0,4}}|C ?- ?\d{{1,4}}/\d{{2}})(?:[ ,;)-]{{1,4}}(?:{_REPORT_DE}|{_LOCATOR_DE} ?\d+(?: f{{1,2}}\.)?|juris))*{_KEYWORD_DE}?", "/", "."),
    make_rule(rf"\b(?:{_COURT_DE}[,:]? ?)?{_REPORT_DE}(?: ?[=;] ?{_REPORT_DE})*", *r"BGHZ BGHSt WRP BVerfG BVerwGE BAGE BSGE BFH BStBl BGBl RGZ RGSt NJW WRP NZA NVwZ NStZ NZI NZG NZM NZS WM ZIP MDR GRUR FamRZ VersR DB BB DStR EFG JZ JR JuS StV wistra WuM EuZW EuGRZ DVBl DÖV BauR BeckRS CR K&R MMR ZD ZUM AP EzA SozR ZInsO ZMR juris Slg Buchholz".split()),
    # Switzerland, and literature: "Palandt/Grüneberg, BGB, § 280 Rn. 4", "Canaris, JZ 2001, 499"
    make_rule(rf"(?:\b(?:Urteile?s?|BGer|Bundesgerichts?|Entscheide?s?),? )*(?<!\w)\d[A-Z]_\d{{1,4}}/\d{{4}}(?: vom {_DATE_DE})?(?: E\. ?\d[\d.]*)?", "_"),
    make_rule(rf"(?<![\w/-]){_UNTITLED_DE}{_CHAPTER_DE}, (?:(?:{_COMMENTARIES_DE}|[{UPPER}][\w-]+es (?:[{UPPER}][\w-]+ )?Recht|AT|BT|{_WORK_DE}|{_CODES_DE}),? )(?:\d{{1,3}}\. ?Aufl(?:\.|age)?,? ?)?(?:(?:Stand:? )?(?:[12]\d{{3}}),? )?{_PASSAGES_DE}", "Rn", "Rdn", "RdNr", "Rz", "Anm", "Einl", "S. ", "§", "Art"),
    # "a. a. O." after a single name needs a cue: a witness is cited so, too.
    make_rule(rf"(?:(?<![\w/-]){_UNTITLED_DE}(?:{_AUTHOR_DE}(?: ?/ ?{_AUTHOR_DE}){{1,5}}(?:,? in:? {_AUTHORS_DE})?|{_AUTHOR_DE},? in:? {_AUTHORS_DE})|(?:(?<=[Vv]gl\. )|(?<=auch )|(?<=etwa )|(?<=so )|(?<=\()|(?<=; )){_AUTHORS_DE}), (?:a\. ?a\. ?O\.|aaO),? {_PASSAGES_DE}", "aaO", "a. a. O", "a.a.O"),
    make_rule(rf"(?<![\w/-]){_AUTHORS_DE}, (?:in:? )?{_REPORT_DE}|(?<![\w/-])(?:{_COMMENTARIES_DE})(?:/[{UPPER}][\w-]+)*(?=[,;:.)]| Rn| §| Art| in )", *r"NJW JZ JR JuS MDR GRUR Mü Beck Staudinger Palandt Grüneberg Erman Zöller Medicus".split()),
    make_rule(rf"§§? ?\d+[a-z]?{_SUB_DE}(?: ?{_CODE_DE})?", "§"),
    make_rule(rf"\bArt(?:\.|ikeln?|ikels)? ?\d+[a-z]?{_SUB_DE} (?:{_CODE_DE}|(?:der )?EMRK|GG|DSGVO|DS-GVO|AEUV|EUV)", "Art"),
    make_rule(rf"(?<![\w-])[{UPPER}][\w-]{{0,60}}(?:gesetz(?:es|buch(?:e?s)?)?|verordnung|ordnung|gesetze)(?:(?: (?:19|20)\d\d)? vom {_DATE_DE})?(?: \((?:[A-Z]\w+|BGBl[^()\n]{{3,30}})\))?(?=[ ,.;)])", "gesetz", "ordnung"),
    make_rule(rf"\bBT-?Dr(?:ucks?(?:ache|\.)?|s\.?) ?\d{{1,2}}/\d{{1,5}}(?: vom {_DATE_DE})?(?:,? S\.? ?\d+)?|\bBR-?Dr(?:ucks?(?:ache|\.)?|s\.?) ?\d{{1,4}}/\d{{2}}(?: vom {_DATE_DE})?(?:,? S\.? ?\d+)?", "BT-Dr", "BR-Dr", "BTDr", "BRDr"),
    make_rule(rf"\b(?:A[Bb]l\.?|Amtsblatt(?:e?s)?(?: der Europäischen (?:Union|Gemeinschaften))?),? ?(?:\(?(?:EU|EG)\)?,? ?)?(?:Nr\.? ?)?[LC] ?\d{{1,4}}(?: ?/ ?\d+)?(?:,? (?:S\. ?\d+,? )?vom {_DATE_DE})?(?:,? S\. ?\d+)?", "ABl", "Abl", "Amtsblatt"),
    # A court by its abbreviation and the number, without or before the date; courts that number by year alone.
    make_rule(rf"\b{_HIGHEST_DE},? (?:PAVIS PROMA,? )?{_NUMBER_DE}(?:,? (?:vom|v\.) {_DATE_DE})?{_KEYWORD_DE}?", "/"),
    make_rule(rf"\b(?:VerfGH|VfGH|LVerfG|StGH|(?:Staats|Verfassungs)gerichtshofs?|Landesverfassungsgerichts?|EGMR|Truppendienstgerichts?|TDG|BDiG)\b(?:(?!Kläger|Beschwerdef|Angeklagt|Herrn? |Frau |Zeug)[^;\n]){{0,50}}? {_DATE_DE}[ ,;:(-]{{1,4}}(?:(?:Beschwerde-?)?(?:Nr|Az)\.?:? ?)?(?:(?:VerfGH|VfGH|LVerfG|StGH|Vf\.|P\. ?St\.) ?)?(?:{FILE_NUMBER_DE}|\d{{1,5}}(?:/\d{{2}})?(?![\d.]))(?:[ ,-]{{1,4}}(?:{_REPORT_DE}|\[?[{UPPER}][\w-]+(?: (?:\./\.|gegen|v\.) [{UPPER}]\w+)?\]?))?", "VerfGH", "VfGH", "LVerfG", "StGH", "gerichtshof", "verfassungsgericht", "EGMR", "ienstgericht", "TDG", "BDiG"),
    make_rule(rf"\b[Uu]rteile?s? (?:vom|v\.) {_DATE_DE}, (?:(?!Kläger|Herrn? |Frau |Zeug)[^;()\n]){{2,80}}?,? (?:Rs\. ?)?[CTF] ?- ?\d{{1,4}}/\d{{2}}", "rteil", also=("C-", "T-", "F-", "C -", "T -")),
    # Austria's collections of decisions and its supreme courts; Switzerland's federal court.
    make_rule(r"\b(?:VfSlg|VwSlg)\.? ?(?:NF ?)?\d{1,2}\.?\d{3}(?: ?\(?[AF]\)?)?(?:/\d{4})?|\bRIS-Justiz RS ?\d{7}|\bRS ?0\d{6}\b|\bSZ \d{1,3}/\d{1,3}\b|\bOGH(?:,? (?:vom )?\d{1,2}\. ?\d{1,2}\. ?\d{4})?,? \d{1,2} ?Ob[A-Z]?[a-zA-Z]? ?\d{1,4}/\d{2} ?[a-z]\b|\b(?:VwGH|BVwG|LVwG|AsylGH)(?:,? (?:vom )?\d{1,2}\. ?\d{1,2}\. ?\d{4})?,? (?:R[ao] )?(?:\d{4}/\d{2}/\d{4}(?:-\d{1,3})?|[A-Z]\d{3} \d{7}-\d)|\bBGE \d{1,3} (?:I[abV]{0,2}|II|III|IV|V) \d{1,4}(?: E\. ?\d[\d.]*)?|\b(?:BGer|Urteil(?:e|s)?) \d[A-Z]{1,2}[_.]\d{1,4}/\d{4}", "Slg", "RIS-Justiz", "RS0", "RS 0", "SZ ", "OGH", "VwG", "AsylGH", "BGE ", "BGer", "Urteil"),
    # Collective agreements by their short names: "TV-L", "TVöD", "TV-Ärzte Hessen", "MTV".
    make_rule(rf"(?<!\w)(?:TV(?:-[{UPPER}][\w/-]*|öD(?:-[\w/]+)?|-?[{UPPER}]{{1,4}}\b| [{UPPER}]{{2,4}}\b)(?: (?:Hessen|Bund|VKA|Berlin|Land|Länder|[{UPPER}][\w]*-[{LOWER}]\w*))?|[{UPPER}][{LOWER}]+s-TV(?: Land [{UPPER}][\w-]+)?)(?![\w-])|\bPAVIS PROMA\b", "TV", "PAVIS"),
    make_rule(rf"\bEGMR(?: \(GK\))?, [{UPPER}][\w’' -]{{1,60}} (?:c\.|v\.|gegen|\./\.) [{UPPER}][\w -]{{2,40}},? (?:Urteil|Urt\.|Entscheidung|Beschl\w*|Nr\.)", "EGMR"),
    # A court and its seat, where no name of a party can stand.
    make_rule(rf"\b[Dd]es (?:Amts|Land|Oberlandes|Kammer|Verwaltungs|Oberverwaltungs|Sozial|Landessozial|Arbeits|Landesarbeits|Finanz)gerichts(?: \([A-Z]{{2,4}}\))? [{UPPER}][{LOWER}]+(?:-[{UPPER}][{LOWER}]+|/[{UPPER}]\w+| am Main| \(\w+\))?(?= (?:vom|v\.|hat|ist|wird|wurde)\b|[,.;)])|\b[\w]+gericht \([A-Z]{{2,4}}\) [{UPPER}][{LOWER}]+(?:-[{UPPER}][{LOWER}]+)?(?!\w)", "gericht"),
    # What the tax authorities write to each other.
    make_rule(rf"\b(?:BMF-?(?:Schreibens?|Erlass(?:es)?)|(?:Schreibens?|Verfügung|Rundschreibens?|Rundverfügung|Erlass(?:es)?) (?:der|des) (?:OFD|Oberfinanzdirektion|Finanzministeriums|Ministeriums der Finanzen|Bundesministeriums der Finanzen|BMF|Bundeszentralamts für Steuern|BZSt)(?: [{UPPER}][\w-]+){{0,3}}) (?:vom|v\.) {_DATE_DE}(?: ?-? ?[IVX]{{1,3}} [A-Z] \d(?: ?-? ?[A-Z] ?\d[\d ./:-]*\d)?| ?-? ?S \d[\d ./-]*\d)?", "BMF", "Schreiben", "erfügung", "undschreiben", "Erlass"),
)  # fmt: skip
