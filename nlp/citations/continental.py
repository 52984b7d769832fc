# ruff: noqa: E501  -- patterns read best on one line
"""French, Spanish, Italian, Portuguese, Polish, Dutch, Serbian and Croatian law: decisions, statutes, acts of the Union.

`lexveil.nlp.citations.institutions` finds the courts and codes of these countries by their names.
"""

from __future__ import annotations

from lexveil.nlp.citations.rule import make_rule
from lexveil.nlp.letters import LOWER, UPPER

# -- France -----------------------------------------------------------------------------------------

_DATE_FR = r"(?:\d{1,2}(?:er)? (?:janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre|janv\.|févr\.|avr\.|juill\.|sept\.|oct\.|nov\.|déc\.) \d{4}|\d{1,2}/\d{1,2}/\d{4})"
_CHAMBER_FR = r"(?:(?:\d(?:e|re|ère|ème) )?(?:[Cc]iv\.?|[Cc]h\. civ\.|[Cc]hambre civile) ?(?:\d|1re|1ère|2e|2ème|3e|3ème)?|[Ss]oc\.?|[Cc]om\.?|[Cc]rim\.?|[Aa]ss\.? ?[Pp]lén\.?|[Cc]h\. ?mixte|[Rr]eq\.?|QPC)"
_COURT_FR = (
    rf"(?:Cass\.?,? ?(?:{_CHAMBER_FR})?|(?:(?:1re|1ère|2e|2ème|3e|3ème) [Cc]iv\.|Civ\. (?:1re|2e|3e)|Soc\.|Com\.|Crim\.|Ass\. plén\.)|C\.?E\.?(?: (?:ass|sect|ord)\.?)?|Conseil d'[ÉE]tat|CAA(?: de)? [{UPPER}][\w-]+|C\.?A\.?(?: de| d')? ?[{UPPER}][\w-]+(?:-[\w-]+)*|"
    rf"(?:TGI|TJ|TA|TI|T\. ?com\.|Trib\. ?com\.|CPH|TASS)(?: de| d')? ?[{UPPER}][\w-]+|T\. ?confl\.|Cons\. const\.|Conseil constitutionnel|CJUE|CJCE|CEDH)"
)
_NUMBER_FR = r"(?:req\. |pourvoi |aff\. |requête |RG |décision )?[nN]°s? ?(?:RG ?:? ?)?[A-Z]{0,2} ?(?:\d{2}[-/]\d{2}\.\d{3}|\d{4}-\d{1,4} (?:DC|QPC|L|LP|AN|I|ORGA|D)|\d{2}[A-Z]{2}\d{5}|[\d/.-]{4,12}\d)(?:(?:,| et) (?:n° ?)?[A-Z]? ?(?:\d{2}-\d{2}\.\d{3}|\d{4,7}))*"
_ARTICLE_FR = r"(?:[LRDA]\.? ?\*?)?\d+(?:er)?(?:[-.]\d+)*(?:[- ](?:bis|ter|quater|[A-Z])\b)?"


# The name of a decision of an administrative court between date and number: "CE, 28 mai 1954, Barel, n° 28238".
_NAMED_FR = rf"(?:, (?:(?:Société|Sté|Commune de|Ville de|Association|Syndicat|Époux|Dame|Sieur|Ministre|Préfet) (?:[{LOWER}]+ ){{0,3}})?[{UPPER}][\w'-]+(?: (?:et |c/ |de |du |des |la |d')*[{UPPER}][\w'-]+){{0,3}}(?: et autres)?(?=, (?:n°|req|Rec|Lebon|p\.|préc)| ?[;).]))"

_COURT_PL = rf"(?:SN|NSA|WSA|S[AOR]|TK|TSUE|ETPC|Sąd(?:u|em)?|Trybunał(?:u|em)?|(?:Naj|Na|Ap|Ok|Re|Wo|Ad|Ko|Sp)[{LOWER}]+(?:ego|ości|ym)|Izby|(?:Cywilnej|Karnej|Pracy)|Unii|Europejskiej|składu|siedmiu|sędziów|pełnego|[iz]|we? [{UPPER}][{LOWER}]+(?: [{UPPER}][{LOWER}]+)?)"

# -- Numbers of statutes and decisions in all these languages ----------------------------------------

_MONTH = r"(?:janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro|januari|februari|maart|april|mei|juni|juli|augustus|september|oktober|december)"
_DATE = rf"\d{{1,2}}(?:er|º|°)?\.?(?: de)? {_MONTH}(?: de)? \d{{4}}"
_NO = r"(?:[nN](?:[º°o]|\.[º°o]?|úm\.|um\.|r\.?)? ?)"
# A statute's number, with the year or without: 13.105, 8.078/1990, 2008-496, 2/2015.
_ACT_NUMBER = r"(?:\d{1,4}(?:\.\d{3})*|\d{5})(?:-\d{1,2}(?=/))?(?:[/-]\d{2,4})?(?:-[A-Z])?"
_UNION = r"(?:UE|CE|CEE|EU|EG|EEG|WE|EWG|EC|EURATOM|Euratom)"
_UNION_ACT = r"(?:[Rr]èglements?|[Rr]eglamentos?|[Rr]egolament[oi]|[Rr]egulamentos?|[Vv]erordening(?:en)?|[Rr]ozporządzeni[a-zóęą]{1,4}|[Uu]redb[aeiu]|[Dd]irectives?|[Dd]irectivas?|[Dd]irettiv[ae]|[Dd]iretivas?|[Rr]ichtlijn(?:en)?|[Dd]yrektyw[a-zyęą]{1,3}|[Dd]irektiv[aeu]|[Dd]écisions?(?:-cadre)?|[Dd]ecisi(?:ón|ones)(?: marco)?|[Dd]ecision[ei](?: quadro)?|[Bb]esluit(?:en)?|[Kk]aderbesluit|[Dd]ecyzj[a-zięą]{1,3})"
_UNION_BODY = r"(?: (?:d'exécution|délégué|delegado|delegato|di esecuzione|de ejecución|nr\.?|[Nn]o|Parlamentu Europejskiego i Rady|Rady|Komisji|du Parlement européen et du Conseil|du Conseil|de la Commission|del Parlamento Europeo y del Consejo|del Consejo|de la Comisión|del Parlamento europeo e del Consiglio|del Consiglio|della Commissione|do Parlamento Europeu e do Conselho|do Conselho|da Comissão|van de Raad|van de Commissie|van het Europees Parlement en de Raad))"
_ACT_WORD = r"(?:[Ll]oi(?: organique| constitutionnelle)?|Ley(?: Orgánica| Foral| General)?|Le[iy](?: Complementar| Delegada| Federal| Estadual| Municipal)?|[Ll]egge(?: regionale| costituzionale| delega)?|(?:Real )?[Dd]ecreto(?:[- ][Ll]e[iy]| [Ll]egislativo|-legge| [Mm]inisteriale| legge| del Presidente della Repubblica| Regulamentar)?(?: [Ll]egislativo)?|[Dd]écret(?:-loi)?|Portaria|Resolução|Instrução Normativa|Medida Provisória|Emenda Constitucional)"
_ACT = r"(?:[Ll]\. ?(?:r\. )?(?=n\.|\d{1,2} )|[Oo]rdonnance|[Dd]\. ?[Ll](?:gs|vo)?\.?(?:vo)?|[Dd]\. ?[Pp]\. ?(?:[Rr]|[Cc]\. ?[Mm])\.?|[Dd]\. ?[Mm]\.|RDL|RD|LO|MP|IN|Provimento|Orden(?: Ministerial)?)"
_SOURCE_AFTER = rf"(?:,? ?(?:d[eiu]l?|of|van|du|de)? ?(?:{_DATE}|\d{{4}}|\d{{1,2}} de {_MONTH}))?"
_ACT_NAME_AFTER = rf"(?:,? (?:de|del|sobre|por la que|reguladora d[ae]l?)(?: la| los| las| el)? [{UPPER}][{LOWER}]+(?:(?: de| de la| del)? [{UPPER}][{LOWER}]+){{0,3}})?"
_PROVISION = r"(?:(?:incisos? [IVXLC]+|§|par\.|ust\.|pkt|lit\.|st\.|stav(?:a|om)?|tač(?:ka|\.)|inciso|incisos|alínea|caput|comma|commi|co\.|lett\.|apartado|apdo\.|párrafo|lid|sub|letra|parágrafo(?: único)?|§ ?\d+º?|nº|n\.º|número|al\.|alinéa|i|e|y|et|en|a|o|ou|bis|ter|seg\.|ss\.|sig\.|in fine))"
_CODE_ABBREVIATED = r"(?:L\. ?F\.|l\. ?f\.|c\. ?c\.|c\. ?p\. ?c\.|c\. ?p\. ?p\.|c\. ?p\.|[Cc]od\. ?(?:civ|pen|proc\. ?civ|proc\. ?pen|strada|cons|[Aa]ss|[Dd]eont|[Cc]risi)\.|disp\. ?att\.|Cost\.|CC|CP|LEC|LECrim|LOPJ|ET|CE|CPC|CPP|CLT|CF(?:/(?:19)?88)?|CDC|ECA|CTN|LINDB|BW|Rv|Sr|Sv|Awb|EVRM|WvSr|Gw|k\.c\.|k\.p\.c\.|k\.k\.|k\.p\.k\.|k\.p\.|k\.r\.o\.|k\.s\.h\.|k\.p\.a\.|p\.p\.s\.a\.|u\.s\.g\.|ZOO|ZPP|ZKP|KZ|ZR|ZOSPI|CEDH|TFUE|TUE|RGPD|GDPR|ZUS)"
# Text between Italy's court of cassation and the number of its decision.
_PART_IT = r"(?:(?:civ|pen|lav|trib)(?:ile|\.)?|[Ss]ez(?:ione|ioni|\.)? ?(?:[IVX]+|[Uu]n(?:ite|\.)|lav\.|trib\.|\d)(?:[- ]\d)?|[Ss]\. ?[Uu]\.|[Oo]rd(?:inanza|\.)|[Ss]ent(?:enza|\.)|[IVX]+|ad\. plen\.)"
# The number of a Brazilian case since 2010 (CNJ resolution 65/2008): sequence, check digits, year, branch, court, origin.
NUMBER_CNJ = r"(?<![\d.])\d{1,7}-? ?\d{2}\.\d{4}\.\d\.\d{2}\.\d{4}(?!\d)"
_CLASS_PT = r"(?:(?:A?REsp|A?RE|EREsp|EAREsp|E?A?IRR|AIRR|ARR|RR|E-RR|RO|HC|RHC|RMS|MS(?! \d{5}(?![\d.]))|ADI|ADIn|ADC|ADPF|ADO|Rcl|AI|CC|ACO|RvCr|SLS|Pet|Inq|AP|CP|AgRg|AgInt|AgR|EDcl|EDv|ED)|[Hh]abeas [Cc]orpus|[Mm]andado de [Ss]egurança|[Rr]ecursos? (?:[Ee]special|[Ee]xtraordinário(?: com [Aa]gravo)?|[Oo]rdinário|[Cc]riminal|de [Rr]evista|em [Ss]entido [Ee]strito|[Ii]nominado)|[Aa]gravos? (?:[Rr]egimental|[Ii]nterno|de [Ii]nstrumento|em [Rr]ecurso [Ee]special)|[Ee]mbargos(?: (?:de [Dd]eclaração|[Ii]nfringentes|de [Dd]ivergência))?|[Aa]pelaç(?:ão|ões)(?: (?:[Cc]ível|[Cc]riminal))?|[Cc]orreição [Pp]arcial|[Rr]eclamação|[Aa]ção (?:[Pp]enal|[Rr]escisória|[Cc]ivil [Pp]ública|[Dd]ireta de [Ii]nconstitucionalidade)|[Cc]onflito de [Cc]ompetência|[Rr]evisão [Cc]riminal)"

RULES = (
    # France
    make_rule(rf"(?<![\w.]){_COURT_FR}(?:, ?(?:(?:décision|arrêt|ord\.|[Aa]ss\.|[Ss]ect\.|ch\. réun\.|[Pp]ôle \d+(?: ?- ?ch\. ?\d+)?|{_CHAMBER_FR}|\d+e(?:r|ème)?(?: et \d+e)? (?:ch\.|ss-sect\.|chambres?(?: réunies)?)|ch\. \d+(?:, sect\. [A-Z])?|section [A-Z])))*,? ?(?:du )?(?:{_DATE_FR}{_NAMED_FR}?(?:,? ?{_NUMBER_FR})?|{_NUMBER_FR}(?: du {_DATE_FR})?)"
         rf"(?:,? ?(?:Bull\.? ?(?:civ\.?|crim\.?)?(?: \d{{4}})?,? ?[IVX]*,? ?n° ?\d+|(?:Rec(?:ueil|\.)?|Lebon)[ ,.\w]{{0,12}}p\. ?\d+|P(?:ubli)?\.?(?: au bulletin)?|[DJ](?:CP)?\.? ?(?:G|E|S)?,? ?\d{{4}},? ?(?:[\w.]{{1,6}} )?\d+))*", "Cass", "Civ", "Soc", "Com", "Crim", "CE", "C.E", "Conseil", "CA", "C.A", "TGI", "TJ", "TA", "Cons", "Trib", "T. co", "CPH", "CJUE", "CJCE", "CEDH"),
    make_rule(rf"\b[Aa]rt(?:icles?|s?\.) ?{_ARTICLE_FR}(?:(?:,| et| ou| à)(?: suivants| s\.)? ?(?:{_ARTICLE_FR})?)*(?:,? (?:al(?:inéa|\.)? ?\d+(?:er)?|\d°|§ ?\d))*(?: (?:du|de la|de l'|des) (?:(?:code|Code|loi|Loi|[Cc]onvention|[Cc]onstitution|décret|[Dd]éclaration|[Tt]raité|[Cc]harte|règlement|ordonnance|directive)(?: (?:de|du|des|d'|la|le|les|l'|et|à|sur|en|[{LOWER}{UPPER}'-]{{3,20}})){{0,10}}|même code|[A-Z]{{2,8}}\b))?", "rt"),
    make_rule(rf"\b(?:[Ll]oi|[Dd]écret|[Oo]rdonnance|[Aa]rrêté)(?: organique| constitutionnelle)? [nN]° ?\d{{2,4}}-\d{{1,4}}(?: du {_DATE_FR})?|\b(?:[Ll]oi|[Dd]écret|[Oo]rdonnance) du {_DATE_FR}", "oi ", "écret", "rdonnance", "rrêté"),
    # Spain, Poland, the Netherlands
    make_rule(r"\b(?:STS|STC|ATS|ATC|SAP|SAN|STSJ|STJUE|STEDH|SSTS|RTC)(?: (?:M|B|V|SE|(?:de )?[A-Z][a-z]\w+(?= \(|,? (?:n[úu]m|nº)| \d)))?(?: \([^)\n]{1,40}\))?,? (?:n[úu]m\. ?|nº ?)?\d{1,5}/\d{2,4}(?:,? de \d{1,2} de [a-z]+(?: de \d{4})?)?", "ST", "AT", "SA", "RTC", "RJ"),
    make_rule(rf"\b(?:[Ww]yrok(?:u|iem|ach|i)?|[Uu]chwał[aąyę]|[Pp]ostanowieni[eau]m?)(?: {_COURT_PL}){{0,8}}? z(?: dnia)? \d{{1,2}} [^\W\d]+ \d{{4}} r(?:\.|oku),?(?: \(?sygn\.(?: akt)?)? [IVX]{{1,4}} [A-Z][A-Za-z]{{0,4}} \d{{1,5}}/\d{{2,4}}", "yrok", "chwał", "ostanowieni"),
    make_rule(r"\b[Uu]staw[ayęąo]\w{0,2} z(?: dnia)? \d{1,2} [^\W\d]+ \d{4} r(?:\.|oku)(?: (?:o|Prawo|Kodeks)(?: [^\W\d]+){1,6}?(?=[ ,.;)]))?", "staw"),
    make_rule(r"\b(?:HR|PHR|ABRvS|AbRvS|CRvB|CBb|Hoge Raad|Rb\.?(?: [A-Z]\w+)?|Hof(?: [A-Z]\w+)?),? \d{1,2} [a-z]+ \d{4}(?:,? (?:ECLI:[A-Z0-9:.]+|NJ \d{4}(?:/|, )\d+|LJN \w+|JOR \d{4}/\d+))*", "HR", "RvS", "RvB", "CBb", "Hoge", "Rb", "Hof"),
    make_rule(r"\bartikel(?:en)? \d+[a-z]?(?::\d+[a-z]?)?(?:(?:,| en| lid) \d+)* (?:van (?:het|de) )?(?:(?:Burgerlijk|Algemene|Wetboek|Grondwet)[\w ]{0,60}?(?:[Ww]etboek|recht|vordering|[Gg]rondwet)|BW|Rv|Sr|Sv|Awb|WvSr|WvSv|EVRM|Gw)\b", "artikel"),
    make_rule(r"\b[Cc]ode (?:(?:de (?:la |l')?|du |des |d')[a-zéèêâîôûç' -]{4,50}?|civil|pénal|rural)(?= |,|\.|;|\)|$)", "ode "),
    # Acts of the Union and numbers of its cases
    make_rule(rf"\b{_UNION_ACT}{_UNION_BODY}{{0,2}}(?: ?\({_UNION}(?:, ?Euratom)?\)| ?{_UNION})?(?: {_NO})?{_UNION_BODY}? ?\d{{1,4}}/\d{{1,4}}(?:/(?:{_UNION}|JAI|GAI|JHA|WSiSW))?{_UNION_BODY}{{0,2}}{_SOURCE_AFTER}", "/", also=("èglement", "eglament", "egolament", "egulament", "erordening", "ozporządz", "redb", "irectiv", "irettiv", "iretiv", "ichtlijn", "yrektyw", "irektiv", "écision", "ecisi", "esluit", "ecyzj")),
    make_rule(rf"(?:\b(?:[Aa]rrêt|[Ss]entenci?z?a|[Aa]cc?órdão|[Aa]rrest|[Ww]yrok(?:u|iem)?|[Pp]resud[aeu])\b[^;()\n]{{0,40}}? (?:du |de |del |van |z dnia |od )?{_DATE},? ?)?(?:\(?(?:aff(?:aires?|\.)|asuntos?|causa|cause|processos?|proc\.|zaak|zaken|spraw[aiey]|predmet[au]?)(?: jointes| acumulados| riunite)? )?(?<![\w-])[CTF][-‑]\d{{1,4}}/\d{{2}}(?: P)?(?!\d)", "C-", "T-", "F-", "C‑", "T‑", foreign=True),
    # Statutes by number or date
    make_rule(rf"(?<![A-Z]\.)(?<![\w.]){_ACT_WORD} (?:(?:{_DATE},? )?{_NO} ?{_ACT_NUMBER}|{_DATE},? {_ACT_NUMBER}|(?=[\d.]+[-/]\d){_ACT_NUMBER})(?![\d.]\d|\d){_SOURCE_AFTER}(?:, (?:art|artt)\. \d+|,? convertit[oa],?(?: con modificazioni,?)? (?:dalla|in) (?:legge|L\.) {_DATE},? {_NO}{_ACT_NUMBER})?{_ACT_NAME_AFTER}", "oi ", "Ley", "Lei", "egge", "ecreto", "écret", "Portaria", "Resolução", "Instrução", "Medida", "Emenda", also=("/", "-", "n.", "nº", "n°", "n ", "Nº", "N°", "no ")),
    make_rule(rf"(?<![A-Z]\.)(?<![\w.]){_ACT} (?:(?:{_DATE},? )?{_NO} ?{_ACT_NUMBER}|{_DATE},? {_ACT_NUMBER}|(?=[\d.]+[-/]\d){_ACT_NUMBER})(?![\d.]\d|\d){_SOURCE_AFTER}(?:, (?:art|artt)\. \d+|,? convertit[oa],?(?: con modificazioni,?)? (?:dalla|in) (?:legge|L\.) {_DATE},? {_NO}{_ACT_NUMBER})?{_ACT_NAME_AFTER}", "L.", "l.", "rdonnance", "d.", "D.", "d. ", "D. ", "RD", "LO ", "MP ", "IN ", "Provimento", "Orden", foreign=True),
    make_rule(rf"\b(?:[Ll]oi|[Ll]egge|[Dd]ecreto legislativo|Ley|Lei|[Dd]écret|wet|Wet) (?:du |de |van |del )?{_DATE}", "oi ", "egge", "ecreto", "Ley", "Lei", "écret", "et ", foreign=True),
    make_rule(r"\bDz\. ?U\.(?: z)?(?: \d{4}(?: r\.)?)?,?(?: Nr \d+,?)?(?: poz\. \d+(?:(?: ze zm\.| z późn\. zm\.))?)?|\b(?:BOE|DOUE|DOCE|JORF|JOUE|GURI|DJe|DOU|Stb\.|Stcrt\.|M\.P\.) (?:n(?:[úu]m\.|º|\.|°) ?|z \d{4} r\. )?(?:poz\. ?)?\d+", "Dz", "BOE", "DOUE", "DOCE", "JORF", "JOUE", "GURI", "DJe", "DOU", "St", "M.P.", foreign=True),
    make_rule(rf"\b[Cc]onv(?:ention|enio|ención|enzione|enção) (?:(?:de(?: la)?|di|des|dell?a?)[ '’])?(?:dell['’])?(?:[{UPPER}][\w-]+[ ]){{1,3}}(?:du|de|del|di) {_DATE}", "onven", "onvên", foreign=True),
    # Provisions of codes
    make_rule(rf"\b[Aa]rt(?:t\.|s?\.|ículos?|igos?|icol[oi]|ikel(?:en)?|\b) ?\d+(?:[.:-]\d+)*[a-z]?(?:[º°]|\.º)?(?:[ ,]{{1,2}}(?:{_PROVISION}|[IVXL]+(?=,)|\d+(?:[º°a-z]|\.º)?(?![\w/])|(?:d[aoe]l?|della|dell['’]|del|de la|van de|van het) ?(?=[A-Zc])))*(?: ?{_CODE_ABBREVIATED}(?!\w))?", "rt", foreign=True),
    make_rule(rf"\b(?:[Čč]lan(?:a|u|om|ak|ka|ku|kom|ova|cima)?|[Čč]l\.|[Чч]лан(?:а|у|ом)?|[Чч]л\.) ?\d+[a-z]?\.?(?:(?:,| i| do| st\.| stav(?:a|om)?| tač(?:ka|\.)| ст\.) ?\d+\.?)*(?: {_CODE_ABBREVIATED}(?!\w))?", "lan", "čl", "Čl", "лан", "чл", foreign=True),
    make_rule(r"\b[Aa]rt(?:icles?|s)?\.? ?\d+(?:\.\d+)*(?:(?:,| et| and| à| to) \d+(?:\.\d+)*)* (?:C\. ?c\. ?Q\.|C\. ?p\. ?c\.|CCQ\b)", "C.c", "C. c", "C.p", "C. p", "CCQ"),
    # Russia
    make_rule(r"(?<!\w)(?:(?:[Чч](?:асть|асти|\.)|[Пп](?:ункт|\.)а?) ?\d+(?:\.\d+)* )?(?:[Сс]тат(?:ья|ьи|ье|ью|ьёй|ьей|ьями|ей)|[Сс]т\.(?:[Сс]т\.)?) ?\d+(?:[.-]\d+)*(?:(?:, | и |-)\d+(?:[.-]\d+)*)*(?: (?:ГК|УК|ТК|СК|НК|ЖК|ЗК|КоАП|ГПК|УПК|АПК|КАС)(?: РФ)?(?!\w))?", "тат", "т."),
    # Argentina and Mexico; the Czech Republic and Slovakia
    make_rule(r"\b(?:CSJN,? )?Fallos:? \d{1,3}:\d{1,4}|\b(?:[Tt]esis|[Jj]urisprudencia)(?: (?:aislada|de jurisprudencia))?:? (?:[PIVX12]{1,4}[a.ªo]{0,3}/?J?\.? ?\d{1,3}/\d{2,4})(?: \(\d+a\.\))?|\b[Rr]egistro digital:? (?:n[úu]m\. )?\d{6,7}", "Fallos", "esis", "urisprudencia", "egistro"),
    make_rule(r"(?:§§? ?\d+[a-z]?(?:,? (?:(?:odst|ods|písm|pís)\. ?)?(?:\d+|[a-z]\)))* )?(?:zák(?:ona?|onem|oníku|\.)|vyhlášky|nařízení(?: vlády)?) č\. ?\d{1,4}/\d{4} (?:Sb|Zb|Z\. ?z)\.|§§? ?\d+[a-z]?(?:,? (?:(?:odst|ods|písm|pís)\. ?)?(?:\d+|[a-z]\)))* (?:(?:trestního|občanského|obchodního|správního) (?:zákoníku|zákona|řádu|soudního řádu)|tr\. ?(?:zák|ř)\.|o\. ?[zs]\. ?ř?\.?)", "č.", "zákon", "řád", "tr.", "o. "),
    # Decisions
    make_rule(rf"\bAc(?:(?:órdã(?:o|os)|\.|s\.) (?:d[oae]s? )?)(?:STJ|STA|TC|TR[LPCGE]|R[LPCGE]|TCA[SN]|Tribunal (?:da Relação (?:de|do) [{UPPER}]\w+|Constitucional)|Supremo Tribunal (?:de Justiça|Administrativo)|Relação (?:de|do) [{UPPER}]\w+),?(?: de)? (?:\d{{1,2}}[-./]\d{{1,2}}[-./]\d{{4}}|{_DATE})(?:,? \(?(?:[Pp]roc(?:esso|\.)?|P\.)(?: ?n\.?[º°])?:? ?[\w./-]*\d[\w./-]*(?<=\w))?", "Ac", foreign=True),
    make_rule(rf"\bCass(?:azione|\.)(?:[, (]{{1,3}}{_PART_IT})*(?:[, (]{{1,3}}{_DATE},? ?{_NO}\d{{1,6}}|[, (]{{1,3}}{_NO}\d{{1,6}}(?:/\d{{4}}| del \d{{4}}))(?!\d)", "Cass"),
    make_rule(rf"\b(?:Cass(?:azione|\.)(?=[, (]{{1,3}}(?:civ|pen|lav|trib|[Ss]ez|[Ss]\. ?[Uu]|[Oo]rd|[Ss]ent|n\.|\d))|Cons\. ?St(?:ato\b|\.)|C\. ?cost\.|Corte cost(?:ituzionale|\.)?|Corte di [Cc]assazione|Sez(?:ioni|\.)? ?[Uu](?:nite|n\.))(?:[, (]{{1,3}}{_PART_IT})*(?:[, (]{{1,3}}(?:{_DATE}|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}))?(?:,? ?(?:{_NO})\d{{1,6}}(?:/\d{{2,4}}| del \d{{4}})?(?:(?:,| e)(?: n\.)? ?\d{{1,6}}/\d{{2,4}})*)?", "Cass", "Cons", "cost", "Corte", "Sez", foreign=True),
    make_rule(rf"\b(?:{_CLASS_PT}(?: (?:n[oa]s?|em|de|com) (?:{_CLASS_PT})){{0,4}})[ -]{{1,2}}(?:{_NO}(?:[A-Z]{{2,6}}-){{0,3}}(?:{NUMBER_CNJ}|\d{{1,3}}(?:\.\d{{3}})+|\d{{5,7}})(?![\d.]\d|\d)(?: ?-?(?:AgR|ED|MC|QO|RG)\b){{0,3}}(?: ?[/-] ?[A-Z]{{2}}\b)?|(?:[A-Z]{{2,6}}-){{0,3}}(?:{NUMBER_CNJ}(?: ?/ ?[A-Z]{{2}}\b)?|(?:\d{{1,3}}(?:\.\d{{3}})+|\d{{5,7}})(?: ?-?(?:AgR|ED|MC|QO|RG)\b){{0,3}} ?[/-] ?[A-Z]{{2}}\b))", "REsp", "RE ", "HC", "MS", "AD", "Rcl", "AI", "CC", "ACO", "RR", "Rv", "SLS", "Pet", "Inq", "AP", "CP", "Recurso", "Agravo", "Embargos", "pelação", "Habeas", "Mandado", "Correição", "Reclamação", "Ação", "Conflito", "Revisão", foreign=True),
    make_rule(rf"\b[Ss]úmulas?(?: [Vv]inculantes?)? (?:{_NO})?\d+(?:(?:,| e) \d+)*(?: ?(?:/|,|-)? ?(?:d[oa] )?(?:[CE]\. ?)?(?:STJ|STF|TST|TNU|TSE|TCU|STM|Superior Tribunal (?:de Justiça|Militar)|Supremo Tribunal Federal))?|\b[Ee]nunciados? (?:{_NO})?\d+(?:(?:,| e) \d+)*(?: d[ao] (?:Súmula (?:de Jurisprudência )?d[oa] )?(?:STJ|STF|TST|TNU|TSE|TCU|FONAJE))?|\bTemas?(?: Repetitivos?)? (?:{_NO})?\d{{1,4}}(?: d[oa] (?:STJ|STF))?|\b(?:ADI|ADC|ADPF|ADO|SV)s? (?:{_NO})?\d{{1,4}}(?:[-/ ]{{1,3}}[A-Z]{{2}})?(?![\d/.])|\b(?:[Aa]córdãos?|[Dd]ecis(?:ão|ões)|[Rr]esoluç(?:ão|ões)) (?:{_NO})?\d[\d.]*/{{1,2}}\d{{2,4}}(?: ?-? ?(?:TCU ?-? ?)?(?:(?:Primeira|Segunda|1ª|2ª) Câmara|Plenário))?(?:(?:,| e) \d[\d.]*/\d{{4}}(?: ?-? ?(?:TCU ?-? ?)?(?:(?:Primeira|Segunda|1ª|2ª) Câmara|Plenário))?){{0,12}}", "úmula", "nunciado", "Tema", "ADI", "ADC", "ADPF", "ADO", "SV", "córdão", "ecis", "esoluç"),
    make_rule(rf"\b(?:SSTS|STS|SSTC|STC|ATS|ATC|SAP|SAN|STSJ|STJUE|STEDH)(?: (?:de )?(?:[A-Z][a-z]\w+|Pleno|Sala \w+))?(?: de {_DATE}| de \d{{1,2}} [a-z]+ \d{{4}})(?: ?\((?:rec(?:urso|\.)?|RJ|ROJ|Roj|EDJ|RCUD|RC|rcud)[^)\n]{{1,40}}\))?", "ST", "AT", "SA", foreign=True),
    make_rule(r"\b(?:décision|[Dd]éc\.) n° ?\d{4}-\d{1,4} (?:DC|QPC|L|LP|AN|I)(?: du \d{1,2}(?:er)? [a-zéû]+ \d{4})?", "DC", "QPC", "LP", "AN", " L", " I"),
    make_rule(r"\b(?:[Ww]yrok(?:u|iem|ach|i)?|[Uu]chwał[aąyę]|[Pp]ostanowieni[eau]m?) (?:TK |Trybunału Konstytucyjnego )?z(?: dnia)? \d{1,2} [^\W\d]+ \d{4} r(?:\.|oku),?(?: \(?sygn\.(?: akt)?)? (?:P|K|SK|U|Kp|Ts|S) \d{1,3}/\d{2}", "yrok", "chwał", "ostanowieni"),
    # Poland's supreme courts by the number alone; Hungary's codes; decisions of the Nordic courts.
    make_rule(r"\b(?:S[ąa]d\w* Najwyższ\w+|SN|NSA)(?: w (?:uchwale|wyroku|postanowieniu))?,? (?:\(?sygn\.(?: akt)? )?(?:[IVX]{1,4} [A-Z][A-Za-z]{1,4}|[IVX]{1,3} [A-Z]{1,3}) \d{1,5}/\d{2,4}", "Najwyższ", "SN", "NSA"),
    make_rule(r"\b(?:Ptk|Btk|Pp|Be|Mt|Kp|Ákr|Ket|Gt|Art|Csjt|Szja|Eht|Abtv|Bszi|Vht|Cstv|Ctv|Inytv)\. ?(?:\d{1,2}:)?\d{1,3}(?:/[A-Z])?\. ?§", "Ptk", "Btk", "Pp", "Be", "Mt", "Kp", "Ákr", "Ket", "Gt", "Art", "Csjt", "Szja", "Eht", "tv", "Bszi", "Vht", also=("§",)),
    make_rule(r"\b(?:NJA|RÅ|RH|AD|MÖD|HFD|Rt\.|HR|KKO|KHO|UfR|U\.?|MAD|NOU|SOU) ?(?:19|20)\d\d(?:[:.-] ?\d{1,4}|,? s\. ?\d{1,4}|,? ref\. ?\d{1,3}|,? nr\.? ?\d{1,3})(?:[/. ][HVØ](?!\w))?", "NJA", "RÅ", "RH ", "AD ", "MÖD", "HFD", "Rt.", "HR", "KKO", "KHO", "UfR", "U ", "U.", "MAD", "NOU", "SOU"),
)  # fmt: skip
