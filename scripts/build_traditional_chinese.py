"""Write src/seedbed/text/words/traditional_chinese.txt: the characters that simplified Chinese writes otherwise.

    python scripts/build_traditional_chinese.py Unihan_Variants.txt

Unihan_Variants.txt is part of the Unicode Character Database (Unihan.zip). A character is taken if it has a simplified
variant (kSimplifiedVariant) and is not one of them itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

OUT = Path(__file__).parent.parent / "src/seedbed/text/words/traditional_chinese.txt"
NOTICE = "# Unicode Han Database 15.0, kSimplifiedVariant. Copyright 1991-2022 Unicode, Inc.; Unicode License v3."
FIRST, LAST = 0x4E00, 0x9FA5
PER_LINE = 60


def main() -> None:
    """Read the file named on the command line."""
    found: list[str] = []
    for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        code, field, variants = line.split("\t")
        simplified = [variant.partition("<")[0] for variant in variants.split()]
        if field == "kSimplifiedVariant" and code not in simplified and FIRST <= int(code[2:], 16) <= LAST:
            found.append(chr(int(code[2:], 16)))
    lines = ["".join(found[i : i + PER_LINE]) for i in range(0, len(found), PER_LINE)]
    OUT.write_text("\n".join([NOTICE, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
