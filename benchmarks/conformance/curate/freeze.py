"""Freeze what the peers say of some texts into tests/curate/golden/dialects.json, so that the tests need no peer.

    python benchmarks/conformance/curate/freeze.py --peer-python PATH --dclm DIR        (see gopher.py for the peers)

The texts are those on which the dialects differ most, and random ones made of the pieces that they differ in.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

from gopher import NAMES, PEERS, of_peers
from peer import ask

FILE = Path(__file__).parents[3] / "tests/curate/golden/dialects.json"
DIALOGUE = '"No," he said. "Not to me, and not of that." ' * 10
TEXTS = {
    "empty": "",
    "whitespace": " \n\t\n ",
    "one word": "word",
    "four words": "the four words have",
    "23 characters": "twenty-three characters",
    "dialogue": DIALOGUE.strip(),
    "blank lines": "\n\n".join(f"This is paragraph {k} of the text, and it is one line." for k in range(9)),
    "one stop word thrice": "the the the",
    "upper case": "The Be To",
    "nothing repeats": " ".join(f"word{chr(97 + k // 26)}{chr(97 + k % 26)}" for k in range(60)),
    "equal counts": "aa bb x aa bb y cccc dddd z cccc dddd",
    "overlaps": "a b c d e a b c d e a b c d e",
    "bullets": "● one\n  ● two\n* three\n  * four\n- five\n  - six\n• seven\n  • eight\n– nine\nten",
    "ellipses": "one...\ntwo…\nthree. . .\nfour... \nfive… \nsix . . . \nseven..\neight",
    "symbols": "# a… b # c... d",
    "Chinese": "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。寒来暑往，秋收冬藏。" * 4,
    "Japanese": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 4,
    "line breaks": "one line.\r\ntwo\x0bthree\x85four\u2028five. \n\nsix\n\n\nseven\n",
    "trailing space": "A line ends here. \nAnother one. \nA third one.\n" * 4,
}
PIECES = [
    "the ", "of ", "To ", "be\n", "a b c d e ", "one line of text.\n", "word ", "größe ", "don't ", "e.g. ", "3.5 ",
    "# ", "#tag ", "...", "… ", ". . .", "• ", "- ", "* ", "\n", "\n\n", "\n\n\n", " ", "\u3000", "語", "かな",
    "שלום ", "ไทย", "👩\u200d🌾", "é", "“so” ", "² ", "x²y ", "١٢ ", "\x00", "\x1c", "\x85", "। ", "។",
]  # fmt: skip


def texts() -> dict[str, str]:
    """Name -> text."""
    chance = random.Random(7)
    mixed = {f"random {k}": "z" + "".join(chance.choices(PIECES, k=8 + 4 * k)) for k in range(24)}
    return TEXTS | mixed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--dclm", required=True, help="folder of DCLM's repository")
    asked = parser.parse_args()
    named = texts()
    answers = of_peers(asked.peer_python, asked.dclm, list(named.values()))
    fineweb = ask(asked.peer_python, PEERS / "datatrove_filters.py", named.values())
    rows: list[dict[str, Any]] = []
    for i, (name, text) in enumerate(named.items()):
        told = {dialect: answers[dialect][i] for dialect in NAMES}
        told["datatrove"]["fineweb_quality"] = fineweb[i]["fineweb_quality"]
        rows.append({"name": name, "text": text, "answers": told})
    lines = ",\n".join(json.dumps(_rounded(row)) for row in rows)
    FILE.write_text(f'{{"peers": {json.dumps(NAMES)},\n"texts": [\n{lines}\n]}}\n')


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, 9) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
