# ruff: noqa: PLC0415 - each contestant imports what it needs in a process of its own
"""Translation by beam search: ours against the engines that people use, on the same model, tokens and threads.

Run: python -m benchmarks.generation RUN DATA [--texts 300] [--rounds 5] [--threads 2]
RUN is the folder of a translator that was trained by the recipe multi30k_en_de, in which `heedful quantize` has left
integers, and DATA are pairs of sentences. Its weights are given to peers as a PEGASUS, the same mathematics once the
columns of the states are put into another order: transformers, with sentences as they arrive and sorted by
length, and CTranslate2. Tokens are cut beforehand and are the same for all. Writes a dated report under
benchmarks/reports/.

Of another shape, weights that were hardly trained tell how fast it is, if not what it writes or says:
heedful train multi30k_en_de model.d_model=512 model.num_layers=6 model.num_heads=8 model.d_ff=2048 training.max_steps=1
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.arena import Contestant, Maker, alone, arena, compete
from benchmarks.ours import OURS, WAYS, loaded
from benchmarks.publishing import arguments, machine, publish, today

Tokens = list[int]
Write = Callable[[Sequence[Any]], list[Tokens]]
BATCH = 64
"""Sentences that are written together, and slots of ours."""
ALONE = 12
"""Sentences that are written one by one, greedily."""


def prepare(run: str, folder: str) -> None:
    """Put the model into the forms that peers read."""
    import tokenizers
    import torch
    import transformers

    import heedful
    from heedful.families import FAMILIES, to_upstream
    from heedful.model import SinusoidalSpec

    task = heedful.load(run)
    for way in WAYS:  # what engines compile is kept: no start has it to do
        loaded(run, way, torch.get_num_threads())
    spec, generation = task.model.spec, task.card.generation
    layer = spec.encoder.layers[0]
    width = spec.d_model
    order = torch.cat([torch.arange(0, width, 2), torch.arange(1, width, 2)])  # sines first, as PEGASUS has them
    tensors = {name: _reordered(name, tensor, order) for name, tensor in task.model.state_dict().items()}
    halves = SinusoidalSpec(halves=True)
    embeddings = spec.encoder.embeddings.model_copy(update={"positions": halves})
    stacks = {
        side: getattr(spec, side).model_copy(update={"embeddings": embeddings}) for side in ("encoder", "decoder")
    }
    _, named = to_upstream(FAMILIES["pegasus"], spec.model_copy(update=stacks), tensors)
    sides: dict[str, Any] = {
        f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in _sizes(layer, spec, side).items()
    }
    config: Any = transformers.PegasusConfig(
        vocab_size=spec.vocabulary_size,
        d_model=width,
        activation_function="relu",
        scale_embedding=True,
        pad_token_id=task.tokenizer.special.pad,
        decoder_start_token_id=generation.decoder_start_token_id,
        eos_token_id=generation.eos_token_id[0],
        forced_eos_token_id=None,
        **sides,
    )
    config.normalize_before, config.normalize_embedding = True, False  # which CTranslate2's converter asks for
    model = transformers.PegasusForConditionalGeneration(config)
    faults = model.load_state_dict(named, strict=False)
    assert not faults.unexpected_keys, faults
    assert all("embed_" in name or "bias" in name or "lm_head" in name for name in faults.missing_keys), faults
    model.tie_weights()
    model.save_pretrained(f"{folder}/upstream")
    tokenizer: Any = tokenizers.Tokenizer.from_file(f"{run}/tokenizer.json")
    pad, end = map(tokenizer.id_to_token, (config.pad_token_id, config.eos_token_id))
    upstream: Any = transformers.PreTrainedTokenizerFast
    upstream(tokenizer_file=f"{run}/tokenizer.json", pad_token=pad, unk_token=pad, eos_token=end).save_pretrained(
        f"{folder}/upstream"
    )
    try:
        _to_ctranslate2(folder, tokenizer.id_to_token(config.decoder_start_token_id))
    except ImportError as error:
        print(f"CTranslate2: {error}", file=sys.stderr)


def _reordered(name: str, tensor: Any, order: Any) -> Any:
    """A tensor of the model whose states have their columns in another order.

    Maps into the states give rows of them, maps of the states and all vectors beside them take columns.
    """
    into = name.endswith(("attention.output.weight", "attention.output.bias", "down.weight", "down.bias"))
    if into or (tensor.dim() == 1 and "norm" in name):
        return tensor[order]
    return tensor[:, order] if tensor.dim() == 2 else tensor


def _sizes(layer: Any, spec: Any, side: str) -> dict[str, int]:
    return {
        "layers": len(getattr(spec, side).layers),
        "attention_heads": layer.self_attention.num_heads,
        "ffn_dim": layer.feed_forward.d_ff,
    }


def _to_ctranslate2(folder: str, start: str) -> None:
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(f"{folder}/upstream").convert(f"{folder}/ctranslate2")
    place = Path(folder, "ctranslate2", "config.json")
    place.write_text(json.dumps(json.loads(place.read_text()) | {"decoder_start_token": start}))


def heedfuls(run: str, way: str, threads: int) -> Write:
    """Ours: beams for many sentences, greedily for one."""
    import torch

    from heedful.generation import changed
    from heedful.generation.generate import write_all

    task = loaded(run, way, threads)

    @torch.inference_mode()
    def write(rows: Sequence[Tokens]) -> list[Tokens]:
        beams = {"num_beams": 1} if len(rows) == 1 else {}
        settings = changed(task.card.generation, {"early_stopping": False} | beams)
        request = task.architecture.request
        requests = [request(number, _Ids(row), settings) for number, row in enumerate(rows)]
        requests.sort(key=lambda one: -len(one.source))
        written = dict(write_all(task.model, requests, num_slots=BATCH, compiled=task.engine, workers=task.workers))
        return [list(written[number][0].tokens) for number in range(len(rows))]

    return write


class _Ids:
    """As much of an encoding as a request takes."""

    def __init__(self, ids: Tokens) -> None:
        self.ids = ids


def upstreams(folder: str, settings: dict[str, Any], threads: int, is_sorted: bool) -> Write:
    """transformers."""
    import torch
    import transformers

    torch.set_num_threads(threads)
    model: Any = transformers.PegasusForConditionalGeneration.from_pretrained(f"{folder}/upstream")
    model.eval()
    pad = model.config.pad_token_id

    @torch.inference_mode()
    def write(rows: Sequence[Tokens]) -> list[Tokens]:
        order = sorted(range(len(rows)), key=lambda row: -len(rows[row])) if is_sorted else list(range(len(rows)))
        found: dict[int, Tokens] = {}
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            longest = max(len(rows[row]) for row in chosen)
            ids = torch.tensor([rows[row] + [pad] * (longest - len(rows[row])) for row in chosen])
            mask = (torch.arange(longest) < torch.tensor([len(rows[row]) for row in chosen])[:, None]).long()
            beams = {"num_beams": 1} if len(rows) == 1 else {}
            written = model.generate(
                input_ids=ids, attention_mask=mask, do_sample=False, early_stopping=False, **settings | beams
            )
            for row, tokens in zip(chosen, written.tolist(), strict=True):
                found[row] = _ended(tokens[1:], settings["eos_token_id"])
        return [found[row] for row in range(len(rows))]

    return write


def ctranslate2s(run: str, folder: str, settings: dict[str, Any], threads: int, precision: str) -> Write:
    """CTranslate2: a worker for each thread, or all threads for one sentence."""
    import ctranslate2
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(f"{run}/tokenizer.json")

    def translator(workers: int, each: int) -> Any:
        return ctranslate2.Translator(
            f"{folder}/ctranslate2", compute_type=precision, inter_threads=workers, intra_threads=each
        )

    many, single = translator(threads, 1), translator(1, threads)
    (end,), most = settings["eos_token_id"], settings["max_new_tokens"]
    unwanted = [[tokenizer.id_to_token(token)] for token in settings["suppress_tokens"]]

    def write(rows: Sequence[Tokens]) -> list[Tokens]:
        found = (single if len(rows) == 1 else many).translate_batch(
            [[tokenizer.id_to_token(token) for token in row] for row in rows],
            beam_size=1 if len(rows) == 1 else settings["num_beams"],
            length_penalty=settings["length_penalty"],
            max_decoding_length=most,
            suppress_sequences=unwanted,
            max_batch_size=min(BATCH, -(-len(rows) // threads)),  # no worker is without
        )
        return [[*map(tokenizer.token_to_id, one.hypotheses[0]), end][:most] for one in found]

    return write


def _ended(tokens: Tokens, ends: Sequence[int]) -> Tokens:
    """Up to the end token, which is the last that counts."""
    for place, token in enumerate(tokens):
        if token in ends:
            return tokens[: place + 1]
    return tokens


def table(
    contestants: Sequence[Contestant],
    answers: dict[str, list[Tokens]],
    latencies: dict[str, list[float]],
    bleu: Callable[[list[Tokens]], str],
) -> str:
    """The fastest first; texts beside ours in float32."""
    reference = answers[OURS]
    heads = (
        "engine",
        "sentences/s",
        "range",
        "tokens/s",
        "one sentence, greedy, ms, p50 / p95",
        "memory, MB",
        "start, s",
        "same text",
        "BLEU",
    )
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for one in sorted(contestants, key=lambda one: one.median):
        found = answers[one.name]
        rates = sorted(len(found) / seconds for seconds in one.seconds)
        half, most = np.percentile(latencies[one.name], (50, 95)) * 1000
        same = statistics.mean(mine == theirs for mine, theirs in zip(reference, found, strict=True))
        cells = (
            *(one.name, f"{len(found) / one.median:,.1f}", f"{rates[0]:,.1f} – {rates[-1]:,.1f}"),
            *(f"{sum(map(len, found)) / one.median:,.0f}", f"{half:.0f} / {most:.0f}", f"{one.peak / 1e6:,.0f}"),
            *(f"{one.start_seconds:.1f}", f"{same:.1%}", bleu(found)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    import sacrebleu

    import heedful
    from heedful.data import ExampleStore

    options = arguments(__doc__, texts=300, report="generation").parse_args()
    run, threads = options.run, options.threads
    task = heedful.load(run)
    with ExampleStore(task.read(options.data)) as store:
        chosen = store.spread(options.texts)
    rows = [list(encoding.ids) for encoding, _ in task.encode_sources(chosen)]
    kept = task.card.generation
    names = ("num_beams", "length_penalty", "max_new_tokens")
    settings = {name: getattr(kept, name) for name in names} | {
        "suppress_tokens": list(kept.suppress_tokens),
        "eos_token_id": list(kept.eos_token_id),
    }

    def bleu(found: list[Tokens]) -> str:
        texts = [task.target_tokenizer.decode(tokens).strip() for tokens in found]
        wanted = [one.target or "" for one in chosen]
        return f"{sacrebleu.corpus_bleu(texts, [wanted]).score:.1f}"

    with tempfile.TemporaryDirectory() as folder:
        os.environ["HEEDFUL_CACHE"] = f"{folder}/cache"
        preparing = get_context("spawn").Process(target=prepare, args=(run, folder))
        preparing.start()
        preparing.join()
        makers: dict[str, Maker] = {
            **{way: (heedfuls, (run, way, threads)) for way in WAYS},
            "transformers float32, arrival order": (upstreams, (folder, settings, threads, False)),
            "transformers float32, sorted": (upstreams, (folder, settings, threads, True)),
            "CTranslate2 float32": (ctranslate2s, (run, folder, settings, threads, "float32")),
            "CTranslate2 int8": (ctranslate2s, (run, folder, settings, threads, "int8")),
        }
        with arena(makers, threads) as contestants:
            answers = compete(contestants, rows, options.rounds)
            latencies = {one.name: alone(one, rows[:ALONE]) for one in contestants}
    length = statistics.median(map(len, rows))
    report = (
        f"# Translation, {today()}\n\n{Path(run).name}: {len(rows):,} sentences of {length:.0f} tokens in the median, "
        f"beam {kept.num_beams}; {options.rounds} rounds in turn, medians. {machine(threads)}.\n\n"
        f"{table(contestants, answers, latencies, bleu)}\n"
    )
    publish(options.report, report)


if __name__ == "__main__":
    main()
