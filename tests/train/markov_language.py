"""A language whose entropy is known: a Markov chain over a few tokens, cut into documents."""

import numpy as np

from seedbed.core import arrow
from seedbed.core.nouns import TOKEN_INDEX
from seedbed.train.source import TokenShard, TokenSource

VOCAB = 16
END = 0


def transitions(seed: int) -> np.ndarray:
    """(V, V) rows that sum to 1; every token can end the document, and a document begins after END."""
    matrix = np.random.default_rng(seed).dirichlet(np.full(VOCAB, 0.2), size=VOCAB)
    return 0.98 * matrix + 0.02 * np.eye(VOCAB)[END]


def entropy(matrix: np.ndarray) -> float:
    """Nats per token of the stationary chain: the loss nobody can go below."""
    values, vectors = np.linalg.eig(matrix.T)
    stationary = np.real(vectors[:, np.argmax(np.real(values))])
    stationary /= stationary.sum()
    return float(-(stationary[:, None] * matrix * np.log(matrix, where=matrix > 0, out=np.zeros_like(matrix))).sum())


def documents(count: int, seed: int, matrix: np.ndarray) -> list[np.ndarray]:
    """Documents that end with END."""
    rng = np.random.default_rng(seed)
    cumulative = matrix.cumsum(1)
    made: list[np.ndarray] = []
    for _ in range(count):
        tokens = [END]
        while len(tokens) < 2 or (tokens[-1] != END and len(tokens) < 400):
            tokens.append(min(int(np.searchsorted(cumulative[tokens[-1]], rng.random())), VOCAB - 1))
        tokens = [*tokens[1:], END] if tokens[-1] != END else tokens[1:]
        made.append(np.array(tokens, np.uint16))
    return made


def ids(count: int, salt: int = 0) -> list[bytes]:
    return [np.random.default_rng([salt, i]).bytes(16) for i in range(count)]


def shards(made: list[np.ndarray], names: list[bytes], sizes: list[int]) -> list[TokenShard]:
    """The documents over shards of `sizes` documents."""
    found: list[TokenShard] = []
    first = 0
    for size in sizes:
        piece, named = made[first : first + size], names[first : first + size]
        lengths = [len(tokens) for tokens in piece]
        offsets = np.concatenate([[0], np.cumsum(lengths)])[:-1].astype(np.int64)
        columns = {"id": named, "offset": offsets, "n_tokens": lengths, "n_bytes": lengths}
        flat = np.concatenate([np.zeros(0, np.uint16), *piece])
        found.append(TokenShard(flat, arrow.table(columns, TOKEN_INDEX)))
        first += size
    return found


def source(
    count: int = 200,
    *,
    seed: int = 0,
    context: int = 32,
    name: str = "chain",
    salt: int = 0,
    copies: float = 1.0,
    **about,
) -> TokenSource:
    """A source over documents of the chain `salt`; `about`: reads, metadata, part."""
    made = documents(count, 1 + salt, transitions(salt))
    laid = shards(made, ids(count, salt), [count // 2, count - count // 2])
    return TokenSource(name, laid, np.full(count, copies), seed=seed, context=context, **about)
