"""Which jobs there are: one line a job."""

from __future__ import annotations

from pathlib import Path

from heedful.checkpoint import TASK_FILE, read_json
from heedful.errors import CheckpointError
from heedful.settings import nearest
from heedful.tasks.classification import ClassificationSettings, TextClassifier, load_classifier

TaskSettings = ClassificationSettings
"""The ``task`` section of a recipe; its ``job`` says which one."""

TASKS = {TextClassifier.job: load_classifier}
"""How each job's folders are read."""


def load(folder: str | Path, *, allow_code: str | Path | None = None) -> TextClassifier:
    """Load a model folder as the task that its ``task.json`` names.

    Raises:
        CheckpointError: the folder is missing, incomplete or names no job of ours.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(
            f"there is no folder {folder}", remedy="Give the folder of a run, such as runs/banking77."
        )
    job = read_json(folder / TASK_FILE).get("job")
    reader = TASKS.get(str(job))
    if reader is None:
        raise CheckpointError(f"{folder / TASK_FILE} names the job {job!r}; {nearest(str(job), TASKS)}")
    return reader(folder, allow_code=allow_code)
