"""What mixes tokens does besides its matrices, and what it moves: every factor by hand.

Two sequences of 7 new tokens after 11, kernels eager, so that each operator reads and writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from thermoflop.model.architecture.feedforward import Mlp, Moe
from thermoflop.model.architecture.linear import (
    GatedDelta,
    GeneralizedDelta,
    KimiDelta,
    Lightning,
    MatrixMemory,
)
from thermoflop.model.architecture.mixers import Attention, LatentAttention
from thermoflop.model.architecture.recurrences import GatedRecurrence, Mamba, Mamba2, TimeMix
from thermoflop.model.architecture.sparse import CompressedAttention, Compressor, Indexer, Streams
from thermoflop.model.operators.build import mixer_operators
from thermoflop.model.operators.compressed import read_streams, write_streams
from thermoflop.model.operators.context import EmitContext, residual
from thermoflop.model.operators.feedforward import feed_operators
from thermoflop.model.operators.kinds import MatMul
from thermoflop.model.operators.operator import Operator
from thermoflop.model.operators.step import Step

Row = tuple[str, int, int, int, int, int, int]


def scope(cached: int = 11, **how: Any) -> EmitContext:
    step = Step(batch=2, new=7, cached=cached, **{"kernels": "eager", **how})
    return EmitContext(step, "layer", 1, 2, 7, cached, 14)


def rows(operators: Iterable[Operator]) -> list[Row]:
    """Name, multiplications, element-wise FLOPs; read, written, read from and put into the cache:
    of all but the matrices, or of all where there is no other."""
    return [
        (each.name, each.multiplications, each.elementwise_flops, each.moved.read,
         each.moved.written, each.moved.kv_read, each.moved.kv_written)
        for each in operators if not isinstance(each, MatMul) or each.name.startswith("absorb")
    ]  # fmt: skip


def passed(name: str, elements: int, operations: int, inputs: int = 1) -> Row:
    """A pass over so many elements, which reads as many arrays of them and writes one."""
    return (name, 0, operations * elements, inputs * elements, elements, 0, 0)


def attended(
    scores: int, dims: tuple[int, int], queries: tuple[int, int], stored: tuple[int, int],
    cached: bool = True,
) -> list[Row]:  # fmt: skip
    """Scores, softmax (5 operations) and values: numbers of scores, queries and stored elements."""
    near, far = ((0, 0), stored) if cached else (stored, (0, 0))
    return [
        ("scores", scores * dims[0], 0, queries[0] + near[0], scores, far[0], 0),
        ("softmax", 0, 5 * scores, scores, scores, 0, 0),
        ("values", scores * dims[1], 0, scores + near[1], queries[1], far[1], 0),
    ]


# --- attention: 6 heads of 5 on 2 key heads; a sigmoid is four operations, and a product
GATED = Attention(22, 6, 2, 5, rotary=4, gate=True, head_gate=True)
PLAIN = Attention(22, 6, 2, 5, window=4, value_dim=3, filled=1)
# --- latents: 3 heads of 5 + 2 on a latent of 9, values of 4; 3 keys are chosen of 18
INDEXER = Indexer(22, 3, 4, 3, 2, q_rank=8)
LATENT = LatentAttention(22, 3, 9, 5, 2, 4, q_rank=8, gate=True, limit=3, indexer=INDEXER)
OF_LATENT = [
    passed("q_a_norm", 14 * 8, 4),
    passed("kv_a_norm", 14 * 9, 4),
    passed("rotary", 14 * (3 + 1) * 2, 3),
    passed("index_k_norm", 14 * 4, 7),
    passed("index rotary", 14 * (3 + 1) * 2, 3),
    # a weight for each head besides its 4 elements
    ("index scores", 2 * 3 * 7 * 18 * (4 + 1), 0, 14 * 3 * 4, 2 * 7 * 18, 2 * 18 * 4, 0),
    passed("index relu", 2 * 3 * 7 * 18, 1),
]
CHOSEN = 2 * 3 * 7 * 3
GATE = passed("output gate", 14 * 3 * 4, 5, 2)
# --- DeepSeek-V4: 4 heads of 6 on one, a window of 4, entries for 4 tokens of which 2 are chosen
SMALL = Compressor(22, 4, 4, 2, "indexer", "indexer_proj")
ENTRIES = CompressedAttention(
    22, 4, 6, 8, 2, 5, 4, 2, Compressor(22, 6, 4, 2), Indexer(22, 3, 4, 2, 2, 8, compressor=SMALL)
)


def compressed(seen: int, met: int, held: int, keys: int) -> list[Row]:
    """Pairs of query and entry that the indexer sees, pairs that attention meets, entries, keys."""
    return [
        passed("q_a_norm", 14 * 8, 4),
        passed("q_b_norm", 14 * 4 * 6, 3),
        passed("kv_norm", 14 * 6, 4),
        passed("rotary", 14 * (4 + 1 + 4) * 2, 3),
        # a softmax over the gates of two series, and the weighted sum
        passed("compress", 14 * 2 * 6, 5 + 2, 2),
        passed("compress_norm", 14 * 6, 4),
        passed("compress", 14 * 2 * 4, 5 + 2, 2),
        passed("compress_norm", 14 * 4, 4),
        passed("index rotary", 14 * (3 + 1) * 2, 3),
        ("index scores", 2 * 3 * seen * 4, 0, 14 * 3 * 4, 2 * seen, 2 * held * 4, 0),
        passed("index relu", 2 * 3 * seen, 1),
        *attended(2 * 4 * met, (6, 6), (14 * 4 * 6, 14 * 4 * 6), (2 * keys * 6, 0)),
    ]


def scanned(state: int, reads: int, updates: int, kept: int) -> Row:
    return ("scan", 14 * reads * state, 14 * updates * state, 0, 0, 2 * kept, 2 * kept)


def convolved(channels: int, bias: bool = False, positions: int = 8) -> Row:
    """Four taps; after others a step computes one position more than it has tokens."""
    done = 2 * positions * channels
    return ("conv1d", 4 * done, done if bias else 0, done, done, 0, 0)


CASES: list[tuple[str, Any, EmitContext, list[Row]]] = [
    ("gated", GATED, scope(), [
        passed("rotary", 14 * (6 + 2) * 4, 3),
        *attended(2 * 6 * 7 * 18, (5, 5), (14 * 30, 14 * 30), (2 * 18 * 10, 2 * 18 * 10)),
        passed("output gate", 14 * 30, 5, 2), passed("head gate", 14 * 30, 5, 2),
    ]),
    # 3 keys from before and 7 new ones
    ("window", PLAIN, scope(),
     attended(2 * 6 * 7 * 10, (6, 4), (14 * 36, 14 * 24), (2 * 10 * 12, 2 * 10 * 8))),
    ("causal window", PLAIN, scope(attention="causal"),
     attended(2 * 6 * 7 * 4, (6, 4), (14 * 36, 14 * 24), (2 * 10 * 12, 2 * 10 * 8))),
    ("latent", LATENT, scope(), [
        *OF_LATENT,
        *attended(CHOSEN, (7, 4), (14 * 21, 14 * 12), (2 * 18 * 21, 2 * 18 * 12), False), GATE,
    ]),
    ("expanded", LATENT, scope(mla="expanded"), [
        *OF_LATENT,
        *attended(CHOSEN, (7, 4), (14 * 21, 14 * 12), (2 * 18 * 21, 2 * 18 * 12)), GATE,
    ]),
    ("absorbed", LATENT, scope(mla="absorbed"), [
        *OF_LATENT,
        ("absorb keys", 14 * 3 * 5 * 9, 0, 14 * 3 * 5, 14 * 3 * 9, 0, 0),
        *attended(CHOSEN, (11, 9), (14 * 33, 14 * 27), (2 * 18 * 11, 0)),
        ("absorb values", 14 * 3 * 9 * 4, 0, 14 * 3 * 9, 14 * 3 * 4, 0, 0), GATE,
    ]),
    # 18 // 4 entries for each of 7 queries, of which 2 are chosen, and 3 + 7 tokens
    ("entries", ENTRIES, scope(), compressed(7 * 4, 7 * (10 + 2), 4, 10 + 4)),
    # the 12th to the 18th token: 3 entries four times, 4 three times; 4 tokens each
    ("causal entries", ENTRIES, scope(attention="causal"),
     compressed(4 * 3 + 3 * 4, 7 * (4 + 2), 4, 10 + 4)),
    ("first entries", ENTRIES, scope(0), compressed(7 * 1, 7 * (7 + 1), 1, 7 + 1)),
    # 1 + 2 + 3 + 4 x 4 tokens, an entry from the 4th on
    ("first causal entries", ENTRIES, scope(0, attention="causal"),
     compressed(4, 22 + 4, 1, 7 + 1)),
    ("mamba", Mamba(22, 44, 3, 4, 5, inner_norms=True), scope(), [
        convolved(44, True), passed("dt_norm", 14 * 5, 4), passed("b_norm", 14 * 3, 4),
        passed("c_norm", 14 * 3, 4), scanned(44 * 3, 1, 6, 44 * (3 + 4)),
        passed("silu gate", 14 * 44, 5, 2),
    ]),
    ("mamba 2", Mamba2(22, 4, 11, 2, 3, 4), scope(0), [
        convolved(44 + 2 * 2 * 3, True, 7 + 3), passed("gated_norm", 14 * 44, 4),
        scanned(44 * 3, 1, 6, 44 * 3 + 56 * 4), passed("silu gate", 14 * 44, 5, 2),
    ]),
    ("gated delta", GatedDelta(22, 2, 4, 3, 5, 4), scope(convolution="needed"), [
        convolved(2 * 2 * 3 + 20, positions=7), passed("gated_norm", 14 * 20, 4),
        scanned(4 * 3 * 5, 2, 3, 60 + 32 * 4), passed("silu gate", 14 * 20, 5, 2),
    ]),
    ("kimi delta", KimiDelta(22, 5, 4, 4), scope(), [
        convolved(3 * 20), passed("gated_norm", 14 * 20, 4),
        scanned(20 * 4, 2, 3, 80 + 60 * 4), passed("silu gate", 14 * 20, 5, 2),
    ]),
    ("lightning", Lightning(20, 5, 4), scope(), [
        passed("norm", 14 * 20, 4), scanned(20 * 4, 1, 3, 80), passed("silu gate", 14 * 20, 5, 2),
    ]),
    ("generalized delta", GeneralizedDelta(22, 5, 4, (3, 2, 0, 6)), scope(), [
        passed("k_norm", 14 * 20, 3), passed("g_norm", 14 * 20, 7),
        scanned(20 * 4, 2, 5, 80 + 2 * 22), passed("silu gate", 14 * 20, 5, 2),
    ]),
    ("matrix memory", MatrixMemory(22, 5, 3, 4), scope(), [
        passed("multihead_norm", 14 * 20, 6), scanned(5 * 3 * (4 + 1), 1, 3, 75 + 5),
        passed("silu gate", 14 * 20, 5, 2),
    ]),
    ("made taps", GatedDelta(22, 2, 4, 3, 5, 4, taps=6), scope(convolution="needed"), [
        convolved(20, positions=7), passed("gated_norm", 14 * 20, 4),
        scanned(4 * 3 * 5, 2, 3, 60 + 20 * 4), passed("silu gate", 14 * 20, 5, 2),
    ]),
    ("selecting mamba 2", Mamba2(22, 4, 11, 1, 3, 4, normed=False, dt_rank=5), scope(0), [
        convolved(44, True, 7 + 3), passed("dt_norm", 14 * 5, 4), passed("b_norm", 14 * 3, 4),
        passed("c_norm", 14 * 3, 4), scanned(44 * 3, 1, 6, 44 * 3 + 44 * 4),
        passed("silu gate", 14 * 44, 5, 2),
    ]),
    ("time mix", TimeMix(22, 30), scope(), [
        scanned(30, 0, 16, 3 * 30 + 2 * 22), passed("silu gate", 14 * 30, 5, 2),
    ]),
    ("griffin", GatedRecurrence(24, 28, 4, 4), scope(), [
        convolved(28, True), scanned(28, 0, 8, 28 * 4), passed("silu gate", 14 * 28, 5, 2),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("mixer", "where", "expected"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_a_mixer_does_and_moves_this_besides_its_matrices(
    mixer: Any, where: EmitContext, expected: list[Row]
) -> None:
    assert sorted(rows(mixer_operators(mixer, where))) == sorted(expected)


MOE = Moe(22, 5, 2, Mlp(22, 6, activation="gelu", group="experts", copies=5),
          shared=Mlp(22, 8, gated=False, activation="relu2", group="shared_experts"))  # fmt: skip


def test_a_mixture_routes_weighs_and_adds() -> None:
    """gelu is 8 operations and a gate one more, relu2 two; a softmax over 5 experts."""
    found = rows(feed_operators(MOE, scope()))
    assert found == [
        passed("routing softmax", 14 * 5, 5),
        passed("gelu x up", 14 * 2 * 6, 8 + 1, 2),
        passed("combine experts", 14 * 2 * 22, 2),
        passed("relu2", 14 * 8, 2),
    ]
    sets = {each.name: each.sets for each in feed_operators(MOE, scope(expert_reads="all"))
            if isinstance(each, MatMul)}  # fmt: skip
    assert (sets["expert up"], sets["shared up"], sets["router"]) == (5, 1, 1)
    expected = next(each for each in feed_operators(MOE, scope()) if each.name == "expert up")
    assert isinstance(expected, MatMul)
    assert (expected.m, expected.sets) == (28, pytest.approx(5 * (1 - (1 - 2 / 5) ** 14)))


def test_streams_are_weighed_read_mixed_and_written() -> None:
    """Three streams of 22: 3 + 3 + 3 x 3 weights, made doubly stochastic in 5 steps of 4
    operations each; a sigmoid is four."""
    streams = Streams(22, 3, 5)
    assert rows(read_streams(streams, "mlp", scope())) == [
        passed("stream norm", 14 * 66, 3),
        passed("stream weights", 14 * (4 * 15 + 4 * 5 * 9), 1),
        passed("read streams", 14 * 66, 2),
    ]
    assert rows(write_streams(streams, scope())) == [
        ("mix streams", 14 * 3 * 66, 0, 14 * (66 + 22), 14 * 66, 0, 0),
        passed("write streams", 14 * 66, 2),
    ]
    plain = Streams(22, 3, mixing=False)
    assert rows(read_streams(plain, "mlp", scope()))[1] == passed("stream weights", 14 * 4 * 6, 1)
    assert rows(write_streams(plain, scope())) == [passed("write streams", 14 * 66, 2)]
    # base for each weight, and a scale for each of the uses: to read, to add, to mix
    sizes = [part.parameters for part in (*streams.parts("mlp"), *plain.parts("mlp"))]
    assert sizes == [66 * 15, 15 + 3, 66 * 6, 6 + 2]


def test_an_addition_is_fused_with_the_norm_behind_it() -> None:
    """It reads the branch and writes the stream; alone it reads both."""
    found = residual(22, 3, scope(kernels="fused")), residual(22, 3, scope())
    assert [(each.elementwise_flops, each.moved.read, each.moved.written) for each in found] == [
        (3 * 308, 3 * 308, 3 * 308), (3 * 308, 6 * 308, 3 * 308),
    ]  # fmt: skip
