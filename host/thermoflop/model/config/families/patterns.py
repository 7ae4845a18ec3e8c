"""Which layers are which: the rules by which configurations name sliding, dense and other layers.

Each rule is a function of the configuration that returns one word or one truth value per layer.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError, UnknownModel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from thermoflop.model.config.keys import Config

LAYER_KINDS = {
    "full_attention": "full",
    "attention": "full",
    "global": "full",
    "sliding_attention": "sliding",
    "local": "sliding",
    "chunked_attention": "chunked",
    "linear_attention": "linear",
    "mamba": "mamba",
    "conv": "conv",
    "hybrid": "hybrid",
    "moe": "moe",
    "mlp": "mlp",
}


# words of published files by those of today (``_LEGACY_LAYER_TYPE_REMAP`` of transformers 5.24)
_FORMER = {
    "mamba": "linear_attention",
    "attention": "full_attention",
    "deepseek_sparse_attention": "indexed_attention",
    "qwen_sparse_attention": "indexed_attention",
}


def from_layer_types(config: Config, layers: int) -> list[str] | None:
    """The kinds in ``layer_types``, one a layer, or None when the key is absent."""
    kinds = config["layer_types"]
    if kinds is None:
        return None
    if len(kinds) != layers:
        raise InputError(
            f"layer_types names {len(kinds)} layers where num_hidden_layers is {layers}"
        )
    unknown = next((kind for kind in kinds if kind not in LAYER_KINDS), None)
    if unknown is not None:
        raise InputError(
            f"layer_types holds {quote_value(unknown)}, which is no kind of layer known here"
        )
    return [LAYER_KINDS[kind] for kind in kinds]


def by_words(config: Config, table: Mapping[str, str]) -> Sequence[str] | None:
    """The same by a family's own words; what is beyond the last layer is cut."""
    if config["layer_types"] is None:
        return None
    return [table[word] for word in words(config, "layer_types", table)]


def by_place(rule: Callable[[Config, int], str]) -> Callable[[Config], Sequence[str]]:
    """``layer_types``, or else what a rule makes of each layer's number."""

    def kinds(config: Config) -> Sequence[str]:
        layers = config["num_hidden_layers"]
        return from_layer_types(config, layers) or [rule(config, at) for at in range(layers)]

    return kinds


def every(
    period: int | str, others: str = "sliding", first: int = -1
) -> Callable[[Config], Sequence[str]]:
    """``layer_types``, or else every ``period``-th layer full from the ``first`` on (-1: the last
    of each period); a period may stand under a key."""

    def kinds(config: Config) -> Sequence[str]:
        usual = config[period] if isinstance(period, str) else period
        step = config.get("sliding_window_pattern", usual)
        return by_place(lambda _, at: others if (at - first) % step else "full")(config)

    return kinds


def reads_earlier_keys(config: Config, kinds: Sequence[str]) -> Sequence[bool]:
    """The last ``num_kv_shared_layers`` layers, which take the keys and values of the last layer of
    their kind before them."""
    own = len(kinds) - config.get("num_kv_shared_layers", 0)
    without = set(kinds[max(own, 0) :]) - set(kinds[: max(own, 0)])
    if without:
        raise InputError(
            f"num_kv_shared_layers = {config['num_kv_shared_layers']} leaves no layer with keys of "
            f"its own for the kind {min(without)}"
        )
    return [index >= own for index in range(len(kinds))]


def all_sliding(config: Config) -> Sequence[str]:
    """Every layer slides, if there is a window at all."""
    return ["sliding"] * config["num_hidden_layers"]


def after_max_window_layers(config: Config) -> Sequence[str]:
    """Qwen2 and Qwen3: the layers from ``max_window_layers`` on slide."""
    layers = config["num_hidden_layers"]
    full = min(config["max_window_layers"], layers)
    return from_layer_types(config, layers) or ["full"] * full + ["sliding"] * (layers - full)


def rotated_layers(config: Config) -> Sequence[int]:
    """1 for a layer with rotation: ``no_rope_layers``, or all but every interval-th.

    An empty list stands for the default, as in the published Llama 4 configurations.
    """
    layers, stated = config["num_hidden_layers"], config["no_rope_layers"]
    if not stated:
        period = config["no_rope_layer_interval"]
        return [int((index + 1) % period != 0) for index in range(layers)]
    if len(stated) < layers:
        raise InputError(f"no_rope_layers names {len(stated)} of {layers} layers")
    rotated: Sequence[int] = stated[:layers]
    return rotated


def by_rotation(rotated: str, others: str) -> Callable[[Config], Sequence[str]]:
    """Layers with rotation are of one kind, those without of another, unless each is named."""

    def kinds(config: Config) -> Sequence[str]:
        layers = config["num_hidden_layers"]
        return from_layer_types(config, layers) or [
            rotated if turns else others for turns in rotated_layers(config)
        ]

    return kinds


def at_indices(key: str, named: str, others: str) -> Callable[[Config], Sequence[str]]:
    """The layers whose numbers stand under a key are of one kind, all others of another."""

    def kinds(config: Config) -> Sequence[str]:
        listed = set(layer_indices(config, key))
        return [named if at in listed else others for at in range(config["num_hidden_layers"])]

    return kinds


def sparse_by_step(config: Config) -> Sequence[bool]:
    """Qwen MoE: every ``decoder_sparse_step``-th layer but those in ``mlp_only_layers``.

    Without experts every layer is dense, as in the class.
    """
    if config["num_experts"] == 0:
        return [False] * config["num_hidden_layers"]
    dense = set(layer_indices(config, "mlp_only_layers"))
    step, layers = config["decoder_sparse_step"], config["num_hidden_layers"]
    return [index not in dense and (index + 1) % step == 0 for index in range(layers)]


def sparse_after_first(config: Config) -> Sequence[bool]:
    """DeepSeek: dense for the first ``first_k_dense_replace`` layers, then every freq-th sparse."""
    first = config["first_k_dense_replace"]
    step = config.get("moe_layer_freq", 1)
    layers = config["num_hidden_layers"]
    return [index >= first and index % step == 0 for index in range(layers)]


def sparse_by_mlp_types(config: Config) -> Sequence[bool]:
    """The layers that ``mlp_layer_types`` calls sparse, or all after the first dense ones."""
    layers, types = config["num_hidden_layers"], config["mlp_layer_types"]
    if types is None:
        first = config.get("first_k_dense_replace", 1)
        return [index >= first for index in range(layers)]
    return [kind == "sparse" for kind in words(config, "mlp_layer_types", ("dense", "sparse"))]


def sparse_from(first: int | str) -> Callable[[Config], Sequence[bool]]:
    """``mlp_layer_types``, or else all layers from this one on, whose number may be a key's."""

    def sparse(config: Config) -> Sequence[bool]:
        if config.get("mlp_layer_types") is not None:
            return sparse_by_mlp_types(config)
        start = config[first] if isinstance(first, str) else first
        return [index >= start for index in range(config["num_hidden_layers"])]

    return sparse


def either_sparse(config: Config) -> Sequence[bool]:
    """``mlp_layer_types``, or DeepSeek's rule where they are absent."""
    stated = config["mlp_layer_types"]
    return sparse_by_mlp_types(config) if stated else sparse_after_first(config)


def words(config: Config, key: str, allowed: Container[str]) -> Sequence[str]:
    """A list of one word for each layer, all of which are known; what is beyond the last is cut."""
    layers, found = config["num_hidden_layers"], config[key]
    if len(found) < layers:
        raise InputError(f"{key} names {len(found)} layers where num_hidden_layers is {layers}")
    found = [word if word in allowed else _FORMER.get(word, word) for word in found]
    unknown = next((word for word in found if word not in allowed), None)
    if unknown is not None:
        raise InputError(f"{key} holds {quote_value(unknown)}, which is no kind known here")
    kinds: Sequence[str] = found[:layers]
    return kinds


def layer_indices(config: Config, key: str) -> Sequence[int]:
    """A list of layer numbers, each of which exists."""
    indices: Sequence[int] = config[key] or ()
    layers = config["num_hidden_layers"]
    wrong = next((index for index in indices if not 0 <= index < layers), None)
    if wrong is not None:
        raise InputError(f"{key} names layer {wrong}, but there are layers 0 to {layers - 1}")
    return indices


def stated(key: str) -> Callable[[Config], int]:
    """A count for which the class has no default."""

    def read(config: Config) -> int:
        count: int | None = config[key]
        if count is None:
            raise InputError(f"{key} is missing, and {config.family.name} has no default for it")
        return count

    return read


def layers_alone(key: str) -> Callable[[Config], int]:
    """So many layers, where none of them attends to an encoder."""

    def layers(config: Config) -> int:
        if config["add_cross_attention"]:
            name = config.family.name
            raise UnknownModel(f"add_cross_attention = true is not described for {name}")
        return int(config[key])

    return layers
