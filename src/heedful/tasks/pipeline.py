"""``heedful.pipeline``: what transformers had for translation and summarization up to version 4, for code that used it.

They took a text or a list of texts and returned a list of dictionaries; so does this, name by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, TypeAlias

import torch

from heedful.data import Example
from heedful.errors import RequestError
from heedful.settings import nearest
from heedful.tasks.registry import load
from heedful.tasks.text_to_text import Summarizer, TextAnswer, TextToText, Translator
from heedful.tasks.text_to_text.search import search_settings

Record: TypeAlias = dict[str, str]
Records: TypeAlias = list[Record] | list[list[Record]]

KEYS: Mapping[str, str] = {Translator.job: "translation_text", Summarizer.job: "summary_text"}
"""Under what name each job gives its answers."""
WITHOUT_EFFECT = frozenset({"batch_size", "num_workers", "use_cache", "clean_up_tokenization_spaces", "return_text"})
"""Arguments of the old pipelines that change no answer here: texts are written side by side whatever is said."""

_PAIR = re.compile(r"translation_([^_]+)_to_([^_]+)")
_OTHERS = frozenset({"src_lang", "tgt_lang", "truncation"})
_LENGTHS = {"max_length": "max_new_tokens", "min_length": "min_new_tokens"}


class Pipeline:
    """A translator or summarizer that is called like the pipelines of transformers 4."""

    def __init__(self, task: TextToText, defaults: Mapping[str, Any]) -> None:
        """
        Args:
            defaults: keyword arguments that every call has unless it gives others.
        """
        self.task = task
        self._defaults = dict(defaults)
        search_settings(task, **_changes(defaults))  # what cannot be is told now, not at the first call

    def __call__(self, texts: str | Sequence[str], **arguments: Any) -> Records:
        """Answer a text or several ones.

        Args:
            arguments: generation settings (``max_length`` and ``min_length`` too, which count the start token);
                ``src_lang`` and ``tgt_lang``; ``truncation=False`` to refuse texts that are too long instead of cutting
                them.

        Returns:
            For each text ``{"translation_text": …}`` or ``{"summary_text": …}``; a list of several for each, where
            ``num_return_sequences`` asks for them and there is more than one text.

        Raises:
            RequestError: an argument is unknown or impossible, or a text is none.
        """
        given = self._defaults | arguments
        several = [texts] if isinstance(texts, str) else list(texts)
        for number, text in enumerate(several, 1):
            if not isinstance(text, str):
                raise RequestError(f"text {number} is {type(text).__name__} {text!r:.60}, and no string")
        task = copy(self.task)  # its card is of this call alone
        if given.get("src_lang") or given.get("tgt_lang"):
            task.set_languages(source=given.get("src_lang"), target=given.get("tgt_lang"))
        examples = [Example(text.strip(), None, (), number) for number, text in enumerate(several, 1)]
        answers = task.write(examples, **_changes(given))
        if given.get("truncation") is False:
            _refuse_cut(answers, task.card.max_length)
        records = [[{KEYS[self.task.job]: text} for text in (one.text, *one.alternatives)] for one in answers]
        if isinstance(texts, str):
            return records[0]
        return [record for (record,) in records] if all(len(one) == 1 for one in records) else records


def pipeline(
    task: str,
    model: str | Path | TextToText | None = None,
    *,
    revision: str | None = None,
    device: str | int | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    **defaults: Any,
) -> Pipeline:
    """What ``transformers.pipeline`` made for these tasks up to version 4.

    Args:
        task: ``"translation"``, ``"translation_en_to_de"`` with any two languages, or ``"summarization"``.
        model: a run, a checkpoint's folder, a name of the Hub, or a task that is loaded already.
        revision: branch, tag or commit of the Hub.
        device: such as ``"cuda"``; a number is that of a GPU, and -1 the processor.
        dtype: of the weights; as stored unless given.
        defaults: arguments of every call, see :meth:`Pipeline.__call__`.

    Raises:
        RequestError: there is no such task, or no model is given, or one of another job.
        CheckpointError: the model cannot be loaded.
    """
    pair = _PAIR.fullmatch(task)
    job = Translator.job if pair else task
    if job not in KEYS:
        known = [*KEYS, "translation_XX_to_YY"]
        raise RequestError(f"{task!r} is no task of a pipeline here; {nearest(task, known)}")
    if model is None:
        raise RequestError(f"no model is given for {task}", remedy="Name one: heedful.pipeline(task, model=folder).")
    if isinstance(model, str | Path):
        place = device if not isinstance(device, int) else ("cpu" if device < 0 else f"cuda:{device}")
        model = load(model, task=job, revision=revision, device=place, dtype=dtype)
    if getattr(model, "job", None) != job:
        raise RequestError(f"the model is for {getattr(model, 'job', type(model).__name__)}, not for {job}")
    assert isinstance(model, TextToText)
    if pair and (model.tokenizer.target_mark is not None or task in model.tokenizer.prefixes):
        defaults = {"src_lang": pair[1], "tgt_lang": pair[2]} | defaults
    return Pipeline(model, defaults)


def _changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a call changes of the generation settings."""
    changes = {key: value for key, value in given.items() if key not in _OTHERS | WITHOUT_EFFECT}
    for key, name in _LENGTHS.items():
        counted = changes.pop(key, None)
        if counted is not None:
            if not isinstance(counted, int) or counted < 0:
                raise RequestError(f"{key} is {counted!r:.40}, and no number of tokens")
            changes.setdefault(name, max(counted - 1, 0))  # upstream counts the start token
    return changes


def _refuse_cut(answers: Sequence[TextAnswer], limit: int) -> None:
    for number, answer in enumerate(answers, 1):
        if answer.cut_tokens:
            raise RequestError(
                f"text {number} has {answer.cut_tokens:,} tokens more than the {limit:,} that the model takes",
                remedy="Give truncation=True to have such texts cut.",
            )
