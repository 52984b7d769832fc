# ruff: noqa: E501, SIM905  -- patterns and lists of words read best on one line
"""Names that stand for a rule of law, not for a person: a Mareva injunction, the Bolam test, a Miranda warning."""

from __future__ import annotations

from lexveil.nlp.citations.rule import make_rule
from lexveil.nlp.letters import UPPER

# Rare surnames: with any of the nouns.
_RARE = "|".join(
    name.replace("_", " ")
    for name in """
    Anisminic Anns Anton_Piller Apprendi Ashwander Batson Bivens Bolam Bolitho Bosman Boykin Briginshaw Browne_v_Dunn Bruton
    Burchell Calderbank Caparo Carltona Celotex Chevron Chhabra Chorzów Colorado_River Costeja Crummey Daubert Donoghue Factortame Faretta Foss_v_Harbottle Francovich Garrity Giglio Gillick Gladue Hedley_Byrne
    Henthorn Iqbal Jackson_v_Denno Jencks Jones_v_Kernott Kastigar Ladd_v_Marshall Lanham Mareva Massiah McDonnell_Douglas McNaghten
    M'Naghten Marleasing Meroni Miranda Monell Noerr-Pennington Norwich_Pharmacal Pepper_v_Hart Pitchess Polkey Quistclose Rooker-Feldman
    Rylands_v_Fletcher SAAMCO Salduz Schrems Sidaway Stinchcombe Tarasoff Twombly Upjohn Wednesbury Zubulake
    """.split()
)
_THINGS = (
    r"(?:(?:hearing|warning|injunction|[Oo]rder|test|[Oo]ffer|rule|[Pp]rinciple|doctrine|motion|challenge|standard|analysis|factor|violation|claim|"
    r"waiver|exception|[Dd]irection|instruction|guideline|presumption|letter|ground|application|undertaking|prong|gloss|argument|proceeding|point)s?|"
    r"[Uu]nreasonable(?:ness)?|unreasonably|irrational(?:ity)?|material|deference|relief|review|sense|type|abuse|estoppel|duty|protection|"
    r"jurisdiction|competen(?:ce|t)|immunity|criteria|trust|obligation|damages|rights|colloquy|inquiry|reductions?|deductions?|ruling|judgment|I{2,3})"
)
# Of the rare names, those that stand for the rule alone: "a Mareva", "under Daubert", "Bolam is satisfied".
_ALONE = "|".join(
    name.replace("_", " ")
    for name in """
    Anisminic Anns Anton_Piller Apprendi Batson Bivens Bolam Bolitho Briginshaw Calderbank Caparo Carltona Cheshire_West
    Costeja Daubert Donoghue Factortame Francovich GCHQ Gillick Gladue Hedley_Byrne Kastigar Mareva Marleasing Massiah
    McDonnell_Douglas McNaghten M'Naghten Norwich_Pharmacal Quistclose SAAMCO Salduz Sidaway Stinchcombe Twombly Wednesbury
    Yemshaw Zubulake
    """.split()
)
_RULES_OF_CASES = "|".join(
    name.replace("_", " ")
    for name in """
    Browne_v_Dunn Foss_v_Harbottle Henderson_v_Henderson Jackson_v_Denno Jones_v_Kernott Ladd_v_Marshall Pepper_v_Hart
    Rylands_v_Fletcher
    """.split()
)
# Common surnames: each with its own noun only, and never after a title.
_PAIRS = (
    r"(?:Alford|Lafler) pleas?|(?:Allen|Turnbull|Vye|Ghosh|Makanjuola|Barwick|Hunter|Charles) (?:charge|direction|instruction)s?|(?:Beddoe|Hadkinson|Krishna|Peruvian Guano|Barrell|Grepe|Bankers Trust|Chabra|Banks|Pallant) (?:application|order|jurisdiction|undertaking|reduction|disclosure)s?|(?:Mapp|Dunaway|Sandoval|Molineux|Ventimiglia|Darden|Rodriguez|Curcio|Nebbia|Garcia|Tollett|Khanna|Coroner|Pitchess|Hinton|Riggs) hearings?|(?:Auer|Skidmore|Seminole Rock) (?:deference|weight)|(?:Burford|Younger|Pullman|Thibodaux) abstention|Goodyear indications?|Lucas-Box meanings?|Jameel abuse|Harman undertaking|Anshun estoppel|Ramsay principle|Parker warnings?|Barnes v Addy|Jones v Dunkel(?: inference)?|Saunders v Vautier|Clayton's Case|Hastings-Bass|Allen charge|Almanza standard|Anders brief|Barnes notice|Brady (?:material|violations?|rule|obligations?|claims?)|Crawford test|"
    r"Engel criteria|Erie doctrine|Franks hearings?|(?:Frye|Ghosh|Ivey) (?:hearing|test|standard)s?|Graham factors|Henderson (?:hearings?|abuse|principles?|estoppel)|Howey test|Huntley hearings?|"
    r"Jordan ceiling|Lemon test|Lucas direction|Marsden (?:hearing|motion)s?|Mathews (?:test|factors)|McKenzie [Ff]riends?|Montgomery duty|Newton hearings?|"
    r"Osman (?:duty|warning|notice)s?|Padilla claims?|Ponzi schemes?|Pinkerton (?:liability|instruction)s?|Pullman abstention|Reynolds (?:defence|privilege)|Sanderson order|"
    r"Bullock order|Scott [Ss]chedules?|Sherbert test|Singer test|Strickland (?:test|standard)|Terry (?:stop|frisk)|Tomlin [Oo]rder|"
    r"Turner (?:factors|criteria)|Wade hearings?|Younger abstention"
)
_UNTITLED = r"(?<!Mr )(?<!Ms )(?<!Dr )(?<!Mrs )(?<!Sir )(?<!Miss )(?<!Mr\. )(?<!Ms\. )(?<!Dr\. )(?<!Mrs\. )"
# Signs and diseases that are called after whoever described them, in all languages.
_DISCOVERERS = (
    r"(?:Addison|Alzheimer|Apgar|Asperger|Babinski|Baker|Bankart|Barthel|Barrett|Bechterew|Beck|Becker|Bell|Bennett|Broca|Burkitt|Charcot|Colles|Creutzfeldt-Jakob|Crohn|Cushing|Down|Duchenne|Dupuytren|Ehlers-Danlos|"
    r"Erb|Ewing|Fabry|Finkelstein|Ganser|Gaucher|Gilbert|Glasgow|Gleason|Graves|Guillain-Barré|Hamilton|Hashimoto|Hawkins|Hill-Sachs|Hodgkin|Hoffmann|Homan|Hoover|Horner|Huntington|Kaposi|Kawasaki|Kernig|Klinefelter|Korsako[wv]|"
    r"Lachman|Lasègue|Lasegue|Legg-Calvé-Perthes|Lewy|Lisfranc|Maisonneuve|Marfan|McBurney|McMurray|Meni[eè]re|Monteggia|Münchausen|Munchausen|Murphy|Neer|Osgood-Schlatter|Paget|Parkinson|Perthes|Peyronie|Phalen|Pick|Raynaud|Rett|"
    r"Rinne|Romberg|Rorschach|Salter-Harris|Scheuermann|Schober|Sjögren|Spurling|Sudeck|Tinel|Tourette|Trendelenburg|Turner|Volkmann|Waddell|Weber|Wechsler|Wernicke|Wilms|Wilson|Yergason)"
)
_MEDICAL = (
    rf"\b{_DISCOVERERS}(?:['’]s|s)? (?:signs?|tests?|syndrome|disease|palsy|fractures?|contractures?|lymphoma|sarcoma|tumou?r|scores?|scale|chorea|phenomenon|cyst|lesion|thyroiditis|criteria|paralysis|maneuver|manoeuvre|inventory|psychosis|encephalopathy)\b"
    rf"|\b{_DISCOVERERS}-(?:Syndrom|Krankheit|Zeichen|Test|Kontraktur|Fraktur|Lähmung|Erkrankung)s?\b"
    rf"|\b(?:[Mm]orbo|[Mm]orbus|[Mm]aladie|[Ee]nfermedad|[Ss][íi]ndrome|[Ss]yndrom[ae]?|[Dd]oença|[Mm]al|[Cc]horoba|[Zz]esp[óo]ł|[Zz]iekte|[Ss]igne|[Ss]egno|[Ss]igno) (?:d[ei] |d['’]|van |von )?{_DISCOVERERS}a?\b"
)
# Acts that are known by whoever proposed them, or whom they are called after.
_SPONSORS = (
    r"(?:Sarbanes-Oxley|Dodd-Frank|Taft-Hartley|Glass-Steagall|Gramm-Leach-Bliley|Hart-Scott-Rodino|Hatch-Waxman|Bayh-Dole|McCain-Feingold|Magnuson-Moss|Davis-Bacon|Robinson-Patman|Norris-LaGuardia|"
    r"McCarran-Ferguson|Smoot-Hawley|Leahy-Smith|Landrum-Griffin|Celler-Kefauver)(?: Act| Rule| [Rr]eport(?:ing)?)?"
)
_CALLED_AFTER = r"(?:Megan|Marsy|Sarah|Clare|Helen|Martyn|Jessica|Leandra|Kayden|Laura|Kari|Aimee|Caylee|Jenna|Harry|Finn|Ruth|Daniel|Jade|Natasha|Rob|Chelsea|Adam)['’]s [Ll]aw\b(?! (?:firms?|school|degree|practice|offices?|books?|clerk|studies))"

# Laws of nature, measures and tests of engineers, chemists and economists.
_SCIENCE = (
    r"\b(?:Archimedes|Atterberg|Avogadro|Bayes|Beaufort|Benford|Bernoulli|Black-Scholes|Brinell|Charpy|Coulomb|Darcy|Duquenois-Levine|Engel|Euler|Fourier|Froude|Gauss|Gini|Gresham|Herfindahl-Hirschman|Hooke|"
    r"Kastle-Meyer|Kepler|Laplace|Laspeyres|Likert|Mohr|Monte Carlo|Moore['’]s|Munsell|Nash|Newton['’]s|Occam|Ohm|Pareto|Planck|Poisson|Proctor|Rankine|Reynolds|Richter|Rockwell|Stokes|Vickers|Widmark|Young['’]s)(?:['’]s|['’])? "
    r"(?:ratios?|modulus|laws?|constant|numbers?|coefficients?|index|equations?|theorem|buckling|loads?|stress|circle|hardness|tests?|scale|distribution|curve|razor|formula|factor|method|model|limits?|effect|equilibrium|efficien(?:t|cy)|simulations?)\b"
)
# What the prosecution must disclose, by the cases that say so: "Brady / Giglio material".
_DISCLOSED = r"(?:Brady|Giglio|Jencks)"
# British bodies, terms of court and instruments that detectors take for companies.
_BODIES = r"(?:(?:Her|His) Majesty['’]s|HM) (?:Revenue (?:and|&) Customs|Courts? (?:and|&) Tribunals Service|Treasury|Prison Service)|(?:Hilary|Easter|Trinity|Michaelmas) Term|European Arrest Warrants?|ECHR"
# Programs, which detectors take for people or places.
_PROGRAMS = r"Microsoft (?:Word|Excel|Outlook|Office|Teams|Windows|PowerPoint|Access)|Adobe (?:Acrobat|Reader|Photoshop|Sign)|Lotus Notes|Google (?:Maps|Drive|Docs|Earth)|Excel spreadsheets?|PACER|CM/ECF"
# Fonts that rules of court prescribe.
_FONTS = r"Times New Roman|Century Schoolbook|Arial(?: (?:Black|Narrow))?|Courier(?: New)?|Book Antiqua|Bookman Old Style|Palatino(?: Linotype)?|Garamond|Calibri|Cambria|Helvetica|Verdana|Tahoma|CG Times"

_AFTER = "|".join(
    rf"(?<=\b{word}[ -])"
    for one in "the a an under per no this on post pre in since following applying".split()
    for word in (one, one.title())
)
# What nobody does whose name it is.
_GOVERNS = r"(?:is|was|are|were|has|had) (?:not )?(?:satisfied|met|engaged|triggered|violated|applicable|inapplicable)|govern(?:s|ed)|appl(?:y|ies|ied)|does not (?:apply|govern|require|help)|require[sd]?"

# Whoever has a family, a house or a past is a person.
_OF_PEOPLE = r"famil(?:y|ies)|household|house|home|farm|estate|residence|property|children|child|boys?|girls?|lads?|brothers?|sisters?|siblings|twins|parents|couple|marriage|widow|heirs|relatives|woman|man|men|women|kids|matter"

RULES = (
    make_rule(rf"\b(?:{_RULES_OF_CASES})\b", " v "),
    make_rule(
        rf"(?:{_AFTER})\b(?:{_ALONE})\b(?! (?:[{UPPER}]|(?:{_OF_PEOPLE})\b)|['’]s\b)|{_UNTITLED}(?<![{UPPER}]\. )\b(?:{_ALONE}) (?:{_GOVERNS})\b",
        " ",
    ),
    make_rule(rf"{_UNTITLED}\b(?:(?:{_RARE})(?:[-/](?:{_RARE}|type|style))? {_THINGS}|{_PAIRS})\b", " "),
    make_rule(rf"\b{_DISCLOSED}(?:(?: ?/ ?|,? and |,? or |, ){_DISCLOSED})+(?: (?:material|disclosure|obligation|information|evidence|claim|violation)s?)?\b", "Brady", "Giglio", "Jencks"),
    make_rule(rf"\b(?:{_BODIES})\b", "Majesty", "HM ", "Term", "Arrest Warrant", "ECHR"),
    make_rule(_SCIENCE, *"atio odulus law onstant umber oefficient ndex quation heorem uckling load tress ircle ardness test cale istribution urve azor ormula actor ethod odel imit ffect quilibrium fficien imulation".split()),
    make_rule(_MEDICAL, *"sign test yndrom isease palsy racture ontracture ymphoma arcoma umo score scale horea henomenon cyst esion hyroiditis riteria aralysis neuver noeuvre nventory sychosis ncephalopathy Krankheit Zeichen Test Lähmung rkrankung orb aladie nfermedad ndrome oença Mal mal horob esp iekte igne egno igno".split()),
    make_rule(rf"\b(?:{_SPONSORS})\b|\b{_CALLED_AFTER}", "-", "aw"),
    make_rule(rf"\b(?:{_PROGRAMS})\b", "Microsoft", "Adobe", "Lotus", "Google", "Excel", "PACER", "CM/ECF"),
    make_rule(rf"\b(?:{_FONTS})\b", "Roman", "School", "Arial", "Courier", "Anti", "Bookman", "Palatino", "Garamond", "Calibri", "Cambria", "Helvetica", "Verdana", "Tahoma", "CG "),
)  # fmt: skip
