"""Which jobs there are, and how what somebody trained becomes the task of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import torch
from pydantic import BeforeValidator, ValidationError
from pydantic_core import InitErrorDetails

from heedful.checkpoint import CONFIG_FILE, TASK_FILE, locate, read_json
from heedful.errors import CheckpointError, RequestError
from heedful.families import read_pretrained
from heedful.settings import Settings, nearest
from heedful.tasks.classification import (
    ClassificationSettings,
    TextClassifier,
    classifier_of,
    create_classifier,
    finish_classifier,
    load_classifier,
)
from heedful.tasks.engines import EAGER, set_engine
from heedful.tasks.model_source import OWN_MODULE
from heedful.tasks.quantization import set_precision
from heedful.tasks.text_to_text import (
    PAPER_TRAINING,
    SummarizationSettings,
    Summarizer,
    TranslationSettings,
    Translator,
    finish_text_to_text,
    text_to_text_job,
)

AnyTask: TypeAlias = Any
"""A TextClassifier, Translator or Summarizer: a union would have to be narrowed by everybody who knows which."""


@dataclass(frozen=True)
class Job:
    """What a job is to the registry."""

    settings: type[ClassificationSettings | TranslationSettings | SummarizationSettings]
    """The ``task`` section of its recipes."""
    create: Callable[..., Any]
    """A task to be trained, from settings, data and what the model starts from."""
    load: Callable[..., Any]
    """A folder that heedful wrote."""
    adopt: Callable[..., Any]
    """A foreign checkpoint as such a task."""
    finish: Callable[..., tuple[str, ...]] = lambda *_: ()
    """Fit on held-out examples what is fitted after training; what to tell the user."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """What the ``training`` section of its recipes has where they say nothing, unless they start from a checkpoint."""


JOBS: dict[str, Job] = {
    "classification": Job(ClassificationSettings, create_classifier, load_classifier, classifier_of, finish_classifier),
    "translation": Job(TranslationSettings, *text_to_text_job(Translator), finish_text_to_text, PAPER_TRAINING),
    "summarization": Job(SummarizationSettings, *text_to_text_job(Summarizer), finish_text_to_text, PAPER_TRAINING),
}


def task_form_of(section: object) -> type[ClassificationSettings | TranslationSettings | SummarizationSettings]:
    """The settings that a ``task`` section as it stands in a recipe is of: its ``job`` says it."""
    job = section.get("job") if isinstance(section, Mapping) else None
    return JOBS[job if isinstance(job, str) and job in JOBS else TextClassifier.job].settings


def _parse(section: Any) -> Any:
    # Chosen here, a job's faults are at the places where the user wrote them, and no other job's are told.
    if isinstance(section, Settings):
        return section
    if isinstance(section, Mapping) and "job" in section and section["job"] not in tuple(JOBS):
        job = section["job"]
        fault = ValueError(f"{job!r:.80} is not known; {nearest(str(job)[:40], JOBS)}")
        error = InitErrorDetails(type="value_error", loc=("job",), input=job, ctx={"error": fault})
        raise ValidationError.from_exception_data("task", [error])
    return task_form_of(section).model_validate(section)


TaskSettings = Annotated[ClassificationSettings | TranslationSettings | SummarizationSettings, BeforeValidator(_parse)]
"""The ``task`` section of a recipe; its ``job`` says which one."""

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def load(  # noqa: PLR0913 - each says another thing of the model, and none belongs to another
    source: str | Path,
    *,
    task: str | None = None,
    revision: str | None = None,
    allow_pickle: bool = False,
    allow_code: str | Path | None = None,
    adapter: str | Path | None = None,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    precision: str | None = None,
    engine: str = EAGER,
) -> AnyTask:
    """Load what somebody trained: a run, the folder of a checkpoint of a known family, or one of the Hub.

    Args:
        source: a folder, or ``owner/name`` of the Hub.
        task: the job, where a foreign checkpoint could do several.
        revision: branch, tag or commit of the Hub.
        allow_pickle: read ``pytorch_model.bin`` where there are no safetensors, numbers only.
        allow_code: the Python file of a module of your own, which a folder's weights were trained with and which
            may be executed.
        adapter: folder of a LoRA adapter in PEFT's format, which is merged onto a foreign checkpoint.
        dtype: of the weights, such as ``"bfloat16"``; as stored unless given.
        device: where the network is to be, such as ``"cuda"``; the processor unless given.
        precision: ``"int8"`` has the network's linear maps multiply 8-bit integers, on a processor: those that
            ``heedful quantize`` made, else integers of the inputs' own size. Such a task answers and is evaluated;
            it is not saved, trained or explained. ``"int8-weights"`` keeps the weights alone as such integers, which
            takes a quarter of their memory. ``"bfloat16"`` has the network compute in it, up to a classifier's head.
        engine: what computes answers on a processor: ``"eager"``, PyTorch; ``"openvino"``, a compiled form of the
            network, which is kept for the next time; ``"inductor"``, one that PyTorch's own compiler makes, which takes
            minutes; ``"auto"``, the faster of the first two in a short trial.

    Raises:
        CheckpointError: the folder is missing, incomplete, of no known family, has no trained head, or needs code
            that is not allowed.
        RequestError: an option is impossible.
    """
    if OWN_MODULE.fullmatch(str(source)):
        raise RequestError(
            f"{source} names code, and no weights, tokenizer or labels to answer with",
            remedy=f"Train it: model.module={source} in a recipe; then load the folder of that run.",
        )
    if task is not None and task not in JOBS:
        raise RequestError(f"{task!r} is no task; {nearest(task, JOBS)}")
    wanted = _dtype(dtype)
    located = locate(source, revision=revision, allow_pickle=allow_pickle)
    if _is_ours(located.folder):
        if adapter is not None:
            raise RequestError(f"{source} is a run of ours, which has its adapters merged in already")
        loaded = _load_own(located.folder, task, allow_code)
        loaded.revision = located.revision
    else:
        loaded = JOBS[task or TextClassifier.job].adopt(
            read_pretrained(located, allow_pickle=allow_pickle, adapter=adapter), dtype=wanted
        )
    loaded.source = str(source)
    _placed(loaded, wanted, device)
    if precision is not None:
        set_precision(loaded, precision, located.folder)
    set_engine(loaded, engine)
    return loaded


def _is_ours(folder: Path) -> bool:
    """Whether heedful wrote the folder; even where a file is missing by now."""
    if (folder / TASK_FILE).is_file():
        return True
    if not (folder / CONFIG_FILE).is_file():
        raise CheckpointError(
            f"{folder} holds no model: neither {TASK_FILE} nor {CONFIG_FILE} is there",
            remedy="Give the folder of a run, such as runs/banking77, or of a checkpoint.",
        )
    return "format_version" in read_json(folder / CONFIG_FILE)


def _load_own(folder: Path, task: str | None, allow_code: str | Path | None) -> AnyTask:
    job = read_json(folder / TASK_FILE).get("job")
    if not isinstance(job, str) or job not in JOBS:
        raise CheckpointError(f"{folder / TASK_FILE} names the job {job!r}; {nearest(str(job), JOBS)}")
    if task not in (None, job):
        raise RequestError(f"{folder} was trained for {job}, not for {task}")
    loaded: AnyTask = JOBS[job].load(folder, allow_code=allow_code)
    return loaded


def _dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    if dtype is None or dtype in DTYPES.values():
        return dtype  # type: ignore[return-value]
    if dtype not in DTYPES:
        raise RequestError(f"{dtype!r} is no number type of a network; {nearest(str(dtype), DTYPES)}")
    return DTYPES[str(dtype)]


def _placed(task: AnyTask, dtype: torch.dtype | None, device: str | torch.device | None) -> None:
    try:
        task.network.to(device=None if device is None else torch.device(device), dtype=dtype)
    except (RuntimeError, AssertionError) as error:  # PyTorch's refusals of what is not there
        raise RequestError(f"the network cannot be put on {device}: {error}", remedy="Choose cpu, or cuda.") from error
