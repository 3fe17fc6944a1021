"""The rules of the FineWeb chain on whitespace words, written down as the papers say them: slow, plain, and apart from
Seedbed's own code, whose numbers are held against these.

Rae et al. 2021, arXiv 2112.11446, A1.1 and table A1; Raffel et al. 2020, arXiv 1910.10683, 2.2; Penedo et al. 2024,
arXiv 2406.17557, 3.5. What the papers leave open is decided as the docstrings of the four methods say. Sentences are
not counted here: Punkt is a trained model, see peers/punkt_counts.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import regex

Numbers = dict[str, float]

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
BULLETS = ("●", "•", "*", "-")
ELLIPSES = ("…", "...", ". . .")
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
SENTENCE_END = regex.compile(r"[\p{Sentence_Terminal}\"']")


def lines_of(text: str) -> list[str]:
    """Lines, trimmed; blank ones are left out."""
    return [line.strip() for line in text.split("\n") if line.strip()]


def paragraphs_of(text: str) -> list[str]:
    """What stands between two newlines or more, trimmed; blank ones are left out."""
    return [part.strip() for part in re.split(r"\n{2,}", text) if part.strip()]


def share(part: float, whole: float) -> float:
    """A fraction, 0 of nothing."""
    return part / whole if whole else 0.0


def gopher_quality(text: str) -> Numbers:
    words, lines = text.split(), lines_of(text)
    return {
        "words": len(words),
        "average_word_length": share(sum(map(len, words)), len(words)),
        "symbol_ratio": share(max(text.count("#"), sum(map(text.count, ELLIPSES))), len(words)),
        "bullet_lines": share(sum(line.startswith(BULLETS) for line in lines), len(lines)),
        "ellipsis_lines": share(sum(line.endswith(ELLIPSES) for line in lines), len(lines)),
        "alphabetic_words": share(sum(any(map(str.isalpha, word)) for word in words), len(words)),
        "stop_words": sum(word.lower() in STOP_WORDS for word in words),
    }


def gopher_repetition(text: str) -> Numbers:
    words = text.split()
    lengths = [len(word) for word in words]
    found: Numbers = {}
    for name, parts in (("line", lines_of(text)), ("paragraph", paragraphs_of(text))):
        repeated = [part for part, count in Counter(parts).items() for _ in range(count) if count > 1]
        found[f"duplicate_{name}s"] = share(len(repeated), len(parts))
        found[f"duplicate_{name}_chars"] = share(sum(map(len, repeated)), sum(map(len, parts)))
    for n in (2, 3, 4):
        found[f"top_{n}gram_chars"] = share(top_ngram_characters(words, n), sum(lengths))
    for n in (5, 6, 7, 8, 9, 10):
        covered = words_in_repeated_ngrams(words, n)
        found[f"repeated_{n}gram_chars"] = share(sum(lengths[w] for w in covered), sum(lengths))
    return found


def ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[w : w + n]) for w in range(len(words) - n + 1)]


def top_ngram_characters(words: Sequence[str], n: int) -> int:
    """Characters of the most frequent n-gram times its count; of equally frequent ones the longest."""
    counts = Counter(ngrams(words, n))
    most = max(counts.values(), default=0)
    return max((most * sum(map(len, gram)) for gram, count in counts.items() if count == most > 1), default=0)


def words_in_repeated_ngrams(words: Sequence[str], n: int) -> set[int]:
    """Places of the words that lie in any n-gram occurring more than once."""
    grams = ngrams(words, n)
    counts = Counter(grams)
    return {w + k for w, gram in enumerate(grams) if counts[gram] > 1 for k in range(n)}


def c4_lines(text: str, min_words: int, *, terminal_punctuation: bool, max_word_length: int = 1000) -> str:
    """The lines that stay, without citation marks."""
    kept: list[str] = []
    for whole in text.splitlines():
        if any(len(word) > max_word_length for word in whole.split()):
            continue
        line = CITATION.sub("", whole.strip())
        if terminal_punctuation and (not line.endswith((".", "?", "!", '"')) or line.endswith("...")):
            continue
        small = line.lower()
        drops_page = "lorem ipsum" in small  # the page rules are to see it
        if len(line.split()) < min_words or ("javascript" in small and not drops_page):
            continue
        if any(phrase in small for phrase in POLICIES) and not drops_page and "{" not in line:
            continue
        kept.append(line)
    return "\n".join(kept).strip()


def c4_quality(text: str) -> Numbers:
    small = text.encode().lower()  # ASCII letters only
    return {
        "lorem_ipsum": small.count(b"lorem ipsum"),
        "javascript": small.count(b"javascript"),
        "curly_braces": text.count("{"),
    }


def fineweb_quality(text: str, short_line_length: int = 30) -> Numbers:
    lines, newlines = lines_of(text), text.count("\n")
    counts = Counter(lines)
    again = sum((count - 1) * len(line) for line, count in counts.items())
    return {
        "lines": len(lines),
        "terminal_punctuation": share(sum(SENTENCE_END.match(line[-1]) is not None for line in lines), len(lines)),
        "short_lines": share(sum(len(line) <= short_line_length for line in lines), len(lines)),
        "duplicate_line_chars": share(again, len(text) - newlines),
        "newlines_per_word": newlines / max(1, len(text.split())),
    }


GOPHER_QUALITY_LIMITS = {
    "words": (50, 100_000), "average_word_length": (3, 10), "symbol_ratio": (None, 0.1), "bullet_lines": (None, 0.9),
    "ellipsis_lines": (None, 0.3), "alphabetic_words": (0.8, None), "stop_words": (2, None),
}  # fmt: skip
GOPHER_REPETITION_LIMITS = {
    "duplicate_lines": (None, 0.3), "duplicate_paragraphs": (None, 0.3), "duplicate_line_chars": (None, 0.2),
    "duplicate_paragraph_chars": (None, 0.2), "top_2gram_chars": (None, 0.2), "top_3gram_chars": (None, 0.18),
    "top_4gram_chars": (None, 0.16),
    **{f"repeated_{n}gram_chars": (None, (20 - n) / 100) for n in (5, 6, 7, 8, 9, 10)},
}  # fmt: skip
C4_QUALITY_LIMITS = {"lorem_ipsum": (None, 0), "curly_braces": (None, 0), "sentences": (5, None)}
FINEWEB_QUALITY_LIMITS = {
    "lines": (1, None), "terminal_punctuation": (0.12, None), "short_lines": (None, 0.67),
    "duplicate_line_chars": (None, 0.01), "newlines_per_word": (None, 0.3),
}  # fmt: skip
Limits = dict[str, tuple[float | None, float | None]]


def breaks(numbers: Numbers, limits: Limits) -> bool:
    """Whether a number lies outside its limits, which themselves lie inside."""
    for name, (low, high) in limits.items():
        if (low is not None and numbers[name] < low) or (high is not None and numbers[name] > high):
            return True
    return False


def chain_numbers(text: str) -> tuple[str, dict[str, Numbers]]:
    """(the text that C4's lines leave, numbers by method): FineWeb's chain, but for sentences."""
    cleaned = c4_lines(text, 3, terminal_punctuation=False)
    numbers = {"gopher_repetition": gopher_repetition(text), "gopher_quality": gopher_quality(text)}
    return cleaned, {**numbers, "c4_quality": c4_quality(cleaned), "fineweb_quality": fineweb_quality(cleaned)}


def keeps(numbers: dict[str, Numbers]) -> bool:
    """FineWeb's verdict; `numbers["c4_quality"]` must have its sentences by now."""
    limits: dict[str, Limits] = {
        "gopher_repetition": GOPHER_REPETITION_LIMITS,
        "gopher_quality": GOPHER_QUALITY_LIMITS,
        "c4_quality": C4_QUALITY_LIMITS,
        "fineweb_quality": FINEWEB_QUALITY_LIMITS,
    }
    return not any(breaks(numbers[method], limits[method]) for method in limits)
