"""The same code with arrays of sizes: equal to the scalar path, and never silently wrong."""

from __future__ import annotations

import random

import numpy as np
import pytest
import thermoflop as tf
from thermoflop.base.record import replace
from thermoflop.errors import UsageError
from thermoflop.model.operators.sweep import mapped

NAMES = ["gpt2", "llama-3.1-405b", "deepseek-v3", "gemma-3-1b", "mixtral-8x7b", "gpt-oss-20b"]


@pytest.mark.parametrize("name", NAMES)
def test_arrays_of_steps_equal_the_scalar_path(name: str) -> None:
    model, rng = tf.load_model(name), random.Random(name)
    count = 200
    batch = np.array([rng.randint(1, 64) for _ in range(count)], dtype=np.int32)
    new = np.array([rng.randint(1, 2000) for _ in range(count)])
    cached = np.array([rng.randint(0, 9000) for _ in range(count)], dtype=np.uint16)
    table = model.operators(batch, new, cached)
    for index in range(0, count, 7):
        step = (int(batch[index]), int(new[index]), int(cached[index]))
        single = model.operators(*step)
        assert table.flops[index] == single.flops or "float64" in table.arithmetic
        assert table.flops[index] == pytest.approx(single.flops, rel=1e-13)
        assert table.elementwise_flops[index] == pytest.approx(single.elementwise_flops, rel=1e-13)
        assert table.read_bytes[index] == pytest.approx(single.read_bytes, rel=1e-9)
        assert table.write_bytes[index] == pytest.approx(single.write_bytes, rel=1e-13)


@pytest.mark.parametrize("name", ["deepseek-v3", "mixtral-8x7b", "gpt-oss-20b"])
@pytest.mark.parametrize("dtype", ["bf16", "int4", "mxfp4"])
def test_a_sweep_that_says_exact_has_the_bytes_of_experts_exactly(name: str, dtype: str) -> None:
    """Those are an expected number: each operator's is rounded, as for a single step."""
    model, sizes = tf.load_model(name), np.arange(1, 65)
    table = model.operators(sizes, cached=1000, dtype=dtype)
    single = [model.operators(size, cached=1000, dtype=dtype) for size in sizes.tolist()]
    assert "exact" in table.arithmetic
    assert table.read_bytes.tolist() == [each.read_bytes for each in single]


def test_an_empty_array_is_no_size() -> None:
    with pytest.raises(UsageError, match="batch"):
        tf.load_model("gpt2").operators(np.array([], dtype=int))


def test_small_integer_types_do_not_wrap() -> None:
    model = tf.load_model("gpt2")
    table = model.operators(np.array([100], dtype=np.int8), np.array([100], dtype=np.int8))
    assert table.flops[0] == model.operators(100, 100).flops
    assert "int64" in table.arithmetic


def test_past_two_to_the_63_the_table_says_float64() -> None:
    model = tf.load_model("llama-3.1-405b")
    table = model.operators(np.array([1, 1024]), np.array([1, 1_000_000]))
    exact = model.operators(1024, 1_000_000).flops
    assert exact > 2**63
    assert "float64" in table.arithmetic
    assert "float64" in table.conventions["numbers"]
    assert table.flops[1] == pytest.approx(exact, rel=1e-13)
    assert (table.flops > 0).all()


def test_just_below_the_limit_every_count_is_exact() -> None:
    model = tf.load_model("gpt2")
    sizes = np.array([1, 10, 1000, 100_000])
    table = model.operators(1, sizes)
    assert "int64" in table.arithmetic
    assert [int(flops) for flops in table.flops] == [
        model.operators(1, int(size)).flops for size in sizes
    ]


def test_arrays_of_model_sizes_equal_the_scalar_path() -> None:
    """A thousand models at once: hidden size and layers as arrays in the description itself."""
    model = tf.load_model("gpt2")
    widths, depths = np.arange(64, 64 * 1001, 64), np.arange(1, 1001)
    swap = {768: widths, 12: depths, 3072: 4 * widths}

    def wider(value: object) -> object:
        return swap.get(value, value) if isinstance(value, int) else value

    many = replace(model, description=mapped(model.description, wider))
    table = many.operators(1, 128)
    for index in (0, 17, 999):
        width, depth = int(widths[index]), int(depths[index])
        sizes = {768: width, 12: depth, 3072: 4 * width}
        one = mapped(model.description, lambda value, sizes=sizes: sizes.get(value, value))
        single = replace(model, description=one)
        assert table.flops[index] == single.operators(1, 128).flops
        assert many.params[index] == single.params


def test_arrays_that_make_no_sense_are_refused() -> None:
    model = tf.load_model("gpt2")
    for wrong in (
        np.array([1, -1]),
        np.array([1.0, np.nan]),
        np.array([1.5]),
        np.array(["a"]),
        np.array([True]),
    ):
        with pytest.raises(UsageError):
            model.operators(1, np.array(wrong))
    with pytest.raises(UsageError, match="do not go together"):
        model.operators(np.array([1, 2]), np.array([1, 2, 3]))
    with pytest.raises(UsageError, match="encode"):
        tf.load_model("t5-small").operators(1, 1, np.array([0, 5]), 9)


def test_a_numpy_scalar_is_a_sweep_of_one() -> None:
    model = tf.load_model("gpt2")
    assert int(model.operators(np.int64(2), 7).flops) == model.operators(2, 7).flops


def test_rounded_formats_in_a_sweep_equal_the_scalar_path() -> None:
    model, cached = tf.load_model("llama-3.2-1b"), np.array([1, 33, 1000])
    table = model.operators(2, 1, cached, weights="int4", cache="mxfp4")
    for index, length in enumerate(cached):
        single = model.operators(2, 1, int(length), weights="int4", cache="mxfp4")
        assert table.read_bytes[index] == single.read_bytes
        assert table.write_bytes[index] == single.write_bytes


def test_small_integer_types_do_not_wrap_in_cache_and_parameters() -> None:
    model = tf.load_model("llama-3.1-405b")
    tokens, batch = np.array([30_000], dtype=np.int16), np.array([120], dtype=np.int8)
    assert int(model.kv_bytes(tokens, batch)[0]) == model.kv_bytes(30_000, 120)
    huge = model.kv_bytes(np.array([10**12]), np.array([10**6]))
    assert huge[0] == pytest.approx(model.kv_bytes(10**12, 10**6), rel=1e-13)
    mamba = tf.load_model("mamba-130m")
    assert int(mamba.state_bytes(np.array([100], dtype=np.int8))[0]) == mamba.state_bytes(100)
    wide = {768: np.array([32_000], dtype=np.int32), 3072: np.array([128_000], dtype=np.int32)}
    gpt2 = tf.load_model("gpt2")

    def change(value: object) -> object:
        return wide.get(value, value) if isinstance(value, int) else value

    swept = replace(gpt2, description=mapped(gpt2.description, change))
    single = replace(
        gpt2,
        description=mapped(
            gpt2.description, lambda value: int(wide[value][0]) if value in wide else value
        ),
    )
    assert int(swept.params[0]) == single.params
    assert single.params > 2**31
