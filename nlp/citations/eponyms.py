# ruff: noqa: E501, SIM905  -- patterns and lists of words read best on one line
"""Names that stand for a rule of law, not for a person: a Mareva injunction, the Bolam test, a Miranda warning."""

from __future__ import annotations

from lexveil.nlp.citations.rule import compile_rule

_NAMES = "|".join(
    name.replace("_", " ")
    for name in """
    Alford Allen Almanza Anders Anisminic Anton_Piller Apprendi Ashwander Auer Bankes Barnes Batson Beckham Beddoe Bell Berezovsky Birnberg
    Bivens Bolam Bolitho Boykin Brady Briginshaw Browne_v_Dunn Bruton Burford Calderbank Carltona Chevron Chorzów Colorado_River
    Crawford Cumming Daubert Donoghue Doyle Engel Erie Erven_Warnink Faretta Ferri Foss_v_Harbottle Francovich
    Franks Frye Garrity Ghosh Giglio Gideon Gillick Gladue Graham Grutter Hadley Hague Hamdi Hedley_Byrne Henderson Henthorn
    Hopkins Howey Huntley Jackson_v_Denno Jarvis Jencks Jones_v_Kernott Jordan Kastigar Kelly Khoja Ladd_v_Marshall
    Lanham Lemon Leon Loftus Lucas Lugano Mapp Marchman Mareva Marks Marsden Massiah Mathews McDonnell_Douglas McKenzie McNaghten M'Naghten
    Meroni Miranda Monell Montgomery Mullane Newton Noerr-Pennington Norwich_Pharmacal Oakes Osman O'Connor Padilla Pepper_v_Hart
    Pinkerton Pitchess Plyler Pullman Quistclose Reynolds Rogers Rooker-Feldman Rylands_v_Fletcher Salduz Salomon Sanderson
    Saunders Scott_Schedule Sherbert Sherman Shevill Singer Skidmore Spencer Stinchcombe Strickland Sullivan Tarasoff Terry
    Tomlin Turner Twombly Upjohn Vilvarajah Wade Walden Wednesbury Wharton Younger Zubulake
    """.split()
)
_THINGS = (
    r"(?:hearing|warning|injunction|[Oo]rder|test|unreasonable(?:ness)?|unreasonably|irrational(?:ity)?|[Oo]ffer|rule|[Pp]rinciple|doctrine|motion|challenge|standard|analysis|factor|"
    r"violation|claim|action|stop|material|deference|plea|charge|waiver|jurisdiction|proceeding|competen(?:ce|t)|relief|letter|exception|defen[cs]e|"
    r"[Dd]irection|agreement|immunity|abstention|notice|evidence|inquiry|colloquy|brief|instruction|criteria|guidelines?|letter|[Ff]riend|trust|proviso|reading|"
    r"presumption|privilege|obligation|duty|liability|damages|approach|formula|question|[Ss]chedule|rights?)s?"
)
# Fonts, which rules of court prescribe.
_FONTS = r"Times New Roman|Century Schoolbook|Arial(?: (?:Black|Narrow))?|Courier(?: New)?|Book Antiqua|Bookman Old Style|Palatino(?: Linotype)?|Garamond|Calibri|Cambria|Helvetica|Verdana|Tahoma|CG Times"

RULES = (
    compile_rule(rf"\b(?:{_NAMES})(?:[-/](?:{_NAMES}|type|style))?(?='s|\b)(?:'s)? {_THINGS}\b", " "),
    compile_rule(rf"\b(?:{_FONTS})\b", "Roman", "School", "Arial", "Courier", "Anti", "Bookman", "Palatino", "Garamond", "Calibri", "Cambria", "Helvetica", "Verdana", "Tahoma", "CG "),
)  # fmt: skip
