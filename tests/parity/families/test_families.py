"""Every case of every family gives upstream's numbers, and goes back out as it came."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
import transformers
from tests.parity.families.cases import CASES
from tests.parity.families.harness import (
    TOLERANCE,
    Case,
    Loaded,
    export,
    hidden_states,
    largest_error,
    load,
    pad,
    reference_outputs,
    stored,
    texts,
)
from tests.parity.families.reference import run
from torch import Tensor

from heedful.families import FAMILIES, ConfigReader, read_pretrained


def each(cases: Iterable[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", list(cases), ids=str)


each_case = each(CASES)


def rows_and_targets(case: Case, loaded: Loaded) -> tuple[list[Tensor], list[Tensor]]:
    size = loaded.pretrained.spec.vocabulary_size
    return texts(case, size), texts(case, size, (4, 1, 7), seed=2)


@each_case
def test_hidden_states_are_the_references_however_a_batch_is_padded(case: Case, tmp_path: Path) -> None:
    loaded = load(case, case.family.architecture, tmp_path)
    rows, targets = rows_and_targets(case, loaded)
    expected = reference_outputs(loaded.reference, rows, targets, "last_hidden_state")
    for left in (False, True):
        assert largest_error(hidden_states(loaded.model, rows, targets, left=left), expected) <= TOLERANCE


@each(case for case in CASES if case.language_model is not None)
def test_language_model_logits_are_the_references(case: Case, tmp_path: Path) -> None:
    assert case.language_model is not None
    loaded = load(case, case.language_model, tmp_path)
    rows, targets = rows_and_targets(case, loaded)
    expected = reference_outputs(loaded.reference, rows, targets, "logits")
    states = hidden_states(loaded.model, rows, targets, left=False)
    with torch.no_grad():
        assert largest_error([loaded.model.logits(state) for state in states], expected) <= TOLERANCE


@each(case for case in CASES if case.classifier is not None)
def test_classification_logits_are_the_references(case: Case, tmp_path: Path) -> None:
    assert case.classifier is not None
    loaded = load(case, case.classifier, tmp_path)
    pretrained, model = loaded.pretrained, loaded.model
    assert pretrained.has_head and pretrained.labels == tuple(f"LABEL_{number}" for number in range(5))
    rows, _ = rows_and_targets(case, loaded)
    if loaded.reference.config.is_encoder_decoder:  # these read the text's end
        end = loaded.reference.config.eos_token_id
        rows = [torch.cat([row, torch.tensor([[end]])], 1) for row in rows]
    expected = [run(loaded.reference, input_ids=row).logits[0] for row in rows]
    ids, mask = pad(rows)
    with torch.no_grad():
        if model.decoder is None:
            states = model.encode(ids, mask)
        elif model.encoder is None:
            states = model.decode(ids, mask=mask)
        else:
            start = loaded.reference.config.decoder_start_token_id
            first = [row[:, -1:] if start is None else torch.tensor([[start]]) for row in rows]  # mBART wraps around
            begun = [torch.cat([token, row[:, :-1]], 1) for token, row in zip(first, rows, strict=True)]
            states = model.decode(pad(begun)[0], model.encode(ids, mask), mask, mask=mask)
        actual = list(pretrained.load_head()(states, mask))
    assert largest_error(actual, expected) <= TOLERANCE


@each(case for case in CASES if case.decodes)
def test_decoding_step_by_step_gives_the_same_states(case: Case, tmp_path: Path) -> None:
    loaded = load(case, case.family.architecture, tmp_path)
    model = loaded.model
    rows, targets = rows_and_targets(case, loaded)
    read = rows if model.encoder is None else targets
    whole = hidden_states(model, rows, targets, left=True)
    ids, mask = pad(read, left=True)
    with torch.inference_mode():
        source, source_mask = pad(rows, left=True)
        memory = None if model.encoder is None else model.encode(source, source_mask)
        memory_mask = None if memory is None else source_mask
        cache = model.new_cache(len(ids), ids.shape[1])
        steps = [
            model.decode(ids[:, t : t + 1], memory, memory_mask, mask=mask[:, t : t + 1], cache=cache)
            for t in range(ids.shape[1])
        ]
    states = [row[real] for row, real in zip(torch.cat(steps, 1), mask, strict=True)]
    assert largest_error(states, whole) <= TOLERANCE


@each_case
def test_weights_go_back_out_bit_for_bit(case: Case, tmp_path: Path) -> None:
    for architecture in filter(None, (case.family.architecture, case.language_model, case.classifier)):
        loaded = load(case, architecture, tmp_path / architecture)
        if architecture == case.family.architecture and loaded.pretrained.spec.output is not None:
            continue  # a tied output is there without weights of its own: this goes out as a language model
        out = tmp_path / f"{architecture}-exported"
        named_architecture, named = export(loaded, out)
        assert named_architecture == architecture
        original = stored(loaded.folder)
        assert set(named) <= set(original)
        assert all(torch.equal(original[name], tensor) for name, tensor in named.items())
        again, report = getattr(transformers, architecture).from_pretrained(
            out, output_loading_info=True, dtype=torch.float64
        )
        assert not report["unexpected_keys"] and not report["mismatched_keys"]
        read = {note.partition(":")[0] for note in loaded.pretrained.notes}
        assert set(report["missing_keys"]) <= read
        state = again.state_dict()
        assert all(
            torch.equal(state[RENAMED.get(name, name)], tensor) for name, tensor in original.items() if name not in read
        )
        back = read_pretrained(out).load_model().state_dict()
        assert all(torch.equal(back[name], tensor) for name, tensor in loaded.model.state_dict().items())


@pytest.mark.parametrize("model_type", FAMILIES)
def test_what_a_config_leaves_out_is_upstreams_default(model_type: str) -> None:
    family = FAMILIES[model_type]
    full = transformers.AutoConfig.for_model(model_type).to_dict()
    read = []
    for data in ({"model_type": model_type}, full):
        reader = ConfigReader(data)
        spec = family.spec(reader)
        output = None if family.language_model is None else family.language_model.spec(reader)
        head = None if family.classifier is None else family.classifier.spec(reader, 2)
        assert reader.faults == []
        read.append((spec, output, head))
    assert read[0] == read[1]


@pytest.mark.parametrize("model_type", FAMILIES)
def test_every_key_that_is_read_is_switched_by_a_case(model_type: str) -> None:
    """A key that no case changes could be misread without a test to notice."""
    switched: set[str] = set()
    wanted: set[str] = set()
    for case in (case for case in CASES if case.model_type == model_type):
        data = transformers.AutoConfig.for_model(model_type, **case.options).to_dict()
        reader = ConfigReader(data)
        family = case.family
        family.spec(reader)
        if family.language_model is not None:
            family.language_model.spec(reader)
        if family.classifier is not None:
            family.classifier.spec(reader, 2)
        wanted |= set(reader.read)
        switched |= {key for key, default in reader.read.items() if data.get(key, default) != default}
    assert wanted, "no case"
    assert {key for key in wanted - switched if not {key, f"{model_type}.{key}"} & UNSWITCHED} == set()


RENAMED = {"embed_out.weight": "lm_head.weight"}
"""Stored names that upstream changes as it reads: GPT-NeoX's output, since version 5."""

UNSWITCHED = {
    "position_embedding_type",  # only one value is supported; refusing the others has its own test
    *("tie_weights_", "relative_attention_num_buckets", "inner_group_num", "layers_to_keep"),  # likewise
    *("conv_kernel_size", "deberta-v2.embedding_size", "attention_head_size", "pooler_hidden_size", "legacy"),
    *("down_scale_factor", "gap_size", "net_structure_type", "num_memory_blocks"),
    *("normalize_before", "normalize_embedding", "add_final_layer_norm", "static_position_embeddings"),  # likewise
    *("do_blenderbot_90_layernorm", "extra_pos_embeddings"),
    *(f"{family}.tie_word_embeddings" for family in ("marian", "bart", "mbart", "pegasus", "m2m_100")),
    "t5.tie_word_embeddings",  # upstream makes it true whatever it is; see test_real_configs_encoder_decoder
    "rope_theta",
    "rope_scaling",  # how configs said it before rope_parameters; see test_rotary_configs
    "partial_rotary_factor",
    *("rotary_emb_base", "rotary_pct", "rope_local_base_freq"),  # likewise
    *("global_rope_theta", "local_rope_theta"),  # likewise; see test_real_configs_encoders
    *(
        "use_mrope",
        "use_bidirectional_attention",
        "gemma.hidden_activation",
    ),  # one value; see test_real_configs_decoders
    *("gemma3_text.attn_logit_softcapping", "phi3.attention_bias"),  # likewise
}
