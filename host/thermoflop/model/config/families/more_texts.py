"""More models of text: what retrieves, and what marks. Defaults and structure are those of the
classes of transformers 5.24."""

from __future__ import annotations

from thermoflop.model.architecture.description import Placed
from thermoflop.model.config.blocks import classifier
from thermoflop.model.config.families import (  # noqa: F401 - parents are there
    classic,
    encoders,
    mixtures,
)
from thermoflop.model.config.family import at_least_zero, family, sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.model.config.keys import Config


def _projected(config: Config) -> tuple[Placed, ...]:
    """A map of the first token's state to a width of its own, where there is one."""
    width, hidden = config["projection_dim"], config["hidden_size"]
    return (
        (Placed(classifier("encode_proj", hidden, width, "pooler"), "sequence"),) if width else ()
    )


family(
    "dpr",
    "bert",
    keys={"projection_dim": at_least_zero(0)},
    traits={
        "pooler": (),
        "after": _projected,
        "class": "DPRContextEncoder",
        "classes": ("encoder",),
    },
)
family(
    "splinter",
    "bert",
    traits={"pooler": (), "classes": ("bare",), "class": "Model"},
)
family(
    "openai_privacy_filter",
    "gpt_oss",
    keys={
        **sizes(vocab=200064, hidden=640, inner=640, layers=8, heads=14, kv_heads=2, head_dim=64),
    },
    traits={
        "kinds": lambda config: ["sliding"] * config["num_hidden_layers"],
        "causal": False,
        "class": "ForTokenClassification",
    },
    ignored=("swiglu_alpha",),
)
