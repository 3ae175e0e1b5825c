"""What a folder's files do not say about its tokenizer: one row of data for each tokenizer class of the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from heedful.text import languages


class TargetMark(StrEnum):
    """Where the token stands that says into which language is translated."""

    START = "start"
    """What the decoder reads first."""
    FIRST = "first"
    """The first token that is written."""
    SOURCE = "source"
    """In front of what is read, which has no token of its own language."""


@dataclass(frozen=True)
class LanguageHints:
    """How a multilingual family marks the language of a text."""

    codes: tuple[str, ...]
    """In the order of the vocabulary; empty where the vocabulary itself says which there are."""
    single: str
    """The template of a text with its language; ``{code}`` stands for the language's token."""
    pattern: str = "{}"
    """How the token of a code is written."""
    target_mark: TargetMark = TargetMark.FIRST


@dataclass(frozen=True)
class TokenizerHints:
    """The tokenizer of a family. Strings may refer to special tokens by role, such as ``{cls}``."""

    roles: Mapping[str, str] = field(default_factory=dict)
    """Role, a field of :class:`~heedful.text.SpecialTokens`, to the token that has it where no file says so."""
    templates: tuple[str, str] = ("$A", "$A $B")
    """Of one text and of a pair of texts, in the notation of the ``tokenizers`` library."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What holds where ``tokenizer_config.json`` says nothing, under its keys."""
    first: tuple[str, ...] = ()
    """Tokens that the vocabulary holds in front of the pieces of the SentencePiece model."""
    skipped: int = 0
    """Pieces of the SentencePiece model that the vocabulary leaves out: its own special tokens."""
    last: tuple[str, ...] = ()
    """Tokens after the pieces, and after the language codes."""
    languages: LanguageHints | None = None
    nfc: bool = False
    """Byte-level BPE: characters are composed first."""
    words: str | None = None
    """Byte-level BPE: the regular expression that cuts words; that of GPT-2 where None."""


CODE_FIRST, CODE_LAST = "{code} $A {eos}", "$A {eos} {code}"
"""The templates of a text with its language."""

_BERT_ROLES = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
_FAIRSEQ_ROLES = {
    "bos": "<s>",
    "eos": "</s>",
    "unk": "<unk>",
    "sep": "</s>",
    "pad": "<pad>",
    "cls": "<s>",
    "mask": "<mask>",
}
_FAIRSEQ_FIRST = ("{bos}", "{pad}", "{eos}", "{unk}")
"""fairseq's dictionary begins with four tokens of its own, in place of SentencePiece's three."""
_ANY_WHITESPACE = {"any_whitespace": True}
"""These families take what SentencePiece leaves of other white space, such as U+0085, for a space."""
OWN = "Heedful"
"""The row of tokenizers that were trained here for several languages (Johnson et al. 2017, section 3)."""
_END = "<|endoftext|>"
_BERT_TEMPLATES = ("{cls} $A {sep}", "{cls} $A {sep} $B:1 {sep}:1")
_ROBERTA_TEMPLATES = ("{cls} $A {sep}", "{cls} $A {sep} {sep} $B {sep}")
_END_TEMPLATES = ("$A {eos}", "$A $B {eos}")
_QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

HINTS: Mapping[str, TokenizerHints] = {
    "Bert": TokenizerHints(
        roles=_BERT_ROLES,
        templates=_BERT_TEMPLATES,
        options={"do_lower_case": True, "tokenize_chinese_chars": True, "strip_accents": None},
    ),
    "MPNet": TokenizerHints(
        roles=_FAIRSEQ_ROLES | {"unk": "[UNK]"},
        templates=_ROBERTA_TEMPLATES,
        options={"do_lower_case": True, "tokenize_chinese_chars": True, "strip_accents": None},
    ),
    "Roberta": TokenizerHints(roles=_FAIRSEQ_ROLES, templates=_ROBERTA_TEMPLATES),
    "GPT2": TokenizerHints(roles={"bos": _END, "eos": _END, "unk": _END}),
    "GPTNeoX": TokenizerHints(roles={"bos": _END, "eos": _END, "unk": _END, "pad": "<|padding|>"}, nfc=True),
    "Qwen2": TokenizerHints(roles={"eos": _END, "unk": _END, "pad": _END}, nfc=True, words=_QWEN2_WORDS),
    "XLMRoberta": TokenizerHints(
        roles=_FAIRSEQ_ROLES,
        options=_ANY_WHITESPACE,
        templates=_ROBERTA_TEMPLATES,
        first=_FAIRSEQ_FIRST,
        skipped=3,
        last=("{mask}",),
    ),
    "Camembert": TokenizerHints(
        roles=_FAIRSEQ_ROLES,
        options=_ANY_WHITESPACE,
        templates=_ROBERTA_TEMPLATES,
        first=("<s>NOTUSED", "{pad}", "</s>NOTUSED", "{unk}", "<unk>NOTUSED"),
        skipped=1,
        last=("{mask}",),
    ),
    "Albert": TokenizerHints(
        roles=_BERT_ROLES | {"bos": "[CLS]", "eos": "[SEP]", "unk": "<unk>", "pad": "<pad>"},
        templates=_BERT_TEMPLATES,
        options={"do_lower_case": True, "keep_accents": False, "replace_quotes": True, **_ANY_WHITESPACE},
    ),
    "DebertaV2": TokenizerHints(
        roles=_BERT_ROLES | {"bos": "[CLS]", "eos": "[SEP]"},
        templates=_BERT_TEMPLATES,
        options={"do_lower_case": False, "split_by_punct": False},
    ),
    "T5": TokenizerHints(
        roles={"eos": "</s>", "unk": "<unk>", "pad": "<pad>"},
        templates=("$A {eos}", "$A {eos} $B {eos}"),
        options={"extra_ids": 100, **_ANY_WHITESPACE},
    ),
    "Pegasus": TokenizerHints(
        roles={"eos": "</s>", "unk": "<unk>", "pad": "<pad>", "mask": "<mask_2>"},
        templates=_END_TEMPLATES,
        first=("{pad}", "{eos}", "<mask_1>", "<mask_2>", *(f"<unk_{number}>" for number in range(2, 103))),
        skipped=2,
    ),
    "MBart": TokenizerHints(
        roles=_FAIRSEQ_ROLES,
        templates=_END_TEMPLATES,
        first=_FAIRSEQ_FIRST,
        skipped=3,
        last=("{mask}",),
        languages=LanguageHints(languages.MBART, CODE_LAST, target_mark=TargetMark.START),
        options={"src_lang": "en_XX"},
    ),
    "MBart50": TokenizerHints(
        roles=_FAIRSEQ_ROLES,
        templates=_END_TEMPLATES,
        first=_FAIRSEQ_FIRST,
        skipped=3,
        last=("{mask}",),
        languages=LanguageHints(languages.MBART50, CODE_FIRST),
        options={"src_lang": "en_XX"},
    ),
    "M2M100": TokenizerHints(
        roles={role: token for role, token in _FAIRSEQ_ROLES.items() if role not in {"cls", "mask"}},
        templates=_END_TEMPLATES,
        languages=LanguageHints(languages.M2M100, CODE_FIRST, pattern="__{}__"),
        options={"src_lang": "en"},
    ),
    "Nllb": TokenizerHints(
        roles=_FAIRSEQ_ROLES,
        templates=_END_TEMPLATES,
        first=_FAIRSEQ_FIRST,
        skipped=3,
        last=("{mask}",),
        languages=LanguageHints(languages.NLLB, CODE_FIRST),
        options={"src_lang": "eng_Latn"},
    ),
    "Marian": TokenizerHints(
        roles={"eos": "</s>", "unk": "<unk>", "pad": "<pad>"},
        templates=_END_TEMPLATES,
        languages=LanguageHints((), CODE_FIRST, pattern=">>{}<<", target_mark=TargetMark.SOURCE),
    ),
    OWN: TokenizerHints(
        languages=LanguageHints((), "{bos} {code} $A {eos}", pattern=">>{}<<", target_mark=TargetMark.SOURCE)
    ),
    "Llama": TokenizerHints(roles={"bos": "<s>", "eos": "</s>", "unk": "<unk>"}, options={"add_bos_token": True}),
    "Gemma": TokenizerHints(
        roles={"bos": "<bos>", "eos": "<eos>", "unk": "<unk>", "pad": "<pad>", "mask": "<mask>"},
        options={"add_bos_token": True},
    ),
}
"""By the stem of the class's name: ``BertTokenizer`` and ``BertTokenizerFast`` are ``Bert``."""

SAME_AS: Mapping[str, str] = {
    "DistilBert": "Bert",
    "Electra": "Bert",
    "Bart": "Roberta",
    "MT5": "T5",
    "CodeLlama": "Llama",
}
"""Classes that are another class under another name."""

MODEL_TYPES: Mapping[str, tuple[str, ...]] = {
    "albert": ("Albert",),
    "bart": ("Roberta",),
    "bert": ("Bert",),
    "camembert": ("Camembert",),
    "deberta-v2": ("DebertaV2",),
    "distilbert": ("Bert",),
    "electra": ("Bert",),
    "gemma": ("Gemma",),
    "gemma2": ("Gemma",),
    "gemma3_text": ("Gemma",),
    "gpt2": ("GPT2",),
    "gpt_neox": ("GPTNeoX",),
    "llama": ("Llama",),
    "m2m_100": ("M2M100", "Nllb"),
    "marian": ("Marian",),
    "mbart": ("MBart50", "MBart"),
    "mistral": ("Llama",),
    "mpnet": ("MPNet",),
    "mt5": ("T5",),
    "pegasus": ("Pegasus",),
    "qwen2": ("Qwen2",),
    "qwen3": ("Qwen2",),
    "roberta": ("Roberta",),
    "t5": ("T5",),
    "xlm-roberta": ("XLMRoberta",),
}
"""``model_type`` of ``config.json`` to the rows that it may mean; the files of a folder decide between several."""


def names_of(tokenizer_class: str | None, model_type: str | None) -> tuple[str, ...]:
    """The rows of :data:`HINTS` that a folder may mean: by its tokenizer's class if known, else by its model type."""
    stem = (tokenizer_class or "").removesuffix("Fast").removesuffix("Tokenizer")
    stem = SAME_AS.get(stem, stem)
    if stem in HINTS:
        return (stem,)
    return MODEL_TYPES.get(model_type or "", ())
