"""Tiny language models with tokenizers, in folders as the Hub has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from tests.parity.families.reference import make, save
from tests.parity.foreign_tokenizers import byte_bpe_folder, sentencepiece_folder, sentencepiece_model

from heedful.text import Tokenizer

SPECIAL = ("<|endoftext|>", "<|start|>", "<|end|>")
TURNS = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message.content | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def gpt2(folder: Path) -> Path:
    byte_bpe_folder(folder, "gpt2", SPECIAL, chat_template=TURNS)
    size = Tokenizer.load(folder).vocabulary_size
    sizes: dict[str, Any] = {"vocab_size": size, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128}
    config = transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)
    save(make("GPT2LMHeadModel", config), folder)
    return folder


def llama(folder: Path) -> Path:
    sentencepiece_folder(
        folder, "llama", "tokenizer.model", sentencepiece_model("bpe"), tokenizer_class="LlamaTokenizer"
    )
    config = transformers.LlamaConfig(
        vocab_size=Tokenizer.load(folder).vocabulary_size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=2,
    )
    save(make("LlamaForCausalLM", config), folder)
    return folder
