"""A classifier as an ONNX file, with what an answer takes besides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from heedful.checkpoint import TASK_FILE
from heedful.errors import UnsupportedError
from heedful.inference.onnx import write_onnx
from heedful.tasks.base import Task
from heedful.tasks.classification import TextClassifier

ONNX_FILE = "model.onnx"
ONNX_FILES = (ONNX_FILE, f"{ONNX_FILE}.data")
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""As upstream calls them: (texts, tokens) int64."""
OUTPUT = "logits"
SIZES = {0: "texts", 1: "tokens"}
USE = """import json

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

folder = "{folder}"
card = json.load(open(f"{{folder}}/task.json", encoding="utf-8"))
tokenizer = Tokenizer.from_file(f"{{folder}}/tokenizer.json")
tokenizer.enable_padding(pad_id={pad})
tokenizer.enable_truncation(card["max_length"])
session = onnxruntime.InferenceSession(f"{{folder}}/model.onnx")

encodings = tokenizer.encode_batch(["my card was swallowed", "no card"])
given = {{
    "input_ids": [encoding.ids for encoding in encodings],
    "attention_mask": [encoding.attention_mask for encoding in encodings],{types}
}}
(logits,) = session.run(None, {{name: np.array(rows, dtype=np.int64) for name, rows in given.items()}})
for row in logits:
    print(card["labels"][row.argmax()])
"""
README = """# {name}

A text classifier with {labels} labels, as ONNX, written by heedful. Inputs are {inputs}, each of int64,
(texts, tokens); the output is `logits`, (texts, labels), in the order of `labels` in `task.json`. Divided by
`temperature`, their softmax is the calibrated probability of each label; with several labels a text, the sigmoid
of each is.

```python
{use}```
"""


def export_onnx(task: Task[Any], staging: Path, name: str) -> str:
    """Write a classifier into a folder: ``model.onnx``, its tokenizer, its card, and how they are used.

    Args:
        name: of the folder in the end.

    Returns:
        What was written, in a few words.

    Raises:
        UnsupportedError: the task is no classifier of ours, or cannot be written as ONNX.
    """
    if not isinstance(task, TextClassifier) or task.module is not None:
        raise UnsupportedError(
            "only classifiers with layers of heedful's can be written as ONNX: to write takes a search"
        )
    task.network.float()
    names = INPUTS[: 3 if task.network.knows_token_types else 2]
    examples = [tuple(each.long() for each in example) for example in task.example_inputs()]
    write_onnx(_Named(task.network), dict.fromkeys(names, SIZES), OUTPUT, examples, staging / ONNX_FILE)
    (staging / TASK_FILE).write_text(task.card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    task.tokenizer.save(staging)
    types = '\n    "token_type_ids": [encoding.type_ids for encoding in encodings],' if len(names) == 3 else ""
    use = USE.format(folder=name, pad=task.tokenizer.special.pad or 0, types=types)
    inputs = ", ".join(f"`{each}`" for each in names)
    readme = README.format(name=name, labels=len(task.labels), inputs=inputs, use=use)
    (staging / "README.md").write_text(readme, encoding="utf-8")
    return f"a classifier with {len(task.labels)} labels"


class _Named(nn.Module):
    """A network whose mask is of whole numbers, as other tools have it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, mask: Tensor, *types: Tensor) -> Tensor:
        """(R, S) each -> (R, C)."""
        logits: Tensor = self.network(ids, mask != 0, *types)
        return logits
