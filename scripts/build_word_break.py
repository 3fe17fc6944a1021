"""Write src/seedbed/text/words/word_break.txt: the Unicode properties that word segmentation by UAX 29 looks at.

    python scripts/build_word_break.py        in an interpreter that has uniseg 0.10.1, whose data are Unicode 16.0.0

They are fixed at the version of the segmenter that is reproduced; the interpreter's own `unicodedata` is another one.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from uniseg.emoji import extended_pictographic
from uniseg.wordbreak import word_break

FILE = Path(__file__).parents[1] / "src/seedbed/text/words/word_break.txt"
HEAD = """\
# Unicode 16.0.0: Word_Break (WordBreakProperty.txt) and Extended_Pictographic (emoji-data.txt), as runs of code points.
# Copyright Unicode, Inc.; terms of use: https://www.unicode.org/license.txt. Written by scripts/build_word_break.py.
"""


def main() -> None:
    """Ask uniseg about every code point."""
    runs: dict[str, list[list[int]]] = {}
    for code in range(0x110000):
        names = [word_break(chr(code)).value, "Extended_Pictographic" if extended_pictographic(chr(code)) else "Other"]
        for name in names:
            if name == "Other":
                continue
            found = runs.setdefault(name, [])
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    lines = [HEAD]
    for name in sorted(runs):
        told = " ".join(f"{first:X}" if first == last else f"{first:X}-{last:X}" for first, last in runs[name])
        lines += [f"{name}\n", textwrap.fill(told, 120, initial_indent=" ", subsequent_indent=" ") + "\n"]
    FILE.write_text("".join(lines))


if __name__ == "__main__":
    main()
