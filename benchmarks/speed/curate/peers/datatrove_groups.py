"""Near duplicates with datatrove: DOCUMENTS.jsonl -> the CPU-seconds of its four stages and every document's group.

python datatrove_groups.py DOCUMENTS.jsonl ANSWER.json spacy|whitespace

With `whitespace` its word tokenizer is replaced by str.split, so that its engine can be told from spaCy.
"""

import json
import os
import struct
import sys
import tempfile
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature, minhash
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter


class Whitespace:
    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


def main() -> None:
    documents, answer, words = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    if words == "whitespace":
        minhash.load_word_tokenizer = lambda _: Whitespace()
    config = MinhashConfig()
    with tempfile.TemporaryDirectory() as folder:
        reader = JsonlReader(str(documents.parent), glob_pattern=documents.name)
        signatures, buckets, removed = f"{folder}/signatures", f"{folder}/buckets", f"{folder}/removed"
        stages = [
            ([reader, MinhashDedupSignature(signatures, config=config)], 1),
            ([MinhashDedupBuckets(signatures, buckets, config=config)], config.num_buckets),
            ([MinhashDedupCluster(buckets, removed, config=config, save_cluster_id=True)], 1),
            ([reader, MinhashDedupFilter(removed), JsonlWriter(f"{folder}/kept", compression=None)], 1),
        ]
        start = sum(os.times()[:4])
        for i, (steps, tasks) in enumerate(stages):
            LocalPipelineExecutor(pipeline=steps, tasks=tasks, logging_dir=f"{folder}/logs{i}").run()
        spent = sum(os.times()[:4]) - start
        with documents.open(encoding="utf-8") as lines:
            groups = list(range(sum(1 for _ in lines)))
        heads: dict[int, int] = {}
        for file in sorted(Path(removed).glob("*.clusters")):
            for row, cluster in struct.iter_unpack("<2I", file.read_bytes()):
                groups[row] = heads.setdefault(cluster, row)
        with open(f"{folder}/kept/00000.jsonl", encoding="utf-8") as lines:  # noqa: PTH123
            kept = sum(1 for _ in lines)
    told = {"cpu_seconds": spent, "groups": groups, "kept": kept}
    Path(answer).write_text(json.dumps(told), encoding="ascii")


if __name__ == "__main__":
    main()
