"""The small files that tell Hugging Face's libraries how to tokenize, and which token ends a text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.model.hugging_face.fields import CONFIG, read_object
from seedbed.model.tokenizer import opened

TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
GENERATION = "generation_config.json"


def tokenizer_files(definition: str, end_of_text: int | None, context: int) -> dict[str, str]:
    """Name -> text of the files that make AutoTokenizer tokenize as tokenizer.json alone does.

    End-of-text begins and ends texts and fills batches; none of the three is added to a text by itself.
    """
    config: dict[str, Json] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
    }
    special: dict[str, Json] = {}
    if end_of_text is not None:
        token = token_of(definition, end_of_text)
        if token is None:
            what = f"has no token {end_of_text}, which is said to end a text"
            raise SeedbedError(TOKENIZER, what, "Use the tokenizer the model was trained with.")
        special = {"bos_token": token, "eos_token": token, "pad_token": token}
    return {TOKENIZER: definition, TOKENIZER_CONFIG: dumped({**config, **special}), SPECIAL_TOKENS: dumped(special)}


def generation_file(end_of_text: int | None) -> dict[str, str]:
    """Name -> text of the file that tells `generate` where to stop."""
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {GENERATION: dumped({name: end_of_text for name in names if end_of_text is not None})}


def read_end_of_text(folder: Path, definition: str | None) -> int | None:
    """Which token ends a text: config.json's eos_token_id, or the first of several; else tokenizer_config.json's."""
    told = read_object(folder / CONFIG).get("eos_token_id")
    told = told[0] if isinstance(told, list) and told else told
    if isinstance(told, int) and not isinstance(told, bool):
        return told
    if definition is None or not (folder / TOKENIZER_CONFIG).exists():
        return None
    token = read_object(folder / TOKENIZER_CONFIG).get("eos_token")
    token = token.get("content") if isinstance(token, dict) else token
    return id_of(definition, token) if isinstance(token, str) else None


def id_of(definition: str, token: str) -> int | None:
    """The id of a token of a tokenizer.json; None where it has none."""
    return cast("int | None", opened(definition).token_to_id(token))


def token_of(definition: str, key: int) -> str | None:
    """The token with this id; None where there is none."""
    return cast("str | None", opened(definition).id_to_token(key))


def dumped(value: dict[str, Json]) -> str:
    """JSON as Hugging Face's libraries lay it out."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
