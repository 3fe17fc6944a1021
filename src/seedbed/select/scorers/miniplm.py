"""MiniPLM: keeps documents that a large model knows better than a small one.

What      Difference sampling: the pool is scored once by a teacher and by a small reference model. What is easy for
          both, and noise, which is hard for both, gains nothing; students of any size and tokenizer are then trained
          on the selection without the teacher.
Source    Gu, Zhou, Meng, Zhou, Huang 2024 (MiniPLM), arXiv 2410.17215, section 2.2; reference code thu-coai/MiniPLM.
Formula   score = loss_reference - loss_teacher, means per token: ln(p_teacher / p_reference) a token
Shapes    documents -> loss_reference_N, loss_teacher_N, score_N
Units     nats per token, end-of-text included.
Fidelity  Adapted: the rule is the paper's (the best half of the pool, by top_k); its teacher has 1.8B parameters, its
          reference 104M, trained on 5B tokens of a pool of 100B. Without a folder the teacher is trained here, larger
          and longer than the reference, on the pool itself. Scores are means, as on the paper's sequences of one
          length: sums would favour long documents. The paper leaves the reference's own training documents out of the
          selection; here that holds where reference_files name text outside the pool. Else the reference has read
          a share of the pool, and documents it has read score slightly too low.
          The claim that easy text is sampled down holds only for a reference that has learned the easy text: one
          trained too short gives it the highest scores. Look at the correlation of score and loss_teacher over the
          pool: strongly negative means that the selection is what is easiest for the teacher.
Errors    RecipeError for parameters out of bounds. A teacher with another tokenizer is refused where it is opened.
          Documents without tokens have loss 0 under both models: score 0. A loss that is not finite is refused where
          scores are collected.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import pyarrow as pa
from annotated_types import Gt, Le

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import Given, GivenModel, LossModel, Need, Scorer, Texts, TrainedModel


@dataclasses.dataclass(frozen=True)
class Miniplm(Scorer):
    """Parameters of teacher and reference.

    Args:
        teacher_folder: a model folder with the pool's tokenizer; without one, a teacher is trained on the pool.
        teacher_tokens, teacher_shape: how long that teacher is trained, and its size relative to the model that is
            trained in the end, in width and depth.
        reference_files: text outside the pool to train the reference on; without any, a sample of the pool.
        reference_tokens, reference_shape: the same of the reference.
        learning_rate: peak of both.
    """

    signals = (
        Signal("loss_reference", "nats per token", low=0),
        Signal("loss_teacher", "nats per token", low=0),
        Signal("score", "nats per token the teacher is ahead, higher means keep"),
    )

    teacher_folder: str = ""
    teacher_tokens: Annotated[int, Gt(0)] = 8_000_000
    teacher_shape: Annotated[float, Gt(0), Le(4)] = 1.0
    reference_files: tuple[str, ...] = ()
    reference_tokens: Annotated[int, Gt(0)] = 2_000_000
    reference_shape: Annotated[float, Gt(0), Le(4)] = 0.5
    learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3

    def needs(self) -> tuple[Need, ...]:
        """Teacher and reference, and the reference's own text where it has one."""
        outside = (Texts("reference_text", self.reference_files),) if self.reference_files else ()
        on, rate = "reference_text" if outside else "pool", self.learning_rate
        reference = TrainedModel("reference", on, self.reference_tokens, "", rate, self.reference_shape)
        if self.teacher_folder:
            return (*outside, GivenModel("teacher", self.teacher_folder), reference)
        return (*outside, TrainedModel("teacher", "pool", self.teacher_tokens, "", rate, self.teacher_shape), reference)

    def fit(self, given: Given) -> FittedMiniplm:
        """The two models, side by side."""
        return FittedMiniplm(given.models["reference"], given.models["teacher"])


@dataclasses.dataclass(frozen=True)
class FittedMiniplm:
    """Ready to measure."""

    reference: LossModel
    teacher: LossModel

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Both losses and their difference."""
        reference_N = self.reference.document_losses(documents)
        teacher_N = self.teacher.document_losses(documents)
        columns = {"loss_reference": reference_N, "loss_teacher": teacher_N, "score": reference_N - teacher_N}
        return arrow.table(columns, signals_schema(Miniplm.signals))
