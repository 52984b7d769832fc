# ruff: noqa: E501  -- patterns read best on one line
"""Statutes, codes, rules and treaties in English, and acts of the European Union in four languages."""

from __future__ import annotations

from lexveil.nlp.citations.rule import make_rule
from lexveil.nlp.letters import UPPER

_KIND = (
    r"(?:Acts?|Codes?|Ordinances?|Regulations?|Rules|Directives?|Conventions?|Protocols?|Orders?|Constitution|Charter|Treaty|Treaties|Covenant|Law|Laws|Statutes?|Decrees?|Decree-Law|Declaration|Instrument|Bill|"
    r"GDPR|TFEU|TEU|ECHR|IPC|CrPC|Cr\.?P\.?C\.?|CPC|BNS|BNSS|Rules of (?:Court|the Court|Civil Procedure|Criminal Procedure|Procedure|Evidence)|Civil Procedure Rules|Basic Law|Penal Code)"
)
_TITLE_WORD = rf"(?:[{UPPER}(][\w'&()./-]*|of|on|and|the|for|to|in|against|aforementioned|former|same|old|new|said|relevant|applicable|then|[12]\d\d\d)"
_YEAR = r"(?:,? ?(?:of )?(?:1[2-9]|20)\d\d(?!\d|-\d))?(?: \((?:Cth|NSW|Vic|Qld|WA|SA|Tas|ACT|NT|UK|Imp|c\.? ?\d+|Law no\. ?\d+|Act no\. ?\d+)\))?(?: \(c\. ?\d+\))?(?:/\d+(?:/E[CU])?)?"
_NUMBER = r"\d+[A-Za-z]{0,2}(?:[.:-]\d+[A-Za-z]?)*(?: ?\([\dA-Za-z]{1,4}\)){0,4}"
_LIST = rf"{_NUMBER}(?:(?:,? (?:and|or|to|read with|in conjunction with) |, | ?[-/&] ?| )(?:§§? ?|paras?\.? ?|[Aa]rticles? |[Ss]ections? |subsections? |sub-paragraphs? )?{_NUMBER})*"
_PROVISION = r"(?:[Ss]ections?|[Ss]ubsections?|[Ss]ecs?\.|[Aa]rticles?|[Aa]rts?\.|[Rr]ules?|[Rr]egs?\.|[Rr]egulations?|[Ss]chedules?|[Cc]anons?)"
_ON = rf"(?:(?<!Order) (?:on|of|for|concerning|relating to|Relating to)(?: the)?(?: [{UPPER}][\w'-]+(?: (?:of|on|for|to) the| of| on| for)?){{1,4}})?"
_OF = rf"(?:(?: \([\w ]{{1,12}}\))?,? (?:of|to|in|under) (?:(?:the|that|its|this|both) )?(?:{_TITLE_WORD} ){{0,11}}{_KIND}\b{_ON}{_YEAR}| (?:TFEU|TEU|EC|GDPR|ECHR|CISG)\b)?"
_DAY = r"(?<!\d)\d{1,2} (?:January|February|March|April|May|June|July|August|September|October|November|December) \d{4}"
# Acts that are known by their initials.
_INITIALS = "AEDPA|CCA|DPA|EqA|ERISA|FDCPA|FLSA|FMLA|FOIA|FSMA|HRA|IRPA|ITEPA|PACE|PAJA|PIPEDA|PLRA|PMLA|POCA|POCSO|RICO|TCGA|TCPA|TMA|TUPE"
_STATES = r"Ala|Ariz|Ark|Cal|Colo|Conn|Del|Fla|Ga|Haw|Idaho|Ill|Ind|Iowa|Kan|Ky|La|Mass|Md|Me|Mich|Minn|Miss|Mo|Mont|Neb|Nev|N\.C|N\.D|N\.H|N\.J|N\.M|N\.Y|Ohio|Okla|Or|Pa|R\.I|S\.C|S\.D|Tenn|Tex|Utah|Va|Vt|Wash|Wis|W\. Va|Wyo"

RULES = (
    make_rule(
        rf"\b{_PROVISION} ?(?:§§? ?)?{_LIST}(?: in fine)?{_OF}",
        "ection", "rticle", "ule", "egulation", "rt. ", "rts. ", "ec. ", "eg. ", "chedule", "anon",
    ),
    make_rule(rf"(?<!\w)(?:ss?|rr?|regs?|cls?|sch|O|o)\.? \d[\w.]*(?:\([\dA-Za-z]{{1,4}}\))*(?:(?:, | and |-){_NUMBER})*,? (?:of|to) (?:the )?(?:{_TITLE_WORD} ){{0,11}}{_KIND}\b{_YEAR}", " of ", " to "),
    make_rule(r"(?<![\w,.'-])ss? \d{1,4}[A-Z]{0,2}(?:\([\dA-Za-z]{1,4}\))*(?!\w|[:./]\d)", "s "),
    make_rule(rf"(?<!\w)(?:[{UPPER}][\w'&-]* (?:\([\w' ]{{1,30}}\) )?(?:(?:and|of|the|to|on|for|in|against|with|from|by) ){{0,3}}){{1,10}}(?:Act|Code|Ordinance|Regulations?|Rules|Directive|Convention|Protocol|Order|Charter|Covenant|Constitution|Decree)\b(?: No\.? ?\d+)?{_ON}{_YEAR}(?:,? (?:ss?|section|sections|cl|r|reg|art|sch) \d+\w*(?:\(\w{{1,4}}\))*)?",
         "Act", "Code", "Ordinance", "Regulation", "Rules", "Directive", "Convention", "Protocol", "Order", "Charter", "Covenant", "Constitution", "Decree"),
    make_rule(r"\b(?:Law|Act|Decree|Decree-Law|Legislative Decree|Presidential Decree|Government Decree|Regulation|Protocol|Circular|Ordinance)s? [Nn]os?\.? ?\d{1,5}(?:[/-][\w-]{1,8})*(?: of \d{1,2} \w+ \d{4})?(?: and \d{1,5}(?:/\d{2,4})?)*", "No", "no"),
    make_rule(r"\b(?:Law|Act|Decree|Ordinance)s? of \d{1,2} [A-Z][a-z]+ \d{4}(?: on [^,.;()\n]{1,80})?", "Law", "Act", "Decree", "Ordinance"),
    make_rule(r"(?:(?<![\w.])(?:[A-Z]\.){2,6},? ?)?§§? ?\d[\w.-]*(?:\(\w{1,4}\))*(?:(?:, | and | & |-)\d[\w.-]*(?:\(\w{1,4}\))*+(?! [A-Z]|[\w/.-]))*", "§"),
    make_rule(r"\bTreat(?:y|ies) of (?:Rome|Lisbon|Maastricht|Amsterdam|Nice|Paris|Versailles|Westphalia|Waitangi|Utrecht|Vienna|Athens|Accession|Union)\b|\b(?:Rome|Brussels) (?:I{1,3}(?: ?bis|[ab])?)(?: Regulation| Convention)?(?!\w)", "Treat", "Rome I", "Brussels I"),
    # The day from which a law holds, and one on which a court has changed itself.
    make_rule(rf"{_DAY}(?=,? (?:when|on which|the date on which|the date of entry into force of) (?:the )?(?:[{UPPER}][\w'-]* (?:of |on |to |and |the |for )*){{0,8}}(?:Protocol|Act|Law|Convention|Code|Treaty|Directive|Regulation|Amendment|Constitution)\b)", "when", "which", "entry into"),
    # The European Union
    make_rule(r"\b(?:(?:Council |Commission |Framework |Delegated |Implementing |Parliament and Council )*(?:Regulations?|Directives?|Decisions?|Framework Decision)|[Rr]èglements?(?: d'exécution| délégué)?|[Dd]irectives?|[Dd]écision(?:-cadre)?|Verordnung|Richtlinie|Rahmenbeschluss)s? ?"
         r"(?:\((?:EU|EC|EEC|ECSC|Euratom|UE|CE|CEE|EG|EWG)(?:, ?Euratom)?\) ?)?(?:[Nn]o\.? |n° ?|Nr\.? ?)?\d{1,4}/\d{1,4}(?:/(?:EU|EC|EEC|ECSC|Euratom|UE|CE|CEE|EG|EWG|JHA|JAI|JI|CFSP))?", "/"),
    # The United States
    make_rule(r"\b\d{1,2} U\. ?S\. ?C\.(?: ?[AS]\.)?,?(?: ?(?:§§?|[Ss]ec(?:tion|\.|s\.)?))? ?\d[\w.-]*(?:\(\w+\))*(?:(?:, | and | & |-)\d[\w.-]*(?:\(\w+\))*)*(?: et seq\.)?(?: \((?:West )?(?:Supp\. )?\d{4}\))?", "U.S.C", "U. S. C", "U.S. C"),
    make_rule(r"\b\d{1,2} USC[AS]?(?: ?§§?)? ?\d[\w.-]*(?:\(\w+\))*", "USC"),
    make_rule(r"\b\d{1,2} C\.? ?F\.? ?R\.?,?(?: ?(?:§§?|[Pp]arts?|pts?\.))? ?\d[\w.-]*(?:\(\w+\))*(?:(?:, | and |-)\d[\w.-]*(?:\(\w+\))*)*", "C.F.R", "C. F. R", "CFR"),
    make_rule(r"\bFed\. ?R\. ?(?:Civ|Crim|Evid|App|Bankr)\. ?(?:P\. ?)?\d+(?:\(\w+\))*|\bU\.S\. Const\.(?:,? (?:art|amend)s?\. [IVX\d]+(?:,? (?:§|cl\.) ?\d+)*)*|\bU\.S\.S\.G\. § ?\w[\w.]*(?:\(\w+\))*", "Fed. R", "Fed.R", "Const", "U.S.S.G"),
    make_rule(r"\b(?:Pub\. ?L\.|Public Law)(?: No\.)? \d{2,3}-\d{1,4}(?:, § ?\d+)?|\b\d{1,3} Stat\. \d{1,5}(?:, \d+)?|\b\d{1,3} Fed\. ?Reg\. [\d,]+\d", "Pub", "Stat.", "Fed. R", "Fed.R"),
    make_rule(rf"\b(?:{_STATES})\.?(?: ?[{UPPER}&][\w.&']*){{1,5}}(?: \w+)? ?§§? ?[\d.:-]*\d\w?(?:\(\w+\))*", "§"),
    make_rule(r"(?<![\w.])(?:N\. ?Y\. ?)?C\.? ?P\.? ?L\.? ?R\.? ?(?:§§? ?|[Rr]ules? |Art(?:icle|\.) )?\d{1,4}(?:-[a-z])?(?:\(\w{1,3}\))*(?:(?:, | and |, and |; )\d{3,4}(?:-[a-z])?(?:\(\w{1,3}\))*)*", "CPLR", "C.P.L.R", "C. P. L. R"),
    make_rule(rf"(?<![\w.])(?:{_STATES})\.? (?:Rev\. |Gen\. |Comp\. |Ann\. |Admin\. |Consol\. |Crim\. |Civ\. |Penal |Fam\. |Evid\. |Prob\. |Gov't |Jud\. )*(?:Stat|Code|Laws|R\. (?:Civ|Crim|App|Evid|Prof|Super)|C\. ?R|Proc|Const|Ct\. R)\.?(?: (?:Ann|P|Proc|Conduct|Ct)\.?)*(?: (?:art|ch|tit|pt)\.)? ?(?:§§? ?)?\d[\w.:-]*(?<=\w)(?:\(\w{{1,4}}\))*", "Stat", "Code", "Laws", "R. C", "R. A", "R. E", "R. P", "R. S", "C.R", "C. R", "Proc", "Const"),
    # Acts by their initials: "s 9A TMA 1970", "section 56 of FSMA", "CCA 1974 s.140A"
    make_rule(rf"(?:\b(?:ss?\.?|[Ss]ections?|[Ss]ecs?\.|[Ss]ched?(?:ule|\.)?|paras?\.?|rr?\.?|regs?\.?) ?\d{{1,4}}[A-Z]{{0,3}}(?:\(\w{{1,4}}\))*(?:(?:, |-| and | or | to )\d{{1,4}}[A-Z]{{0,2}}(?:\(\w{{1,4}}\))*)*,? (?:of |to |in )?(?:the )?)?(?<!\w)(?:{_INITIALS})(?: (?:1[89]|20)\d\d)?(?:,? (?:ss?\.?|[Ss]ections?|sch|r|reg)\.? ?\d[\w.]*(?:\(\w{{1,4}}\))*)?(?!\w)", *_INITIALS.split("|")),
    make_rule(r"(?<!\w)(?:PRIN|SYSC|COBS|SUP|DEPP|APER|COCON|ICOBS|MCOB|CONC|DISP|CASS) \d{1,2}[A-Z]?\.\d{1,2}(?:\.\d{1,3})?[A-Z]{0,2}(?!\w)", "PRIN ", "SYSC ", "COBS ", "SUP ", "DEPP ", "APER ", "COCON ", "MCOB ", "CONC ", "DISP ", "CASS "),
    # Decisions of the Social Security Commissioners and their successors
    make_rule(r"(?<=\b(?:in|In|on|or|by|of|cf) )C[A-Z]{0,5}/\d{1,5}/(?:19|20)\d\d(?!\w)|(?<=\b(?:see|See|and) )C[A-Z]{0,5}/\d{1,5}/(?:19|20)\d\d(?!\w)", "/19", "/20"),
    # Abbreviations of the British Isles, Canada and India
    make_rule(r"\b(?:Practice (?:Direction|Note|Statement)s?(?: (?:No\.? ?)?\d{1,3}[A-Z]{0,2}\b)?|Form (?:No\.? ?)?(?=[A-Z]{0,3}\d)[A-Z]{0,3}\d{1,4}[A-Z]?\b)(?:,? para(?:s|graph)?\.? ?\d[\d.]*(?:\(\w{1,4}\))*)?", "Practice ", "Form "),
    make_rule(r"\bSI \d{4}/\d{1,5}|(?<!\w)(?:CPR|FPR|CrimPR|CPD|ET Rules|COPR|IR|RSC|BSA)(?: \d{4}(?!\d))?(?:,? (?:rr?\.?|[Rr]ules?|Part|PD|O\.?))? ?\d{1,3}(?!\d)[A-Z]{0,2}(?:\.\d{1,3}[A-Z]?)*(?:\(\w{1,4}\))*(?:,? para(?:s|graph)?\.? ?\d[\d.]*(?:\(\w{1,4}\))*)?|\bPD ?\d{1,2}[A-Z]?\b(?:,? para(?:s|graph)?\.? ?\d[\d.]*(?:\(\w{1,4}\))*)?", "SI ", "CPR", "PD", "FPR", "CrimPR", "ET Rules", "COPR", "IR ", "RSC", "BSA"),
    make_rule(r"\b(?:RSC|SC|RSO|SO|RSBC|SBC|RSA|SA|SS|RSS|SM|CCSM|RSNS|SNB|RSQ|CQLR|LRC|LC|SOR/|DORS/)(?:,? ?\d{4})?,? ?c\.? ?[A-Z\d][\w.-]*(?:,? (?:ss?|art)\.? ?\d[\w.]*(?:\(\w+\))*)?|\b(?:SOR|DORS)/\d{2,4}-\d{1,4}", " c ", " c. ", "SOR/", "DORS/"),
    make_rule(r"\b(?:[Ss]ections?|[Ss]\.|u/s|[Uu]/[Ss]\.?) ?\d[\w/, -]{0,24}(?:of )?(?:IPC|CrPC|Cr\. ?P\. ?C\.|CPC|BNS|BNSS|NDPS Act|N\.I\. Act)(?!\w)", "IPC", "PC", "P.C", "P. C", "BNS", "Act"),
)  # fmt: skip
