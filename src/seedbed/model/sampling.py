"""Text from a model, token by token.

The prompt is read as a document is in training: after an end-of-text token. From the logits z of the next token,
p = softmax(z / temperature), cut to the top_k largest (Fan et al. 2018, 1805.04833, section 5) and then to the fewest
whose sum reaches top_p (Holtzman et al. 2020, 1904.09751, section 3.1), is drawn from with a generator of its own.
Temperature 0 takes the largest, the first of equals. The same seed gives the same text, to the bit, on the same
machine type, thread count and torch build.

When the context is full, the older half of it is forgotten and the newer half read again: a token is chosen from
between half a context and a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from tokenizers import Tokenizer
from torch import Tensor

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.layers import Cache
from seedbed.model.runtime import Runtime, prepare
from seedbed.model.transformer import Decoder

UNREADABLE = "\N{REPLACEMENT CHARACTER}"
MOST_HELD = 3
"""Bytes of a character that is not whole yet, at most; a tokenizer shows them as up to as many unreadable ones."""


def sample(
    decoder: Decoder,
    tokenizer_json: str,
    prompt: str,
    *,
    max_tokens: int = 128,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    end_of_text: int | None = None,
    runtime: Runtime | None = None,
) -> Iterator[str]:
    """Pieces of new text as they come, the prompt not among them.

    Args:
        decoder: the model; moved to the runtime's device.
        tokenizer_json: its tokenizer's definition.
        prompt: what comes before; may be empty where the model has an end-of-text token.
        max_tokens: at most so many new tokens.
        temperature: below 1 sharpens, above 1 flattens; 0 always takes the likeliest token.
        top_k: draw among the k likeliest; 0 among all.
        top_p: draw among the fewest likeliest whose probabilities sum to this.
        seed: of the draws.
        end_of_text: id of the token that ends the text.
        runtime: device and threads.

    Raises RecipeError naming the argument that cannot be meant.
    """
    bounds = {
        "max_tokens": (max_tokens >= 1, max_tokens, "at least 1"),
        "temperature": (0 <= temperature < float("inf"), temperature, "0 or more"),
        "top_k": (top_k >= 0, top_k, "0 or more"),
        "top_p": (0 < top_p <= 1, top_p, "above 0 and at most 1"),
    }
    for name, (is_meant, value, bound) in bounds.items():
        if not is_meant:
            raise RecipeError(f"sample.{name}", f"{value!r} must be {bound}")
    tokenizer: Any = Tokenizer.from_str(tokenizer_json)
    start = cast("list[int]", tokenizer.encode(prompt, add_special_tokens=False).ids)
    start = start if end_of_text is None else [end_of_text, *start]
    if not start:
        what = "is empty, and the model has no end-of-text token to start from"
        raise RecipeError("sample.prompt", what, "Give it a beginning.")
    if not all(0 <= key < decoder.shape.vocab_size for key in start):
        what = f"the prompt has token {max(start)}, the model knows {decoder.shape.vocab_size}"
        raise SeedbedError("sample", what, "Use the tokenizer the model was trained with.")
    runtime = prepare(runtime)
    ids = _tokens(decoder.to(runtime.torch_device), start, temperature, top_k, top_p, seed)
    return _texts(tokenizer, ids, max_tokens, end_of_text)


def probabilities(logits_V: Tensor, temperature: float, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """p_V to draw the next token from, float64, on the CPU. Among equals the lower id comes first."""
    ordered_V, order_V = logits_V.detach().cpu().double().sort(descending=True, stable=True)
    if temperature == 0:
        chosen_V = torch.zeros_like(ordered_V)
        chosen_V[0] = 1.0
    else:
        chosen_V = torch.softmax((ordered_V - ordered_V[0]) / temperature, 0)
        if top_k:
            chosen_V[top_k:] = 0.0
            chosen_V /= chosen_V.sum()
        if top_p < 1:
            before_V = chosen_V.cumsum(0) - chosen_V
            chosen_V[before_V >= top_p] = 0.0
            chosen_V /= chosen_V.sum()
    return torch.zeros_like(chosen_V).scatter_(0, order_V, chosen_V)


def _tokens(
    decoder: Decoder, start: list[int], temperature: float, top_k: int, top_p: float, seed: int
) -> Iterator[int]:
    """New tokens without end."""
    generator = torch.Generator().manual_seed(seed)
    context = decoder.shape.context
    seen = start[-context:]
    cache, fresh = Cache(), seen
    while True:
        with torch.inference_mode():
            hidden_BTC = decoder.hidden(torch.tensor([fresh], device=decoder.head_weight.device), cache=cache)
            logits_V = hidden_BTC[0, -1].float() @ decoder.head_weight.float().T
        cumulative_V = probabilities(logits_V, temperature, top_k, top_p).cumsum(0)
        drawn = torch.rand(1, generator=generator, dtype=torch.float64) * cumulative_V[-1]
        token = int(torch.searchsorted(cumulative_V, drawn, right=True))
        yield token
        fresh = [token]
        if len(seen) == context:
            seen = seen[context - context // 2 :]
            cache, fresh = Cache(), [*seen, token]
        seen.append(token)


def _texts(tokenizer: Any, ids: Iterator[int], max_tokens: int, end_of_text: int | None) -> Iterator[str]:
    """The text of tokens, in pieces that hold whole characters."""
    held: list[int] = []
    before = told = (
        0  # of `held`: tokens shown already, for those whose look depends on what is before; characters told
    )
    for n_tokens, token in enumerate(ids, start=1):
        if token != end_of_text:
            held.append(token)
        text = cast(str, tokenizer.decode(held))
        is_last = n_tokens == max_tokens or token == end_of_text
        whole = len(text) if is_last else _whole(text)
        if whole > told:
            yield text[told:whole]
            told = whole
        if is_last:
            return
        if whole == len(text) and len(held) > before:
            held = held[before:]
            before, told = len(held), len(cast(str, tokenizer.decode(held)))


def _whole(text: str) -> int:
    """Characters of the text that no further token can change."""
    unreadable = len(text) - len(text.rstrip(UNREADABLE))
    return len(text) - min(unreadable, MOST_HELD)
