"""What SGLang chooses for a model where its options are left to it: pages, pools, requests at once.

Read in sgl-project/sglang, main of July 2026 (0.5.15 and 0.5.16): ``_calculate_mamba_ratio`` and
``resolve_max_num_reqs`` of srt/mem_cache/kv_cache_configurator.py (commit 5435eba; before,
model_executor/model_runner_kv_cache_mixin.py, commit 001ccef), ``_mamba_radix_cache_resolution`` of
srt/arg_groups/overrides.py (commit bc0c93b), srt/arg_groups/deepseek_v4_hook.py. Before 0.5.14
no model had a further buffer of states unless it was asked for (``_handle_missing_default_values``
of server_args.py in the wheel of 0.5.13, ``_handle_mamba_radix_cache`` in that of 0.5.14; pull
28151 of June 2026).
"""

from __future__ import annotations

from thermoflop.cost.engines.chosen import keys_chosen
from thermoflop.cost.engines.generation import version_of
from thermoflop.cost.hardware.device import Device, architecture_named
from thermoflop.cost.work.share import Layout, Share
from thermoflop.model.architecture.recurrences import Recurrence
from thermoflop.model.architecture.sparse import CompressedAttention

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# States that a running request has: its own, that of the prefix it matched, and one for what it
# leaves to the cache (MAMBA_CACHE_SIZE_MAX_RUNNING_REQUESTS_RATIO); and those between which the
# scheduler that overlaps steps goes to and fro (MAMBA_CACHE_V2_ADDITIONAL_RATIO_OVERLAP, _LAZY).
STATES = 3
MORE_STATES = {"no_buffer": 0, "extra_buffer": 2, "extra_buffer_lazy": 1}
FURTHER_SINCE = (0, 5, 14)  # the further buffer of states, where it is left to the engine
# Memory of states against that of keys and values (``mamba_full_memory_ratio``), tokens of the pool
# of windows against the other's (``swa_full_tokens_ratio``), and a page: of all models, and of
# DeepSeek V4 (``apply_deepseek_v4_defaults``).
STATE_RATIO = 0.9
WINDOW_RATIO, PAGE = 0.8, 1
COMPRESSED_WINDOW_RATIO, COMPRESSED_PAGE = 0.1, 256
CHOSEN_PAGE = 64  # of keys that an indexer chooses (``_deepseek_family_overrides``)
# Requests at once of a server where nothing is said: of DeepSeek V4, and while tokens are drafted
# (``_handle_speculative_decoding`` of server_args.py).
COMPRESSED_REQUESTS, DRAFTING_REQUESTS = 256, 48


def is_recurrent(share: Share) -> bool:
    """Whether layers keep recurrent states."""
    return any(isinstance(mixer, Recurrence) for mixer in share.description.mixers)


def is_compressed(share: Share) -> bool:
    """Whether attention meets compressed entries (DeepSeek V4)."""
    return any(isinstance(mixer, CompressedAttention) for mixer in share.description.mixers)


def settled(share: Share, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that decide on the pools of a model, with what is left to the engine."""
    compressed = is_compressed(share)
    page = CHOSEN_PAGE if keys_chosen(share.description) else PAGE
    page = COMPRESSED_PAGE if compressed else page
    ratio = COMPRESSED_WINDOW_RATIO if compressed else WINDOW_RATIO
    found = {
        "page_size": options["page_size"] or page,
        "swa_full_tokens_ratio": options["swa_full_tokens_ratio"] or ratio,
    }
    if is_recurrent(share):
        found["mamba_full_memory_ratio"] = options["mamba_full_memory_ratio"] or STATE_RATIO
        found["mamba_radix_cache_strategy"] = _strategy(share, options)
    return found


def on_device(options: Mapping[str, Any], device: Device) -> Mapping[str, Any]:
    """The options on a device: ROCm has no further buffer of states (pulls 22908 and 29158), and
    where latents are kept as they are in 8 bits (``calculate_mla_kv_cache_dim``)."""
    plain = device.vendor == "AMD" or architecture_named(device.name) == "blackwell"
    options, name = {**options, "plain_latents": plain}, "mamba_radix_cache_strategy"
    if device.vendor != "AMD" or options[name] not in (None, "auto"):
        return options
    return {**options, name: "no_buffer"}


def _strategy(share: Share, options: Mapping[str, Any]) -> str | None:
    """How prefixes of states are cached; None where they are not. Of models whose states are a
    convolution's inputs alone (LFM2) there is no further buffer (``_MAMBA_EXTRA_BUFFER_ARCHS``)."""
    if options["disable_radix_cache"]:
        return None
    if options["mamba_radix_cache_strategy"] not in (None, "auto"):
        return str(options["mamba_radix_cache_strategy"])
    version = version_of(f"v{options['version']}")
    if version is not None and version < FURTHER_SINCE[: len(version)]:  # 0.5 is the last of them
        return "no_buffer"
    states = (mixer for mixer in share.description.mixers if isinstance(mixer, Recurrence))
    more = any(mixer.kept_elements > mixer.kept_window for mixer in states)
    return "extra_buffer" if more else "no_buffer"


def states_each(share: Share, options: Mapping[str, Any]) -> int:
    """States of the pool for each request that runs."""
    strategy = _strategy(share, options)
    return 1 if strategy is None else STATES + MORE_STATES[strategy]


def apart(plan: Layout) -> int:
    """Groups of devices between which a server's requests are divided: its replicas where their
    attention is apart and they share experts, else each is a server of its own."""
    return plan.dp if plan.ep > plan.tp else 1


def states_asked(share: Share, options: Mapping[str, Any]) -> int | None:
    """States of the pool where an option says how many; None where the pool's share of memory
    does."""
    if not is_recurrent(share):
        return None
    asked = options["max_mamba_cache_size"]
    if asked is None and options["disable_radix_cache"]:
        asked = _requests(share, options)
    return None if asked is None else max(1, asked // apart(share.plan))


def _requests(share: Share, options: Mapping[str, Any]) -> int | None:
    """Requests that a server runs at once at most, where that is said, or usual."""
    if options["max_running_requests"] is not None:
        return int(options["max_running_requests"])
    usual = [COMPRESSED_REQUESTS] * is_compressed(share)
    usual += [DRAFTING_REQUESTS] * bool(options["speculative_num_draft_tokens"])
    return min(usual, default=None)


def most_requests(share: Share, options: Mapping[str, Any]) -> int | None:
    """Requests that a replica runs at once at most; None: as many as memory holds."""
    return limit_of(share, options)[0]


def limit_of(share: Share, options: Mapping[str, Any]) -> tuple[int | None, str]:
    """The same, and the option that says so."""
    requests, states = _requests(share, options), states_asked(share, options)
    found = list[tuple[int, str]]()
    if requests is not None:
        found.append((max(1, requests // apart(share.plan)), "max_running_requests"))
    if states is not None:
        found.append((max(1, states // states_each(share, options)), "max_mamba_cache_size"))
    return min(found, key=lambda each: each[0], default=(None, ""))
