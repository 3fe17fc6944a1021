"""Write tests/text/spacy/golden.json: what spaCy makes of texts that try each of its English rules.

Run it with an interpreter that has spaCy:  python scripts/build_spacy_golden.py
The texts are drawn from pieces on which rules meet, with a fixed seed; the same call gives the same file.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import spacy

OUT = Path(__file__).parent.parent / "tests/text/spacy/golden.json"
SEED, N_TEXTS = 7, 900
CHARACTERS = "aBcdEsSmktT019258.,;:!?'\"()[]{}<>-–—~=+*^/\\#$%&@_|…’‘“”«»°€£²³µ١٢éßİ漢字、。（）щЩюا٪〈⟦😀\u0300"
PIECES = ["km", "US$", "C$", "..", "...", "……", "--", "---", "——", "'s", "’s", "http://", "www.", "com", "co.uk"]
PIECES += ["8.8.8.8", "10.0.0.1", "192.168.1.1", "172.16.3.4", ":80", "?q=", "mb", "кг", "م", "°C", "°f.", "Mr."]
PIECES += ["U.S.", "foo", "Foo", " ", " ", " ", "\n", "\t", "\u00a0", "  ", "\u3000", "! ", ". ", "? "]


def main() -> None:
    """Write the file."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    exceptions = sorted(key for key in nlp.tokenizer.rules if key.strip())
    draw = random.Random(SEED)
    rows = []
    for number in range(N_TEXTS):
        pieces = [[*CHARACTERS], PIECES, exceptions]
        n = draw.randint(1, 6 if number % 2 else 14)
        text = "".join(draw.choice(draw.choice(pieces)) for _ in range(n))
        doc = nlp(text)
        tokens = [token.text for token in doc if not token.is_space]
        lines = text.split("\n") if text else []
        sentences = sum(max(1, len(list(nlp(line).sents))) for line in lines)
        rows.append([text, sentences, *tokens])
    head = {"source": f"spaCy {spacy.__version__}, spacy.blank('en') with sentencizer", "seed": SEED}
    OUT.write_text(json.dumps(head)[:-1] + ', "texts": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]}\n")
    print(f"{OUT}: {len(rows)} texts, {OUT.stat().st_size:,} bytes")


main()
