"""The estimator page without its looks: digits, addresses, exports, explanations."""

from __future__ import annotations

import csv
import io
import json
import math
import re

import pytest
import thermoflop as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from thermoflop.base.record import replace
from thermoflop.cost.catalogue.devices import catalogue
from thermoflop.cost.catalogue.profiles import custom_profile
from thermoflop.web.estimator.address import from_query, to_query
from thermoflop.web.estimator.answer import as_csv, as_json
from thermoflop.web.estimator.answers import answer, why
from thermoflop.web.estimator.changes import changed, shortened
from thermoflop.web.estimator.charts import batch_options, roof_options
from thermoflop.web.estimator.computed import compute
from thermoflop.web.estimator.fields import FIELDS, FieldError, default_rates
from thermoflop.web.estimator.inputs import DEFAULTS, Inputs
from thermoflop.web.estimator.original import original_formulas

# The shape of the original page as the estimator takes it.
SHAPED = replace(DEFAULTS, model="shape", device="A100-PCIe-80GB", dtype="fp16", users=10,
                 prompt=1, output=1023)  # fmt: skip
ORIGINAL = replace(DEFAULTS, mode="original")
NAMES = ("shape", "gpt2", "llama-3-8b", "mixtral-8x7b", "deepseek-v2-lite", "gemma-2-2b")


def figure(result, key):
    return next(each for each in result.figures() if each.key == key)


def test_users_at_once_stand_beside_what_a_server_gives_them():
    """Decoding alone is faster than a server that reads prompts in between, as `serving` says."""
    asked = {"tp": 4, "dtype": "fp8", "profile": "vllm", "prompt": 1024}
    inputs = replace(DEFAULTS, model="llama-3.3-70b", users=79, output=256, **asked)
    served = tf.serving("llama-3.3-70b", "h100", users=79, generate=256, **asked)
    user, together = answer(inputs).headline[:2]
    for head, rate in ((user, 1 / served.token_s[1]), (together, served.tokens_per_s)):
        said = re.search(r"with prompts read in between ([\d,.]+) tokens/s", head.detail)
        assert said is not None
        assert float(said[1].replace(",", "")) == pytest.approx(rate, rel=0.01)
        assert head.value > rate
    for alone in (replace(inputs, users=1), replace(inputs, users=4, tp=1, dp=4)):
        assert all("in between" not in each.detail for each in answer(alone).headline)


@pytest.mark.parametrize(
    ("gpu", "texts"),
    [
        ("A100", ["1505.41 ms", "1473.12 ms", "1.02 ×"]),
        ("V100", ["1716.66 ms", "1489.24 ms", "1.15 ×"]),
    ],
)
def test_the_defaults_show_the_digits_of_the_original(gpu, texts):
    result = answer(changed(ORIGINAL, "gpu", gpu))
    assert [each.text for each in result.headline] == texts


def test_of_many_users_the_first_token_is_of_all_prompts_and_of_a_client_its_own():
    many = answer(replace(DEFAULTS, model="llama-3-8b", profile="vllm", users=32))
    first = figure(many, "head.first")
    assert figure(many, "first.expected").label == "first token of all 32 prompts, expected"
    asked = tf.estimate("llama-3-8b", "h100", batch=32, profile="vllm")
    own = asked.client_first_token
    assert figure(many, "client.expected").value == own.expected_s < first.value
    assert (figure(many, "client.low").value, figure(many, "client.high").value) == (
        own.low_s, own.high_s
    )  # fmt: skip
    told = f"a client has its own after {figure(many, 'client.expected').text}"
    assert first.detail == f"of all 32 prompts, read in one step; {told}"


def test_of_one_user_the_first_token_needs_no_more_words_and_of_no_engine_no_client_is_known():
    alone = answer(replace(DEFAULTS, model="llama-3-8b", users=1))
    assert figure(alone, "head.first").detail == "after the prompt is sent"
    assert figure(alone, "first.expected").label == "first token, expected"
    assert not [each for each in alone.figures() if each.key.startswith("client.")]
    for dp, users, said in (
        (1, 2, "of all 2 prompts, read in one step"),
        (2, 2, "after the prompt is sent"),
        (2, 4, "of all 4 prompts, read in one step of each replica"),
    ):
        some = answer(replace(DEFAULTS, model="llama-3-8b", users=users, dp=dp))
        assert figure(some, "head.first").detail == said


@pytest.mark.parametrize(
    ("typed", "kept", "said"),
    [
        ("qwen3.6-27b", "qwen3.6-27b", True),
        ("Qwen/Qwen3.6-27B", "Qwen/Qwen3.6-27B", True),
        ("Qwen/Qwen3.5-27B", "qwen3.5-27b", False),
    ],
)
def test_a_name_that_has_another_models_sizes_stays_and_is_told(typed, kept, said):
    inputs, wrong = from_query([("model", typed), ("prompt", "64"), ("output", "2")])
    result = answer(inputs)
    assert (inputs.model, wrong) == (kept, [])
    assert result.title.startswith("qwen3.5-27b on 1 ×")
    told = f"The name {typed} is counted as qwen3.5-27b, whose sizes it has."
    assert (told in result.notes) is said


def test_what_generates_nothing_has_sequences_in_a_step_and_of_pairs_any_number_of_users():
    """CLIP meets as many texts as images: its last product is as wide as the batch."""
    for name in ("bert-base-uncased", "clip-vit-base-patch32"):
        some = answer(replace(DEFAULTS, model=name, users=4, prompt=64))
        assert figure(some, "head.first").detail == "of all 4 sequences, read in one step"


def test_the_original_shows_its_memory_and_its_kernels():
    result = answer(ORIGINAL)
    assert figure(result, "mha.params").value == 169.869312
    assert figure(result, "mqa.params").value == 143.327232
    assert figure(result, "mha.kv").value == 754.97472
    assert figure(result, "mqa.kv").value == 47.18592
    assert figure(result, "mha.weights").text == "0.340 GB"
    assert figure(result, "mqa.weights").text == "0.287 GB"
    assert figure(result, "mqa.qkv.flop").value == 0.01327104
    assert figure(result, "mqa.qkv.bytes").value == 0.164736
    assert figure(result, "mqa.att2.bytes").value == 1.98144
    assert figure(result, "mha.ln.overhead").value == pytest.approx(
        0.005 - 30720 / 1935e6, rel=1e-9
    )


def test_the_original_states_its_formulas_in_letters():
    letters = {name: (flop, size) for name, flop, size in original_formulas()}
    assert letters["MHA: queries, keys, values"] == ("6bd²", "8bd + 6d²")
    assert letters["MQA: weights x values"] == ("2bdn", "4bkn + 2bd")


def number(field, least=None, most=None):
    most = field.most if most is None else most
    least = field.least if least is None else least
    if field.whole:
        return st.integers(int(least), int(most))
    return st.floats(least, most, allow_nan=False)


@st.composite
def any_inputs(draw):
    """Inputs that every field takes, sensible together or not."""
    inputs = DEFAULTS
    for field in FIELDS.values():
        if field.choices is not None:
            names = [name for name in field.choices() if name != "upload"]
            inputs = replace(inputs, **{field.name: draw(st.sampled_from(names))})
        elif field.takes is not None:
            inputs = replace(inputs, **{field.name: draw(st.sampled_from(["", "72", "9 ms"]))})
        else:
            inputs = replace(inputs, **{field.name: draw(number(field))})
    return inputs


@st.composite
def sensible_inputs(draw):
    """Inputs of the estimator that mostly make sense together."""
    return replace(
        SHAPED,
        model=draw(st.sampled_from(NAMES)),
        device=draw(st.sampled_from(sorted(catalogue()))),
        users=draw(st.sampled_from([1, 2, 7, 64])),
        prompt=draw(st.integers(1, 2000)),
        output=draw(st.integers(0, 500)),
        price=draw(st.sampled_from([0.0, 2.5])),
        dtype=draw(st.sampled_from(["bf16", "fp16", "fp8", "int4", "q4_k_m"])),
        kv_dtype=draw(st.sampled_from(["same", "fp8"])),
        tp=draw(st.sampled_from([1, 2, 4, 3])),
        pp=draw(st.sampled_from([1, 2])),
        profile=draw(st.sampled_from(["default", "own", "vllm", "llama.cpp"])),
        attention=draw(st.sampled_from(["own", "mha", "gqa", "mqa", "mla"])),
        groups=draw(st.sampled_from([0, 1, 2, 5])),
        measured=draw(st.sampled_from(["", "72", "9 ms"])),
    )


@given(any_inputs())
def test_an_address_brings_back_what_it_was_made_from(inputs):
    assert from_query(to_query(inputs).items()) == (inputs, [])


@given(st.lists(st.tuples(st.text(max_size=20) | st.sampled_from(sorted(FIELDS)), st.text())))
def test_any_address_gives_inputs_and_printable_sentences(pairs):
    inputs, wrong = from_query(pairs)
    assert from_query(to_query(inputs).items())[0] == inputs
    for sentence in wrong:
        assert sentence.isprintable()
        assert len(sentence) < 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "/etc/passwd"),
        ("model", "../../etc/passwd"),
        ("model", "."),
        ("device", "mine.toml"),
        ("device", "/etc/passwd"),
        ("profile", "/tmp/mine.json"),
        ("dtype", "int4-g0"),
        ("batch", "1e999"),
        ("batch", "nan"),
        ("batch", "-3"),
        ("batch", "2.5"),
        ("batch", "<script>"),
        ("heads", "9" * 400),
        ("efficiency", "0"),
    ],
)
def test_an_address_names_no_file_and_nonsense_keeps_the_default(name, value):
    inputs, wrong = from_query([("mode", "estimate"), (name, value)])
    assert inputs == DEFAULTS
    assert len(wrong) == 1
    assert FIELDS[name].label in wrong[0]


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("prompt", "32k", 32_768),  # a context of 32k is 32 x 1024 tokens
        ("prompt", "128K", 131_072),
        ("prompt", "1_024", 1024),
        ("output", "1e3", 1000),
        ("users", "1k", 1000),
        ("users", "2,048", 2048),
        ("price", ".5", 0.5),
    ],
)
def test_a_field_takes_numbers_as_people_write_them(name, written, value):
    assert FIELDS[name].read(written) == value


def test_unknown_keys_of_an_address_are_named_in_one_sentence():
    _, wrong = from_query([(f"key{n}", "x") for n in range(5)])
    assert wrong == [
        "the address has no inputs of this page: 'key0', 'key1', 'key2' and 2 more, ignored"
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"model": "llama-3-8b", "gpu": "rtx-4090"}, {"device": "RTX 4090", "model": "llama-3-8b"}),
        ({"mode": "estimate", "gpu": "rtx-4090"}, {"device": "RTX 4090", "gpu": "A100"}),
        ({"mode": "estimate", "gpu": "V100"}, {"device": DEFAULTS.device, "gpu": "V100"}),
        ({}, {"mode": "estimate", "model": "llama-3-8b", "users": 1}),
        ({"model": "llama3.1:8b", "users": "4"}, {"mode": "estimate", "model": "llama3.1:8b"}),
        ({"batch": "12"}, {"users": 12}),
        ({"gpu": "2x4090", "batch": "8"}, {"device": "RTX 4090", "tp": 2, "users": 8}),
        ({"model": "gpt2", "batch": "4", "generate": "16", "kv-dtype": "fp8"},
         {"users": 4, "output": 16, "kv_dtype": "fp8"}),
        ({"batch": "4", "prompt": "512"}, {"users": 4, "prompt": 512}),
        ({"engine": "vllm", "batch": "8"}, {"users": 8, "profile": "vllm"}),
        ({"tp": "8", "gpu": "2x4090"}, {"tp": 8, "device": "RTX 4090"}),
        ({"gpu": "2x4090", "tp": "8"}, {"tp": 8, "device": "RTX 4090"}),
        ({"model": "bert-base-uncased"}, {"prompt": 512}),  # of its 512 positions
        ({"model": "gpt2"}, {"prompt": 896, "output": 128}),  # which has 1024
        ({"model": "gpt2", "prompt": "1000", "engine": "vllm"}, {"output": 24, "profile": "vllm"}),
    ],
)  # fmt: skip
def test_an_address_that_is_written_by_hand_opens_the_estimator(query, expected):
    inputs, wrong = from_query(query.items())
    assert wrong == []
    assert {name: getattr(inputs, name) for name in expected} == expected
    assert not inputs.original
    answer(inputs)


def test_another_model_takes_the_sizes_along_as_far_as_it_has_room():
    wide = replace(DEFAULTS, prompt=1000, output=600)
    assert changed(wide, "model", "llama-3-8b") == wide
    small = changed(wide, "model", "gpt2")  # 1024 positions
    assert (small.prompt, small.output) == (512, 512)
    encoder = changed(wide, "model", "bert-base-uncased")  # 512, and nothing is generated
    assert encoder.prompt == 512
    assert shortened(wide, encoder) == "The prompt is now 512 tokens: this model has 512 positions."
    assert not encoder.is_used("output")
    assert small.is_used("output")
    for inputs in (small, encoder):
        answer(inputs)


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("device", "/etc/passwd", "GPU '/etc/passwd' is a file, and the page reads none"),
        ("model", "  ", "model (empty) is not known"),
        ("model", "../../etc/passwd", "model '../../etc/passwd' does not exist: expected a name"),
    ],
)
def test_a_name_that_is_none_is_refused_as_of_a_page_that_reads_no_files(name, raw, said):
    with pytest.raises(FieldError) as refused:
        FIELDS[name].read(raw)
    assert str(refused.value) == said


def test_what_a_list_shows_may_be_typed_and_no_option_of_the_command_line_is_named():
    assert FIELDS["model"].read("a shape of my own") == "shape"
    with pytest.raises(FieldError) as refused:
        answer(replace(DEFAULTS, tp=3))
    assert "or pp=3 instead, which splits layers" in str(refused.value)


def test_an_encoder_is_asked_for_a_prompt_alone():
    long = replace(DEFAULTS, model="bert-base-uncased")
    with pytest.raises(FieldError, match=r"^1,024 tokens of prompt pass the 512 positions of"):
        answer(long)


def test_what_does_not_fit_fits_with_each_remedy_that_the_page_offers():
    large = answer(replace(DEFAULTS, model="qwen3-30b-a3b", device="RTX 4090", profile="llama.cpp"))
    # 30.5 G parameters of 2 bytes and what is beside them, in 24 GiB
    assert re.match(r"Does not fit: it takes 6[1-3]\.\d GB and a GPU has 25\.8 GB, ", large.verdict)
    assert "Below: as if it fitted." in large.verdict
    assert [text for text, _ in large.remedies][1:] == ["3 GPUs (pp=3)"]
    for _, changes in large.remedies:
        assert answer(replace(large.inputs, **changes)).fits
    many = answer(replace(DEFAULTS, device="RTX 4090", users=64))
    assert {key for _, changes in many.remedies for key in changes} >= {"users", "kv_dtype"}
    assert many.charts["batches"]["rows"][0][6]  # one user fits: only from here on it is grey


def test_the_chart_of_users_says_too_where_nothing_is_grey():
    """ECharts keeps what it is not told anew: the grey of the answer before."""
    rows = [[1024, 2.0, 1.0, 3.0, 0.5, 9e5, True], [2048, 3.0, 2.0, 4.0, 0.6, 9e5, True]]
    fitting = batch_options({"what": "each token", "rows": rows})
    assert fitting["xAxis"][0]["data"] == ["1,024", "2,048"]
    rows[1][6] = False
    grey = batch_options({"what": "each token", "rows": rows})
    for place in (0, -1):
        assert fitting["series"][place]["markArea"]["data"] == []
        (((begin, end),),) = [grey["series"][place]["markArea"]["data"]]
        assert begin == end == {"xAxis": "2,048"}
    times, rates = (axis["nameGap"] for axis in fitting["yAxis"])
    assert rates - times > 6 * (len("1,000,000") - len("10"))  # each name clears its labels


def test_several_devices_are_named_as_people_write_them():
    two = changed(DEFAULTS, "device", "2x4090")
    assert (two.device, two.tp) == ("RTX 4090", 2)
    assert changed(two, "device", "h100").tp == 2
    layers = changed(changed(DEFAULTS, "profile", "llama.cpp"), "device", "rtx-4090 + rtx-4090")
    assert (layers.device, layers.tp, layers.pp) == ("RTX 4090", 1, 2)


def test_a_part_of_a_name_is_answered_with_the_names_that_have_it():
    with pytest.raises(
        FieldError, match=r"'8b' is no name in the catalogue; those with it are .*8b"
    ):
        changed(DEFAULTS, "model", "8b")


def test_what_encodes_images_is_a_step_of_its_own_beside_the_chunks_of_the_prompt():
    """Four steps: the tower, the middle chunk of 512 tokens, the rest, and one more token."""
    seen = answer(replace(DEFAULTS, model="qwen2.5-vl-7b", images=2, profile="llama.cpp"))
    phases = [grid.key for grid in seen.grids if grid.key.startswith("ops.")]
    assert phases == ["ops.media", "ops.prefill", "ops.remainder", "ops.decode"]
    assert len(seen.charts["roof"]["steps"]) == 4
    series = roof_options(seen.charts["roof"])["series"]
    assert len({(each["color"], each.get("symbol")) for each in series}) == 5  # and the roof
    text = "\n".join(why(seen.inputs, "first.expected").formula)
    for said in ("encoding the images", "reading 512 tokens", "reading the last"):
        assert said in text
    factors = re.findall(r"([\d.]+) x [\d.]+ ", text)
    # 1,024 tokens and two images of 37 x 27 tokens, in chunks of 512, after one pass of the tower
    assert [float(factor) for factor in factors] == [1, (1024 + 2 * 37 * 27) // 512, 1]


def test_the_original_stands_beside_what_the_estimator_says_of_its_shape():
    result = answer(ORIGINAL)
    model = tf.load_model(
        {"model_type": "gpt2", "n_embd": 768, "n_layer": 24, "n_head": 16, "n_positions": 1024}
    )
    forms = {form.name: form for form in tf.compare(
        model, "A100-PCIe-80GB", batch=10, prompt=1, generate=1023, dtype="fp16",
        profile=custom_profile(0.5, 5e-6),
    )}  # fmt: skip
    assert figure(result, "page.mha.total").text == "1505.41 ms"
    for name in ("mha", "mqa"):
        beside = figure(result, f"beside.{name}.total").value
        assert beside == pytest.approx(1e3 * forms[name.upper()].estimate.total.expected_s)


def test_a_million_tokens_cost_what_the_hours_of_all_devices_do():
    result = answer(replace(DEFAULTS, users=8, tp=2, price=3.6))
    alone = tf.estimate("llama-3-8b", "h100", tp=2, batch=8)  # 128 tokens, as the page
    # 3.6 an hour and device: 0.002 a second of both
    for end in ("expected", "low", "high", "bound"):
        seconds = getattr(alone.total, f"{end}_s")
        cost = 1e6 * 0.002 * seconds / (8 * 128)
        shown = figure(result, "head.cost")
        assert getattr(shown, "value" if end == "expected" else end) == pytest.approx(cost)


def test_the_estimate_answer_is_the_estimators():
    inputs = replace(
        DEFAULTS, model="llama-3-8b", device="H100-SXM-80GB", users=16, prompt=512, output=128,
        dtype="bf16", profile="vllm",
    )  # fmt: skip
    result = answer(inputs)
    alone = tf.estimate(
        "llama-3-8b", "h100", batch=16, prompt=512, generate=128, dtype="bf16", profile="vllm"
    )
    capacity = tf.fit(
        "llama-3-8b", "h100", batch=16, prompt=512, generate=128, dtype="bf16", profile="vllm"
    )
    assert figure(result, "token.expected").value == alone.per_token.expected_s
    assert figure(result, "first.bound").value == alone.first_token.bound_s
    assert figure(result, "total.high").value == alone.total.high_s
    assert figure(result, "rate.decode").value == alone.decode_tokens_per_s
    assert figure(result, "energy.token").value == alone.energy.per_token_j
    assert figure(result, "memory.total").value == capacity.memory.total_bytes / 1e9
    assert figure(result, "fit.batch").value == capacity.largest_batch
    assert figure(result, "fit.context").value == capacity.longest_context
    assert figure(result, "model.params").value == 8_030_261_248
    assert result.fits


def test_the_shape_of_the_original_runs_through_the_estimator():
    result = answer(SHAPED)
    assert figure(result, "form.MHA.token.expected").value == figure(result, "token.expected").value
    faster = figure(result, "form.MQA.faster").value
    assert faster > 1
    config = {
        "model_type": "gpt2", "n_embd": 768, "n_layer": 24, "n_head": 16, "n_positions": 1024,
    }  # fmt: skip
    model = tf.load_model(config)
    alone = tf.estimate(model, "A100-PCIe-80GB", batch=10, prompt=1, generate=1023, dtype="fp16")
    assert figure(result, "total.expected").value == alone.total.expected_s


def test_what_ifs_change_the_model_that_is_answered():
    mla = answer(replace(SHAPED, attention="mla", rank=256))
    assert figure(mla, "model.kv").value == figure(mla, "form.MLA(256).model.kv").value
    mqa = answer(replace(SHAPED, attention="mqa"))
    assert figure(mqa, "model.kv").value == figure(mqa, "form.MQA.model.kv").value


def test_rates_of_ones_own_are_used_and_said():
    custom = replace(SHAPED, profile="own", overhead_ms=0.02, efficiency=0.25)
    slow, fast = answer(custom), answer(replace(custom, overhead_ms=0.001))
    assert figure(slow, "token.expected").value > 2 * figure(fast, "token.expected").value
    assert "20 µs" in slow.notes[0]
    reasons = why(custom, "op.decode.2")
    assert any("20.0 µs" in line for line in reasons.formula)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"heads": 7}, "heads"),
        ({"tp": 5}, "tp"),
        ({"tp": 2, "dp": 3}, "dp"),
        ({"ep": 2}, "ep"),
        ({"pp": 25}, "pp"),
        ({"dtype": "fp8"}, "dtype"),
        ({"profile": "llama.cpp", "dtype": "fp8"}, "dtype"),
        ({"profile": "tensorrt-llm", "device": "MI300X"}, "device"),
        ({"attention": "gqa", "groups": 3}, "groups"),
        ({"model": "deepseek-v3", "attention": "mqa"}, "attention"),
        ({"model": "falcon-7b", "attention": "gqa"}, "attention"),
        ({"model": "gpt2", "output": 5000}, "prompt"),
        ({"model": "upload"}, "model"),
    ],
)
def test_a_refusal_names_the_input_that_it_is_about(changes, field):
    with pytest.raises(FieldError) as caught:
        answer(replace(SHAPED, **changes))
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes", [{"start": 9, "end": 9}, {"heads": 1000}, {"end": 10_000_000}])
def test_the_original_refuses_what_it_cannot_compute(changes):
    with pytest.raises(FieldError):
        answer(replace(ORIGINAL, **changes))


def test_an_encoder_is_answered_without_tokens_to_generate():
    result = answer(replace(SHAPED, model="bert-base-uncased", prompt=128, output=77))
    assert [each.label for each in result.headline] == ["The result", "Throughput"]
    assert result.charts["batches"]["what"] == "the result"
    assert figure(result, "form.MHA.first.expected").label == "MHA the result"
    assert not any(each.key.startswith("token.") for each in result.figures())


@settings(max_examples=40, deadline=None)
@given(sensible_inputs())
def test_every_number_is_finite_has_a_reason_and_survives_the_exports(inputs):
    try:
        result = answer(inputs)
    except FieldError as error:
        result, refused = None, error
    if result is None:
        assert refused.field in FIELDS
        assert len(str(refused)) > 10
        return
    keys = [each.key for each in result.figures()]
    assert len(keys) == len(set(keys))
    for each in result.figures():
        assert not isinstance(each.value, float) or math.isfinite(each.value), each
        assert each.text
    for key in list({each.why for each in result.figures() if each.why})[:12]:
        reasons = why(inputs, key)
        assert reasons.title
        assert reasons.value
        assert reasons.formula
    exported = json.loads(as_json(result))
    assert [each["key"] for each in exported["figures"]] == keys
    rows = list(csv.reader(io.StringIO(as_csv(result))))
    assert {len(row) for row in rows} == {4}
    assert from_query(to_query(result.inputs).items())[0] == inputs


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 64), st.integers(1, 64), st.integers(1, 32), st.integers(1, 60),
    st.integers(1, 300), st.integers(1, 200), st.floats(0, 0.1), st.floats(0.01, 1),
)  # fmt: skip
def test_the_original_is_answered_for_any_shape(
    batch, head_width, heads, layers, start, steps, overhead_ms, efficiency
):
    inputs = replace(
        ORIGINAL, batch=batch, heads=heads, width=max(8, heads * head_width), layers=layers,
        start=start, end=start + steps, overhead_ms=overhead_ms, efficiency=efficiency,
    )  # fmt: skip
    result = answer(inputs)
    assert figure(result, "speed_up").value == pytest.approx(
        figure(result, "mha.total").value / figure(result, "mqa.total").value
    )
    for each in result.figures():
        assert not each.why or why(inputs, each.why).formula


@pytest.mark.parametrize("key", ["", "x", "op.decode.999", "op.x.1", "form.X.token.expected",
                                 "mha.<b>", "fit.x", "energy.rise", "form.a"])  # fmt: skip
@pytest.mark.parametrize("inputs", [ORIGINAL, SHAPED])
def test_a_reason_that_is_not_there_is_refused_in_a_sentence(inputs, key):
    with pytest.raises(FieldError):
        why(inputs, key)


def test_a_name_that_says_a_format_is_counted_as_on_the_command_line():
    """A tag of Ollama means its download in q4_k_m; the catalogue's own name the published one."""
    card = changed(DEFAULTS, "device", "rtx 4090")
    tagged, plain = (
        answer(changed(card, "model", name)) for name in ("llama3.1:8b", "llama-3.1-8b")
    )
    said = tf.estimate("llama3.1:8b", "rtx 4090", batch=card.users, prompt=card.prompt,
                       generate=card.output)  # fmt: skip
    value = figure(tagged, "head.user").value
    assert value == pytest.approx(1 / said.per_token.expected_s, rel=0.01)
    assert value > 2 * figure(plain, "head.user").value
    assert any("Ollama" in note for note in tagged.notes)


def test_images_are_asked_for_and_counted_where_the_model_sees_and_nowhere_else():
    blind = replace(DEFAULTS, model="llama-3-8b", prompt=1024, output=0, images=2)
    seeing = replace(DEFAULTS, model="qwen2.5-vl-7b", prompt=1024, output=0)
    original = replace(DEFAULTS, mode="original")
    assert [each.is_used("images") for each in (original, blind, seeing)] == [False, False, True]
    assert not any(seeing.is_used(name) for name in ("image_width", "audio_s"))
    shown = replace(seeing, images=2, image_width=1024, image_height=768)
    assert shown.is_used("image_width")
    # 1036 x 756 pixels after rounding to 28, a token for each 28 x 28: 37 x 27 an image
    expected = tf.estimate(
        "qwen2.5-vl-7b", shown.device, batch=shown.users, prompt=1024, generate=0,
        images="2x1024x768",
    )  # fmt: skip
    assert expected.prompt == 1024 + 2 * 37 * 27
    assert figure(answer(shown), "first.expected").value == expected.first_token.expected_s
    assert answer(blind).title == answer(replace(blind, images=0)).title
    assert from_query(to_query(shown).items())[0] == shown


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("H100-SXM-80GB", "pooled over all engines, llama.cpp's of GGUF files"),
        ("M4 Max", "llama.cpp's, or MLX's of its own formats"),
        ("P40", "llama.cpp's, which runs it"),
    ],
)
def test_the_default_of_the_engines_says_what_it_is_on_the_chosen_device(device, said):
    assert default_rates(FIELDS["device"].read(device)) == said


def test_a_model_that_mlx_does_not_hold_is_answered_in_the_format_of_its_remedy():
    """Gemma 4 31B in 8.5 bits is 32.6 GB, and Metal gives 30.2 of 36 GiB."""
    asked = replace(
        DEFAULTS, model="gemma-4-31b", device="Apple M4 Max (32c)", profile="mlx", dtype="mlx-8bit"
    )
    full = answer(asked)
    assert not full.fits
    change = next(each for _, each in full.remedies if "dtype" in each)
    fitting = answer(changed(asked, "dtype", change["dtype"]))
    assert fitting.fits
    run = tf.estimate("gemma-4-31b", "m4 max 32c", dtype="mlx-6bit", profile="mlx", prompt=1024)
    assert figure(fitting, "memory.weights").value == run.memory.weight_bytes / 1e9


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("LM Studio", "llama.cpp"), ("mlx-lm", "mlx"), ("VLLM", "vllm"), ("own", "own")],
)
def test_an_engine_is_found_by_the_names_that_the_command_line_takes(typed, meant):
    inputs, wrong = from_query([("device", "m4 max"), ("profile", typed)])
    assert (inputs.profile, wrong) == (meant, [])


@pytest.mark.parametrize("typed", ["ollama", "nonsense", "rates.json"])
def test_an_engine_that_the_page_does_not_have_is_said_and_no_file_is_read(typed):
    inputs, (wrong,) = from_query([("profile", typed)])
    assert inputs.profile == DEFAULTS.profile
    assert f"engine '{typed}' is not known" in wrong


@pytest.mark.parametrize(
    ("model", "device", "profile"),
    [("glm-5.2-nvfp4", "H100-SXM-80GB", "default"), ("llama-3-70b", "RTX 4090", "default"),
     ("glm-5.2-nvfp4", "H100-SXM-80GB", "vllm"), ("qwen3-8b", "GTX 1080", "default")],
)  # fmt: skip
def test_without_an_engine_the_page_says_what_the_command_line_says(model, device, profile):
    """GLM-5.2's publication states a cache in fp8, which no engine is known not to keep."""
    named = None if profile == "default" else profile
    shown = compute(Inputs(model=model, device=device, profile=profile))
    asked = {"prompt": 1024, "generate": 128, "profile": named}
    run, held = tf.estimate(model, device, **asked), tf.fit(model, device, **asked)
    assert shown.estimate.total == run.total
    assert shown.estimate.precision == run.precision
    assert shown.estimate.provenance == run.provenance
    assert (shown.capacity.memory, shown.capacity.remedies) == (held.memory, held.remedies)


def test_what_a_tower_takes_is_explained_as_formulas_of_its_images():
    """CLIP of LLaVA 1.5: a picture of 336 x 336 in patches of 14 x 14 and 3 colours, to 1,024."""
    inputs = replace(DEFAULTS, model="llava-1.5-7b", images=1, users=2)
    found = why(inputs, "op.media.0")
    assert found.title.startswith("patch_embed")
    flops = 2 * 2 * 24 * 24 * (14 * 14 * 3) * 1024
    assert any(f"= {flops:,}" in line for line in found.formula)


def test_latent_attention_instead_of_one_that_reads_two_streams_is_explained():
    """Zamba 2's attention reads its layer beside the embeddings: 2 x 2,560."""
    inputs = replace(DEFAULTS, model="zamba2-2.7b", attention="mla")
    (wide,) = [one.key for one in answer(inputs).figures()
               if one.label == "kv_a_proj, time" and one.key.startswith("op.prefill")]  # fmt: skip
    assert any("= 5,120: " in each for each in why(inputs, wide).notes)
