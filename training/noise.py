"""Text as speech recognition would write it, so that a model meets in training what a voice client sends."""

import re

import numpy as np

_PUNCTUATION = re.compile(r"[^\w\s']+")
_WORD = re.compile(r"[A-Za-z']+")

# Words that sound alike: any of a group may be heard for any other.
HOMOPHONES = """
their there they're | your you're | its it's | to too two | four for | know no | hear here | write right | wear where |
won one | by buy bye | sea see | son sun | week weak | weather whether | would wood | new knew | our hour | eight ate |
meet meat | mail male | pair pear | piece peace | plane plain | road rode | sail sale | scene seen | steal steel |
tail tale | threw through | wait weight | waste waist | whole hole | which witch | whose who's | then than | blue blew |
brake break | cell sell | dear deer | flour flower | hair hare | heal heel | him hymn | knight night | made maid |
passed past | principal principle | rain reign | read red | role roll | root route | so sew | some sum | stair stare |
allowed aloud | are or | accept except | affect effect | board bored | cent scent | i'll aisle | let's lets | we're were
"""
_SOUNDS_LIKE = {
    word: [other for other in group.split() if other != word]
    for group in HOMOPHONES.split("|")
    for word in group.split()
}
FILLERS = ("um", "uh", "like", "you know", "well", "er", "so", "hmm")

# A homophone is misheard, and a filler said, about so often.
HOMOPHONE_SHARE = 0.3
FILLER_SHARE = 0.08


def spoken(text: str) -> str:
    """Lower case, no punctuation but apostrophes."""
    plain = " ".join(_PUNCTUATION.sub(" ", text.lower()).split())
    return plain or text


def misheard(text: str, random: np.random.Generator) -> str:
    """Some words become others of the same sound, and fillers stand between; the rest stays as it is."""
    words: list[str] = []
    for word in text.split():
        if random.random() < FILLER_SHARE:
            words.append(str(random.choice(FILLERS)))
        words.append(_WORD.sub(lambda match: _misheard_word(match[0], random), word))
    return " ".join(words)


def _misheard_word(word: str, random: np.random.Generator) -> str:
    others = _SOUNDS_LIKE.get(word.lower())
    if others is None or random.random() >= HOMOPHONE_SHARE:
        return word
    return str(random.choice(others))
