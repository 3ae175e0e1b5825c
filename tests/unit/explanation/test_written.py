"""What an explanation of a written answer says is what the model does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.language_models import gpt2
from tests.unit.tasks.test_copying_loss import EXAMPLES

import heedful
from heedful.data import Columns, Example, ExampleStore
from heedful.errors import JobError, RequestError, UnsupportedError
from heedful.explanation import WrittenExplanation
from heedful.explanation.written import METHODS, block_diagonal, token_contributions
from heedful.generation import GenerationSettings
from heedful.model import PointerSpec, UniformSpec, build
from heedful.tasks import JOBS, Summarizer, TextToText, TranslationSettings
from heedful.tasks.text_to_text import TextToTextCard
from heedful.tasks.text_to_text.trust import Finished
from heedful.tasks.text_to_text.trust.words import word_spans
from heedful.text import Tokenizer, TokenizerSettings

PAIRS = [
    ("the red house", "das rote Haus"),
    ("two green birds sing, my cat", "zwei grüne Vögel singen, meine Katze"),
    ("where's the 密码?", "wo ist das Passwort?"),
]
SUM = 1e-12
"""Of logits of size 1; measured: 5e-15."""


def translator() -> TextToText:
    """An encoder and a decoder with random weights, in float64."""
    with ExampleStore(Example(s, None, (), n, target=t) for n, (s, t) in enumerate(PAIRS, 1)) as store:
        task: TextToText = JOBS["translation"].create(
            TranslationSettings(job="translation", max_length=32, max_target_length=64),
            TokenizerSettings(kind="bpe", vocabulary_size=300),
            UniformSpec.model_validate({"d_model": 16, "num_layers": 2, "num_heads": 2, "d_ff": 24}),
            store,
            Columns(),
            seed=1,
        )
    task.network.double().eval()
    return task


@pytest.fixture(params=["encoder and decoder", "decoder"])
def task(request: pytest.FixtureRequest, tmp_path: Path) -> TextToText:
    if request.param == "encoder and decoder":
        return translator()
    made: TextToText = heedful.load(gpt2(tmp_path), task="translation", dtype="float64")
    made.set_prompt("English: {text}\nGerman:")
    made.card = made.card.model_copy(update={"max_target_length": 64})
    return made


def total(explanation: WrittenExplanation) -> Any:
    sides = explanation.source.sum(1) + explanation.prefix.sum(1)
    return sides + explanation.source_special + explanation.start + explanation.bias


def finished_of(task: TextToText, text: str, answer: str) -> Finished:
    example = Example(text, None, (), 1, target=answer)
    ((encoding, _),) = task.encode_sources([example])
    request = task.architecture.request(0, encoding, task.card.generation)
    return Finished(request.source, request.prompt, tuple(task.encode_targets([example])[0]))


def logits_of(task: TextToText, finished: Finished) -> torch.Tensor:
    """(T, V), one token after the other, as a search would have them."""
    rows = []
    with torch.no_grad():
        memory = task.model.encode(torch.tensor([finished.source])) if finished.source else None
        for count in range(len(finished.tokens)):
            read = torch.tensor([[*finished.prompt, *finished.tokens[:count]]])
            rows.append(task.model.logits(task.model.decode(read, memory))[0, -1])
    return torch.stack(rows)


@pytest.mark.parametrize("pair", PAIRS)
def test_source_prefix_and_bias_sum_to_each_logit_and_to_its_difference(
    task: TextToText, pair: tuple[str, str]
) -> None:
    finished = finished_of(task, *pair)
    logits = logits_of(task, finished)
    tokens = torch.tensor(finished.tokens)
    others = logits.topk(2).indices
    against = torch.where(others[:, 0] == tokens, others[:, 1], others[:, 0])
    own, other = (logits.gather(1, chosen[:, None])[:, 0].numpy() for chosen in (tokens, against))
    for found, expected in (
        (token_contributions(task, finished), own),
        (token_contributions(task, finished, against=against.tolist()), own - other),
    ):
        assert found.logits == pytest.approx(expected, abs=SUM)
        whole = found.source.sum(1) + found.prefix.sum(1) + found.start + found.bias
        assert whole == pytest.approx(expected, abs=SUM)
        assert not np.triu(found.prefix).any()  # nothing of the token itself, or of what comes later
        assert found.log_probabilities == pytest.approx(
            logits.log_softmax(1).gather(1, tokens[:, None])[:, 0].numpy(), abs=SUM
        )


@pytest.mark.parametrize("pair", PAIRS)
def test_words_have_what_their_tokens_have(task: TextToText, pair: tuple[str, str]) -> None:
    explanation = heedful.explain(task, pair[0], target=pair[1])
    finished = finished_of(task, *pair)
    found = token_contributions(task, finished)
    assert explanation.answer == pair[1]
    assert list(explanation.words) == [pair[0][start:end] for start, end in word_spans(pair[0])]
    count = len(word_spans(pair[1]))
    assert list(explanation.written[:count]) == [pair[1][start:end] for start, end in word_spans(pair[1])]
    assert explanation.written[count:] == (task.target_tokenizer.decode([finished.tokens[-1]], skip_special=False),)
    assert total(explanation) == pytest.approx(explanation.logits, abs=SUM)
    assert explanation.logits.sum() == pytest.approx(found.logits.sum(), abs=1e-11)
    assert np.log(explanation.probabilities).sum() == pytest.approx(found.log_probabilities.sum(), abs=1e-11)
    assert not np.triu(explanation.prefix, 1).any()
    assert ((explanation.source_share > 0) & (explanation.source_share <= 1)).all()
    assert all(w < len(explanation.words) and u < count for w, u in explanation.alignment)


def test_what_the_model_writes_is_explained_unless_an_answer_is_given(task: TextToText) -> None:
    text = PAIRS[0][0]
    (answer,) = task.predict([text])
    explanation = heedful.explain(task, text)
    assert explanation.answer == answer.text
    assert task.predict([text]) == [answer]
    assert all(parameter.requires_grad for parameter in task.network.parameters())


def test_hiding_words_shows_how_far_each_token_falls(task: TextToText) -> None:
    text, answer = PAIRS[1]
    explanation = heedful.explain(task, text, target=answer, method="leave_one_out")
    finished = finished_of(task, text, answer)
    before = logits_of(task, finished).log_softmax(1)
    tokens = torch.tensor(finished.tokens)[:, None]
    special = task.tokenizer.special
    cover = next(token for token in (special.mask, special.unk, special.pad) if token is not None)
    ((encoding, _),) = task.encode_sources([Example(text, None, (), 1)])
    begin = task.architecture.text_start
    start, end = word_spans(text)[1]
    hidden = [
        cover if start + begin - 1 <= first and last <= end + begin and not flag else token
        for token, (first, last), flag in zip(encoding.ids, encoding.offsets, encoding.special, strict=True)
    ]
    assert hidden != encoding.ids
    changed = Finished(tuple(hidden), finished.prompt, finished.tokens)
    if not finished.source:
        changed = Finished((), tuple(hidden), finished.tokens)
    after = logits_of(task, changed).log_softmax(1)
    fall = (before - after).gather(1, tokens).sum()
    assert explanation.source[:, 1].sum() == pytest.approx(float(fall), abs=1e-11)
    assert explanation.method == "leave_one_out"


def test_sentences_are_hidden_as_wholes() -> None:
    task = translator()
    text = "The red house. Two green birds sing."
    explanation = heedful.explain(task, text, target="das rote Haus", by_sentence=True)
    assert explanation.words == ("The red house.", "Two green birds sing.")
    assert explanation.method == "leave_one_out"
    assert explanation.source.shape == (len(explanation.written), 2)
    assert explanation.source.any(axis=0).all()


def test_a_text_that_was_answered_in_parts_is_explained_in_parts() -> None:
    task = translator()
    text = "The red house.  Two green birds sing.\nWhere's the 密码?"
    (answer,) = task.predict([text])
    assert len(answer.parts) == 3
    explanation = heedful.explain(task, text)
    assert [text[start:end] for start, end in explanation.spans] == list(explanation.words)
    assert list(explanation.words) == [text[start:end] for start, end in word_spans(text)]
    assert total(explanation) == pytest.approx(explanation.logits, abs=SUM)
    firsts = [heedful.explain(task, part) for part, _ in answer.parts]
    assert np.array_equal(explanation.source, block_diagonal([first.source for first in firsts]))
    assert "answered in 3 parts" in explanation.notes[0]


@pytest.fixture(scope="module")
def copying() -> Summarizer:
    texts = [text for example in EXAMPLES for text in (example.text, example.target or "")]
    tokenizer = Tokenizer.train(texts, TokenizerSettings(kind="bpe", vocabulary_size=300))
    uniform = UniformSpec(d_model=8, num_layers=1, num_heads=2, d_ff=12, dropout=0.0, pointer=PointerSpec(head_dim=4))
    model = build(uniform.encoder_decoder(tokenizer.vocabulary_size), seed=0).double()
    generation = GenerationSettings(decoder_start_token_id=tokenizer.special.bos, eos_token_id=(tokenizer.special.eos,))
    return Summarizer(
        model,
        tokenizer,
        TextToTextCard(job="summarization", max_length=64, max_target_length=64, generation=generation),
    )


def test_a_model_that_copies_is_explained_by_hiding(copying: Summarizer) -> None:
    explanation = heedful.explain(copying, "rain and wind", target="wind")
    assert explanation.method == "leave_one_out"
    with pytest.raises(UnsupportedError, match="copies tokens"):
        heedful.explain(copying, "rain and wind", target="wind", method="contributions")


def test_a_list_is_explained_one_by_one(task: TextToText) -> None:
    texts = [text for text, _ in PAIRS[:2]]
    for text, explanation in zip(texts, heedful.explain(task, texts), strict=True):
        assert explanation.text == text
        assert np.array_equal(explanation.source, heedful.explain(task, text).source)


def test_json_says_it_all() -> None:
    explanation = heedful.explain(translator(), PAIRS[0][0], target=PAIRS[0][1])
    told = json.loads(explanation.to_json())
    assert np.array(told["source"]) == pytest.approx(explanation.source)
    assert told["words"] == PAIRS[0][0].split()


def test_what_cannot_be_explained_is_refused() -> None:
    task = translator()
    assert set(METHODS) == {"contributions", "leave_one_out"}
    with pytest.raises(RequestError, match="no method for answers"):
        heedful.explain(task, "the red house", method="integrated_gradients")
    with pytest.raises(UnsupportedError, match="names a label"):
        heedful.explain(task, "the red house", against="rain")
    with pytest.raises(RequestError, match="cannot be that of 2 texts"):
        heedful.explain(task, ["the red house", "two"], target="zwei")
    with pytest.raises(RequestError, match="there is nothing to explain"):
        heedful.explain(task, "the red house", target=" ")
    with torch.no_grad():
        task.model.token_embedding.weight[:, 0] = torch.nan
    with pytest.raises(JobError, match="not finite"):
        heedful.explain(task, "the red house", target="das")
