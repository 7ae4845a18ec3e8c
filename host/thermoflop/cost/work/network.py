"""Collectives between devices: bytes on the wire and steps in a row, by algorithm.

For ``r`` devices and a message of ``n`` bytes (Thakur, Rabenseifner and Gropp 2005; NCCL's
documentation): a ring all-reduce takes 2(r-1) steps and puts 2n(r-1)/r bytes on each link, a tree
2 log2 r steps and as many bytes when it is pipelined; all-gather and reduce-scatter take half of
each; all-to-all r-1 steps and n(r-1)/r bytes; sending to the next stage one step and n bytes.

Over m nodes of g devices each, reductions and gathers run within the nodes and between devices of
the same place in each node (NCCL, MSCCL: hierarchical): a device sends n/g of the message to other
nodes, 2n(m-1)/(g m) bytes of an all-reduce, and the rest, 2n(g-1)/g, over the links of its node;
together as many as a ring.
"""

from __future__ import annotations

from math import ceil, comb, log2

from thermoflop.base.number import Number
from thermoflop.cost.work.work import Work
from thermoflop.model.architecture.description import Description, Stack
from thermoflop.model.architecture.feedforward import Moe
from thermoflop.model.architecture.mixers import LatentAttention
from thermoflop.model.architecture.sparse import CompressedAttention

NORM_BYTES = 2 * 4  # of a token: sums of squares of its queries and keys, in 32 bits


def wire_bytes(collective: str, message_bytes: Number, ranks: int) -> Number:
    """Bytes that each device puts on its link."""
    if ranks == 1:
        return 0.0 * message_bytes
    if collective == "send":
        return message_bytes
    share = (ranks - 1) / ranks
    return (2 if collective == "all-reduce" else 1) * share * message_bytes


def steps_of(collective: str, ranks: int, algorithm: str = "ring") -> int:
    """Steps that follow one another, each paying the latency of a link."""
    if ranks == 1:
        return 0
    if collective == "send":
        return 1
    once = ranks - 1 if algorithm == "ring" else ceil(log2(ranks))
    return 2 * once if collective == "all-reduce" else once


def network_work(
    name: str, times: Number, wire: Number, steps: float = 1.0, far: Number = 0.0
) -> Work:
    """A collective as an operator: its bytes stand in ``activation_bytes``, steps in ``flops``;
    ``far`` of them go to other nodes."""
    return Work(
        name, "network", "network", "network", times, steps, 0.0, 0.0, 0.0, wire, 0, far_bytes=far
    )  # fmt: skip


def node_ranks(ranks: int, apart: int, node_size: int) -> int:
    """Ranks of a group in one node, where they are ``apart`` devices from each other; 0: all."""
    return min(ranks, max(1, node_size // apart)) if node_size else ranks


def far_bytes(collective: str, message_bytes: Number, ranks: int, within: int) -> Number:
    """Bytes that each device sends to other nodes, ``within`` ranks of the group in each."""
    nodes = ceil(ranks / within)
    if nodes == 1:
        return 0.0
    each_sends = collective in ("all-to-all", "send")
    return wire_bytes(collective, message_bytes / (1 if each_sends else within), nodes)


def collective_work(
    name: str, times: Number, collective: str, message_bytes: Number, ranks: int,
    *, steps: float, apart: int = 1, node_size: int = 0,
) -> Work:  # fmt: skip
    """A collective of a group whose ranks are ``apart`` devices from each other, in nodes."""
    within = node_ranks(ranks, apart, node_size)
    far = far_bytes(collective, message_bytes, ranks, within)
    wire = wire_bytes(collective, message_bytes, ranks)
    return network_work(name, times, wire, steps, far)


def tensor_parallel_works(
    description: Description, tokens: Number, wide_bytes: float, tp: int, node_size: int = 0,
    source: Number = 0,
) -> list[Work]:  # fmt: skip
    """The all-reduces of a forward pass: one after each mixer and each feed-forward; those of an
    encoder have the tokens of its ``source``.

    2 b s h (t-1)/t elements each on every device, so 4 b s h (t-1)/t per layer forward and
    8 with the backward pass (Narayanan et al. 2021, section 3.2). A norm over the queries or keys
    of all heads is one more, of a sum of squares of either in 32 bits: ``MiniMaxText01RMSNormTP``
    of vLLM and SGLang (vllm-project/vllm, pull 31493; sgl-project/sglang, pull 14416).
    """
    if tp == 1:
        return []
    works = []
    for stack in description.stacks:
        seen = _seen(stack, tokens, source)
        if stack.role not in ("decoder", "mtp") and not _seen(stack, 0, source):
            continue
        for run in stack.runs:
            normed = any(getattr(each, "norms_over_heads", False) for each in run.layer.mixers)
            for name, times, message in (
                ("all-reduce", run.layer.branches, seen * stack.hidden * wide_bytes),
                ("all-reduce of norms", int(normed), seen * NORM_BYTES),
            ):
                if times:
                    works.append(collective_work(
                        name, run.times * times, "all-reduce", message, tp,
                        steps=float(ceil(log2(tp))), node_size=node_size,
                    ))  # fmt: skip
    return works


def _seen(stack: Stack, tokens: Number, source: Number) -> Number:
    """The tokens that run through a stack: an encoder's are those of its source, if it has one."""
    reads = stack.role == "encoder" and type(source) in (int, float) and source > 0
    return source if reads else tokens


def expert_parallel_works(
    description: Description, tokens: Number, wide_bytes: float, ep: int, node_size: int = 0,
    source: Number = 0,
) -> list[Work]:  # fmt: skip
    """Tokens sent to their experts and back: two all-to-alls of k h elements a token and layer;
    those of an encoder are its ``source``'s, where there is one.

    To another node a token goes once, whatever number of its experts are there, and is handed on
    over the links (DeepSeek-V3, section 3.2.2; DeepEP). Of m nodes it meets m (1 - (1 - 1/m)^k)
    where experts are drawn alike, and fewer where it draws them from some groups alone.
    """
    within = node_ranks(ep, 1, node_size)
    nodes = ceil(ep / within)
    works = []
    for stack in description.stacks:
        for run in stack.runs:
            feed = run.layer.feed
            if isinstance(feed, Moe):
                once = _seen(stack, tokens, source) * feed.expert.hidden * wide_bytes
                far = once * (nodes - 1) * _met(nodes, feed)
                wire = far + wire_bytes("all-to-all", once * feed.top_k, within)
                works.append(network_work("all-to-all", 2 * run.times, wire, log2(ep), far))
    return works


def _met(nodes: int, feed: Moe) -> float:
    """The chance that a token meets a node, of so many over which the experts lie in their order.

    Drawn alike from M of G groups, k experts miss a node of n groups, h of them among the M, with
    the k-th power of 1 - h/M; h has a hypergeometric distribution. Of a group that several nodes
    share, each has its part. Nodes at which groups end that do not fit them meet as without.
    """
    groups, drawn = feed.groups

    def met(share: float) -> float:
        return float(1 - (1 - share) ** float(feed.top_k))

    if nodes % groups == 0 and groups > 1:
        return drawn / groups * met(groups / nodes / drawn)
    if groups % nodes:
        return met(1 / nodes)
    of_node = groups // nodes
    ways = {h: comb(of_node, h) * comb(groups - of_node, drawn - h) for h in range(1, drawn + 1)}
    return sum(count * met(h / drawn) for h, count in ways.items()) / comb(groups, drawn)


def pipeline_works(
    description: Description, tokens: Number, wide_bytes: float, pp: int, *,
    stage: int, node_size: int = 0,
) -> list[Work]:  # fmt: skip
    """Activations sent from stage to stage: b s h elements at each of ``pp - 1`` boundaries, those
    between nodes apart; ``stage`` devices work on each."""
    stack = description.stack("decoder")
    if pp == 1 or stack is None:
        return []
    message = tokens * stack.hidden * wide_bytes
    far = ceil(pp / node_ranks(pp, stage, node_size)) - 1
    works = [network_work("send", pp - 1 - far, message)] if far < pp - 1 else []
    return works + ([network_work("send to a node", far, message, far=message)] if far else [])


def replicated_latent(description: Description, tp: int) -> bool:
    """Whether every device of a tensor-parallel group holds the whole cache: MLA's latent, or one
    vector that is key and value."""
    whole = LatentAttention | CompressedAttention
    return tp > 1 and any(isinstance(mixer, whole) for mixer in description.mixers)
