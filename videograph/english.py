"""English words: how text is cut into them, which of them say little, and what their stems are.

Small word lists and suffix rules, no dictionary: enough to tell that "hunting" is about a "hunter".
Other languages pass through unharmed: their words are kept whole.

Stems are not left to snowballstemmer's English, tried in their place: the questions of tests/test_ask.py
find as many answers with it (3 and 4 of 5), but of the eight families of words in tests/test_text.py only
three meet ("hunter" stays apart from "hunt", "ran" from "run", "happily" from "happiness"), and its import
takes 33 ms of each command.
"""

from __future__ import annotations

import re
import unicodedata


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


FUNCTION_WORDS = _listed(
    """a about above after again against all also am an and any are aren't as at be because been
    before being below between both but by can can't cannot could couldn't did didn't do does doesn't
    doing don't down during each either else ever every few for from further had hadn't has hasn't
    have haven't having he he'd he'll he's her here here's hers herself him himself his how how's i
    i'd i'll i'm i've if in into is isn't it it's its itself just let's may me might more most must
    my myself neither no nor not of off oh on once only or other our ours ourselves out over own
    please same shall shan't she she'd she'll she's should shouldn't since so some such than that
    that'll that's the their theirs them themselves then there there's these they they'd they'll
    they're they've this those though through till to too under until up upon us very was wasn't we
    we'd we'll we're we've were weren't what what's when when's where where's which while who who's
    whom whose why why's will with within without won't would wouldn't yes yet you you'd you'll
    you're you've your yours yourself yourselves"""
)
"""Words that tie others together and say nothing of what a text is about."""

REQUEST_WORDS = _listed(
    """clip clips display displayed film find footage happen happening happens mention
    mentioned mentions moment moments movie part parts scene scenes search seconds seek
    segment segments show showed showing shown shows shot shots start talk talked talking talks time
    times video videos watch"""
)
"""Words of people who ask a video something: about the asking more often than about the answer."""

COMMON_WORDS = _listed(
    """able anybody anyone anything back bad big come day end everybody everyone everything get give
    go good great guy hear help keep kind know last leave like little long look lot make man many
    mean much need never new nobody nothing now old one people person place put really right run say
    see somebody someone something still stop take tell thing think try turn two use wait want way
    well woman word work world year"""
)
"""Stems that half of all conversations hold; still of use, but less than a rare one."""

_IRREGULAR = {
    form: base
    for base, forms in {
        "be": "am are been being is was were", "begin": "began begun", "bite": "bit bitten",
        "blow": "blew blown", "break": "broke broken", "bring": "brought", "build": "built",
        "burn": "burnt", "buy": "bought", "catch": "caught", "child": "children", "choose": "chose chosen",
        "come": "came", "deal": "dealt", "die": "dead dying died death", "dig": "dug", "do": "did does done",
        "draw": "drew drawn", "drink": "drank drunk", "drive": "drove driven", "eat": "ate eaten",
        "fall": "fell fallen", "feed": "fed", "feel": "felt", "fight": "fought", "find": "found",
        "fly": "flew flown flight", "foot": "feet", "forget": "forgot forgotten",
        "forgive": "forgave forgiven",
        "freeze": "froze frozen", "get": "got gotten", "give": "gave given gift", "go": "went gone",
        "goose": "geese", "grow": "grew grown", "hang": "hung", "have": "had has", "hear": "heard",
        "hide": "hid hidden", "hold": "held", "keep": "kept", "knife": "knives", "know": "knew known",
        "lead": "led", "leave": "left", "lend": "lent", "life": "lives live living lived",
        "lose": "lost loss",
        "make": "made", "man": "men", "mean": "meant", "meet": "met", "mouse": "mice", "pay": "paid",
        "person": "people", "ride": "rode ridden", "ring": "rang rung", "rise": "rose risen", "run": "ran",
        "say": "said", "see": "saw seen", "sell": "sold", "send": "sent", "shake": "shook shaken",
        "shine": "shone", "shoot": "shot", "sing": "sang sung song", "sink": "sank sunk", "sit": "sat",
        "sleep": "slept", "slide": "slid", "speak": "spoke spoken speech", "spend": "spent", "stand": "stood",
        "steal": "stole stolen", "stick": "stuck", "strike": "struck", "swear": "swore sworn",
        "sweep": "swept", "swim": "swam swum", "take": "took taken", "teach": "taught", "tear": "tore torn",
        "tell": "told", "think": "thought", "throw": "threw thrown", "tooth": "teeth",
        "understand": "understood", "wake": "woke woken", "wear": "wore worn", "weep": "wept", "win": "won",
        "wife": "wives", "wolf": "wolves", "woman": "women", "write": "wrote written",
    }.items()
    for form in forms.split()
}  # fmt: skip

_SUFFIXES = (
    "ization", "fulness", "ousness", "iveness", "ational", "ingly", "ement", "ments", "ation", "ators",
    "ness", "ment", "able", "ible", "edly", "ator", "ious", "less", "ful", "ing", "ers", "ors", "ist",
    "est", "ion", "ous", "ive", "ity", "al", "er", "or", "ed", "ly", "en", "y", "e",
)  # fmt: skip
"""Longest first; what is left must have `_MIN_STEM` letters and a vowel."""
_MENDED = frozenset({"ing", "ed", "er", "ers", "est", "ness", "ly"})
"""Endings that change the letters before them."""
_MIN_STEM = 3

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_SHORT = re.compile(r"[^aeiouy]+[aeiouy][^aeiouywx]")
_VOWEL = re.compile(r"[aeiouy]")


def split_words(text: str) -> list[str]:
    """The words of a text in lower case, without accents, in order; numbers are words too."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = unicodedata.normalize("NFC", plain).replace("_", " ")
    return [word.replace("’", "'") for word in _WORD.findall(plain)]


def stem(word: str) -> str:
    """What an English word has in common with its kin: "hunting", "hunters" and "hunt" give "hunt".

    Stronger than Porter's rules on purpose: two words that wrongly meet cost a search less than two
    that wrongly miss each other.
    """
    word = word.removesuffix("'s").removesuffix("'")
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if not word.isascii() or not word.isalpha() or len(word) <= _MIN_STEM:
        return word
    word = _without_s(word)
    for _ in range(3):  # "dangerously": -ly, -ous, -er
        word = _without_suffix(word)
    return _IRREGULAR.get(word, word)


def _without_s(word: str) -> str:
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _without_suffix(word: str) -> str:
    for suffix in _SUFFIXES:
        rest = word[: -len(suffix)]
        enough = len(rest) >= _MIN_STEM + (suffix == "e") and _VOWEL.search(rest)
        if word.endswith(suffix) and enough:
            return _mended(rest) if suffix in _MENDED else rest
    return word


def _mended(rest: str) -> str:
    """What an ending changed at the end of a word: "runn-ing", "rid-ing", "happi-er"."""
    if rest.endswith("i"):
        return rest[:-1] + "y"
    if len(rest) > _MIN_STEM and rest[-1] == rest[-2] and rest[-1] not in "lsz":
        return rest[:-1]
    return rest + "e" if _SHORT.fullmatch(rest) else rest
