"""Granite Speech, as in the class of transformers 5.24."""

from __future__ import annotations

from thermoflop.model.config.families import beside_wrappers, early_towers  # noqa: F401 - parents
from thermoflop.model.config.families.sections import text_of, wrapper
from thermoflop.model.config.family import Section, called, family, mapping
from thermoflop.model.config.granite_ears import granite_stack, windowed_queries

family(
    "granite_speech_encoder",
    reader="tower",
    keys={
        "input_dim": 160,
        "num_layers": 10,
        "hidden_dim": 1024,
        "feedforward_mult": 4,
        "num_heads": 8,
        "dim_head": None,
        "output_dim": 42,
        "context_size": 200,
        "max_pos_emb": 512,
        "conv_kernel_size": 15,
        "conv_expansion_factor": 2,
    },
    traits={"stack": granite_stack},
    aliases={
        **called(hidden="hidden_dim", layers="num_layers", heads="num_heads"),
        "num_mel_bins": "input_dim",
    },
    ignored=("cat_hidden_layers",),  # what the projector then reads is its encoder_hidden_size
)
family("granite_speech_projector", "blip_2_qformer", keys={"encoder_hidden_size": 1408})
wrapper(
    "granite_speech",
    text_of("granite"),
    None,
    tie=True,
    keys={"projector_config": mapping(), "downsample_rate": 5, "window_size": 15},
    traits={"sections": (Section("projector_config", "granite_speech_projector"),)},
    ears=(Section("encoder_config", "granite_speech_encoder"), windowed_queries),
    ignored=("has_lora_adapter",),
)
family("granite_speech_plus", "granite_speech")
