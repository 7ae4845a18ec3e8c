"""What drafts a block of tokens at once from states of a model (DFlash, DSpark), and Gemma 4's
assistants, which read the keys and values of the model's last layers.

Parts as in ``qwen3_dflash.py``, ``qwen3_dflash2.py`` and ``qwen3_dspark.py`` of vLLM, and
``modeling_gemma4_assistant.py`` of transformers. Table and head of DFlash are the model's own and
are not counted, where the file names no vocabulary of its own.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import UnknownModel
from thermoflop.model.architecture.description import Description, Placed, Stack
from thermoflop.model.architecture.mixers import Attention
from thermoflop.model.architecture.parts import Linear, StatesMap, Table, lm_head
from thermoflop.model.config.decoder import DEFAULTS, decoder_runs, norm_of
from thermoflop.model.config.eagle import map_of_states, states_read
from thermoflop.model.config.family import Section
from thermoflop.model.config.keys import Config, Traits
from thermoflop.model.config.readers import read_section, reader_of


def read_dflash(config: Config) -> Description:
    """Layers over a block of masked tokens, whose keys and values are of states before it too."""
    traits = Traits(config, DEFAULTS)
    hidden, vocab = traits["hidden"], traits["vocab"]
    states, target = states_read(config, traits["layers"]), config["target_hidden_size"]
    section = config["dflash_config"] or {}
    others = [key for key in ("use_swa", "attention_sink_bias") if section.get(key)]
    if others or not states:
        what = f"dflash_config.{others[0]}" if others else "use_aux_hidden_state false"
        raise UnknownModel(f"{config.family.name} with {what} is not described")
    front = (
        *map_of_states(config, states, target or hidden, hidden, block=True),
        Placed(norm_of(traits, "norm of states' map", hidden)),
        *traits["front"],
    )
    tail = (Placed(norm_of(traits, "final_norm", hidden)), *traits["tail"])
    own, choices = config["draft_vocab_size"], config["draft_vocab_size"] or vocab
    tied = own is None and not config["has_own_lm_head"]
    stack = Stack("decoder", hidden, decoder_runs(traits), front, tail)
    return Description((stack,), head=lm_head(hidden, choices, tied))


def read_assistant(config: Config) -> Description:
    """A small Gemma 4 without keys of its own, between maps from and to the model's width."""
    section = Section("text_config", f"{config.family.traits['text']}_text", fixed=False)
    text = config.nested["text_config"] = read_section(config, section, num_kv_shared_layers=0)
    described = reader_of(text.family.reader)(text)
    text.check_all()
    stack, wide = described.stacks[0], config["backbone_hidden_size"]
    hidden, vocab = stack.hidden, text["vocab_size"]
    runs = []
    for run in stack.runs:
        mixer = run.layer.mixer
        if not isinstance(mixer, Attention) or len(stack.front) > 1:
            raise UnknownModel(
                f"{config.family.name} needs layers without inputs of their own "
                "(hidden_size_per_layer_input 0)"
            )
        keyless = replace(mixer, projects="q", k_norm=None, v_norm=None)
        runs.append(replace(run, layer=replace(run.layer, mixer=keyless)))
    table = Placed(Table("embed_tokens", "embed_tokens", vocab, hidden), "none")
    states = StatesMap("pre_projection", "embed_proj", "embed_proj", 2 * wide, hidden, states=2)
    back = Linear("post_projection", "embed_proj", "embed_proj", hidden, wide)
    tail, choices = (*stack.tail, Placed(back)), vocab
    tied = config["tie_word_embeddings"]
    if config["use_ordered_embeddings"]:  # logits of the tokens of a few groups alone
        groups = config["num_centroids"]
        tail = (*tail, Placed(Linear("centroids", "lm_head", "lm_head", hidden, groups)))
        choices = config["centroid_intermediate_top_k"] * (vocab // groups)
        if not tied:
            raise UnknownModel("use_ordered_embeddings with a head of its own is not described")
    stack = replace(stack, runs=tuple(runs), front=(table, Placed(states)), tail=tail)
    return Description((stack,), head=lm_head(hidden, choices, tied))
