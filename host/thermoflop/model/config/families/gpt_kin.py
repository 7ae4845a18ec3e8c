"""Decoders of GPT's kind before 2023 that are few today: CTRL, GPT, XGLM and others.

Defaults and structure are those of the classes of transformers 5.24.
"""

from __future__ import annotations

from thermoflop.errors import UnknownModel
from thermoflop.model.architecture.parts import Linear, Norm, Part, Vector
from thermoflop.model.config.architectures import class_name
from thermoflop.model.config.families.classic import ALL_BIASES, LAYER_NORM
from thermoflop.model.config.families.patterns import every, layers_alone
from thermoflop.model.config.family import called, family, maybe, names, sizes, use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.model.config.keys import Config

family("gpt-sw3", "gpt2")
family(
    "openai-gpt",
    "gpt2",
    keys={"vocab_size": 40478, "n_positions": 512, "afn": "gelu"},
    traits={
        "inner": lambda config: 4 * config["n_embd"],
        "activation": use("afn"),
        "final_norm": False,
    },
    drop=("n_inner", "activation_function"),
    ignored=("n_special", "predict_special_tokens"),
)
family(
    "ctrl",
    "gpt2",
    keys={
        "vocab_size": 246534,
        "n_embd": 1280,
        "n_layer": 48,
        "n_head": 16,
        "dff": 8192,
    },
    traits={"inner": use("dff"), "activation": "relu", "head_bias": True},
    drop=("n_inner", "activation_function", "n_positions"),
    aliases={"max_position_embeddings": "max_position_embeddings"},
)


family(
    "xglm",
    keys={
        "vocab_size": 256008,
        "d_model": 1024,
        "ffn_dim": 4096,
        "num_layers": 24,
        "attention_heads": 16,
        "activation_function": "gelu",
        "tie_word_embeddings": True,
        "add_cross_attention": False,
    },
    traits={
        **LAYER_NORM,
        **ALL_BIASES,
        "layers": layers_alone("num_layers"),
        "inner": use("ffn_dim"),
        "gated": False,
        "rotary": False,  # positions are sines, added to the embedding
    },
    aliases=called(hidden="d_model", layers="num_layers", heads="attention_heads"),
)
family(
    "gpt_neox_japanese",
    "gpt_neox",
    keys={
        **sizes(vocab=32000, hidden=2560, layers=32, heads=32),
        "intermediate_multiple_size": 4,
        "tie_word_embeddings": True,
    },
    traits={
        "inner": lambda config: config["hidden_size"] * config["intermediate_multiple_size"],
        "up_bias": False,
        # the output projection of the last layer alone has a bias
        "extras": lambda config: (Vector("dense_bias", "attn", config["hidden_size"], bias=True),),
    },
    drop=("intermediate_size", "attention_bias"),
)


def _no_classifier(config: Config) -> tuple[Part, ...]:
    """Its classifiers keep the transform and have biases of their own."""
    if "Classification" in class_name(config, "ForCausalLM"):
        raise UnknownModel("a classifier on modernbert-decoder is not described")
    return ()


def _every_nth_from_the_first(config: Config) -> Sequence[str]:
    period, layers = config["global_attn_every_n_layers"], config["num_hidden_layers"]
    kinds: Sequence[str] = (
        every(1)(config)
        if config["layer_types"]
        else ["sliding" if index % period else "full" for index in range(layers)]
    )
    return kinds


family(
    "modernbert-decoder",
    keys={
        **sizes(vocab=50368, hidden=768, inner=1152, layers=22, heads=12),
        "hidden_activation": "gelu",
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "decoder_bias": True,
        "classifier_bias": False,
        "local_attention": maybe(128),
        "layer_types": names(),
        "global_attn_every_n_layers": 3,
        "tie_word_embeddings": True,
    },
    traits={
        "norm": "layer",
        "norm_bias": use("norm_bias"),
        # the norm of the embeddings stands in place of the first layer's first one
        "kinds": _every_nth_from_the_first,
        "window": lambda config: (config["local_attention"] or 0) // 2 or None,
        "head_bias": use("decoder_bias"),
        "extras": _no_classifier,
        "head_parts": lambda config: (
            Linear(
                "head_transform",
                "head_transform",
                "head_transform",
                config["hidden_size"],
                config["hidden_size"],
                config["classifier_bias"],
                unquantized=True,
            ),
            Norm("head_norm", config["hidden_size"], "layer", bias=config["norm_bias"]),
        ),
    },
    ignored=("sliding_window",),  # half of local_attention, whatever it says
)
