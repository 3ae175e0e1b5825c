"""How text is generated: one validated object, with the names of ``generation_config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from heedful.errors import CheckpointError, RequestError
from heedful.settings import Settings, parse

MAX_BEAMS = 64
MAX_DRAFT = 64
TokenId = Annotated[int, Field(ge=0, le=2**24)]
TokenIds = tuple[TokenId, ...]
Phrase = Annotated[TokenIds, Field(min_length=1, max_length=1024)]


class GenerationSettings(Settings):
    """What decides the next token, and when a text is complete.

    Lengths count generated tokens, the end token included, and neither the prompt nor the decoder's start token.
    """

    max_new_tokens: int = Field(256, ge=1, le=2**20, description="tokens that are generated at most")
    min_new_tokens: int = Field(0, ge=0, le=2**20, description="no end before so many tokens")
    num_beams: int = Field(1, ge=1, le=MAX_BEAMS, description="hypotheses followed at a time; 1 for greedy or sampling")
    num_return_sequences: int = Field(1, ge=1, le=MAX_BEAMS, description="best hypotheses returned, of num_beams")
    length_penalty: float = Field(1.0, ge=-10, le=10, description="α: above 0 long hypotheses gain, below 0 short ones")
    length_normalization: Literal["average", "gnmt"] = Field(
        "average",
        description="a score is divided by length^α, or ((5 + length) / 6)^α (Wu et al. 2016, equation 14)",
    )
    early_stopping: bool | Literal["never"] = Field(
        False,
        description="true: stop at num_beams complete hypotheses; false: when none seems to gain; never: when none can",
    )
    do_sample: bool = Field(False, description="draw the next token instead of taking the best one")
    temperature: float = Field(1.0, gt=0, le=100, description="divides the logits before a token is drawn")
    top_k: int = Field(0, ge=0, description="draw among so many best tokens only; 0 for all")
    top_p: float = Field(1.0, gt=0, le=1, description="draw among the best tokens that together have this probability")
    min_p: float = Field(0.0, ge=0, le=1, description="draw among tokens with this share of the best one's probability")
    seed: int = Field(0, ge=0, lt=2**63, description="of what is drawn; a text's tokens depend on nothing else")
    repetition_penalty: float = Field(
        1.0, gt=0, le=100, description="above 1, written tokens lose (Keskar et al. 2019)"
    )
    no_repeat_ngram_size: int = Field(0, ge=0, le=1024, description="no n-gram of this length twice; 0 allows it")
    encoder_no_repeat_ngram_size: int = Field(0, ge=0, le=1024, description="no n-gram of the source of this length")
    bad_words_ids: tuple[Phrase, ...] = Field((), description="sequences of tokens that must not be written")
    suppress_tokens: TokenIds = Field((), description="tokens that must not be written")
    begin_suppress_tokens: TokenIds = Field((), description="tokens that must not come first")
    forced_bos_token_id: TokenId | None = Field(None, description="the first token, such as a language code")
    forced_eos_token_id: TokenIds = Field((), description="the last token of a text that reaches max_new_tokens")
    prompt_lookup_num_tokens: int = Field(
        0,
        ge=0,
        le=MAX_DRAFT,
        description="tokens of a draft that a step reads, from where the last tokens stand in the source or the text "
        "(Saxena 2023): with one beam that saves steps and changes nothing; 0 for no draft",
    )
    max_matching_ngram_size: int = Field(
        2, ge=1, le=1024, description="last tokens that are looked up for a draft, or fewer where so many are not there"
    )
    decoder_start_token_id: TokenId | None = Field(None, description="what a decoder beside an encoder reads first")
    eos_token_id: TokenIds = Field((), description="tokens that end a text")

    @field_validator("eos_token_id", "forced_eos_token_id", "suppress_tokens", "begin_suppress_tokens", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        """One token may stand for a list of one, and null for none."""
        if value is None:
            return ()
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("num_return_sequences")
    @classmethod
    def _of_the_beams(cls, value: int, info: ValidationInfo) -> int:
        beams = info.data.get("num_beams", value)
        if value > beams:
            raise ValueError(f"{value} hypotheses cannot be returned of {beams} beams")
        return value

    @model_validator(mode="after")
    def _shortest_fits(self) -> GenerationSettings:
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(f"min_new_tokens {self.min_new_tokens} exceeds max_new_tokens {self.max_new_tokens}")
        return self

    @property
    def ruled_tokens(self) -> frozenset[int]:
        """All tokens that are forced, forbidden or put off."""
        ends = self.eos_token_id if self.min_new_tokens else ()
        first = () if self.forced_bos_token_id is None else (self.forced_bos_token_id,)
        others = (self.forced_eos_token_id, self.suppress_tokens, self.begin_suppress_tokens, *self.bad_words_ids)
        return frozenset().union(ends, first, *others)

    @property
    def step_width(self) -> int:
        """Tokens of a text that are read in a step, at most."""
        return self.num_beams if self.num_beams > 1 else 1 + self.prompt_lookup_num_tokens

    def normalised(self, score: float, length: int) -> float:
        """The score of a hypothesis of ``length`` generated tokens, from the sum of its log-probabilities."""
        base = length if self.length_normalization == "average" else (5 + length) / 6
        return float(score / base**self.length_penalty)


def read_generation_config(data: Mapping[str, Any], *, name: str, prompt_length: int = 1) -> GenerationSettings:
    """Settings from the content of a ``generation_config.json``; keys that concern something else are left aside.

    Args:
        prompt_length: tokens that upstream's ``max_length`` and ``min_length`` count besides the generated ones: the
            decoder's start token.

    Raises:
        CheckpointError: a value is impossible.
    """
    known = {key: value for key, value in data.items() if key in GenerationSettings.model_fields and value is not None}
    for new, old in (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")):
        value = data.get(old)
        if new not in known and isinstance(value, int) and value > prompt_length:
            known[new] = value - prompt_length
    return parse(GenerationSettings, known, name=name, error=CheckpointError)


def changed(settings: GenerationSettings, changes: Mapping[str, Any]) -> GenerationSettings:
    """The settings with changes that a user gives.

    Raises:
        RequestError: as for :func:`parse_settings`.
    """
    return parse_settings(settings.model_dump() | dict(changes))


def parse_settings(data: Mapping[str, Any]) -> GenerationSettings:
    """Settings from what a user gives.

    Raises:
        RequestError: a key or value is impossible; all faults are listed.
    """
    return parse(GenerationSettings, data, name="the generation settings", error=RequestError)
