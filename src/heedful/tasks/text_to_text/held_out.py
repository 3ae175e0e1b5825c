"""What is found out after training, on pairs that were held out."""

from __future__ import annotations

from typing import Any

from heedful.data import ExampleStore
from heedful.tasks.text_to_text.task import TextToText
from heedful.tasks.text_to_text.trust import fit_trust
from heedful.tasks.text_to_text.writing import Passage, draft

MAX_PAIRS = 2000


def finish_text_to_text(_: Any, task: TextToText, validation: ExampleStore) -> tuple[str, ...]:
    """Find out how far the answers of a trained task can be trusted; returns what to tell the user."""
    examples = validation.take(range(min(len(validation), MAX_PAIRS)))
    drafts = draft(task, [Passage(example) for example in examples if example.text], task.card.generation)
    targets = task.encode_targets([each.example for each in drafts])
    trust = fit_trust(
        task.model,
        [each.case(task, each.hypotheses[0].tokens) for each in drafts],
        [each.case(task, target) for each, target in zip(drafts, targets, strict=True)],
    )
    task.card = task.card.model_copy(update={"trust": trust})
    return trust.notes
