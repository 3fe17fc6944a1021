"""Exported tokens through the readers of the trainers they are meant for: every token equal, or not.

    python benchmarks/conformance/tokenize/exporters.py --peer-python PATH

PATH is an interpreter with megatron-core and mosaicml-streaming (they ask for other versions of numpy than Seedbed
does). The tokens are the shipped sample's. Writes benchmarks/results/conformance_exporters.csv.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import seedbed as sb
from seedbed import sample
from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.tokenize.export import export
from seedbed.tokenize.exporters.mds import Mds
from seedbed.tokenize.exporters.megatron import Megatron

RESULTS = Path(__file__).parents[2] / "results" / "conformance_exporters.csv"

READ_MEGATRON = """
import sys, warnings; warnings.simplefilter("ignore")
import numpy as np
from megatron.core.datasets.indexed_dataset import IndexedDataset
import importlib.metadata
data = IndexedDataset(sys.argv[1] + "/tokens")
np.save(sys.argv[2], np.concatenate([data[i] for i in range(len(data))]).astype(np.int64))
print(importlib.metadata.version("megatron-core"), len(data))
"""

READ_MDS = """
import importlib.metadata, importlib.util, sys, types
import numpy as np
package = types.ModuleType("streaming")  # its __init__ imports vision and text extras that reading MDS does not need
package.__path__ = list(importlib.util.find_spec("streaming").submodule_search_locations)
sys.modules["streaming"] = package
from streaming.base.local import LocalDataset
data = LocalDataset(sys.argv[1])
np.save(sys.argv[2], np.concatenate([data[i]["tokens"] for i in range(len(data))]).astype(np.int64))
print(importlib.metadata.version("mosaicml-streaming"), len(data))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True)
    peer = parser.parse_args().peer_python
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sb.curate(sample.pool()[0], out=folder / "run")
        tokens = sb.tokenize(folder / "run")
        expected = all_tokens(tokens)
        for exporter, reader in ((Megatron(), READ_MEGATRON), (Mds(sequence_length=512), READ_MDS)):
            out = folder / exporter.name()
            counts = export(tokens, exporter, out)
            command = [peer, "-c", reader, str(out), str(folder / "read.npy")]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            read = np.load(folder / "read.npy")
            same = len(read) == counts["tokens"] and bool((read == expected[: len(read)]).all())
            rows.append({"format": exporter.name(), "reader_version": told[-2], "sequences": counts["sequences"],
                         "sequences_read": told[-1], "tokens": counts["tokens"], "tokens_read": len(read),
                         "left_over_tokens": counts.get("left_over_tokens", 0), "every_token_equal": same})  # fmt: skip
    with RESULTS.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(RESULTS.read_text())


def all_tokens(tokens: Artifact) -> np.ndarray:
    """Every id of every shard, in order."""
    dtype = np.dtype(str(tokens.about["dtype"]))
    files = [s.with_name(s.name.replace("part-", "ids-")).with_suffix(".bin") for s in tokens.shards()]
    assert sum(arrow.n_rows(shard) for shard in tokens.shards())
    return np.concatenate([np.fromfile(file, dtype) for file in files]).astype(np.int64)


if __name__ == "__main__":
    main()
