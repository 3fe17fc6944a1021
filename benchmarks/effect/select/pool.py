"""The planted pool: real pages of many domains beside text that is easy, repeated, noisy, doubled, spoiled or unwanted.

Every document is a passage of about 1,500 bytes, and its `source` says what it is; no method is told but the ceiling.
Real text comes from the shipped sample; the rest is made here from a seed, so any machine makes the same bytes.

databases     the target domain, about one document in ten
society, graphics, debian, email, maps, other    real text of other domains
easy          sentences of a tiny grammar: a model learns them at once, and they teach nothing else
template      one listing with a number and a name filled in
noise         words of letters drawn at random
shuffled      real passages with their words in random order
near_copy     real passages of any domain, one word in thirty swapped: copies of what is in the pool
half_noise    a real passage whose second half is noise
offers        advertisements of a small grammar: a harmless stand-in for text nobody wants

    pool.py [--out FOLDER]
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import seedbed as sb
from seedbed import sample

PASSAGE = 1500
PLANTED = {
    "easy": 380,
    "template": 260,
    "noise": 260,
    "shuffled": 260,
    "near_copy": 420,
    "half_noise": 260,
    "offers": 200,
}
MOST = {sample.TARGET: 420, "society": 700}
"""Passages of a domain, at most: few of the target, so that reading at random hardly finds them."""
UNWANTED = 60
"""More of the unwanted text, for methods that learn what it is."""
RARE = 100
"""Domains with fewer passages are one, `other`."""

SUBJECTS = ("the cat", "the dog", "a bird", "the boy", "the girl", "a man", "the cow", "a child")
VERBS = ("sees", "likes", "finds", "has", "wants", "takes")
OBJECTS = ("the ball", "a tree", "the house", "some bread", "the water", "a book", "the sun")
NAMES = ("Alder", "Birch", "Cedar", "Elm", "Hazel", "Larch", "Maple", "Rowan")
WARES = ("pills", "watches", "loans", "tickets", "phones", "shoes")
CALLS = ("Buy now", "Click here", "Only today", "Best price", "Act fast", "Free offer")


def build(folder: Path, seed: int = 7) -> dict[str, int]:
    """Write pool.jsonl.gz, and unwanted.jsonl.gz beside it; gives the number of passages by source."""
    draw = random.Random(seed)
    passages = _real(draw)
    rows = [(domain, text) for domain, texts in passages.items() for text in texts]
    real = [text for _, texts in passages.items() for text in texts]
    for kind, count in PLANTED.items():
        rows += [(kind, _planted(kind, draw, real)) for _ in range(count)]
    draw.shuffle(rows)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "pool.jsonl.gz", rows)
    _write(folder / "unwanted.jsonl.gz", [("offers", _planted("offers", draw, real)) for _ in range(UNWANTED)])
    counts: dict[str, int] = {}
    for source, _ in rows:
        counts[source] = counts.get(source, 0) + 1
    return counts


def _write(file: Path, rows: list[tuple[str, str]]) -> None:
    with (
        file.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as out,
    ):
        for number, (source, text) in enumerate(rows):
            row = {"text": text, "url": f"https://{source}.example/{number}", "source": source}
            out.write((json.dumps(row, ensure_ascii=False) + "\n").encode())


def _real(draw: random.Random) -> dict[str, list[str]]:
    """domain -> passages of the shipped sample's pages, curated as the demo does."""
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        corpus = sb.curate("sample:pool", out=folder, recipe="fineweb_en", workers=2)
        for row in corpus.documents().to_pylist():
            domain = sample.DOMAINS.get(row["url"].split("/")[3], "other")
            found.setdefault(domain, []).extend(_passages(row["text"]))
    merged: dict[str, list[str]] = {}
    for domain, texts in sorted(found.items()):
        draw.shuffle(texts)
        merged.setdefault(domain if len(texts) >= RARE else "other", []).extend(texts[: MOST.get(domain)])
    return dict(sorted(merged.items()))


def _passages(text: str) -> Iterator[str]:
    """Whole lines, until they come to a passage's length; a short rest is left out."""
    lines: list[str] = []
    size = 0
    for line in text.split("\n"):
        lines.append(line)
        size += len(line) + 1
        if size >= PASSAGE:
            yield "\n".join(lines)[: 2 * PASSAGE]
            lines, size = [], 0


def _planted(kind: str, draw: random.Random, real: list[str]) -> str:
    if kind == "easy":
        return _until(lambda: f"{draw.choice(SUBJECTS)} {draw.choice(VERBS)} {draw.choice(OBJECTS)}.", " ")
    if kind == "template":
        line = "Product number {} by {}. In stock. Add to basket. Delivery within three working days.\n"
        return _until(lambda: line.format(draw.randrange(10_000), draw.choice(NAMES)), "")
    if kind == "noise":
        return _noise(draw, PASSAGE)
    if kind == "offers":
        ending = "!!! $"
        return _until(lambda: f"{draw.choice(CALLS)}: {draw.choice(WARES)} {ending}{draw.randrange(1, 999)}.99", " ")
    text = draw.choice(real)
    if kind == "half_noise":
        return text[: PASSAGE // 2] + " " + _noise(draw, PASSAGE // 2)
    words = text.split(" ")
    if kind == "shuffled":
        draw.shuffle(words)
        return " ".join(words)
    assert kind == "near_copy"
    return " ".join(draw.choice(words) if draw.random() < 1 / 30 else word for word in words)


def _until(sentence: Callable[[], str], between: str) -> str:
    text = sentence()
    while len(text) < PASSAGE:
        text += between + sentence()
    return text


def _noise(draw: random.Random, size: int) -> str:
    words: list[str] = []
    while sum(map(len, words)) + len(words) < size:
        words.append("".join(draw.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(draw.randint(2, 9))))
    return " ".join(words)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/planted"))
    for name, n in build(parser.parse_args().out).items():
        print(f"{name:<12} {n:>6}")
