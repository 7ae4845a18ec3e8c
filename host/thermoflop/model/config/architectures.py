"""What the class named in ``architectures`` builds, which head on which half of the model, and what
that is for.

Every reader asks ``built`` and says which kinds its classes come in; what is in none of them is
refused. The endings are those of the classes of transformers 5, and of Qwen's reward models.
"""

from __future__ import annotations

from thermoflop.base.messages import quote_value
from thermoflop.errors import InputError
from thermoflop.model.architecture.description import Description
from thermoflop.model.config.keys import Config

# ending of a class's name -> the kind of head or half; the longest one that fits decides
ENDINGS = {
    "ForCausalLM": "causal",
    "LMHeadModel": "causal",
    "ModelWithLMHead": "causal",
    "ForConditionalGeneration": "generation",
    "MTModel": "generation",
    "ForMaskedLM": "masked",
    "ForPreTraining": "pre-training",
    "ForSequenceClassification": "sequence",
    "ForTokenClassification": "token",
    "ForQuestionAnswering": "question",
    "ForMultipleChoice": "choice",
    "ForNextSentencePrediction": "next sentence",
    "ForRetrieval": "retrieval",
    "ForRewardModel": "reward",
    "ForProcessRewardModel": "reward",
    "ForRanking": "ranking",
    "BidirectionalEmbedModel": "embedding",
    "ForImageClassification": "image",
    "ForMaskedImageModeling": "masked image",
    "ForImageClassificationWithTeacher": "image with teacher",
    "ForCTC": "characters",
    "ForRNNT": "transducer",
    "ForTDT": "transducer",
    "ForAudioFrameClassification": "frame",
    "ForAudioClassification": "sounds",
    "ForVideoClassification": "videos",
    "ForCausalImageModeling": "causal",
    "ForPrediction": "prediction",
    "TextModel": "text half",
    "VisionModel": "image half",
    "TextModelWithProjection": "text half, projected",
    "VisionModelWithProjection": "image half, projected",
    "EncoderModel": "encoder",
    "Encoder": "encoder",
    "Decoder": "decoder",
    "Model": "bare",
}
# what ends in Model and is not bare: a head goes before it
_NOT_BARE = ("Head", "Heads", "Reward", "Value", "PreTrained", "Pretrained", "Projection")


def class_name(config: Config, default: str) -> str:
    """The first class in ``architectures``, or ``default`` when there is none."""
    named = config.raw.get("architectures") or [default]
    name = named[0] if isinstance(named, list) else named
    if not isinstance(name, str):
        raise InputError(
            f"architectures is {quote_value(named)} where a list of class names is expected"
        )
    return name


def built(config: Config, default: str, kinds: tuple[str, ...]) -> str:
    """The kind of class that the file asks for, one of ``kinds``; ``default`` is a class."""
    name = class_name(config, default)
    fitting = [ending for ending in ENDINGS if name.endswith(ending)]
    ending = max((each for each in fitting if ENDINGS[each] in kinds), key=len, default="")
    kind = ENDINGS.get(ending, "")
    if not kind or (kind == "bare" and name[: -len("Model")].endswith(_NOT_BARE)):
        known = ", ".join(each for each, kind in ENDINGS.items() if kind in kinds)
        raise InputError(
            f"architectures names {name[:60]}, and its head is not understood for "
            f"{config.family.name}: expected a class that ends in {known}"
        )
    return kind


def label_count(config: Config, default: int = 2) -> int:
    """Classes of a classifier: as many as ``id2label`` names, or ``num_labels``, or ``default``."""
    labels = config.raw.get("id2label")
    if isinstance(labels, dict) and labels:
        return len(labels)
    count = config.raw.get("num_labels", default)
    if type(count) is not int or count < 1:
        raise InputError(
            f"num_labels is {quote_value(count)} where a whole number from 1 is expected"
        )
    return count


_BARE = ("bare", "encoder", "decoder", "embedding")
_SCORES = ("sequence", "token", "question", "choice", "next sentence", "reward", "ranking")
_UNMASKS = (
    "it writes by removing masks, in as many steps as are asked for, and each step runs every "
    "position anew: times are of one step, its prompt is all positions"
)


def purpose_of(config: Config, description: Description) -> str:
    """``generate``, ``embed``, ``rank`` or ``unmask``. A class that has a head of language has it
    in the description; what another one is for, its name says."""
    said = config.family.traits.get("purpose")
    head, kind = description.head, _kind(config)
    if head is not None:
        if head.role == "projection":
            return "rank" if kind == "ranking" else "embed"
        return str(said or ("rank" if head.role == "classifier" else "generate"))
    if kind in _SCORES:
        return "rank"
    return "embed" if kind in _BARE or description.stack("encoder") is None else "generate"


def _kind(config: Config) -> str:
    """The kind of head or half that the name of the class says; "" for a name that says none."""
    name = class_name(config, str(config.family.traits.get("class", "")))
    return ENDINGS.get(max(filter(name.endswith, ENDINGS), key=len, default=""), "")


def step_said(config: Config, purpose: str) -> tuple[str, ...]:
    """A sentence on what a step is, where that is no next token."""
    if purpose == "unmask":
        return (_UNMASKS,)
    said = config.family.traits.get("step_said")
    return (said,) if said else ()
