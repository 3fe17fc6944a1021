"""Near duplicates with rensa: DOCUMENTS.jsonl -> the CPU-seconds of the job and the group of every document, as JSON.

python rensa_groups.py DOCUMENTS.jsonl ANSWER.json PERMUTATIONS BANDS

The job is what its README shows for large inputs: shingles in Python, one digest matrix, flags from one LSH pass. The
groups, which this does not give, are asked for afterwards, without the clock.
"""

import json
import sys
import time
from pathlib import Path

from rensa import RMinHash, RMinHashLSH

NGRAM, SEED, THRESHOLD = 5, 42, 0.8


def shingles(text: str) -> list[str]:
    words = text.lower().split()
    return [" ".join(words[i : i + NGRAM]) for i in range(max(1, len(words) - NGRAM + 1))]


def main() -> None:
    documents, answer, permutations, bands = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    start = time.process_time()
    with Path(documents).open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    sets = [shingles(text) for text in texts]
    matrix = RMinHash.digest_matrix_from_token_sets(sets, permutations, SEED)
    flags = RMinHashLSH(THRESHOLD, permutations, bands).insert_matrix_and_query_duplicate_flags(matrix)
    spent = time.process_time() - start

    sketches = RMinHash.from_token_sets(sets, permutations, SEED)
    index = RMinHashLSH(THRESHOLD, permutations, bands)
    index.insert_many(sketches)
    parent = list(range(len(texts)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for row, sketch in enumerate(sketches):
        for other in index.query(sketch):
            one, two = sorted((root(row), root(other)))
            parent[two] = one
    groups = [root(row) for row in range(len(texts))]
    told = {"cpu_seconds": spent, "groups": groups, "flagged": sum(flags)}
    Path(answer).write_text(json.dumps(told), encoding="ascii")


main()
