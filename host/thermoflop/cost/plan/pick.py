"""``tf.pick``: which models of the catalogue run on one device, in which format, how fast.

A table of totals (``data/totals.json``) tells which models may fit at all, so that a few are read
and estimated rather than hundreds. Models that it lacks are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from thermoflop.base.messages import check_word
from thermoflop.base.plain import is_number
from thermoflop.base.record import plain, record, replace
from thermoflop.base.units import digits, gigabytes, seconds, table, wrapped
from thermoflop.cost.catalogue.cards import pooled, splits_layers, unlike
from thermoflop.cost.catalogue.devices import as_device
from thermoflop.cost.catalogue.profile import Profile
from thermoflop.cost.catalogue.profiles import find_profile
from thermoflop.cost.engines.abilities import engine_on
from thermoflop.cost.engines.engine import DEFAULT
from thermoflop.cost.engines.footprint import Load
from thermoflop.cost.hardware.device import Device
from thermoflop.cost.hardware.precision import choose_precision, format_name, is_precision
from thermoflop.cost.inference.arguments import GENERATE, PROMPT, checked_whole, written
from thermoflop.cost.inference.estimate import estimate
from thermoflop.cost.inference.formats import as_downloaded
from thermoflop.cost.inference.held_to import check_cards, check_engine
from thermoflop.cost.inference.published_formats import published_form
from thermoflop.cost.inference.room import MOST_DEVICES, room_of
from thermoflop.cost.plan.layouts import check_formats
from thermoflop.errors import UsageError

# What engines run, widest first: llama.cpp's own, and what the others load fast (vLLM's page of
# supported hardware calls its GGUF experimental and slow, docs.vllm.ai, features/quantization).
FORMATS = ("bf16", "q8_0", "q6_k", "q4_k_m")
SERVED = ("bf16", "fp8", "awq")
QUANTIZED, WIDTHS = ("awq",), ("bf16", "int8", "int4")  # AWQ alone, and weights of their own files
OF_MLX = ("bf16", "mlx-8bit", "mlx-4bit")
_OTHERS = {
    "autoawq": QUANTIZED, "tinychat": QUANTIZED, "exllama": ("bf16", "gptq"),
    "mlx": OF_MLX, **dict.fromkeys(("mlc", "gpt-fast", "litgpt", "jax", "deepspeed"), WIDTHS),
    **dict.fromkeys(("fastertransformer", "fastertransformer-encoder"), WIDTHS),
}  # fmt: skip
OPTIMISM = 1.25  # by which a model may miss the speed or the memory roughly and still be estimated
FEW = 3  # models asked for by name that are shown in every format
UNBOUNDED = 2**39  # tokens: a state that does not grow holds any number


@record
class Totals:
    """Of a model by name: parameters, those that a token uses, bytes of cache a token in 16 bits,
    and the positions that it has, or was trained on where it numbers none; 0 where neither is
    known."""

    name: str
    params: int
    active: int
    kv_bytes: int
    positions: int


@record
class Pick:
    """A model that runs on the device.

    Attributes:
        model_name: its name in the catalogue.
        alike: other names of the catalogue with the same sizes.
        dtype: the format.
        params: parameters.
        active_params: parameters that a token uses.
        weight_bytes: bytes of the weights on the device.
        context: tokens, prompt and generated, that fit beside them.
        tokens_per_s: generated for one user: low end, expectation, high end (80 %).
        first_s: seconds to the first token of a prompt of 1,024 tokens, or of half the context
            that was asked for.
        prefill_tokens_per_s: tokens of a prompt that are read in a second.

    Example:
        >>> import thermoflop as tf
        >>> best = tf.pick("rtx 4090").picks[0]
        >>> low, expected, high = best.tokens_per_s
        >>> low < expected < high and best.weight_bytes < tf.find_device("rtx 4090").memory_bytes
        True
    """

    model_name: str
    alike: tuple[str, ...]
    dtype: str
    params: int
    active_params: int
    weight_bytes: float
    context: int
    tokens_per_s: tuple[float, float, float]
    first_s: float
    prefill_tokens_per_s: float


SORTS: dict[str, Callable[[Pick], tuple[float, ...]]] = {
    "size": lambda each: (-each.params, -each.weight_bytes),
    "speed": lambda each: (-each.tokens_per_s[1],),
    "context": lambda each: (-each.context, -each.params),
}


@record
class Picks:
    """What runs on a device, made by ``pick``. Print it for a table.

    Attributes:
        device: the device.
        engine: whose rates and memory these are.
        sort: what they are sorted by: size, speed or context.
        at_least: tokens a second below which a model is left out.
        picks: the models, best first.
        context: tokens, prompt and generated, that each holds at least.
        devices: how many of the device share each model; 1, the default: it runs on one.
        pattern: the part of the names that was asked for; "", the default: none.

    Example:
        >>> import thermoflop as tf
        >>> picks = tf.pick("m2 ultra", at_least=20).picks
        >>> all(each.tokens_per_s[1] >= 20 for each in picks)
        True
    """

    device: Device
    engine: str
    sort: str
    at_least: float
    picks: tuple[Pick, ...]
    context: int
    devices: int = 1
    pattern: str = ""

    def __str__(self) -> str:
        return picks_text(self)


def pick(
    hardware: str | Device,
    *,
    dtypes: Sequence[str] | None = None,
    context: int | str = 4096,
    at_least: float = 10.0,
    sort: str = "size",
    pattern: str = "",
    profile: str | None = None,
    top: int = 12,
    devices: int | None = None,
) -> Picks:
    """Which models of the catalogue run on a device, or on several together, each in the widest
    format that is as fast as asked for; three and fewer that ``pattern`` names in every format.

    Args:
        hardware: a ``Device``, or what ``find_device`` takes: a GPU, a Mac, a processor; or
            several, ``2x4090`` or ``rtx-3090 + rtx-4090``, which share each model.
        dtypes: formats to choose from, widest first. None: those that the profile's engine runs:
            bf16, fp8 and awq of vLLM, SGLang, TensorRT-LLM and transformers, bf16, q8_0, q6_k and
            q4_k_m of llama.cpp, bf16, mlx-8bit and mlx-4bit of MLX, bf16 and gptq of ExLlama, awq
            of AutoAWQ, else bf16, int8 and int4.
        context: tokens that must fit beside the weights, 4,096 by default, or ``32k``; a model
            with fewer positions, or one without that was trained on shorter ones, is left out.
        at_least: tokens a second that one user must see, 10.0 by default.
        sort: ``size`` (default: most parameters first), ``speed`` or ``context``.
        pattern: a part of the names to choose from; "" (default): all.
        profile: whose rates and memory. None: those of llama.cpp, of vLLM on Gaudi and TPUs.
        top: models to return, 12 by default.
        devices: how many devices share each model. None: as many as ``hardware`` names, or one.

    Returns:
        The models, best first; none where nothing fits.

    Raises:
        UsageError: for a value that makes no sense, naming it.
        InputError: for a device that is not known.

    Example:
        >>> import thermoflop as tf
        >>> laptop = tf.pick("rtx 4060 laptop", top=3)
        >>> all(each.context >= 4096 for each in laptop.picks)
        True
    """
    check_word("sort", sort, SORTS, "is no order")
    if not is_number(at_least) or not 0 <= at_least < float("inf"):
        raise UsageError(f"at_least={at_least!r:.40} makes no sense: expected tokens a second")
    room_for = checked_whole("context", written("context", context), 1, 10**9)
    top = checked_whole("top", top, 1, 1000)
    if not isinstance(pattern, str):
        raise UsageError(f"pattern={pattern!r:.40} makes no sense: expected a part of a name")
    check_formats(dtypes)
    if devices is not None:
        checked_whole("devices", devices, 1, MOST_DEVICES)
    profile = profile or _standing_for_one(hardware)
    if dtypes is None:
        dtypes = formats_of(profile)
    check_cards(profile, unlike(hardware))
    hardware, devices, _, stages = pooled(hardware, devices, None, 1, profile)
    device = as_device(hardware)
    count = checked_whole("devices", devices or stages, 1, MOST_DEVICES)
    check_engine(profile, device, dtypes, None)
    if not device.peaks:
        raise UsageError(
            f"the peaks of {device.name} are not known, so no speed is: describe it in a TOML file "
            "with its dense_tflops, or measure it with `thermoflop calibrate`"
        )
    picks: list[Pick] = []
    # where neither positions nor what it was trained on are known, memory alone bounds its context
    known = [
        each for each in totals()
        if pattern.lower() in each.name and room_for <= (each.positions or room_for)
    ]  # fmt: skip
    faster = 1 if splits_layers(profile) else count
    room = replace(device, memory_bytes=count * device.memory_bytes,
                   bandwidth_bytes_s=faster * device.bandwidth_bytes_s)  # fmt: skip
    ranked = list(_ranked(room, dtypes, sort, at_least, known, pattern.lower()))
    for each, alike, names in ranked:
        for tried in [[name] for name in names] if pattern and len(ranked) <= FEW else [names]:
            asked = room_for, at_least, profile
            found = _first_that_runs(device, count, each, alike, tried, asked)
            picks += [] if found is None or found in picks else [found]
        if len(picks) >= top:
            break
    best = tuple(sorted(picks[:top], key=SORTS[sort]))
    return Picks(device, profile, sort, at_least, best, room_for, count, pattern)


def _standing_for_one(hardware: str | Device) -> str:
    """The engine where none is named: llama.cpp, or what stands for one where that does not run."""
    first = pooled(hardware, None, None, 1, "llama.cpp")[0]
    return engine_on(as_device(first)) or "llama.cpp"


def formats_of(profile: str | Profile) -> tuple[str, ...]:
    """The formats that a profile's engine is asked for where none are named: those of GGUF files
    where it reads them, or none is known."""
    engine = find_profile(profile).engine
    gguf = engine.alone == "GGUF" or engine is DEFAULT
    return FORMATS if gguf else _OTHERS.get(engine.name, SERVED)


def _width(name: str) -> float:
    """Bytes of a weight in a format, of a published form about."""
    common = None if is_precision(name) else published_form(name).default
    return choose_precision(name).weight_bytes if common is None else common.bits / 8


def _prompt(context: int) -> int:
    """Tokens of the prompt that a first token is timed of."""
    return max(1, min(PROMPT, context // 2))


def _ranked(
    device: Device,
    dtypes: Sequence[str],
    sort: str,
    at_least: float,
    known: list[Totals],
    named: str = "",
) -> Iterator[tuple[Totals, tuple[str, ...], list[str]]]:
    """Models that may run, the most promising first, with names alike and formats, widest first."""
    groups: dict[tuple[int, ...], list[Totals]] = {}
    for each in known:
        groups.setdefault((each.params, each.active, each.kv_bytes), []).append(each)
    promising = []
    for models in groups.values():
        first = max(models, key=lambda each: (each.name == named, each.positions))
        formats = []
        for name in dtypes:
            width = _width(name)
            speed = device.bandwidth_bytes_s / (first.active * width)
            fits = first.params * width < OPTIMISM * device.memory_bytes
            if fits and speed * OPTIMISM >= at_least:
                formats.append(name)
        if formats:
            alike = tuple(each.name for each in models if each is not first)
            promising.append((_promise(device, first, formats, sort), first, alike, formats))
    promising.sort(key=lambda entry: (entry[0], entry[1].name))
    for _, first, alike, formats in promising:
        yield first, alike, formats


def _promise(device: Device, each: Totals, formats: list[str], sort: str) -> float:
    """What models are tried in the order of, low first: a guess of what they are sorted by."""
    narrow = _width(formats[-1])
    if sort == "size":
        return -each.params
    if sort == "speed":
        return each.active * _width(formats[0])
    room = device.memory_bytes - each.params * narrow
    holds = room / each.kv_bytes if each.kv_bytes else UNBOUNDED
    return -min(holds, each.positions or UNBOUNDED)


def _first_that_runs(
    device: Device, count: int, each: Totals, alike: tuple[str, ...], names: list[str],
    asked: tuple[int, float, str],
) -> Pick | None:  # fmt: skip
    """The widest format in which a model runs as asked, estimated."""
    from thermoflop.model.load import load_model

    model, (wanted, at_least, profile) = load_model(each.name), asked
    published = None if model.quantization is None else model.quantization.default
    kept: list[str | None] = [*names]
    if published is not None and published.name == "mxfp4":
        kept = [None]  # published in 4 bits, which nobody widens
    for name in kept:
        try:
            held = as_downloaded(model, profile, name)
            room = room_of(held, device, name, None, None, profile, None).seeing()
            plan = room.plan(count, None, 1, 1, 1, 1)
            share = room.share(plan)
            load = Load(1, wanted - 1, wanted)
            if not room.memory(share, load).fits or (longest := room.longest(share, load)) < wanted:
                continue
            prompt = _prompt(wanted)
            generate = max(2, min(GENERATE, wanted - prompt))
            run = estimate(
                model, device, tp=plan.tp, pp=plan.pp, prompt=prompt, generate=generate,
                dtype=name, profile=profile,
            )  # fmt: skip
        except UsageError:
            continue
        longest = min(longest, each.positions or longest)
        token, first = run.per_token, float(run.first_token.expected_s)
        if 1 / float(token.expected_s) < at_least:
            continue
        slow, expected, fast = (
            1 / float(at) for at in (token.high_s, token.expected_s, token.low_s)
        )
        return Pick(
            model.name, alike, format_name(room.precision),
            int(model.params), int(model.active_params),
            float(run.memory.weight_bytes), longest, (slow, expected, fast), first, prompt / first,
        )  # fmt: skip
    return None


def totals() -> list[Totals]:
    """Every model of the catalogue that generates: from the table, or where it lacks one, read."""
    from thermoflop.cost.data import read_data
    from thermoflop.model.config.catalogue import names

    known = read_data("totals")
    entries = ((name, known[name] if name in known else totals_of(name)) for name in names())
    return [Totals(name, *numbers) for name, numbers in entries if numbers]


def totals_of(name: str) -> list[int]:
    """A row of the table; empty for a model that generates nothing from a prompt alone."""
    from thermoflop.model.config.catalogue import entry
    from thermoflop.model.load import load_model

    model = load_model(name)
    if not model.generates or model.is_encoder_decoder:
        return []
    trained = (entry(name) or {}).get("trained", {"tokens": 0})
    positions = model.max_positions or trained["tokens"]
    return [int(model.params), int(model.active_params), int(model.kv_bytes(1)), int(positions)]


LEAST = ("params", "weights", "first", "prompt/s")  # what a narrow page goes without, in order


def picks_text(found: Picks) -> str:
    """The models as a table, at most 100 columns wide."""
    device = found.device
    many, each_of = ("", "") if found.devices == 1 else (f"{found.devices} x ", " each")
    head = f"{many}{device.name}, {gigabytes(device.memory_bytes)}{each_of}, {found.engine}: "
    if not found.picks:
        asked = f"holds {found.context:,} tokens and runs at {digits(found.at_least)} tokens/s"
        which = f" with {found.pattern!r} in its name" if found.pattern else ""
        if not any(found.pattern.lower() in each.name for each in totals()):
            head, asked = "", "generates text"  # whatever the device
        return wrapped(f"{head}no model of the catalogue{which} {asked}")
    rows = [["model", "format", "params", "weights", "context", "tokens/s", "first", "prompt/s"]]
    for each in found.picks:
        low, expected, high = each.tokens_per_s
        name = each.model_name + (f" (+{len(each.alike)})" if each.alike else "")
        rows.append([
            name, each.dtype, f"{digits(each.params / 1e9)}B", gigabytes(each.weight_bytes),
            f"{each.context:,}" if each.context < UNBOUNDED else "any",
            f"{digits(expected)} ({digits(low)}-{digits(high)})",
            seconds(each.first_s), digits(each.prefill_tokens_per_s),
        ])  # fmt: skip
    names = [each.model_name for each in found.picks]
    how = ", in the widest format that does" if len({*names}) == len(names) else ""
    read = f"first token of a prompt of {_prompt(found.context):,}"
    sizes = f"{read}; (+n): n more names of the same sizes"
    sizes += "; weights: of each device" if each_of else ""
    shown = table(rows, 2, least=LEAST, alike=("format",))
    return "\n".join([wrapped(f"{head}by {found.sort}{how}"), "", shown, "", wrapped(sizes)])


def picks_json(found: Picks) -> dict[str, Any]:
    """The models as one object."""
    return {**plain(found), "device": found.device.name}
