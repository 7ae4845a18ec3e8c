"""Models that read pages for retrieval (ColPali and its kin): a model that sees, without its head,
and one matrix that makes a short vector of each token.

Parts as in ``modeling_colpali.py``, ``modeling_colqwen2.py`` and ``modeling_colmodernvbert.py`` of
transformers.
"""

from __future__ import annotations

from thermoflop.base.record import replace
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description
from thermoflop.model.architecture.parts import Linear
from thermoflop.model.config.architectures import built
from thermoflop.model.config.keys import Config
from thermoflop.model.config.readers import read_section, reader_of


def read_retrieval(config: Config) -> Description:
    """The model in ``vlm_config``, and the matrix behind it."""
    built(config, "ForRetrieval", ("retrieval",))
    section = config.family.traits["whole_model"]
    inner = config.nested["text_config"] = read_section(config, section, architectures=["Model"])
    described = reader_of(inner.family.reader)(inner)
    inner.check_all()
    if described.stack("image") is None:
        raise InputError(f"vlm_config is a {inner.family.name}, which does not see pages")
    hidden = described.stacks[-1].hidden
    role, width = "projection", config["embedding_dim"]
    head = Linear("embedding_proj_layer", role, role, hidden, width, True, unquantized=True)
    return replace(described, head=head)
