"""Write src/seedbed/text/spacy/rules.json: the rules of spaCy's English tokenizer as data.

Run it with an interpreter that has spaCy:  python scripts/build_spacy_rules.py
It asks spaCy's own compiled expressions about every code point, and stops where spaCy has a rule of a shape that the
kernels in seedbed.text.spacy.affixes do not know.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import spacy
from spacy.lang import char_classes
from spacy.lang.en import English
from spacy.lang.punctuation import TOKENIZER_PREFIXES, TOKENIZER_SUFFIXES
from spacy.pipeline.sentencizer import Sentencizer
from spacy.symbols import ORTH

OUT = Path(__file__).parent.parent / "src/seedbed/text/spacy/rules.json"
NOTICE = "MIT License; Copyright (C) 2016-2024 ExplosionAI GmbH, 2016 spaCy GmbH, 2015 Matthew Honnibal"
KNOWN_PREFIXES = {r"\+(?![0-9])", r"\.\.+", r"US\$", r"C\$", r"A\$", "……"}
KNOWN_SUFFIXES = {"'s", "'S", "’s", "’S", r"\.\.+", "……", r"(?<=[0-9])\+", r"(?<=°[FfCcKk])\."}
KNOWN_INFIXES = [
    r"\.\.+",
    "…",
    char_classes.LIST_ICONS[0],
    r"(?<=[0-9])[+\-\*^](?=[0-9-])",
    rf"(?<=[{char_classes.ALPHA_LOWER}{char_classes.CONCAT_QUOTES}])\.(?=[{char_classes.ALPHA_UPPER}{char_classes.CONCAT_QUOTES}])",
    rf"(?<=[{char_classes.ALPHA}]),(?=[{char_classes.ALPHA}])",
    rf"(?<=[{char_classes.ALPHA}0-9])(?:-|–|—|--|---|——|~)(?=[{char_classes.ALPHA}])",
    rf"(?<=[{char_classes.ALPHA}0-9])[:<>=/](?=[{char_classes.ALPHA}])",
]


def main() -> None:
    """Write the file."""
    nlp = spacy.blank("en")
    tokenizer = nlp.tokenizer
    check_shapes()
    stop = next(piece for piece in TOKENIZER_SUFFIXES if "%²" in piece)
    stop_search = re.compile(stop + "$").search
    classes: dict[str, Callable[[str], object]] = {
        "prefix": tokenizer.prefix_search,
        "suffix": tokenizer.suffix_search,
        "infix": lambda character: next(tokenizer.infix_finditer(character), None),
        "letter": re.compile(f"[{char_classes.ALPHA}]").match,
        "lower": re.compile(f"[{char_classes.ALPHA_LOWER}]").match,
        "upper": re.compile(f"[{char_classes.ALPHA_UPPER}]").match,
        "quote": re.compile(f"[{char_classes.CONCAT_QUOTES}]").match,
        "before_stop": lambda character: stop_search(character + "."),
    }
    rules = {key: [piece[ORTH] for piece in pieces] for key, pieces in tokenizer.rules.items()}
    assert all("".join(pieces) == key for key, pieces in rules.items())
    with_blanks = [key for key in rules if any(c.isspace() for c in key)]
    assert all(len(key) == 1 for key in with_blanks), with_blanks  # alone a run of whitespace, which is no word
    exceptions = {key: pieces for key, pieces in rules.items() if key not in with_blanks}
    found = {
        "source": f"spaCy {spacy.__version__}, blank English tokenizer",
        "licence": NOTICE,
        "classes": {name: ranges(test) for name, test in classes.items()},
        "after_digit": sorted(set(after_digit(char_classes.UNITS) + after_digit(char_classes.CURRENCY))),
        "sentence_ends": "".join(sorted(set(Sentencizer.default_punct_chars))),
        "exceptions": [" ".join(pieces) for pieces in sorted(exceptions.values())],
        "phrases": [" ".join(pieces) for pieces in sorted(phrases(exceptions))],
    }
    OUT.write_text(json.dumps(found, ensure_ascii=True, indent=1) + "\n")
    print(f"{OUT}: {len(exceptions)} exceptions, {len(found['phrases'])} phrases, {OUT.stat().st_size:,} bytes")


def check_shapes() -> None:
    """Stop where a rule is neither one character nor of a known shape."""
    for known, pieces in ((KNOWN_PREFIXES, TOKENIZER_PREFIXES), (KNOWN_SUFFIXES, TOKENIZER_SUFFIXES)):
        for piece in pieces:
            is_class = piece == char_classes.LIST_ICONS[0]
            is_one = len(re.sub(r"\\(.)", r"\1", piece)) <= 1
            is_lookbehind = piece.startswith((r"(?<=[0-9])(?:", r"(?<=[0-9" + char_classes.ALPHA_LOWER, "(?<=[A-Z"))
            if not (is_class or is_one or is_lookbehind or piece in known):
                sys.exit(f"unknown rule {piece!r}")
    if list(English.Defaults.infixes) != KNOWN_INFIXES or English.Defaults.token_match is not None:
        sys.exit("the infixes are others than the kernels know")


def ranges(test: Callable[[str], object]) -> str:
    """The code points that pass, as runs in hexadecimal."""
    runs: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if test(chr(code)):
            if runs and runs[-1][1] == code - 1:
                runs[-1][1] = code
            else:
                runs.append([code, code])
    return " ".join(f"{first:X}" if first == last else f"{first:X}-{last:X}" for first, last in runs)


def after_digit(alternatives: str) -> list[str]:
    """The strings that are cut off behind a digit."""
    return [re.sub(r"\\(.)", r"\1", piece) for piece in alternatives.split("|") if piece]


def phrases(exceptions: dict[str, list[str]]) -> list[list[str]]:
    """The exceptions that are found again among tokens, as the tokens that the affix rules make of them.

    One token stays what it is. One that becomes the same tokens again matters only where it hides another phrase.
    """
    bare = spacy.blank("en").tokenizer
    bare.rules = {}
    own = spacy.blank("en").tokenizer
    found: dict[str, list[str]] = {}
    for key, pieces in exceptions.items():
        if own.find_prefix(key) or own.find_infix(key) or own.find_suffix(key):
            tokens = [token.text for token in bare(key)]
            if len(tokens) > 1:
                found[key] = tokens
            else:
                assert tokens == pieces, key
    changing = [tokens for key, tokens in found.items() if tokens != exceptions[key]]
    return [
        tokens
        for key, tokens in found.items()
        if tokens != exceptions[key] or any(can_overlap(tokens, other) for other in changing)
    ]


def can_overlap(one: list[str], other: list[str]) -> bool:
    """Whether the two can share a token where both are found."""
    for shift in range(1 - len(other), len(one)):
        pairs = [(one[shift + k], other[k]) for k in range(len(other)) if 0 <= shift + k < len(one)]
        if all(a == b for a, b in pairs):
            return True
    return False


main()
