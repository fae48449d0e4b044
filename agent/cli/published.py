"""The Gemma models of Ollama's library, and which of them somebody may have meant.

The sizes are rough, for choosing one: what the server tells when it pulls is what counts.
"""

from __future__ import annotations

import difflib
import re
from typing import Final

from gemmagraph.prompts.catalog import family_of
from gemmagraph.prompts.errors import NotationError

_LIBRARY: Final = """
    gemma 2b 1.7 7b 5.0
    gemma2 2b 1.6 9b 5.4 27b 16
    gemma3 270m 0.3 1b 0.8 4b 3.3 12b 8.1 27b 17
    gemma3n e2b 5.6 e4b 7.5
    gemma4 e2b 7.2 e4b 9.6 12b ? 26b 18 31b 20
    functiongemma 270m 0.3
    codegemma 2b 1.6 7b 5.0
    medgemma 4b 3.3 27b 17
    translategemma 4b 3.3 12b 8.1 27b 17
    embeddinggemma 300m 0.6
    shieldgemma 2b 1.7 9b 5.8 27b 17
"""
PUBLISHED: Final = {
    f"{family}:{size}": None if gigabytes == "?" else float(gigabytes) * 1e9
    for family, *facts in map(str.split, _LIBRARY.strip().splitlines())
    for size, gigabytes in zip(facts[::2], facts[1::2], strict=True)
}
"""Names, and about how many bytes each takes; None where that is not known."""


def near(model: str) -> list[str]:
    """At most three published names that may have been meant, the likeliest first."""
    try:
        family = family_of(model).name
    except NotationError:
        family = ""
    size = re.search(r"(?<![a-z0-9.])e?[0-9.]+[bm](?![a-z0-9])", model.lower())
    relatives = [name for name in PUBLISHED if family_of(name).name == family]
    meant = [name for name in relatives if size and name.endswith(f":{size[0]}")]
    close = difflib.get_close_matches(model.lower(), PUBLISHED, n=3, cutoff=0.6)
    return list(dict.fromkeys([*meant, *close, *relatives]))[:3]


def order(name: str) -> tuple[str, float, str]:
    """What names are sorted by: the family, then the size."""
    base = name.rpartition("/")[2].partition(":")[0].lower()
    size = re.findall(r"(?<![a-z0-9.])e?([0-9]+(?:\.[0-9]+)?)([bm])(?![a-z0-9])", name.lower())
    billions = float(size[-1][0]) / (1000 if size[-1][1] == "m" else 1) if size else 0.0
    return base, billions, name
