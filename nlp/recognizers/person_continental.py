# ruff: noqa: E501, SIM905  -- patterns and lists of words read best on one line
"""Names of people in languages that write names, and few other words, with a capital.

French, Spanish, Italian, Portuguese, Dutch, Polish, Serbian, Croatian and their neighbors: a capital within a
sentence is a name, unless it begins the name of a law, a court, an institution, a month or a place that everybody
knows. At the beginning of a sentence, a word counts if a further name follows it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from lexveil.nlp.citations import institutions
from lexveil.nlp.citations.rule import find_in_capitals, find_ranges
from lexveil.nlp.entities.given_names import is_given_name
from lexveil.nlp.letters import LOWER, UPPER, to_latin
from lexveil.nlp.recognizers.base import CONTINENTAL, GUESSED, LABELED, SHAPED, Finding, RuleRecognizer
from lexveil.nlp.recognizers.context_continental import is_about_person
from lexveil.nlp.recognizers.given_name import find_inverted
from lexveil.nlp.recognizers.person import is_in_heading
from lexveil.nlp.text import find_line, find_uncovered
from lexveil.nlp.vocabulary import (
    DEMONYMS,
    INSTITUTION_STEMS,
    INSTITUTION_WORDS,
    JURISDICTIONS,
    LEGAL_FORMS,
    PLACES,
    TIME_WORDS,
)

_WORD = rf"(?:(?:[dDlLO]['’]|Mc|Mac)?[{UPPER}][{LOWER}]+(?:['’-][{UPPER}{LOWER}]+)*|[{UPPER}]{{2,}}(?:['’-][{UPPER}]+)*|[{UPPER}]\.(?:-?[{UPPER}]\.)*)"
_PARTICLE = r"(?:van(?: de[rn]?| 't)?|von|de(?: la| las| los|l)?|del|della|degli|dei|di|da|das|dos|do|du|des|le|la|el|ter|ten|ibn|bin|y|e)"
_PARTICLES = frozenset(
    "van de der den von la las los l del della degli dei di da das dos do du des le el ter ten ibn bin y e i".split()
)
_RUN = CONTINENTAL.compile(
    rf"(?<![\w.@-])(?:{_WORD})(?: (?:{_PARTICLE} ){{0,2}}{_WORD}){{0,5}}(?![\w@]|\.\w)"
)
_FIRST_NAME_OF = re.compile(rf" (?:{_PARTICLE} ){{0,2}}({_WORD})")
_PIECE = re.compile(rf"{_WORD}")
# Titles and roles right before a name.
_CUE = re.compile(
    r"(?:\b(?:z d|M|MM|Mmes?|Mlles?|Me|Mes|Dr|Drs|Pr|Sr|Sra|Sres|Srta|D|Dña|Dª|Dott|Dott\.ssa|Avv|App|Sc|Brig|Isp|Ten|Magg|Sig|Sig\.ra|Sig\.na|Ing|Lic|Mr|mr|dhr|mevr|mw|p|ob|adw|inż|mgr|prof|g|gđa|gđica|gosp)\.|"
    r"\b(?:Monsieur|Madame|Mademoiselle|Maître|Messieurs|Mesdames|Señora?|Señores|Don|Doña|Signora?|Signorina|Senhora?|Dona|Pani|Pan|Pana|Panu|Panią|Panem|Państwo|Państwa|Meneer|Mevrouw|Gospodin|Gospođa|heer|mevrouw|meneer|monsieur|madame|señora?|signora?|senhora?|"
    r"témoin|prévenue?|accusée?|victime|requérante?|demandeu(?:r|se|resse)|défendeu(?:r|resse)|appelante?|intimée?|salariée?|époux|épouse|"
    r"testigo|acusad[oa]|imputad[oa]|víctima|demandante|demandad[oa]|recurrente|denunciante|trabajador[a]?|actora?|perit[oa]|"
    r"testimone|imputato|imputata|vittima|ricorrente|convenut[oa]|attore|attrice|appellante|teste|"
    r"testemunha|réu|ré|vítima|autora?|recorrente|apelante|reclamante|paciente|"
    r"świad(?:ek|ka|kowi|kiem)|oskarżon(?:y|ego|emu|ym|a|ej|ą)|pokrzywdzon(?:y|ego|emu|ym|a|ej|ą)|pow(?:ód|oda|odowi|odem|ódka|ódki|ódce|ódkę)|pozwan(?:y|ego|emu|ym|a|ej|ą)|wnioskodawc(?:a|y|ę|ą)|"
    r"z domu|née|getuige|verdachte|eiser(?:es)?|verweerder|verzoeker|gedaagde|slachtoffer|appellant|werknemer|"
    r"tužitelj(?:ica)?|tužilac|tužilja|tuženi(?:k|ca)?|okrivljen(?:i|a|og|om)|optužen(?:i|a|og|om)|oštećen(?:i|a|og|om)|svedok(?:inja)?|svjedok(?:inja)?|"
    r"vittime|testigos|témoins|named|prénom|prénommée?|de nombre|llamad[oa]|apodad[oa]|di nome|chiamat[oa]|de nome|chamad[oa]|genaamd|geheten|imieniu|imenom|po imenu|zvan[iae]|rodziców|roditelja|fils|fille|hijo|hija|figlio|figlia|filho|filha|syn|syna|córka|córki|zoon|dochter|sin|kći|"
    r"mère|père|frères?|sœurs?|grand-mère|grand-père|oncle|tante|cousine?|mari|femme|veuve|conjoints?|abuel[oa]|madre|padre|herman[oa]s?|tí[oa]|prim[oa]|espos[oa]s?|marido|mujer|viuda|"
    r"fratell[oi]|sorell[ae]|nonn[oa]|zi[oa]|marito|moglie|coniugi|vedova|mãe|pai|irmãos?|irmãs?|avós?|avô|esposos|moeder|vader|broers?|zus(?:sen)?|opa|oma|oom|echtelieden|echtgenote?|weduwe|"
    r"matk[aiąęo]|ojc(?:iec|a|u|em)|brat(?:a|u|em)?|bracia|siostr[ayąęo]|babci[aię]|dziad(?:ek|ka|kiem)|mąż|męża|żon[ayęą]|małżonkowie|majk[aeuo]|ot(?:ac|ca|cu|cem)|braća|sestr[aeuo]|bak[aeuo]|ded[aeu]|supru(?:g|ga|zi)))[ ,:]{1,2}(?:d[aeo]s? |van(?: de[rn]?)? |di |del(?:la)? )?\Z"
)
# Who signs a letter.
_SIGNED_OFF = CONTINENTAL.compile(
    r"(?m)^[ \t>]*(?:(?:Gros(?:ses)? )?[Bb]i(?:ses|sous)|(?:Bien )?[Cc]ordialement|Bien à (?:toi|vous)|Amitiés|À (?:bientôt|plus)|(?:Un )?[Ss]aludos?(?: cordiale?s?)?|Atentamente|(?:Un )?[Aa]brazos?|Besos|"
    r"(?:Cordiali |Distinti )?[Ss]aluti|(?:Un )?[Aa]bbraccio|Baci|[AÀa]bra[cç]os?|Atenciosamente|(?:Com os melhores )?[Cc]umprimentos|(?:Met vriendelijke )?[Gg]roet(?:en|jes)?|Liefs|Pozdrawiam(?: serdecznie)?|Z poważaniem|"
    rf"(?:Srdačan )?[Pp]ozdrav|S poštovanjem|S pozdravem)[,.!]?[ \t]*\n\s{{0,6}}([{UPPER}][{LOWER}]+(?:[ -][{UPPER}][{LOWER}]+){{0,3}})[ \t]*(?=\n|\Z|,)"
)
# The last line of a letter, after a line that ends with a comma: "Cdlt,\nAda", "Un caro saluto,\nAda Roe".
_LAST_LINE = CONTINENTAL.compile(
    rf"(?m)^[ \t>]*[^\W\d_][^\n.:;?!,\d]{{1,30}},[ \t]*\n\s{{0,6}}([{UPPER}][{LOWER}]+(?:[ -][{UPPER}][{LOWER}]+){{0,2}})[ \t]*(?=\n\s*\n|\s*\Z)"
)
_NEVER = frozenset(
    """
    corte exposé hof lei ley
    acte acuerdo acórdão alinéa aller annexe appel arrêt art arte article articles articolo artículo artigo artikel arrêté
    assises assurance  aud auto avis bis boletín boe bulletin bundesverfassungsgericht burgerlijk cassation cassazione
    cedh cee celex chambre charte circulaire cjue code codice code civil commission commissione comité compte comptes
    código códigos comunitario    constitucional constitución constituição constitution convenio convenção convention
    convenzione costituzione cour cours  cpc cpp cp c.p.c dahir dalloz directive direttiva directiva diretiva
     déclaration décret decreto decret dziennik ustaw enjuiciamiento estatuto europea européenne europeo européia
    european exp  faits fallo fatto diritto fundamentos gazzetta gerechtshof grondwet  hoge raad ilustrísimo ii iii iv v vi
    journal officiel jugement kodeks kodeksu konstytucja konstytucji  legge  ljubljana loi lois
    monitor moniteur nederland nederlandse officiel oficial ordenanza ordonnance ordinanza orgánica par parlement parlamento
    parlement partie pénal penal penale poder pouvoir pravilnik procedura procédure protocole protocolo préambule
    real reglamento regolamento regulamento règlement república república rechtbank rv sąd sądu sadu  sala sección section
    sentenza sentence sentencia sentença sezione sezioni  staatsblad stb statut strafrecht strasbourg strafvordering
    sud suda súmula supremo suprême suprema supremo tfue traité tratado trattato tribunal tribunale tribunales trybunał
    trybunału ue uni unie unione union unión uniao união ustawa ustawy ustav vrhovni  wet wetboek zakon zakona zakonik zakonika
    kazneni krivični građanski parnični obligacionim obligacijama službeni glasnik narodne novine republike republika srbije hrvatske
    afdeling bestuursrechtspraak stato état estado państwo rzeczpospolita rzeczypospolitej polskiej francja francji generalny
    generale general général générale fiscal fiscalía generalitat junta comunidad autónoma autonoma
    ministerio público ministério algemene najwyższy wojewódzki okręgowy rejonowy apelacyjny administracyjny española español italiana
    agravo agravos regimental apelação apelações embargos declaração infringentes recurso recursos extraordinário especial
    ordinário correição parcial mandado segurança habeas corpus ação ações penais direta inconstitucionalidade reclamação
    conflito competência enunciado enunciados orgânica complementar complementares distrital distritais estadual regimento
    interno anexo capítulo título plenário pleno turma câmara militar cível criminal processo instrumento inciso incisos
    incidente resolução portaria provimento nº instrução normativa relatório voto ementa dispositivo recurso revisión
    revista uniformização jurisprudência licitações vigência superior
    akt notarialny notarialnego repertorium atto notarile acte notarié escritura pública volmacht procuração procuración procura pełnomocnictwo punomoć ugovor presuda rješenje rešenje
    casación suplicación apelación demanda autos fundamento fundamentos antecedentes considerando resuelvo
    euro euros eur pln zł usd sa sarl sas srl spa bv nv sp z.o.o nif nie dni cif cpf cnpj rg oab pesel nip krs bsn siret rcs iban
    """.split()
)
# Those that are surnames after a first name.
_ALSO_NAMES = frozenset(
    "appel art câmara conselho corte cours estado general hof junta lei ley real sala sud vara".split()
)
_FORMS = frozenset("s.l s.l.u s.a s.a.u s.r.l s.p.a s.n.c s.a.s b.v n.v v.o.f ltda lda eireli epp".split())
_NO_VOWEL = re.compile(r"[^aeiouyáàâãäéèêëíìîïóòôõöúùûüąęęóæøå\W\d_]+")
_ROMAN = re.compile(r"(?=[IVXLC]{2})C{0,3}(?:X[CL]|L?X{0,3})(?:I[XV]|V?I{0,3})")
_DOCUMENT_WORDS = frozenset(
    """
    dossier affaire expediente causa fascicolo pratica processo dossiernummer sprawa akta predmet spis comparu comparaissent comparaît comparaissant ont soussignés soussigné elenco creditori créanciers liste audition
    le la les l un une des du de et ou mais donc or ni car il elle ils elles on nous vous ce cette ces son sa ses par pour dans sur
    sous avec sans entre selon après avant lors contre chez vers depuis ainsi alors aussi attendu que qui quand si comme dont où
    el los las lo una unos unas y o pero por para con sin sobre entre según tras desde hasta su sus este esta estos estas ese
    que cuando como donde si no se al del en a
    il lo gli i uno e ma per con senza su tra fra secondo dopo prima contro presso suo sua questo questa che quando come dove se non al
    nel nella dal dalla
    o os as um uma uns umas mas com sem sobre segundo após antes contra seu sua este esta isso quando como onde se não ao no na nos nas pelo pela do da dos das desta deste nº
    w z na do po od przez dla przed za nad pod przy oraz i a ale lub że jak kiedy jeżeli nie to ten ta te jego jej ich
    de het een en of maar dus want in op aan met zonder voor na bij tegen tussen volgens over uit van zijn haar hij zij deze dit die dat niet als wanneer
    u s sa iz od do po za na pri prema protiv između i ili ali da ne je su taj ta to ovaj ova
    """.split()
)
_TITLES = frozenset(
    """
    attendu condamne confirme considérant déboute décide vu saisie sursoit dit rejette infirme ordonne constate statuant
    reçoit déclare procede vistos visto vista considerando resultando resulta fallo fallamos condeno condenamos absuelvo
    estimamos estimo desestimamos declaro dispongo acuerdo ordeno rilevato ritenuto osserva considerato premesso letto
    letti dichiara condanna rigetta accoglie dispone julgo defiro indefiro decido nego zasądza oddala zważywszy uznaje
    skazuje orzeka ustala umarza manifiesta manifiestan comparece comparecen expone exponen solicita suplico certifico certifica
    otorga otorgan chiede premette espone declara requer outorga expose demande zeznaje oświadcza wnosi verklaart vordert
    sąsiad sąsiadka sąsiada kolega koleżanka konkubent konkubina sierżant aspirant imiona imię nazwisko
    szanowny szanowna szanowni panie mecenasie mecenas mecenasa geachte beste poštovani poštovana štovani prezado prezada
    estimado estimada caro cara egregio egregia gentile spett spettabile cher chère ilma ilmo excma excmo
    magistrada-juez magistrado-juez magistrada-jueza
    m mm mme mmes mlle mlles me mes maître maîtres dr drs pr prof monsieur madame mademoiselle messieurs mesdames veuve
    señor señora señores señorita don doña sr sra sres srta d dña lic licenciado licenciada
    signor signora signorina sig sigra avv avvocato dott dottssa dottoressa ing geom arch rag
    senhor senhora dona exmo exma doutor doutora
    pan pani pana panu panem panią państwo państwa panowie adw mec
    meneer mevrouw heer dhr mevr mr drs
    gospodin gospođa gospođica gospodina gospođe gosp
    herr frau miss mrs ms juge juges président présidente conseiller conseillère procureur greffier greffière ministre
    juez jueza magistrado magistrada presidente presidenta ponente fiscal procurador procuradora letrado abogado abogada
    giudice presidente procuratore relatore consigliere juiz juíza desembargador desembargadora relator relatora
    sędzia sędziego prokurator rechter raadsheer officier griffier sudac sudija sutkinja javni
    cela ceci rien nul nulle personne chacun chacune aucun aucune tout celui celle quiconque toutefois néanmoins
    esto ello nadie nada aquel aquella todo asimismo ciò nessuno tutto inoltre isso isto ninguém tudo assim
    niets niemand alles hier daar nic nikt wszystko tak ništa nitko sve što tko ko
    истец истца ответчик ответчика свидетель потерпевший потерпевшая подсудимый обвиняемый гражданин гражданка гражданина суд
    суда судья гк ук гпк упк рф тел позивач відповідач свідок суддя тужилац тужени сведок окривљени судија
    appelant appelante intimé intimée requérant requérante demandeur demanderesse défendeur défenderesse
    ricorrente imputato convenuto attore testimone recurrente demandante demandado imputado testigo
    recorrente réu autor autora testemunha powód pozwany oskarżony świadek eiser eiseres verweerder verdachte getuige
    tužitelj tužiteljica tužilac tužilja tuženi tuženik tuženica okrivljeni okrivljenik optuženi optuženik svedok svedokinja
    svjedok svjedokinja tužba iskaz žalba presuda prema käräjäoikeus tingsrätten todistaja kantaja vastaaja syyttäjä
    asianomistaja valittaja syytetty svědek svědkyně žalobce žalobkyně žalovaný žalovaná žaloba obžalovaný obžalovaná
    poškozený poškozená obviněný výpověď odvolání podle soud svedok žalobca zdaniem według wobec zeznania świadek powód
    powódka pozwany pozwana oskarżony oskarżona pokrzywdzony powództwo pozew wniosek skarga apelacja zażalenie umowa
    wyrok postanowienie pełnomocnik obrońca biegły wnioskodawca uczestnik
    """.split()
)
# Words that contracts define and then write with a capital. None is a usual name; a name may follow or precede.
_DEFINED = frozenset(
    """
    ci cię tobie wam wami was wasz wasza wasze waszego waszej waszemu waszym waszych waszą usłudze usłudzę
    paese paesi informativa linee generali norme regole politica attività risoluzione suoi suo sua tuoi tuo tua vostro vostra vostri vostre noi voi
    pays informations règles vous votre vos nous usted ustedes ud uds país países información normas reglas você vocês informações regras uw
    account accounts web internet feedback software marketplace api vat iva tva btw visa pin see sepa eog rodo gdpr rgpd
    konta konto kontem kontu koncie konta kont spory sporu sporem sporów sporze spór strona strony stronę stroną stronie
    stron stronom stronami stronach danych danymi danym towar towary towaru towarów towarem zasady zasad zasadom
    zasadami zasadach ciebie cię tobą tobie państwa państwu państwem
    jeśli jeżeli możemy mamy zarówno wyjąwszy lub ani ponieważ gdy aby
    contratto contratti contrattuale servizio servizi utente utenti condizioni condizione termini fornitore fornitori
    cliente clienti acquirente venditore licenza licenziatario licenziante sito contenuti contenuto prodotto prodotti
    piattaforma
    contrat contrats contractuel service services utilisateur utilisateurs conditions fournisseur fournisseurs client
    clients acheteur vendeur licence licencié site contenu contenus produit produits plateforme
    contrato contratos servicio servicios usuario usuarios condiciones proveedor proveedores clientes comprador vendedor
    licencia sitio contenidos producto productos plataforma
    serviço serviços usuário usuários utilizador utilizadores condições termos fornecedor fornecedores licença conteúdo
    conteúdos produto produtos
    overeenkomst dienst diensten gebruiker gebruikers voorwaarden leverancier klant klanten koper verkoper licentie
    partijen verhuurder huurder leninggever leningnemer opdrachtgever opdrachtnemer werkgever volmachtgever gevolmachtigde
    bailleur bailleresse preneur preneuse locataire locataires acquéreur vendeurs cédant cessionnaire emprunteur prêteur
    mandant mandataire employeur débiteur créancier donateur donataire
    arrendador arrendadora arrendatario arrendataria prestamista prestatario prestataria fiador fiadora poderdante
    apoderado apoderada mandante mandatario donante donatario cedente cesionario inquilino inquilina
    locatore locatrice conduttore conduttrice mutuante mutuatario comodante comodatario cessionario committente
    appaltatore garante venditrice
    outorgante outorgantes outorgado outorgada locador locadora locatário locatária senhorio arrendatária arrendatário
    mutuário fiadora cessionário
    zajmodavac zajmodavca zajmodavcu zajmoprimac zajmoprimca zajmoprimcu jemac jemca jamac jamca zakupac zakupca
    zakupodavac zakupodavca kupac kupca kupcu prodavac prodavca prodavcu prodavatelj prodavatelja najmodavac najmodavca
    najmoprimac najmoprimca poslodavac poslodavca poslodavcu naručilac naručitelj davalac davalatelj vlastodavac
    punomoćnik opunomoćenik poklonodavac poklonoprimac
    """.split()
)
# Polish declines them.
_DEFINED_STEMS = tuple(
    """
    twoi platform informacj prywatnoś niedozwolon kupon
    usług umow użytkown warunk warunek treśc treść regulamin witryn portal oprogramowan produkt serwis dostawc licencj
    postanowie materiał podmiot wytyczn polityk polityc aplikacj sprzedawc sprzedając kupując konsument klient płatnoś
    zamówie internet spółk spółc aktualizacj odpowiedzialno zakwaterowan załącznik artykuł procedur niniejsz wszelk
    korzystan twoj twój użytkowan podróżując wynajmując najemc poręczyciel zgłaszając kredytobiorc kredytodawc
    pożyczkobiorc pożyczkodawc zleceniobiorc zleceniodawc zamawiając dzierżawc wydzierżawiając pracodawc pracownik
    wierzyciel dłużnik spadkodawc spadkobierc darczyńc obdarowan ubezpieczyciel ubezpieczon mocodawc
    """.split()
)
# Countries and states as contracts name them, in the cases of Polish and in French, Italian, Spanish, Portuguese and
# Dutch; without those that are common surnames, such as Czech and Węgier.
_STATES = frozenset(
    """
    stany stanów stanach stanami stanom zjednoczone zjednoczonych zjednoczonymi zjednoczonym ameryki ameryce
    walia walii walią indie indii indiach chinach niemczech niemcami włochy włoszech
    états-unis allemagne angleterre suisse irlande espagne italie belgique autriche royaume-uni luxembourg californie
    stati uniti germania inghilterra svizzera irlanda spagna belgio austria regno unito lussemburgo california
    estados unidos alemania inglaterra suiza irlanda españa bélgica reino unido luxemburgo
    alemanha suíça espanha itália verenigde staten duitsland engeland zwitserland ierland spanje italië verenigd
    koninkrijk
    """.split()
)
_STATE_STEMS = tuple(
    """
    szwajcari kanad irlandi holandi angli japoni luksemburg malezj singapur tajlandi indonezj kaliforni teksas brazyli
    hiszpani portugali belgi szwecj norwegi finlandi słowacj ukrain litw łotw grecj brytani australi francj
    """.split()
)
_SURNAME_END = re.compile(r"(?:[sc]k(?:i|a|iego|iemu|im|iej|ą)|icz\w*|ówn[aąy]|czyk\w*)\Z")
# Of what stands where people do. A company may stand there as well: where a detector is sure of one, it is right.
_IN_CONTEXT = 0.7
# A passage of so many words in capitals, of which several are small ones, is emphasis.
_CAPITALS = CONTINENTAL.compile(rf"(?<!\w)[{UPPER}]+(?:[,;]? [{UPPER}]+){{7,}}(?!\w)")
_FEWEST_SMALL = 2
# The seat of a court belongs to the law, not to a person.
_COURT_BEFORE = re.compile(
    r"(?i:\b(?:tribunal|tribunaux|cour|juridiction|barreau|conseil|juzgado|audiencia|corte|foro|comarca|sąd|sądu|sądem|okręgow\w+|rejonow\w+|rechtbank|gerechtshof|sud|suda|prefecture|préfecture|parquet|procura|fiscalía|tribunale)\b(?: (?:d['’]appel|judiciaire|correctionnel|administratif|régional|civil[e]?|penal|social|mercantil|laboral|provincial|okręgow\w+|rejonow\w+|apelacyjn\w+|superior|supremo|de (?:grande instance|commerce|police|primera instancia|lo \w+|justiça|apelación)|di (?:appello|cassazione)|n[º°o.]{1,2} ?\d+|\d+)){0,4} (?:de |d['’]|du |des |di |del |da |do |te |w |we |u |en |in |van ))\Z"
)
# A finite verb after the first word of a sentence: that word is its subject.
_VERB = re.compile(
    r" (?:n['’]|s['’]|se |si |não |no |non |nie |się |je |nije )?(?:a|avait|est|était|ont|fut|conteste|soutient|demande|fait|expose|affirme|déclare|prétend|reproche|invoque|produit|sollicite|interjette|refuse|doit|peut|veut|vient|prend|perd|rend|vend|\w{2,}[^aeo]it|\w{3,}(?:ait|aient|èrent)|"
    r"ha|han|había|fue|era|es|niega|alega|sostiene|solicita|afirma|manifiesta|interpone|recurre|\w{3,}ó|è|aveva|sono|deduce|chiede|contesta|lamenta|eccepisce|propone|"
    r"é|foi|tem|havia|sustenta|requer|\w{3,}ou|heeft|had|is|was|werd|stelt|betwist|verklaart|vordert|verzoekt|voert|jest|był|była|twierdzi|wnosi|zeznaje|\w{3,}(?:ił|iła|ał|ała|ył|yła|edł|szła|dła|ół)|"
    r"je|nije|tvrdi|navodi|traži|\w{3,}(?:io|ila|ao|ala)|\w{3,}(?:ил|ила|ал|ала|ет|ит)(?:ся|сь)?)(?![\w'’])"
)
_LONGEST_VERB = 40
# What follows the elided article or a provision's number in capitals is a body or a code: "l'OFPRA", "article 3 du CESEDA".
_SHORT_ACRONYM = re.compile(r"\b(?:la|le|les|il|el|los|una?|lo|gli|o|a|os|as|uma|de|het|een) \Z")
_LONGEST_ACRONYM = 4
_ACRONYM_BEFORE = re.compile(
    r"(?:(?<![\w])[lL]['’]|\b(?:[Aa]rt(?:icles?|ículos?|icol[oi]|igos?|ikel(?:en)?|\.)) [\w .,:°º-]{1,20}? (?:du|de la|de l['’]|del|della|do|da|van het|van de))[ ]?\Z"
)
_FIRST_WORD = re.compile(rf"(?:^|[.!?;:\n] ?)[{UPPER}][{LOWER}]+ \Z")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;»”\"\n•–-]\s*|\(\s*)\Z")


class ContinentalPersonRecognizer(RuleRecognizer):
    """Names by their capitals, for languages in which nouns have none."""

    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names in `text`."""
        bodies = sorted((*find_ranges(institutions.RULES, text), *find_in_capitals(institutions.RULES, text)))
        starts = [start for start, _ in bodies]
        emphasized = [found.span() for found in _CAPITALS.finditer(text) if _is_emphasis(found.group())]
        for run in _RUN.finditer(text):
            if _is_heading(text, run.start(), run.end()) or _is_within(emphasized, run):
                continue
            within = bodies[max(0, bisect_left(starts, run.start()) - 1) : bisect_left(starts, run.end())]
            for start, end in find_uncovered(*run.span(), within):
                yield from _find_names(text, start, end)
        yield from find_inverted(text)
        for pattern in (_SIGNED_OFF, _LAST_LINE):
            for match in pattern.finditer(text):
                yield Finding(*match.span(1), "PERSON", LABELED)


class CuedPersonRecognizer(ContinentalPersonRecognizer):
    """Only the names that a title, a role or what people do shows: beside a learned detector of the language.

    It reads the same capitals, and tells a name from the first word of a sentence.
    """

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names in `text`."""
        yield from (finding for finding in super().find(text) if finding.score in (LABELED, _IN_CONTEXT))
        yield from find_inverted(text)


def _find_names(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the names in a run of capitalized words: a law ends the run, and a title restarts it."""
    begin: int | None = None
    last, after_never = start, False
    opens = _SENTENCE_START.search(text, max(0, start - 4), start) is not None
    for piece in _PIECE.finditer(text, start, end):
        word = _fold(piece.group())
        if begin is not None and word in _FORMS:  # the name of a company ends here
            yield from _judge(text, begin, last)
            begin = None
            continue
        if _is_never_a_name(piece.group(), word, begin is not None or _is_cued(text, piece.start())):
            yield from _judge(text, begin, last)
            begin, after_never = None, True
            last = piece.end()
            continue
        first = piece.start() == start and opens and word in _DOCUMENT_WORDS
        cued = _is_cued(text, piece.start())
        known = begin is None and (_is_state(word) or _is_known(text, piece, end)) and not cued
        defined = _is_defined(word) and not cued
        titled = word in _TITLES or piece.group().casefold() in _TITLES
        if titled or first or known or defined:
            yield from _judge(text, begin, last)
            begin = None
        elif begin is None:
            begin = piece.start()
        last = piece.end()
    # "Code Napoléon": one word after the beginning of a law's name belongs to it.
    if not (after_never and begin is not None and len(_PIECE.findall(text, begin, last)) == 1):
        yield from _judge(text, begin, last)


def is_word_of_documents(word: str) -> bool:
    """Return True for a title, a role, a defined term or a state, which may stand beside a name."""
    folded = _fold(word)
    return (
        folded in _NEVER
        or folded in _DOCUMENT_WORDS
        or folded in _TITLES
        or _is_defined(folded)
        or _is_state(folded)
    )


def _fold(word: str) -> str:
    """Return a word as the lists of this module write it: in lower case, Serbian in Latin letters."""
    return to_latin(word.casefold().strip("."))


def _is_never_a_name(shown: str, word: str, expected: bool) -> bool:
    """Return True for words of law, and for letters without a vowel and numbers: TST, XXI.

    Args:
        shown: the word as it is written.
        word: the same, folded.
        expected: a name has begun, or a title stands before.
    """
    if word in _NEVER:
        return not (word in _ALSO_NAMES and expected)
    if not shown.isupper() or len(word) < 2:
        return False
    return _NO_VOWEL.fullmatch(word) is not None or (not expected and _ROMAN.fullmatch(shown) is not None)


def _judge(text: str, start: int | None, end: int) -> Iterator[Finding]:
    """Yield the name at [start, end), unless it may just be the first word of a sentence or the seat of a court."""
    if start is None or not any(c.isalpha() for c in text[start:end]):
        return
    cued = _is_cued(text, start)
    if text[start:end].isupper() and _ACRONYM_BEFORE.search(text, max(0, start - 40), start):
        return
    short = end - start <= _LONGEST_ACRONYM and text[start:end].isupper() and not cued
    if short and _SHORT_ACRONYM.search(text, max(0, start - 5), start):
        return
    if all(_fold(piece) in _DOCUMENT_WORDS for piece in _PIECE.findall(text, start, end)):
        return
    words = len(_PIECE.findall(text, start, end))
    if words == 1 and not cued:
        opens = _SENTENCE_START.search(text, max(0, start - 4), start) is not None
        after = text[end : end + _LONGEST_VERB]
        bracketed = text[start - 1 : start] == "(" and is_given_name(_fold(text[start:end]))
        if opens and not (bracketed or _VERB.match(after) or _VERB.match(to_latin(after))):
            return
        if len(text[start:end].strip(".")) < 2 or _COURT_BEFORE.search(text, max(0, start - 60), start):
            return
        if not cued and is_about_person(text, start, end):
            yield Finding(start, end, "PERSON", _IN_CONTEXT)
            return
    yield Finding(start, end, "PERSON", LABELED if cued else SHAPED if words > 1 else GUESSED)


def _is_cued(text: str, start: int) -> bool:
    """Return True if a title or a role comes right before."""
    before = text[max(0, start - 32) : start]
    # A label begins with a capital, and so does a sentence: "Verdachte Roe".
    if before.endswith(": ") or _FIRST_WORD.search(before):
        before = before.lower()
    return _CUE.search(before) is not None or _CUE.search(to_latin(before)) is not None


def _is_defined(word: str) -> bool:
    """Return True for a word that contracts define."""
    plain = re.sub(r"^[dl]['’]", "", word)
    return plain in _DEFINED or (plain.startswith(_DEFINED_STEMS) and not _SURNAME_END.search(plain))


def _is_state(word: str) -> bool:
    """Return True for a state whose law contracts choose; after a first name it is a surname (España)."""
    plain = re.sub(r"^[dl]['’]", "", word)
    return plain in _STATES or (plain.startswith(_STATE_STEMS) and not _SURNAME_END.search(plain))


def _is_emphasis(passage: str) -> bool:
    """Return True for capitals that are a sentence, not a list of names."""
    words = re.findall(r"\w+", passage.casefold())
    return sum(word in _DOCUMENT_WORDS and word not in _PARTICLES for word in words) >= _FEWEST_SMALL


def _is_within(ranges: list[tuple[int, int]], run: re.Match[str]) -> bool:
    return any(start <= run.start() and run.end() <= end for start, end in ranges)


def _is_known(text: str, piece: re.Match[str], end: int) -> bool:
    """Return True for a word that no name begins with: Milan, Christian and Julio are also first names."""
    folded = piece.group().casefold().strip(".")
    if (
        folded in INSTITUTION_WORDS
        or folded in LEGAL_FORMS
        or any(folded.startswith(stem) or folded.endswith(stem) for stem in INSTITUTION_STEMS)
    ):
        return True
    if not any(folded in known for known in (JURISDICTIONS, PLACES, DEMONYMS, TIME_WORDS)):
        return False
    following = _FIRST_NAME_OF.match(text, piece.end(), end)
    return following is None or _fold(following.group(1)) in _NEVER


def _is_heading(text: str, start: int, end: int) -> bool:
    """Return True for capitals in a line of capitals that introduces nobody."""
    if not is_in_heading(text, start, end):
        return False
    line = find_line(text, start, end)
    return ":" not in line and not any(_fold(word) in _TITLES for word in _PIECE.findall(line))
