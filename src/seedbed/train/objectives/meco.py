"""MeCo: tell the model where each text comes from, and wean it off that in a cooldown.

What      For most of training every document stands behind its address ("URL: en.wikipedia.org"), which is read but not
          predicted; the last part of training reads other, fresh documents without it, so that the model does well on
          text whose origin it is not told. One run: schedule and optimizer state go through both.
Source    Gao et al. 2025 (ICML), "Metadata Conditioning Accelerates Language Model Pre-training", arXiv 2501.01956,
          section 2; compared with princeton-pli/MeCo (data.py, datatools/mds_pack_data.py), June 2025.
Formula   document = metadata + text + end of text; weight = 0 where the target is a token of metadata, else 1
          metadata for tokens < (1 - cooldown) total_tokens, from documents of hash in [0, 1 - cooldown); then text
          alone, from documents of hash in [1 - cooldown, 1)
Shapes    tokens (S,) -> inputs (T,), targets (T,), weight (T,), S = T + 1; inputs_BT, targets_BT -> loss_BT
Units     loss: nats per token of text; cooldown: a fraction of the plan's tokens, and of the documents. Metadata takes
          part of the context: at equal positions MeCo trains on fewer tokens of text.
Fidelity  Adapted: the paper begins documents with a token of its own, on which there is no loss; here the token that
          ends one document stands before the next, and is predicted as any other. The paper keeps attention inside
          documents: set the plan's document_mask. A reading that is all metadata has weight 0; the release trains on
          its last ten tokens.
Errors    Fewer than two tokens raise ValueError; an id outside the vocabulary raises IndexError; a document without
          address stands behind what the source fills in for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Gt, Lt

from seedbed.train.contract import Batch, Example, Objective, Progress, Reading, View
from seedbed.train.examples import is_metadata

if TYPE_CHECKING:
    import torch

    from seedbed.model.transformer import Decoder

CONDITIONED, PLAIN = "+metadata", "+plain"


@dataclasses.dataclass(frozen=True)
class MeCo(Objective):
    """Metadata conditioning, then cooldown.

    Args:
        metadata: put before each document of the first part; {url}, {domain}, {source} and {language} are filled in.
        cooldown: fraction of the plan's tokens, at the end, that are read without it.
    """

    metadata: str = "URL: {domain}\n\n"
    cooldown: Annotated[float, Gt(0), Lt(1)] = 0.1

    def views(self) -> Sequence[View]:
        """With metadata, and without: no document is in both."""
        border = 1.0 - self.cooldown
        return (View(CONDITIONED, self.metadata, (0.0, border)), View(PLAIN, "", (border, 1.0)))

    def shares(self, shares: Mapping[str, float], at: Progress) -> Mapping[str, float]:
        """All of a source's share goes to one view: the plain one from `switch` on."""
        suffix = CONDITIONED if at.tokens < self.switch(at.total_tokens) else PLAIN
        return {name + suffix: share for name, share in shares.items()}

    def switch(self, total_tokens: int) -> int:
        """The token at which the cooldown begins."""
        return total_tokens - round(self.cooldown * total_tokens)

    def example(self, reading: Reading, key: int) -> Example:  # noqa: ARG002 - nothing is left to chance
        """S = T + 1 tokens -> inputs and the tokens that follow them; the first token of a text is predicted from its
        metadata, and no token of metadata is predicted."""
        tokens = reading.tokens
        if len(tokens) < 2:
            raise ValueError("an example needs at least two tokens")
        return Example(tokens[:-1], tokens[1:], (~is_metadata(reading)[1:]).astype(np.float32))

    def losses(self, model: Decoder, batch: Batch) -> torch.Tensor:
        """loss_BT in nats, float32."""
        from seedbed.model.cross_entropy import linear_cross_entropy

        return linear_cross_entropy(
            model.hidden(batch.inputs_BT, batch.document_BT), model.head_weight, batch.targets_BT
        )
