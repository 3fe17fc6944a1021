"""A Hugging Face config.json, read strictly: what is neither understood nor known to be harmless is an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar, cast

from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json

T = TypeVar("T")

CONFIG = "config.json"

_HARMLESS = {
    "who wrote it, and in what type the numbers were stored": """
        architectures model_type transformers_version torch_dtype dtype _name_or_path name_or_path unsloth_version
        unsloth_fixed transformers.js_config is_llama_config""",
    "how a fresh model is drawn, and how this one was trained; there is no dropout here": """
        initializer_range attention_dropout resid_pdrop embd_pdrop attn_pdrop hidden_dropout gradient_checkpointing
        summary_type summary_use_proj summary_activation summary_proj_to_labels summary_first_dropout""",
    "how it is run, which changes nothing but rounding": """
        use_cache pretraining_tp return_dict output_hidden_states output_attentions torchscript tf_legacy_loss
        use_bfloat16 chunk_size_feed_forward reorder_and_upcast_attn _attn_implementation attn_implementation
        _attn_implementation_autoset _flash_attn_2_enabled max_sequence_length""",
    "tokens, which are read elsewhere, and tasks": """
        bos_token_id eos_token_id pad_token_id sep_token_id unk_token_id decoder_start_token_id tokenizer_class prefix
        finetuning_task task_specific_params problem_type id2label label2id""",
    "how text was generated, in the days when that stood in config.json": """
        max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k
        top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size
        bad_words_ids num_return_sequences output_scores return_dict_in_generate forced_bos_token_id
        forced_eos_token_id remove_invalid_values exponential_decay_length_penalty suppress_tokens
        begin_suppress_tokens""",
}
HARMLESS = frozenset(name for names in _HARMLESS.values() for name in names.split())
"""Fields that do not change what the weights compute."""

NEUTRAL: Mapping[str, Json] = {
    "add_cross_attention": False,
    "cross_attention_hidden_size": None,
    "is_decoder": False,
    "is_encoder_decoder": False,
    "partial_rotary_factor": 1.0,
    "pruned_heads": {},
    "rope_interleaved": False,
    "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True,
    "tie_encoder_decoder": False,
    "use_mrope": False,
}
"""Fields that are harmless with this value, and with no other."""


class Fields:
    """The fields of a config.json, each to be taken once; `finish` complains of what is left.

    Args:
        file: named in errors.
        values: what it holds.
        path: where in the file these fields are, for errors: "" or "rope_scaling.".
    """

    def __init__(self, file: Path, values: Mapping[str, Json], path: str = "") -> None:
        self.file, self.path = file, path
        self._left = dict(values)

    @classmethod
    def read(cls, folder: Path) -> Fields:
        """Of a folder. Raises SeedbedError where there is no such file, or no JSON object in it."""
        return cls(folder / CONFIG, read_object(folder / CONFIG))

    def error(self, name: str, what: str, mend: str = "") -> SeedbedError:
        """An error that names file and field."""
        return SeedbedError(str(self.file), f"{self.path}{name} {what}", mend)

    def has(self, name: str) -> bool:
        """Whether the file says anything about it, null included."""
        return name in self._left

    def is_null(self, name: str) -> bool:
        """Whether the file says null, which is not the same as saying nothing."""
        return self.has(name) and self._left[name] is None

    def whole(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        """An integer of at least `least`; absent or null gives the default, if there is one."""
        value = self._taken(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.error(name, f"is {value!r}, not an integer of at least {least}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A number above 0; absent or null gives the default, if there is one."""
        value = self._taken(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
            raise self.error(name, f"is {value!r}, not a positive number")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """true or false; absent or null gives the default."""
        value = self._taken(name, default)
        if not isinstance(value, bool):
            raise self.error(name, f"is {value!r}, not true or false")
        return value

    def one_of(self, name: str, known: Mapping[str, T], default: str) -> T:
        """What a name stands for. Raises SeedbedError with the names that can be represented."""
        value = self._taken(name, default)
        if not isinstance(value, str) or value not in known:
            raise self.error(name, f"is {value!r}, which seedbed cannot represent", f"Known here: {', '.join(known)}.")
        return known[value]

    def part(self, name: str) -> Fields | None:
        """The fields inside a field; None where it is absent, null or empty."""
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, dict):
            raise self.error(name, f"is {value!r}, not an object")
        return Fields(self.file, value, f"{self.path}{name}.") if value else None

    def names(self, name: str) -> list[str] | None:
        """A list of names; None where it is absent or null."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(name, f"is {value!r}, not a list of names")
        return cast("list[str]", value)

    def finish(self) -> None:
        """Raises SeedbedError for the first field that was not taken and may change what is computed."""
        for name in sorted(self._left):
            value = self._left[name]
            is_neutral = name in NEUTRAL and value == NEUTRAL[name]
            if not (value is None or name in HARMLESS or is_neutral):
                mend = "Remove the field only if you know that the weights mean the same without it."
                raise self.error(name, f"is {value!r}, which seedbed cannot represent", mend)

    def _taken(self, name: str, default: Json) -> Json:
        value = self._left.pop(name, None)
        value = default if value is None else value
        if value is None:
            raise self.error(name, "is needed")
        return value


def read_object(file: Path) -> dict[str, Json]:
    """A JSON object. Raises SeedbedError where there is no such file, or something else in it."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SeedbedError(str(file), "there is no such file", "Name a folder that holds a whole model.") from error
    except (OSError, ValueError) as error:
        raise SeedbedError(str(file), f"is no readable JSON ({error})") from error
    if not isinstance(value, dict):
        raise SeedbedError(str(file), "holds no JSON object")
    return cast("dict[str, Json]", value)
