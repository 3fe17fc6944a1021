"""Do `mc4_quality` and `page_length` drop the pages that the originals do?

    python benchmarks/conformance/curate/page_rules.py --corpus DIR --peer-python PATH

The corpus is a folder of JSON lines with `text`, and `language` or `metadata.lang`. What the peer's interpreter needs
stands at the head of peers/page_rules.py. The result is benchmarks/results/conformance_page_rules.csv.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from peer import LANGUAGES, ask, sample

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Filter
from seedbed.curate.filters.mc4_quality import Mc4Quality
from seedbed.curate.filters.page_length import PageLength

HERE = Path(__file__).parent
RESULT = HERE.parents[1] / "results" / "conformance_page_rules.csv"
COMPARISONS: dict[str, Filter] = {
    "mC4: tensorflow_datasets": Mc4Quality(),
    "mC4: datatrove": Mc4Quality(),
    "C4 page length: tensorflow_datasets": PageLength(),
}


def main() -> None:
    """Write the table: a row a comparison."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", type=Path, required=True)
    options.add_argument("--peer-python", required=True)
    options.add_argument("--documents", type=int, default=5000)
    given = options.parse_args()
    texts = [text for _, text in sample(given.corpus, given.documents, LANGUAGES)]
    answers = ask(given.peer_python, HERE / "peers" / "page_rules.py", texts)
    rows: list[dict[str, object]] = []
    for name, method in COMPARISONS.items():
        broken = method.failures(method.measure(DocumentBatch.of(texts))).values()
        kept = [not any(flags) for flags in zip(*broken, strict=True)]
        theirs = [answer[name] for answer in answers]
        same = sum(ours == other for ours, other in zip(kept, theirs, strict=True))
        rows.append(
            {"comparison": name, "documents": len(texts), "dropped": theirs.count(False), "same_verdicts": same}
        )
        print(rows[-1])
    with RESULT.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
