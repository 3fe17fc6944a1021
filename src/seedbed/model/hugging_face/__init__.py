"""Models of Hugging Face's folders: any Llama- or GPT-2-style one is read, and what a shape can say is written as one.

in   config.json, model.safetensors (or shards and their index), tokenizer.json
out  the same, with tokenizer_config.json, special_tokens_map.json and generation_config.json
fields.py reads config.json strictly; families.py is what the architectures differ in; configs.py makes a ModelShape of
a config.json, tellings.py the reverse; weights.py names and lays out tensors; folder.py does it for whole folders.
Nothing of Hugging Face's is imported but safetensors and tokenizers, and nothing is unpickled. To add an architecture
that is one of ours under another name: a row in families.py, and a comparison of logits in the tests.
"""

from seedbed.model.hugging_face.folder import (
    ModelFolder,
    is_hugging_face,
    open_model_folder,
    read_hugging_face,
    shorten,
    write_hugging_face,
)

__all__ = [
    "ModelFolder",
    "is_hugging_face",
    "open_model_folder",
    "read_hugging_face",
    "shorten",
    "write_hugging_face",
]
