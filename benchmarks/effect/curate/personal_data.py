"""What is found of personal data and secrets planted in real text, and how often something else is taken for them.

    python benchmarks/effect/curate/personal_data.py --corpus DIR [--documents 2000] [--repeats 5]
        [--datatrove PYTHON] [--dolma PYTHON]

DIR holds JSONL files with the fields text and metadata.lang. Every document gets one item of each kind and four
look-alikes (see labelled.py), each at a random line's end within a frame of words. An item is found where one passage
of its kind covers it whole; a false one touches a look-alike and no item. Passages in the text around are told apart,
for nobody has labelled them. The peers' own code is asked in interpreters that have it installed. Writes
benchmarks/results/personal_data.csv.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import labelled

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.edits.mask_personal_data import MaskPersonalData
from seedbed.curate.edits.mask_secrets import MaskSecrets
from seedbed.curate.filters.personal_data import PersonalData
from seedbed.curate.filters.secrets import Secrets
from seedbed.text.patterns import personal, secrets
from seedbed.text.patterns.secrets import TOKENS

sys.path.insert(0, str(Path(__file__).parents[2] / "conformance" / "curate"))
import peer

RESULTS = Path(__file__).parents[2] / "results" / "personal_data.csv"
PEERS = Path(peer.__file__).parent / "peers"
FAMILIES = {"json_web_token": "web_token", **dict.fromkeys(TOKENS, "token")}
NEGATIVES = 4
BATCH = 512
COLUMNS = ("tool", "kind", "planted", "found", "recall", "lookalikes_taken", "precision", "elsewhere")
Span = tuple[str, int, int]


def plant(text: str, rng: random.Random) -> tuple[str, list[Span]]:
    """(text with items and look-alikes, where they stand in bytes); a look-alike is of kind ""."""
    makers = {**labelled.KINDS, **labelled.SECRETS, **{f"-{i}": labelled.negative for i in range(NEGATIVES)}}
    order = list(makers)
    rng.shuffle(order)
    lines = text.split("\n")
    places = sorted(rng.randrange(len(lines)) for _ in order)
    out, spans, done, size = list[bytes](), list[Span](), 0, 0
    for name, place in zip(order, places, strict=True):
        before, after = rng.choice(labelled.FRAMES).split("{}")
        word, _, made = makers[name](rng).rpartition("~")
        item, lead = made.encode(), "".join(f"{line}\n" for line in lines[done:place]).encode()
        lead += f" {before}{word}".encode()
        size += len(lead)
        spans.append(("" if name.startswith("-") else name, size, size + len(item)))
        tail = f"{after} \n".encode()
        out += [lead, item, tail]
        size, done = size + len(item) + len(tail), place
    out.append("\n".join(lines[done:]).encode())
    return b"".join(out).decode(), spans


def ours(texts: Sequence[str]) -> list[list[Span]]:
    """What both finders of Seedbed find."""
    found: list[list[Span]] = [[] for _ in texts]
    for find in (personal.find, secrets.find):
        passages = find(*DocumentBatch.of(list(texts)).text_buffers())
        for row, start, end, kind in zip(passages.row, passages.start, passages.end, passages.kind, strict=True):
            name = passages.kinds[kind]
            found[row].append((FAMILIES.get(name, name), int(start), int(end)))
    return found


def theirs(python: str, script: str, texts: Sequence[str]) -> list[list[Span]]:
    """What a peer finds, in bytes."""
    found: list[list[Span]] = []
    for text, answer in zip(texts, peer.ask(python, PEERS / script, texts), strict=True):
        spans = [(kind, len(text[:start].encode()), len(text[:end].encode())) for kind, start, end in answer["found"]]
        found.append(spans)
    return found


def score(tool: str, found: Sequence[list[Span]], labels: Sequence[list[Span]]) -> list[list[object]]:
    """A row a kind that the tool knows, and one for all of them."""
    planted, hit, false, elsewhere = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for passages, items in zip(found, labels, strict=True):
        for kind, start, end in items:
            covered = any(k == kind and a <= start and b >= end for k, a, b in passages)
            planted[kind] += 1
            hit[kind] += covered
        for kind, start, end in passages:
            touched = {k for k, a, b in items if a < end and start < b}
            false[kind] += touched == {""}
            elsewhere[kind] += not touched
    known = [kind for kind in (*labelled.KINDS, *labelled.SECRETS) if hit[kind]]
    rows: list[list[object]] = []
    for kind in (*known, "all of these"):
        some = known if kind == "all of these" else [kind]
        n, right, wrong, other = (sum(counts[k] for k in some) for counts in (planted, hit, false, elsewhere))
        precision = f"{right / max(1, right + wrong):.4f}"
        rows.append([tool, kind, n, right, f"{right / n:.4f}", wrong, precision, other])
    return rows


def speed(texts: Sequence[str], repeats: int) -> list[list[object]]:
    """MB of text per CPU-second of each method, medians."""
    batches = [DocumentBatch.of(list(texts[i : i + BATCH])).rows for i in range(0, len(texts), BATCH)]
    size = sum(len(text.encode()) for text in texts) / 1e6
    methods: dict[str, Callable[[DocumentBatch], object]] = {
        "personal_data": PersonalData().measure,
        "secrets": Secrets().measure,
        "mask_personal_data": MaskPersonalData().edit,
        "mask_secrets": MaskSecrets().edit,
    }
    spent: dict[str, list[float]] = {name: [] for name in methods}
    for turn in range(repeats + 1):
        for name, ask in methods.items():
            start = time.process_time()
            for rows in batches:
                ask(DocumentBatch(rows))
            spent[name] += [time.process_time() - start] if turn else []  # the first turn compiles
    return [[name, "MB per CPU-second", f"{size / statistics.median(spent[name]):.1f}"] for name in methods]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--datatrove", help="an interpreter with datatrove")
    parser.add_argument("--dolma", help="an interpreter with dolma")
    asked = parser.parse_args()
    rng = random.Random(1)
    plain = [text for _, text in peer.sample(asked.corpus, asked.documents)]
    texts, labels = map(list, zip(*(plant(text, rng) for text in plain), strict=True))
    rows = score("seedbed", ours(texts), labels)
    for tool in ("datatrove", "dolma"):
        if python := getattr(asked, tool):
            rows += score(tool, theirs(python, f"personal_data_{tool}.py", texts), labels)
    with RESULTS.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
        writer.writerows(speed(plain, asked.repeats))
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
