# ruff: noqa: PLC0415 - each contestant imports what it needs in a process of its own
"""Classification: ours against the engines that people use, on the same model, texts and threads.

Run: python -m benchmarks.inference RUN DATA [--texts 1000] [--rounds 5] [--threads 2] [--calibrate DATA]
RUN is the folder of a classifier that was fine-tuned from a BERT, with the mean of its states before one linear map,
such as that of the recipe banking77-minilm, in which `heedful quantize` has left integers. Peers are transformers,
ONNX Runtime, OpenVINO (with NNCF) and CTranslate2, each with texts sorted by length into batches, and transformers also
in the order in which texts arrive. They are the packages transformers, onnxruntime, openvino, nncf and ctranslate2; one
that is not there is told and left out. Writes a dated report under benchmarks/reports/.

Of another shape, weights that were hardly trained tell how fast it is, if not what it writes or says:
heedful train banking77-minilm model.checkpoint=FOLDER training.max_steps=1
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.arena import Answer, Contestant, Maker, alone, arena, compete
from benchmarks.ours import OURS, WAYS, loaded
from benchmarks.publishing import arguments, machine, publish, today
from numpy.typing import NDArray

BATCH_TOKENS = 1024
ARRIVAL = 32
"""Texts in a batch, in the order in which they arrive."""
ALONE = 60
"""Texts that are answered one by one."""
CALIBRATED = 128
Floats = NDArray[np.floating[Any]]
Batch = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Ids and mask, (B, S) each."""


def prepare(run: str, calibrate: str, folder: str) -> None:
    """Put the model into the forms that peers read."""
    import torch
    import transformers

    import heedful
    from heedful.families import find_family, to_upstream

    task = heedful.load(run)
    for way in WAYS:  # what engines compile is kept: no start has it to do
        loaded(run, way, torch.get_num_threads())
    config = dict(task.origin["config"])
    _, named = to_upstream(find_family(config, name=run), task.model.spec, dict(task.model.state_dict()))
    encoder = transformers.BertModel(transformers.BertConfig(**config), add_pooling_layer=False)
    faults = encoder.load_state_dict(named, strict=False)
    assert not faults.unexpected_keys
    assert not faults.missing_keys
    encoder.config.position_embedding_type = "absolute"  # which CTranslate2's converter asks for
    encoder.save_pretrained(f"{folder}/upstream")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(f"{run}/{name}", f"{folder}/upstream/{name}")
    np.savez(
        f"{folder}/head.npz", **{name: each.detach().numpy() for name, each in task.head.output.named_parameters()}
    )
    texts = [example.text for example in task.read(calibrate)]
    chosen = [texts[place] for place in np.linspace(0, len(texts) - 1, CALIBRATED).astype(int)]
    for form in (_to_onnx, _to_openvino, _to_ctranslate2):
        try:
            form(folder, [_padded([row]) for row in _tokenizer(folder)(chosen)])
        except ImportError as error:
            print(f"{form.__name__}: {error}", file=sys.stderr)


def _to_onnx(folder: str, _: Sequence[Batch]) -> None:
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    ids = torch.ones(2, 7, dtype=torch.int64)
    torch.onnx.export(
        _upstream(folder),
        (ids, ids),
        f"{folder}/float32.onnx",
        input_names=["ids", "mask"],
        dynamic_axes={"ids": {0: "b", 1: "s"}, "mask": {0: "b", 1: "s"}},
        dynamo=False,
    )
    quantize_dynamic(f"{folder}/float32.onnx", f"{folder}/int8.onnx", weight_type=QuantType.QInt8, per_channel=True)


def _to_openvino(folder: str, batches: Sequence[Batch]) -> None:
    import openvino
    import torch

    ids = torch.ones(2, 7, dtype=torch.int64)
    model = openvino.convert_model(_upstream(folder), example_input=(ids, ids))
    openvino.save_model(model, f"{folder}/float32.xml", compress_to_fp16=False)
    import nncf

    rounded = nncf.quantize(
        model, nncf.Dataset(list(batches)), subset_size=len(batches), model_type=nncf.ModelType.TRANSFORMER
    )
    openvino.save_model(rounded, f"{folder}/int8.xml", compress_to_fp16=False)


def _to_ctranslate2(folder: str, _: Sequence[Batch]) -> None:
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(f"{folder}/upstream").convert(f"{folder}/ctranslate2")


def _upstream(folder: str) -> Any:
    """What the run computes, with upstream's encoder: ids and mask (B, S) -> logits (B, C)."""
    import torch
    import transformers
    from torch import Tensor, nn

    class Upstream(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = transformers.BertModel.from_pretrained(f"{folder}/upstream", add_pooling_layer=False)
            head = np.load(f"{folder}/head.npz")
            self.output = nn.Linear(head["weight"].shape[1], head["weight"].shape[0])
            self.output.load_state_dict({name: torch.from_numpy(head[name]) for name in ("weight", "bias")})

        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
            hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            weights = mask.to(hidden.dtype)[..., None]
            logits: Tensor = self.output((hidden * weights).sum(1) / weights.sum(1))
            return logits

    return Upstream().eval()


def _tokenizer(folder: str) -> Callable[[Sequence[str]], list[list[int]]]:
    """Texts to tokens by the tokenizers library, many at a time."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{folder}/upstream/tokenizer.json")
    tokenizer.no_padding()
    return lambda texts: [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def _padded(rows: Sequence[Sequence[int]]) -> Batch:
    width = max(map(len, rows))
    ids = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return ids, mask


def in_batches(folder: str, compute: Callable[[list[Batch]], list[Floats]], *, is_sorted: bool = True) -> Answer:
    """A peer with its batches."""
    tokens_of = _tokenizer(folder)

    def answer(texts: Sequence[str]) -> Floats:
        rows = tokens_of(texts)
        order = sorted(range(len(rows)), key=lambda row: -len(rows[row])) if is_sorted else list(range(len(rows)))
        batches, start = [], 0
        while start < len(order):
            count = max(1, BATCH_TOKENS // len(rows[order[start]])) if is_sorted else ARRIVAL
            batches.append(_padded([rows[row] for row in order[start : start + count]]))
            start += count
        logits = np.concatenate(compute(batches))
        found = np.empty_like(logits)
        found[order] = logits
        return found

    return answer


def heedfuls(run: str, way: str, threads: int) -> Answer:
    """Ours."""
    from heedful.data import Example

    task = loaded(run, way, threads)

    def answer(texts: Sequence[str]) -> Floats:
        logits: Floats = task.score([Example(text, None, (), number) for number, text in enumerate(texts, 1)]).logits
        return logits

    return answer


def upstreams(folder: str, threads: int, is_sorted: bool) -> Answer:
    """transformers."""
    import torch

    torch.set_num_threads(threads)
    model = _upstream(folder)

    @torch.inference_mode()
    def compute(batches: list[Batch]) -> list[Floats]:
        return [model(*map(torch.from_numpy, batch)).numpy() for batch in batches]

    return in_batches(folder, compute, is_sorted=is_sorted)


def onnxruntimes(folder: str, threads: int, precision: str) -> Answer:
    """ONNX Runtime; integers by its own dynamic quantization, a scale for each output."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(f"{folder}/{precision}.onnx", options, providers=["CPUExecutionProvider"])

    def compute(batches: list[Batch]) -> list[Floats]:
        return [session.run(None, dict(zip(("ids", "mask"), batch, strict=True)))[0] for batch in batches]

    return in_batches(folder, compute)


def openvinos(folder: str, threads: int, precision: str) -> Answer:
    """OpenVINO: a stream for each thread, or one for a single text; not in bfloat16; NNCF's calibrated integers."""
    import openvino

    core, settings = openvino.Core(), {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    many = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": threads}
    queue = openvino.AsyncInferQueue(
        core.compile_model(f"{folder}/{precision}.xml", "CPU", settings | many), 2 * threads
    )
    single = core.compile_model(f"{folder}/{precision}.xml", "CPU", settings | {"PERFORMANCE_HINT": "LATENCY"})

    def compute(batches: list[Batch]) -> list[Floats]:
        if len(batches) == 1:
            return [single(list(batches[0]))[0]]
        found: dict[int, Floats] = {}
        queue.set_callback(lambda request, number: found.update({number: request.get_output_tensor().data.copy()}))
        for number, batch in enumerate(batches):
            queue.start_async(list(batch), number)
        queue.wait_all()
        return [found[number] for number in range(len(batches))]

    return in_batches(folder, compute)


def ctranslate2s(folder: str, threads: int, precision: str) -> Answer:
    """CTranslate2: a worker for each thread, fed by as many of ours, or all for one text; mean and head in NumPy."""
    import ctranslate2

    def encoder_of(workers: int, each: int) -> Any:
        return ctranslate2.Encoder(
            f"{folder}/ctranslate2", compute_type=precision, inter_threads=workers, intra_threads=each
        )

    many, single = encoder_of(threads, 1), encoder_of(1, threads)
    head = np.load(f"{folder}/head.npz")
    weight, bias = head["weight"], head["bias"]

    def one(batch: Batch, encoder: Any = many) -> Floats:
        ids, mask = batch
        rows = [row[: int(length)].tolist() for row, length in zip(ids, mask.sum(1), strict=True)]
        hidden = np.array(encoder.forward_batch(rows).last_hidden_state)
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        logits: Floats = pooled @ weight.T + bias
        return logits

    def compute(batches: list[Batch]) -> list[Floats]:
        if len(batches) == 1:
            return [one(batches[0], single)]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(one, batches))

    return in_batches(folder, compute)


def table(contestants: Sequence[Contestant], answers: dict[str, Floats], latencies: dict[str, list[float]]) -> str:
    """The fastest first; logits and labels beside ours in float32."""
    reference = answers[OURS]
    heads = (
        *("engine", "texts/s", "range", "of the fastest", "one text, ms, p50 / p95", "memory, MB", "start, s"),
        *("logits apart", "same label"),
    )
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    kinds = {
        one.name: next(kind for kind in ("int8", "bfloat16", "float32") if kind in one.name) for one in contestants
    }
    best = {kind: min(one.median for one in contestants if kinds[one.name] == kind) for kind in set(kinds.values())}
    for one in sorted(contestants, key=lambda one: one.median):
        found = answers[one.name]
        rates = sorted(len(found) / seconds for seconds in one.seconds)
        half, most = np.percentile(latencies[one.name], (50, 95)) * 1000
        cells = (
            *(one.name, f"{len(found) / one.median:,.0f}", f"{rates[0]:,.0f} – {rates[-1]:,.0f}"),
            *(f"{best[kinds[one.name]] / one.median:.2f}", f"{half:.1f} / {most:.1f}", f"{one.peak / 1e6:,.0f}"),
            *(f"{one.start_seconds:.1f}", f"{np.abs(found - reference).max():.1e}"),
            f"{(found.argmax(1) == reference.argmax(1)).mean():.1%}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    import heedful
    from heedful.data import ExampleStore

    parser = arguments(__doc__, texts=1000, report="inference")
    parser.add_argument("--calibrate", help="texts that OpenVINO's integers are calibrated by; DATA unless given")
    options = parser.parse_args()
    run, threads = options.run, options.threads
    with ExampleStore(heedful.load(run).read(options.data)) as store:
        texts = [example.text for example in store.spread(options.texts)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HEEDFUL_CACHE"] = f"{folder}/cache"
        preparing = get_context("spawn").Process(target=prepare, args=(run, options.calibrate or options.data, folder))
        preparing.start()
        preparing.join()
        makers: dict[str, Maker] = {
            **{way: (heedfuls, (run, way, threads)) for way in WAYS},
            "transformers float32, arrival order": (upstreams, (folder, threads, False)),
            "transformers float32, sorted": (upstreams, (folder, threads, True)),
        }
        peers = {"ONNX Runtime": onnxruntimes, "OpenVINO": openvinos, "CTranslate2": ctranslate2s}
        for name, make in peers.items():
            for precision in ("float32", "int8"):
                makers[f"{name} {precision}"] = (make, (folder, threads, precision))
        with arena(makers, threads) as contestants:
            answers = compete(contestants, texts, options.rounds)
            latencies = {one.name: alone(one, texts[:ALONE]) for one in contestants}
    words = statistics.median(len(text.split()) for text in texts)
    report = (
        f"# Classification, {today()}\n\n{Path(run).name}: {len(texts):,} texts of {words:.0f} words in the median; "
        f"{options.rounds} rounds in turn, medians. {machine(threads)}.\n\n{table(contestants, answers, latencies)}\n"
    )
    publish(options.report, report)


if __name__ == "__main__":
    main()
