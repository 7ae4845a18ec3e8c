"""Files of many architectures say the model of the published config.json: names by the ``gguf``
library, tensors by kit/gguf_models.py; three sources that agree to the number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import thermoflop as tf
from kit.gguf_layouts import laid_out, written
from kit.gguf_more_models import LAYOUTS
from thermoflop.cost.training.train import text_of
from thermoflop.errors import UnknownModel, UsageError
from thermoflop.model.config.catalogue import entry
from thermoflop.model.config.families import find_family

# an encoder of GGUF has no head
BARE = ("NOMIC_BERT", "NOMIC_BERT_MOE", "MODERN_BERT", "EUROBERT", "JINA_BERT_V2")


def configuration(name: str, more: dict[str, Any] | None = None) -> dict[str, Any]:
    """A config.json of the catalogue, or what a class is by itself (``=olmo``)."""
    if name.startswith("="):
        family = find_family(name[1:])
        assert family is not None
        defaults = {key: rule.default for key, rule in family.keys.items()}
        stated = {key: value for key, value in defaults.items() if value is not None}
        return {**stated, **(more or {}), "model_type": name[1:], "list_of": list}
    found = entry(name)
    assert found is not None
    whole: dict[str, Any] = found["config"]
    return {**whole, **whole.get("text_config", {}), "list_of": list}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_of_another_architecture_says_its_model(tmp_path: Path, layout: str) -> None:
    """Parameters, and the bytes of cache, state and weights, are those of the config.json."""
    arch, name = layout.split()
    config = configuration(name, LAYOUTS[layout].get("config"))
    keys, shapes = laid_out(config, LAYOUTS[layout])
    del config["list_of"]
    published = text_of(tf.load_model(config if name.startswith("=") else name))
    if arch in BARE:
        published = tf.load_model({**config, "architectures": ["BertModel"]})
    found = tf.load_model(written(tmp_path / "m.gguf", arch, keys, shapes))
    assert found.params == published.params
    assert not [note for note in found.notes if "tensors hold" in note]
    assert found.stored is not None
    own = [shape for key, shape in shapes.items() if f"blk.{published_layers(keys)}." not in key]
    assert found.stored.size_bytes == 2 * sum(int(np.prod(shape)) for shape in own)
    if "BERT" not in arch and published.generates:
        options: dict[str, Any] = {"prompt": 3000, "generate": 100, "kv_dtype": "fp16"}
        options |= {"prompt": 400} if (published.max_positions or 4096) < 3000 else {}
        mine, theirs = (
            tf.estimate(model, "h200", **options).memory.kv_bytes for model in (found, published)
        )
        assert mine == theirs


def test_a_gguf_file_without_what_predicts_further_ahead_has_none(tmp_path: Path) -> None:
    """Qwen3-Next has it where the file is its publisher's."""
    keys, shapes = laid_out(
        configuration("qwen3-next-80b-a3b"), LAYOUTS["QWEN3NEXT qwen3-next-80b-a3b"]
    )
    path = written(tmp_path / "m.gguf", "QWEN3NEXT", keys, shapes)
    assert not [note for note in tf.load_model(path).notes if "further ahead" in note]
    with pytest.raises(UsageError, match="names no layers that predict further ahead"):
        tf.load_model(path, mtp=True)


def test_what_predicts_further_ahead_counts_with_its_tensors_where_it_is_asked_for(
    tmp_path: Path,
) -> None:
    name = "nemotron-3-super-120b-a12b"
    keys, shapes = laid_out(configuration(name), LAYOUTS[f"NEMOTRON_H_MOE {name}"])
    found = tf.load_model(written(tmp_path / "m.gguf", "NEMOTRON_H_MOE", keys, shapes), mtp=True)
    everything = 2 * sum(int(np.prod(shape)) for shape in shapes.values())
    assert found.stored is not None
    assert found.stored.size_bytes == everything
    assert [note for note in found.notes if f"weights as stored: {everything:,} B" in note]


def published_layers(keys: dict[str, Any]) -> int:
    ahead: int = keys.get("nextn_predict_layers", 0)
    layers: int = keys["block_count"]
    return layers - ahead if ahead else 10**6


LLAMA = {
    "let": "h=64 L=2 n=4 kv=2 f=128 V=96", "all": "$norms; $attn; $ffn",
}  # fmt: skip
# embedding and head, the last norm, and in each of two layers two norms, attention and feed-forward
COUNTED = 2 * 96 * 64 + 64 + 2 * (2 * 64 + 2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64)


def llama(path: Path, more: str = "", less: tuple[str, ...] = (), **keys: int) -> Path:
    """A small llama with other tensors and keys than it says."""
    stated, shapes = laid_out({}, LLAMA | {"outside": f"{LLAMA_OUTSIDE}{more}"})
    shapes = {name: shape for name, shape in shapes.items() if name not in less}
    return written(path / "m.gguf", "LLAMA", {**stated, **keys}, shapes)


LLAMA_OUTSIDE = "token_embd V,h; output V,h; output_norm h"


def test_factors_of_rotations_are_no_parameters(tmp_path: Path) -> None:
    model = tf.load_model(llama(tmp_path, "; rope_freqs 8"))
    assert (model.params, model.stored.size_bytes) == (COUNTED, 2 * (COUNTED + 8))  # type: ignore[union-attr]
    assert not [note for note in model.notes if "numbers" in note]


def test_tensors_that_are_not_quite_those_of_the_metadata_are_said(tmp_path: Path) -> None:
    """Both numbers, and the weights are the file's bytes."""
    model = tf.load_model(llama(tmp_path, "; blk.1.ffn_norm.bias h"))
    said = (
        f"the file's tensors hold {COUNTED + 64:,} numbers where {COUNTED:,} are counted: weights "
        "have the file's bytes"
    )
    assert (model.params, said in model.notes) == (COUNTED, True)
    memory = tf.fit(model, "rtx-4090", prompt=10, generate=10).memory
    assert memory.weight_bytes == pytest.approx(2 * (COUNTED + 64))


@pytest.mark.parametrize("inner", [123, 124, 132, 133, 256])
def test_tensors_of_another_model_than_the_metadata_says_are_refused(
    tmp_path: Path, inner: int
) -> None:
    """A feed-forward of 124 or 132 would be 1536 numbers fewer or more, 1.8 %, and is said; one
    neuron further, 2.2 %, is refused."""
    path = llama(tmp_path, feed_forward_length=inner)
    counted = COUNTED + 2 * 3 * (inner - 128) * 64
    if inner in (124, 132):
        assert tf.load_model(path).params == counted
        return
    said = f"its metadata says {counted:,} parameters of a llama where its tensors hold {COUNTED:,}"
    with pytest.raises(UnknownModel, match=f"not understood: {said}.*: {COUNTED:,} numbers in"):
        tf.load_model(path)


def test_a_file_without_tensors_is_counted_by_its_metadata(tmp_path: Path) -> None:
    stated, _ = laid_out({}, LLAMA)
    model = tf.load_model(written(tmp_path / "m.gguf", "LLAMA", stated | {"vocab_size": 96}, {}))
    assert (model.params, model.stored) == (COUNTED, None)
    assert [note for note in model.notes if "holds no tensors" in note]


def test_what_sees_in_a_file_of_ollama_is_weighed_and_not_counted(tmp_path: Path) -> None:
    path = llama(tmp_path)
    stated, shapes = laid_out({}, LLAMA)
    shapes |= {"v.blk.0.attn_q.weight": (64, 64), "mm.0.weight": (64, 32)}
    path = written(tmp_path / "o.gguf", "LLAMA", stated, shapes, known=False)
    model = tf.load_model(path)
    assert (model.params, model.stored.size_bytes) == (COUNTED, 2 * COUNTED)  # type: ignore[union-attr]
    seeing = 64 * 64 + 64 * 32
    assert (
        f"what sees or hears in the file is not counted: {seeing:,} numbers in {2 * seeing:,} B"
        in model.notes
    )


@pytest.mark.parametrize("arch", ["DREAM", "LLADA", "LLADA_MOE", "RND1"])
def test_files_of_what_removes_masks_are_as_their_configurations(tmp_path: Path, arch: str) -> None:
    """llm_arch_is_diffusion of llama.cpp's llama-arch.cpp: no causal mask, and no cache."""
    stated = {
        "block_count": 2, "embedding_length": 64, "feed_forward_length": 96,
        "attention.head_count": 4, "vocab_size": 96, "expert_count": 4, "expert_used_count": 2,
        "expert_feed_forward_length": 32,
    }  # fmt: skip
    model = tf.load_model(written(tmp_path / "m.gguf", arch, stated, {}))
    assert (model.purpose, model.is_encoder) == ("unmask", True)
