"""Names of things in sentences: what a detector that takes words is to look for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from videograph.english import COMMON_WORDS, FUNCTION_WORDS, REQUEST_WORDS, split_words, stem
from videograph.records import TimedText

MAX_NOUNS = 32
"""Things that are looked for at once: detectors grow slow and unsure with more."""
MAX_PHRASE_WORDS = 3
"""Words of a phrase: "big red car"."""

_PAUSE = re.compile(r"[^\w\s'’-]+")
_VERBS = frozenset(
    """appear arrive ask attack become begin bite blow break bring build burn buy call carry catch
    change chase cheer choose chop climb close cook count cross cry cut dance die dig draw drive
    drop eat enter fall feed feel fight finish fix fly follow forget grab grow hang happen hate hide
    hit hold hug hunt hurt hurry jump kick kill kiss laugh lead learn lie lift listen live lose love
    meet miss move open paint pass pay pick play pour pull push reach read ride rise roll scream
    search sell send shake shine shoot shout sing sink sit skate ski sleep slide smile speak spin
    splash spend spill stand steal strike surf sweep swim swing talk taste tear throw touch travel
    understand visit wake walk wash wave wear win write yell""".split()  # noqa: SIM905
)
_NO_THINGS = frozenset(
    """across alone alive along around asleep away behind beside inside near
    onto outside past toward towards
    certain dangerous different early easy especially fast first finally
    happy hard high late loud maybe next nice often probably possible quick quickly quiet ready sad
    second several similar slow slowly soon sudden suddenly sure third today together tomorrow tonight
    true wrong yesterday""".split()  # noqa: SIM905
)
_COUNTED_THINGS = frozenset({"man", "men", "woman", "women", "person", "people", "guy"})
"""Words too common to tell sentences apart, but things that a detector can find."""


def nouns(texts: Iterable[TimedText | str]) -> tuple[str, ...]:
    """Names of things, "dog" or "red car", in lower case, those of the first texts first.

    By word lists and endings, without a parser: now and then a verb is taken for a thing, which costs a
    detector a look and no more. Unwanted texts count too: to leave dogs out they must be found.
    """
    found: dict[str, None] = {}
    for text in texts:
        sentence = text if isinstance(text, str) else text.text
        for part in _PAUSE.split(sentence):
            for phrase in _phrases(split_words(part)):
                found.setdefault(phrase)
    return tuple(found)[:MAX_NOUNS]


def _phrases(words: list[str]) -> list[str]:
    """Runs of words that may name a thing."""
    phrases: list[list[str]] = [[]]
    for word in words:
        word = word.removesuffix("'s")
        if _may_name(word):
            phrases[-1].append(word)
        else:
            phrases.append([])
    return [" ".join(phrase[-MAX_PHRASE_WORDS:]) for phrase in phrases if phrase]


def _may_name(word: str) -> bool:
    if word in _COUNTED_THINGS:
        return True
    if (
        word in FUNCTION_WORDS
        or word in REQUEST_WORDS
        or word in COMMON_WORDS
        or word in _NO_THINGS
    ):
        return False
    ends_as_verb = len(word) > 5 and word.endswith(("ing", "ed", "ly"))
    is_doer = word.endswith(("er", "ers", "or", "ors")) and word not in _VERBS  # "hunters"
    is_verb = not is_doer and (stem(word) in _VERBS or bool(_bare(word) & _NOT_NAMES))
    return (
        len(word) > 2
        and not word.isdecimal()
        and (word in _NAMED_SO or not (is_verb or ends_as_verb))
    )


def _bare(word: str) -> set[str]:
    """What a verb may be without its ending: "jumps", "jumped", "jumping", "riding", "running"."""
    found = {word}
    for ending in ("s", "es", "d", "ed", "ing"):
        if word.endswith(ending) and len(word) - len(ending) > 1:
            rest = word[: -len(ending)]
            found |= {rest, rest + "e", rest[:-1]} if ending == "ing" else {rest}
    return found


_NOT_NAMES = _VERBS | COMMON_WORDS
_NAMED_SO = frozenset(
    {"building", "ceiling", "painting", "clothing", "evening", "wedding", "butterfly", "family"}
)
