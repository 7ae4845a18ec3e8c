"""What a plan says where nothing does what was asked, and how many devices are tried for it."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from kit.made_up import decoder
from thermoflop.cost.catalogue.devices import find_device
from thermoflop.cost.plan import layouts as plan_layouts
from thermoflop.cost.plan import training
from thermoflop.cost.plan.blocked import Tried, blocked
from thermoflop.cost.plan.choice import Question
from thermoflop.cost.plan.plan import _different
from thermoflop.cost.plan.prices import prices_of
from thermoflop.cost.plan.training import _adapted, _best, _layouts, _nearest, _would
from thermoflop.cost.serving.targets import Targets
from thermoflop.cost.work.share import Layout
from thermoflop.errors import InputError, UsageError
from thermoflop.model.load import load_model

NOTHING = Tried([], [], [])


def unit(devices, token_s=0.03, first_s=0.5):
    loads = SimpleNamespace(
        token_s=np.array([token_s, 9.0]), first_s=np.array([first_s, 9.0]), rate=np.ones(2)
    )
    setting = SimpleNamespace(
        device=SimpleNamespace(name="D"), precision=SimpleNamespace(name="fp8", form="")
    )
    layout = Layout(tp=devices)
    return SimpleNamespace(devices=devices, layout=layout, setting=setting, loads=lambda: loads)


def choice(devices, replicas=1, disaggregated=""):
    return SimpleNamespace(
        devices=devices, replicas=replicas, plan=Layout(tp=2), device="D", dtype="bf16",
        disaggregated=disaggregated,
    )  # fmt: skip


def said(most, tried, given, targets=None, formats=("bf16", "fp8")):
    """What is said, and the numbers of devices that were tried."""
    counts = []

    def solve(count):
        counts.append(count)
        return given.get(count, given.get(None, NOTHING))

    question = Question(targets or Targets(), 5, None, most, {})
    return blocked(question, tried, solve, formats), counts


def test_devices_are_tried_by_powers_of_two_until_some_do():
    holds = Tried([unit(8), unit(4)], [], [])
    does = Tried([unit(2)], [object()], [choice(32), choice(16, 8)])
    text, counts = said(3, NOTHING, {8: holds, 16: does})
    assert counts == [4, 8, 16]
    assert text == (
        "not one sequence fits on 3 devices in any layout, in bf16 or fp8 (--dtype tries others); "
        "16 x D (8 x tp=2, bf16) would do"
    )
    alone, _ = said(1, NOTHING, {4: Tried([unit(4)], [object()], [choice(4)])}, formats=())
    assert alone == (
        "not one sequence fits on one device in any layout; 4 x D (tp=2, bf16) would do"
    )
    pools, _ = said(1, NOTHING, {4: Tried([unit(4)], [object()], [choice(4, 1, "pools")])})
    assert pools.endswith("4 x D (pools of prefill and decode, bf16) would do")


def test_what_would_hold_a_model_is_said_where_nothing_would_do():
    """A replica of more than 64 is not tried: more replicas hold no more."""
    text, counts = said(
        2, NOTHING, {8: Tried([unit(8), unit(4)], [], []), 16: Tried([unit(2)], [], [])}
    )
    assert counts == [4, 8, 16, 32, 64]
    assert text == (
        "not one sequence fits on 2 devices in any layout, in bf16 or fp8 (--dtype tries others); "
        "4 x D would hold the model (tp=4, fp8)"
    )
    text, counts = said(1, NOTHING, {})
    assert counts == [2, 4, 8, 16, 32, 64]
    assert text.endswith("; nor on 64")


def test_too_few_devices_are_said_with_how_many_are_tried():
    found = Tried([unit(2)], [object()], [])
    text, counts = said(512, found, {None: found})
    assert counts == [1024, 2048, 4096]
    assert text == "blocked by the number of devices: more than 4,096 are needed"
    text, _ = said(8, found, {16: Tried([unit(2)], [object()], [choice(16, 8)])})
    assert text == "blocked by the number of devices: 16 x D (8 x tp=2, bf16) would do"


@pytest.mark.parametrize(
    ("targets", "by"),
    [(Targets(None, 0.02), "time between tokens"), (Targets(0.4, None), "time to first token"),
     (Targets(0.4, 0.03), "time to first token")],
)  # fmt: skip
def test_the_nearest_says_which_target_it_misses(targets, by):
    text, _ = said(2, Tried([unit(2)], [], []), {}, targets)
    assert text == (
        "nearest: 2 x D (tp=2, fp8) with one user: tokens 30.0 ms apart, the first after 500 ms; "
        f"blocked by the {by}"
    )


def trained(devices, days, micro=1):
    plan = SimpleNamespace(devices=devices, label=f"dp={devices}")
    return SimpleNamespace(
        plan=plan, days=(days, days, days), device=SimpleNamespace(name="D"), micro=micro,
        memory=SimpleNamespace(fits=True),
    )  # fmt: skip


def test_training_tries_no_number_of_devices_that_cannot_be_enough():
    """80 device days in one are 80 devices; half of them may do where less is recomputed."""
    asked, given = [], {64: 1.5, 128: 0.9}

    def on(count):
        asked.append(count)
        return [trained(count, given[count]), trained(count, 3.0)] if count in given else [], 1

    text = _would(on, [trained(8, 10.0), trained(4, 60.0)], 8, 1.0)
    assert asked == [64, 128]
    assert text == "; 128 x D would do (dp=128, 0.9 days)"
    asked.clear()
    given.clear()
    assert _would(on, [trained(8, 10.0)], 8, 1.0).startswith("; nor do up to 8,192 devices")
    assert asked == [64, 128, 256, 512, 1024, 2048, 4096, 8192]
    asked.clear()
    given[16] = 2.0
    assert _would(on, [], 8, None) == "; 16 x D would do (dp=16, 2.00 days)"
    assert asked == [16]


@pytest.mark.parametrize(
    ("most", "many"), [(1, "one device"), (2, "2 devices"), (1024, "1,024 devices")]
)
def test_what_fits_in_no_layout_is_said_of_as_many_devices(most, many):
    said = _nearest(SimpleNamespace(name="m"), [], most)
    assert said == f"m with its states fits on {many} in no layout"


ADAPTED = " trains adapters: train m --lora 16 --base nf4"


@pytest.mark.parametrize(
    ("names", "how", "fits", "said"),
    [
        ("A", "none", "A", f"; one{ADAPTED}"),
        ("A", "full", "A", f"; one{ADAPTED} --recompute full"),
        ("AB", "none", "B", f"; one B{ADAPTED}"),
        ("AB", "full", "A", f"; one A{ADAPTED} --recompute full"),
        ("AB", "none", "C", ""),
    ],
)  # fmt: skip
def test_adapters_are_offered_on_the_first_device_that_holds_them(
    monkeypatch, names, how, fits, said
):
    """One sequence on one device, rather with everything kept."""

    def train(_model, device, **options):
        assert options == {
            "dtype": "bf16", "dp": 1, "global_batch": 1, "lora": 16, "base_dtype": "nf4",
            "recompute": options["recompute"],
        }  # fmt: skip
        held = device.name == fits and options["recompute"] in (how, "full")
        return SimpleNamespace(memory=SimpleNamespace(fits=held))

    monkeypatch.setattr(training, "train", train)
    devices = [SimpleNamespace(name=name) for name in names]
    fixed = {"global_batch": 64, "dtype": "bf16"}
    assert _adapted(SimpleNamespace(name="m"), devices, fixed) == said


def test_of_layouts_that_differ_in_stages_or_groups_alone_the_first_is_kept():
    def found(layout, gpu="D", dtype="bf16", pools=None):
        setting = SimpleNamespace(
            device=SimpleNamespace(name=gpu), precision=SimpleNamespace(name=dtype, form="")
        )
        return SimpleNamespace(unit=SimpleNamespace(layout=layout, setting=setting), pools=pools)

    kept = [found(Layout(2)), found(Layout(4)), found(Layout(2, dp=2)), found(Layout(2, ep=2)),
            found(Layout(2, cp=2)), found(Layout(2), "E"), found(Layout(2), "D", "fp8"),
            found(Layout(2), pools=object())]  # fmt: skip
    alike = [found(Layout(2, 2)), found(Layout(2, dp=4)), found(Layout(2, ep=4)),
             found(Layout(2, cp=4)), found(Layout(2), pools=object())]  # fmt: skip
    assert list(_different([*kept, *alike])) == kept
    # behind one with stages the best without is kept as well, and nothing behind that
    staged = [found(Layout(2, 2)), found(Layout(2, 4)), found(Layout(2)), found(Layout(2, 8))]
    assert list(_different(staged)) == [staged[0], staged[2]]


@pytest.mark.parametrize(("price", "refused"), [(999_999, False), (1e6, True), (0.01, False),
                         (0, True), (True, True)])  # fmt: skip
def test_a_price_is_above_nothing_and_below_a_million(price, refused, tmp_path):
    device = find_device("h100")
    path = tmp_path / "prices.toml"
    path.write_text(f'[[price]]\ndevice = "h100"\ndollars_per_hour = {str(price).lower()}\n')
    for asked, kind in ((price, UsageError), (str(path), InputError)):
        if refused:
            with pytest.raises(kind):
                prices_of(asked, [device])
        else:
            assert prices_of(asked, [device])[device.name].dollars == price


def test_each_device_has_the_price_that_stands_under_its_name():
    devices = [find_device("h200"), find_device("h100")]
    prices = prices_of({"h100": 2.5, "h200": 3.5}, devices)
    assert [prices[device.name].dollars for device in devices] == [3.5, 2.5]
    with pytest.raises(UsageError, match="price has none of H200"):
        prices_of({"h100": 2.5}, devices)
    with pytest.raises(UsageError, match="price has none of H100"):
        prices_of({"h100": None, "h200": 3.5}, devices)
    with pytest.raises(UsageError, match="expected dollars above 0"):
        prices_of({"h100": {"h100": 2}, "h200": 3.5}, devices)


@pytest.mark.parametrize("experts", [False, True])
@pytest.mark.parametrize(("most", "node"), [(1, 8), (8, 8), (12, 8), (16, 4)])
@pytest.mark.parametrize("prompt", [16_383, 16_384])
def test_every_replica_of_powers_of_two_is_tried(monkeypatch, experts, most, node, prompt):
    """Heads within a node, stages, long prompts over the devices of a node; of experts all of a
    replica's devices share them, whose attention goes over tp of these."""
    monkeypatch.setattr(plan_layouts, "has_experts", lambda _: experts)
    device = SimpleNamespace(network=SimpleNamespace(node_size=node))
    powers = [2**n for n in range(5)]
    wanted = set()
    for tp, pp in product(powers, powers):
        if tp > node or tp * pp > most:
            continue
        wanted.add((tp, pp, 1, 1, 1))
        if prompt >= 16_384:
            wanted |= {(tp, pp, 1, 1, cp) for cp in powers[1:]
                       if tp * cp <= node and tp * cp * pp <= most}  # fmt: skip
        if experts:
            wanted |= {(tp, pp, n, tp * n, 1) for n in powers if 1 < tp * n <= most / pp}
    found = list(plan_layouts.layouts(SimpleNamespace(description=None), device, most, prompt))
    assert {(each.tp, each.pp, each.dp, each.ep, each.cp) for each in found} == wanted
    assert len(found) == len(wanted)
    assert {each.node_size for each in found} == {node}


@pytest.mark.parametrize(
    ("gpu", "engine", "tried"),
    [
        ("h100", "vllm", ["bf16", "fp8"]), ("b200", "vllm", ["bf16", "fp8", "nvfp4"]),
        ("a100", "vllm", ["bf16", "int4"]), ("v100", "vllm", ["bf16", "int4"]),
        ("mi355x", "vllm", ["bf16", "fp8", "quark-mxfp4"]),  # OCP's 4 bits, not NVIDIA's
        ("h100", "exllama", ["bf16", "int4"]),
        ("AMD EPYC 7742", "vllm", ["fp32"]), ("h100", "llama.cpp", ["bf16", "q8_0", "q4_k_m"]),
    ],
)  # fmt: skip
def test_formats_are_those_that_a_device_computes_in(gpu, engine, tried):
    assert plan_layouts.formats(decoder(), find_device(gpu), engine) == tried
    published = load_model("gpt-oss-20b")
    for each in ("vllm", "llama.cpp"):  # mxfp4 is a type of GGUF files
        assert plan_layouts.formats(published, find_device(gpu), each) == [None]


@pytest.mark.parametrize(("count", "batch"), [(8, 8), (12, 6), (16, 512)])
@pytest.mark.parametrize("experts", [False, True])
def test_every_layout_of_powers_of_two_that_divides_the_batch_is_tried(
    monkeypatch, count, batch, experts
):
    monkeypatch.setattr(training, "has_experts", lambda _: experts)
    device = SimpleNamespace(network=SimpleNamespace(node_size=4))
    powers = [1, 2, 4, 8, 16]
    wanted = [
        {"tp": tp, "pp": pp, "dp": count // (tp * pp), "ep": ep}
        for tp in powers[:3] for pp in powers
        if count % (tp * pp) == 0 and batch % (count // (tp * pp)) == 0
        for ep in ((1, 4, 8, 16, 64) if experts else (1,)) if count // pp % ep == 0
    ]  # fmt: skip
    assert list(_layouts(SimpleNamespace(description=None), device, count, batch)) == wanted


def _never(made):
    made.memory.fits = False
    return made


def test_of_a_layout_what_computes_least_is_tried_first(monkeypatch):
    """Micro-batches that divide a replica's part; of each the first way that fits; behind the way
    of least memory, without which there is none."""
    asked = []

    def train(_model, _device, *, micro_batch, recompute, zero, dp, **_options):
        asked.append((micro_batch, recompute, zero))
        made = trained(dp, 10.0 - micro_batch, micro_batch)
        made.memory.fits = recompute == "full" and zero >= min(dp, 2)
        return made

    monkeypatch.setattr(training, "train", train)
    best, tried = _best(None, None, {"dp": 2}, {"global_batch": 4})
    ways = [(how, zero) for how in ("none", "fine-grained", "selective") for zero in (1, 2, 3)]
    each = [*ways, ("full", 1), ("full", 2)]
    least = [(1, "full", 1), (1, "full", 2)]
    # what was asked of the way of least memory is not asked, nor counted, again
    assert asked == [*least, *((1, *way) for way in ways), *((2, *way) for way in each)]
    assert (best.micro, tried) == (2, 22)
    asked.clear()
    best, tried = _best(None, None, {"dp": 1}, {"global_batch": 8})
    # one replica has nobody to share states with
    hows = ("none", "fine-grained", "selective", "full")
    ways = [(m, how, 1) for m in (1, 2, 4, 8) for how in hows]
    assert asked == [(1, "full", 1), *ways[:3], *ways[4:]]
    assert (best.micro, tried) == (8, 16)
    asked.clear()
    monkeypatch.setattr(training, "train", lambda *a, **o: _never(train(*a, **o)))
    assert _best(None, None, {"dp": 4}, {"global_batch": 64}) == (None, 3)
    assert asked == [(1, "full", zero) for zero in (1, 2, 3)]

    def refuses(*_arguments, **_options):
        raise UsageError("does not divide")

    monkeypatch.setattr(training, "train", refuses)
    assert _best(None, None, {"dp": 2}, {"global_batch": 4}) == (None, 1)
