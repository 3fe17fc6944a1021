"""spaCy's second look: exceptions that its affix rules had taken apart are found among neighbouring tokens.

As in spaCy, the longest phrase goes first, then the leftmost; what any found phrase covers is closed to later ones,
even where nothing is replaced because a blank stands between its tokens.
A token is a row of `tokens`: its first byte, the byte after its last, its symbol in phrases or -1.
"""

from __future__ import annotations

import numpy as np

from seedbed.text.kernel import Bytes, Hashes, Ints, kernel, leaf
from seedbed.text.spacy.tables import PIECE_BITS, find_name, symbol_of

START, END, SYMBOL = 0, 1, 2
_PIECE_MASK = (1 << PIECE_BITS) - 1


@leaf
def add(data: Bytes, begin: int, close: int, names: Hashes, tokens: Ints, w: int) -> int:
    """data[begin:close] as token w; the number of tokens then."""
    tokens[w, START], tokens[w, END] = begin, close
    tokens[w, SYMBOL] = symbol_of(find_name(data, begin, close, names))
    return w + 1


@leaf
def add_pieces(data: Bytes, begin: int, pieces: int, names: Hashes, tokens: Ints, w: int) -> int:
    """The pieces of an exception that begins at `begin`, as tokens w and on; the number of tokens then."""
    while pieces:
        close = begin + (pieces & _PIECE_MASK)
        w = add(data, begin, close, names, tokens, w)
        begin = close
        pieces >>= PIECE_BITS
    return w


@leaf
def begins_phrase(begin: int, close: int, phrases: Ints, tokens: Ints) -> bool:
    """Whether one of the tokens begin..close-1 and the one before it are how a phrase begins."""
    for w in range(begin, close):
        if tokens[w, SYMBOL] >= 0 and tokens[w - 1, SYMBOL] >= 0:
            state = phrases[0, tokens[w - 1, SYMBOL]]
            if state >= 0 and phrases[state, tokens[w, SYMBOL]] >= 0:
                return True
    return False


@kernel
def join_phrases(data: Bytes, begin: int, close: int, names: Hashes, phrases: Ints, tokens: Ints) -> int:
    """Replace phrases among tokens begin..close-1; the number of tokens then, or -1 where there is no room."""
    chosen, growth = _choose(begin, close, phrases, tokens)
    if close + growth > len(tokens):
        return -1
    if growth > 0:  # no phrase is written over tokens that are still to be read
        for w in range(close - 1, begin - 1, -1):
            tokens[w + growth] = tokens[w]
    w, read = begin, begin + growth
    while read < close + growth:
        n = chosen[read - growth - begin]
        pieces = _replacement(read, n, phrases, tokens)
        if pieces == 0:
            tokens[w] = tokens[read]
            w, read = w + 1, read + 1
        else:
            w = add_pieces(data, tokens[read, START], pieces, names, tokens, w)
            read += n
    return w


@kernel
def _choose(begin: int, close: int, phrases: Ints, tokens: Ints) -> tuple[Ints, int]:
    """(how many tokens the phrase that begins at each token covers, how many tokens more there may be)."""
    n = close - begin
    ends = np.zeros(n, np.int64)  # bit k: a phrase of k tokens begins here
    longest, growth = 0, 0
    for i in range(n):
        state = 0
        for k in range(begin + i, close):
            if tokens[k, SYMBOL] < 0:
                break
            state = phrases[state, tokens[k, SYMBOL]]
            if state < 0:
                break
            pieces = phrases[state, -1]
            if pieces:
                n_tokens = k + 1 - begin - i
                ends[i] |= 1 << n_tokens
                longest = max(longest, n_tokens)
                while pieces:
                    n_tokens -= 1
                    pieces >>= PIECE_BITS
                growth += max(0, -n_tokens)
    chosen, seen = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    for n_tokens in range(longest, 1, -1):
        for i in range(n):
            if ends[i] >> n_tokens & 1:
                if not seen[i] and not seen[i + n_tokens - 1]:
                    chosen[i] = n_tokens
                seen[i : i + n_tokens] = True
    return chosen, growth


@leaf
def _replacement(read: int, n: int, phrases: Ints, tokens: Ints) -> int:
    """The pieces that the n tokens from `read` on are replaced by; 0 where n is, or something stands between them."""
    if n == 0:
        return 0
    state = 0
    for k in range(read, read + n):
        if k > read and tokens[k, START] != tokens[k - 1, END]:
            return 0
        state = phrases[state, tokens[k, SYMBOL]]
    return phrases[state, -1]
