"""What tells sentences apart in each language: a row of data for each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LETTERS = re.compile(r"(?:[^\W\d_]{1,2}\.-?)+[^\W\d_]{1,2}")
"""Letters with full stops between them, such as U.S or J.-C; that after the last one is not seen."""
_NUMBER = re.compile(r"\d\w*|[IVXLC]{2,}")
_ORDINAL = re.compile(r"\d{1,2}|[IVXLC]+")

_APOSTROPHE = re.compile("['’]")
"""What stands before it is a word of its own, such as an article."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class SentenceRules:
    """Words of a language that say whether the full stop after them ends a sentence.

    A word in small letters stands for itself with a capital too. None is written with its last full stop.
    """

    unending: frozenset[str] = frozenset()
    """Abbreviations after which a sentence goes on, such as titles."""
    abbreviations: frozenset[str] = frozenset()
    """Abbreviations that a sentence may end with: it does where a word of ``starters`` follows."""
    before_numbers: frozenset[str] = frozenset()
    """Abbreviations after which a sentence goes on if a number follows; they may be words as well."""
    starters: frozenset[str] = frozenset()
    """Words with which many sentences begin, and few names do."""
    ordinals: bool = False
    """Whether a number with a full stop is an ordinal, as in »3. Oktober«."""

    def ends_after(self, word: str, following: str) -> bool:
        """Whether a sentence ends at the full stop between two words, the second of which has no small initial."""
        if _is_in(word, self.unending):
            return False
        if _is_in(word, self.before_numbers) and _NUMBER.fullmatch(following):
            return False
        is_initial = len(word) == 1 and word.lower() != word.upper()
        is_ordinal = self.ordinals and _ORDINAL.fullmatch(word)
        if is_initial or is_ordinal or _LETTERS.fullmatch(word) or _is_in(word, self.abbreviations):
            return following.replace("’", "'") in self.starters
        return True


def _is_in(word: str, words: frozenset[str]) -> bool:
    alone = _APOSTROPHE.split(word)[-1]
    return alone in words or alone[:1].lower() + alone[1:] in words


_TITLES = _words("dr prof mr mrs ms")
_DOUBTFUL = _words("st etc vs Inc Ltd Co Corp Jr Sr approx ca")
_NUMBERED = _words("vol fig p pp nr cf ch eq sec")

RULES: Mapping[str, SentenceRules] = {
    "en": SentenceRules(
        unending=_TITLES
        | _words("Messrs Mt Ft Hon Rev Gen Col Maj Capt Lt Sgt Cpl Cmdr Adm Gov Sen Rep Pres Supt Fr")
        | _words("e.g i.e viz cf"),
        abbreviations=_DOUBTFUL
        | _words("al Bros Esq Ave Blvd Rd dept est univ assn Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec")
        | _words("Mon Tue Tues Wed Thu Thurs Fri ft oz lb lbs hr hrs min"),
        before_numbers=_NUMBERED | _words("no nos art pt para chap app eds ed"),
        starters=_words(
            "The A An I He She It We You They This That These Those There Here But And Or So If When While As At In "
            "On For From To By With After Before Since Although However Then Thus What Who Why How Where Which My "
            "His Her Its Our Your Their Two Three No Yes Not One Some Many Most All Both Each Every Another "
            "Meanwhile Later Now Today"
        ),
    ),
    "de": SentenceRules(
        unending=_TITLES
        | _words("Fa Hr Fr Hrn Frl St dipl Ing med phil Hon Mag Univ Priv.-Doz z.B d.h u.a bzw vgl sog")
        | _words("insb inkl zzgl bspw gem evtl ggf i.d.R o.g v.a"),
        abbreviations=_words("usw etc u.s.w ca Co Jh Jhd Mio Mrd Tsd str Abs Abt allg bes ehem geb gest Jan Feb Apr")
        | _words("Jun Jul Aug Sep Sept Okt Nov Dez Mo Di Do Sa So Std min n.Chr v.Chr Chr jun sen Jr"),
        before_numbers=_words("nr Nrn S Abb Tab Kap Art Abs Bd Bde Vol Ziff Anm Rn Az Tel"),
        starters=_words(
            "Der Die Das Ein Eine Einen Einem Einer Ich Du Er Sie Es Wir Ihr Man Dieser Diese Dieses Jener Und Aber "
            "Oder Denn Doch Sondern Wenn Als Da Weil Obwohl Nachdem Bevor Während Dann Danach Dabei Dadurch Deshalb "
            "Daher Darum Dort Hier Heute Gestern Morgen Jetzt Nun So Auch Nur Noch Schon Nicht Kein Keine Was Wer "
            "Wie Wo Wann Warum Welche In Im An Am Auf Aus Bei Beim Mit Nach Von Vor Zu Zum Zur Für Seit Über Unter "
            "Durch Mein Meine Sein Seine Zwei Drei Ihre Unser Unsere Alle Viele Einige Jeder Später Außerdem "
            "Allerdings"
        ),
        ordinals=True,
    ),
    "fr": SentenceRules(
        unending=_TITLES | _words("M MM Mme Mmes Mlle Mgr Me pr av bd cf c.-à-d p.ex St Ste env"),
        abbreviations=_words("etc ex apr J.-C av.J.-C Cie janv févr juill sept oct nov déc tél arr hab réf Jr"),
        before_numbers=_words("n no nos p pp art al chap t vol fig éd §"),
        starters=_words(
            "Le La Les L' Un Une Des Du De D' Ce Cet Cette Ces C' Il Elle Ils Elles Je J' Tu Nous Vous On Et Mais Ou "
            "Or Donc Car Si S' Quand Lorsque Comme Alors Puis Ensuite Enfin Après Avant Pendant Depuis En Dans Sur "
            "Sous Pour Par Avec Sans Chez À Au Aux Mon Ma Mes Son Sa Ses Notre Nos Votre Vos Leur Leurs Que Qu' Qui "
            "Quoi Où Pourquoi Comment Cependant Toutefois Ainsi Aujourd' Hier Demain Tout Toute Tous Plusieurs "
            "Certains Voici"
        ),
    ),
    "es": SentenceRules(
        unending=_words("sr sra srta sres dr dra prof profa D Dña Fr Gral Cnel Lic Ing Arq Excmo Excma Ilmo Ilma S")
        | _words("p.ej ej Sto Sta St Mons Rvdo Vd Vds Ud Uds EE av avda cf vs"),
        abbreviations=_words("etc EE.UU a.C d.C a.m p.m S.A Cía Ltda ene feb abr jun jul ago sept oct nov dic aprox"),
        before_numbers=_words("n núm núms nº pág págs p pp art arts cap vol fig t tel c"),
        starters=_words(
            "El La Los Las Lo Un Una Unos Unas Él Ella Ellos Ellas Yo Tú Usted Nosotros Este Esta Estos Estas Ese "
            "Esa Esto Eso Aquel Y O Pero Mas Si Cuando Aunque Como Porque Pues Entonces Después Luego Antes Mientras "
            "Desde En De Del A Al Con Sin Por Para Sobre Según Entre Hasta Su Sus Mi Mis Tu Tus Nuestro Nuestra Qué "
            "Quién Cómo Dónde Cuándo Cuál No Sí Se Me Te Le Les Nos Hay Había Es Fue Hoy Ayer Mañana Ahora Así "
            "También"
        ),
    ),
    "it": SentenceRules(
        unending=_words("sig sigg sig.ra sig.na dott dott.ssa dr prof prof.ssa avv ing arch geom rag on sen gen col")
        | _words("cap mons don S p.es es cfr St spett egr gent v.le"),
        abbreviations=_words("ecc a.C d.C S.p.A S.r.l gen feb mar apr mag giu lug ago set sett ott nov dic ca ss vs"),
        before_numbers=_words("n nn nr pag pagg p pp art artt cap vol fig tel"),
        starters=_words(
            "Il Lo La I Gli Le L' Un Uno Una Un' Io Tu Lui Lei Egli Ella Noi Voi Loro Esso Essi Questo Questa Questi "
            "Queste Quello Quella E Ed O Ma Però Se Quando Mentre Come Perché Poiché Poi Dopo Prima Quindi Allora "
            "Inoltre Infatti In Nel Nella Nello Nei Nelle Di Del Della Dello Dei A Al Alla Da Dal Dalla Con Su Sul "
            "Per Tra Fra Che Chi Cosa Dove Non Sì No Si Mi Ti Ci Suo Sua Suoi Mio Mia Nostro È C' Oggi Ieri Domani "
            "Ora"
        ),
    ),
    "pt": SentenceRules(
        unending=_words("sr sra srs sras dr dra prof profa eng arq exmo exma ilmo ilma D Gen Cel Cap St Sto Sta")
        | _words("p.ex ex av cf V.Exa V.S vs Pe"),
        abbreviations=_words(
            "etc a.C d.C a.m p.m S.A Ltda Cia jan fev abr jun jul ago set out nov dez aprox E.U.A EUA"
        ),
        before_numbers=_words("n nº núm pág págs p pp art arts cap vol fig tel séc"),
        starters=_words(
            "O A Os As Um Uma Uns Umas Ele Ela Eles Elas Eu Tu Você Vocês Nós Este Esta Estes Estas Esse Essa Isto "
            "Isso Aquele Aquela E Ou Mas Porém Se Quando Embora Como Porque Pois Então Depois Antes Enquanto Desde "
            "Em No Na Nos Nas De Do Da Dos Das Ao À Com Sem Por Para Pelo Pela Sobre Segundo Entre Até Seu Sua Seus "
            "Meu Minha Nosso Nossa Que Quem Onde Não Sim Há É Foi Hoje Ontem Amanhã Agora Assim Também Já"
        ),
    ),
    "nl": SentenceRules(
        unending=_words("dhr mevr mw dr drs prof ir ing mr ds st bijv d.w.z o.a m.b.t t.a.v i.v.m zgn resp incl excl")
        | _words("v.d jhr mgr a.u.b m.n vgl"),
        abbreviations=_words(
            "enz etc e.d ca a.d n.Chr v.Chr B.V N.V jan feb mrt apr jun jul aug sept okt nov dec jr sr"
        ),
        before_numbers=_words("nr nrs blz p pp art lid hfst afb fig dl tel par"),
        starters=_words(
            "De Het Een Ik Jij Je Hij Zij Ze Wij We Jullie U Dit Dat Deze Die Er Hier Daar En Maar Of Want Dus Als "
            "Toen Terwijl Omdat Hoewel Nadat Voordat Sinds Daarna Dan Daarom Vandaag Gisteren Morgen Nu Zo Ook Niet "
            "Geen Wat Wie Waar Wanneer Waarom Hoe Welke In Op Aan Bij Met Na Van Voor Uit Over Onder Door Naar Te "
            "Tijdens Volgens Mijn Zijn Haar Hun Ons Onze Alle Veel Sommige Later Bovendien Echter"
        ),
    ),
    "pl": SentenceRules(
        unending=_words("dr hab prof mgr inż lek doc ks św bp abp gen płk mjr kpt por np tzn tj m.in tzw ul al pl os")
        | _words("ds ws wg red"),
        abbreviations=_words("im ok itd itp etc r w br n.e p.n.e godz zł gr tys mln mld cd cdn jw ww"),
        before_numbers=_words("ur nr s str rys tab art ust pkt poz t tel rozdz"),
        starters=_words(
            "Ten Ta To Te Ci On Ona Ono Oni One Ja Ty My Wy I A Ale Lecz Oraz Lub Albo Więc Jednak Jeśli Jeżeli Gdy "
            "Kiedy Chociaż Ponieważ Bo Potem Następnie Wtedy Teraz Dziś Dzisiaj Wczoraj Jutro Tu Tam Tak Nie Czy Co "
            "Kto Gdzie Jak Dlaczego Który Która W We Na Z Ze Do Od Po Przed Przez Przy Dla Za Nad Pod O Jego Jej Ich "
            "Mój Moja Nasz Nasza Swój Wszyscy Wszystkie Każdy Niektórzy Był Była Było Jest Są Ponadto Później Już"
        ),
    ),
    "ru": SentenceRules(
        unending=_words("ул просп пл пер наб см ср т.е т.н напр проф акад доц др.-рус гр гос тов св обл р-н пос")
        | _words("дер г-н г-жа зав зам"),
        abbreviations=_words("им г гг в вв д др пр т.д т.п н.э тыс млн млрд руб коп чел ч мин сек кв м км кг экз"),
        before_numbers=_words("с стр рис табл гл п пп ст т тт вып изд кн кн тел д кв корп"),
        starters=_words(
            "Это Этот Эта Эти Тот Та Те Он Она Оно Они Я Ты Мы Вы И А Но Или Однако Если Когда Хотя Потому Поэтому "
            "Затем Потом Тогда Теперь Сегодня Вчера Завтра Здесь Там Так Не Нет Да Что Кто Где Как Почему Который В "
            "Во На С Со К Ко Из От До По После Перед При Для За Над Под О Об Его Её Ее Их Мой Моя Наш Наша Свой Все "
            "Всё Каждый Некоторые Был Была Было Были Есть Кроме Также Позже Уже"
        ),
    ),
    "ja": SentenceRules(),
    "ko": SentenceRules(),
    "zh": SentenceRules(),
}
"""By the language's code in ISO 639-1. In Chinese, Japanese and Korean no word is abbreviated by a full stop."""

_SHARED = SentenceRules(
    unending=_TITLES | _words("e.g i.e"),
    abbreviations=_DOUBTFUL,
    before_numbers=_NUMBERED,
    starters=frozenset[str]().union(*(rules.starters for rules in RULES.values())),
)
_THREE_LETTERS = {
    "eng": "en",
    "deu": "de",
    "ger": "de",
    "fra": "fr",
    "fre": "fr",
    "spa": "es",
    "ita": "it",
    "por": "pt",
    "nld": "nl",
    "dut": "nl",
    "pol": "pl",
    "rus": "ru",
    "jpn": "ja",
    "kor": "ko",
    "zho": "zh",
    "chi": "zh",
    "cmn": "zh",
}
"""ISO 639-2 and 639-3 to 639-1."""


def rules_of(language: str | None) -> SentenceRules:
    """The rules of a language; those that most languages share where it is not known."""
    code = re.split(r"[^a-z]+", (language or "").lower().strip("_<>"))[0]
    return RULES.get(_THREE_LETTERS.get(code, code), _SHARED)
