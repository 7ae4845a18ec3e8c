"""A GGUF file as a model: its metadata as a family's configuration, held against its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from thermoflop.base.messages import nearest
from thermoflop.errors import InputError, UnknownModel
from thermoflop.model.config.families import find_family
from thermoflop.model.config.gguf_architectures import (
    BESIDE,
    COMMON,
    NAMES,
    TYPES,
    UNMASKING,
    find_architecture,
)
from thermoflop.model.config.gguf_header import Gguf
from thermoflop.model.config.gguf_layers import SPECIAL, sliding_layers
from thermoflop.model.config.gguf_metadata import Metadata
from thermoflop.model.config.gguf_others import OTHERS
from thermoflop.model.config.readers import UNSAID
from thermoflop.model.config.stored_files import StoredTensor, StoredWeights, summed

# Beyond this share, the tensors are those of another model than the metadata says.
CLOSE = 0.02
XIELU = ("alpha_p", "alpha_n")


def config_of(data: Metadata) -> dict[str, Any]:
    """The configuration that the metadata states. UnknownModel for an architecture that is none
    of those that are read, InputError for a file without its sizes."""
    found = find_architecture(data.name)
    if found is None:
        raise _refused(data)
    family, keys, present = found
    config: dict[str, Any] = {"model_type": family}
    read = {**COMMON, **keys}
    for key, behind in read.items():
        value = data.one(behind)
        if value is None and key in COMMON and data.get(behind) is None:
            value = data.one(COMMON[key])  # as Ollama writes the width of experts
        if value is not None:
            config[key] = value
    config["num_hidden_layers"] = data.layers
    if data.name in UNMASKING:
        config["is_causal"] = False
    if data.ahead or config["model_type"] in UNSAID:  # the file says how many it holds
        config["num_nextn_predict_layers"] = data.ahead
    _vocabulary(config, data)
    if data.tensors:
        config |= {key: data.has(tensor) for key, tensor in present.items()}
    width = data.one("attention.key_length")
    if width is not None:
        config["head_dim"] = width
    special = SPECIAL.get(data.name) or OTHERS.get(data.name)
    if special is not None:
        special(config, data)
    _keep_what_is_read(config, data, read)
    return config


def _refused(data: Metadata) -> UnknownModel:
    """What a file is that is no model known here."""
    beside = BESIDE.get(data.name)
    if beside is not None:
        return UnknownModel(
            f"{data.path} is {beside}: {_weighed(data.gguf.tensors)}; expected the model's file"
        )
    near = nearest(data.name, NAMES) or "llama"
    return UnknownModel(
        f"the GGUF architecture {data.name[:40]!r} is not read, and nothing but its weights is "
        f"known: {_weighed(data.gguf.tensors)}; expected one of {len(NAMES)} such as {near}"
    )


def metadata_of(gguf: Gguf, path: str) -> Metadata:
    """The file as one architecture's. InputError for a file that names none or is no model."""
    name, kind = (gguf.metadata.get(f"general.{key}") for key in ("architecture", "type"))
    if isinstance(kind, str) and kind in TYPES:
        raise UnknownModel(
            f"{path} is {TYPES[kind]}: {_weighed(gguf.tensors)}; expected the model's file"
        )
    if not isinstance(name, str) or not name:
        raise InputError(f"{path} names no general.architecture")
    if find_architecture(name) is None:
        return Metadata(Gguf({}, {}, gguf.tensors), path, name)
    return Metadata(gguf, path, name)


def _weighed(tensors: Iterable[StoredTensor]) -> str:
    """What tensors are and take, whatever they are for."""
    sizes = [(tensor.elements, tensor.size_bytes) for tensor in tensors]
    return f"{sum(each for each, _ in sizes):,} numbers in {sum(each for _, each in sizes):,} B"


def _vocabulary(config: dict[str, Any], data: Metadata) -> None:
    """Rows of the embedding, which is the head's as well where that has no tensor."""
    table = data.sides("token_embd.weight")
    words = table[1] if len(table) == 2 else data.gguf.lengths.get("tokenizer.ggml.tokens")
    config["vocab_size"] = words or data.count("vocab_size")
    if data.tensors:
        config["tie_word_embeddings"] = "output.weight" not in data.tensors


def _keep_what_is_read(config: dict[str, Any], data: Metadata, read: Mapping[str, str]) -> None:
    """Take out what the family does not read, and refuse what it reads and the file has not.

    An array of layers that are not alike is refused where nothing has read it; windows and biases
    are those that the file says, or none."""
    family = find_family(config["model_type"])
    assert family is not None  # noqa: S101 - the table names families that there are
    own = {*family.keys, *family.aliases, *family.overriding}
    for key in (*COMMON, "head_dim", "tie_word_embeddings"):
        if key not in own and key != "max_position_embeddings":
            config.pop(key, None)
        elif key in COMMON and key not in config and read[key] not in data.by_layer_read:
            data.refuse_differing(read[key])
    needed = {"hidden_size", "num_hidden_layers", "num_attention_heads"} & own
    for key in (*sorted(needed), *({"intermediate_size"} & set(family.keys))):
        if not config.get(key) and read[key] not in data.by_layer_read:
            raise InputError(f"{data.path} has no {data.name}.{read[key]}")
    # where the file says nothing, as many key heads as heads, and all together as wide as the model
    heads, dim = config.get("num_attention_heads"), family.keys.get("head_dim")
    if type(heads) is int and heads > 0:
        if "num_key_value_heads" in own and read["num_key_value_heads"] not in data.by_layer_read:
            config.setdefault("num_key_value_heads", heads)
        if dim is not None and dim.default is not None:
            config.setdefault("head_dim", data.count("embedding_length") // heads)
    kinds = sliding_layers(data)
    if kinds is not None and "layer_types" in own:
        config.setdefault("layer_types", kinds)
    window = family.keys.get("sliding_window")
    if window is not None and window.nullable and not config.get("sliding_window"):
        config["sliding_window"] = None
        config.pop("layer_types", None)
    if data.tensors and "attention_bias" in own:
        config["attention_bias"] = data.has("attn_q.bias") or data.has("attn_qkv.bias")
    if data.tensors and "mlp_bias" in own:
        config["mlp_bias"] = data.has("ffn_up.bias")


def numbers_said(
    data: Metadata, config: Mapping[str, Any], params: int, pooler: int
) -> tuple[str, ...]:
    """Sentences on tensors that are not counted; none where they are the parameters, one by one.

    Tensors state how many numbers a model has. What a class has and no file (a pooler, the numbers
    of xIELU, which are metadata), and what a file has and no class, is allowed for.

    Raises:
        UnknownModel: where both numbers are those of two models.
    """
    if not data.tensors:
        return (f"{data.path} holds no tensors: its metadata alone is read",)
    said = []
    seeing = [tensor for tensor in data.gguf.tensors if data.sees(tensor)]
    if seeing:
        said.append(f"what sees or hears in the file is not counted: {_weighed(seeing)}")
    own = data.own()
    most = sum(tensor.elements for tensor in own)
    least = most - sum(tensor.elements for tensor in own if _is_beside(data, config, tensor))
    absent = pooler + sum(len(data.gguf.metadata.get(f"xielu.{key}") or ()) for key in XIELU)
    if least - most * CLOSE <= params and params - absent <= most * (1 + CLOSE):
        if not least <= params <= most and not least <= params - absent <= most:
            said.append(
                f"the file's tensors hold {most:,} numbers where {params:,} are counted: "
                "weights have the file's bytes"
            )
        return tuple(said)
    raise UnknownModel(
        f"{data.path} is not understood: its metadata says {params:,} parameters of a "
        f"{data.name} where its tensors hold {most:,} numbers, and nothing but its weights is "
        f"known: {_weighed(own)}"
    )


def _is_beside(data: Metadata, config: Mapping[str, Any], tensor: StoredTensor) -> bool:
    """Whether no class counts a tensor, or not every one: buffers, keys that later layers have and
    never read, halves of a matrix that is there as a whole too, what follows an embedding."""
    part = tensor.name.partition(".")[2].partition(".")[2]
    if data.is_buffer(tensor) or tensor.name.startswith(("dense_2.", "dense_3.", "cls.")):
        return True
    if part in ("attn_k_b.weight", "attn_v_b.weight"):
        return data.has("attn_kv_b.weight")
    if part in ("time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight"):
        return tensor.name.startswith("blk.0.")  # copies that stand for what RWKV-7 has not there
    if part in ("attn_k.weight", "attn_v.weight", "attn_k_norm.weight"):
        block = int(tensor.name.split(".")[1])
        shared: int = config.get("num_kv_shared_layers", 0)
        return block >= data.layers - shared
    return False


def stored_of(data: Metadata, ahead: bool = False) -> StoredWeights | None:
    """The weights of the model itself, ``ahead``: with those of what predicts further ahead."""
    own = data.own()
    if ahead:
        own += [each for each in data.gguf.tensors if data.is_ahead(each) and not data.sees(each)]
    if not own:
        return None
    return summed(((each.dtype, each.elements, each.size_bytes) for each in own), data.gguf.files)
