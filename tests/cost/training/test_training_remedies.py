"""What train says would make a run fit: each is tried with its own options, the least first."""

from __future__ import annotations

import pytest
import thermoflop as tf
from thermoflop.cli import main

# model, device, and what was asked besides
ASKED = [
    ("gpt2", "rtx-3060", {"micro_batch": 16}),
    ("llama-3-8b", "rtx-4090", {}),
    ("llama-3-8b", "h100", {"devices": 8, "sequence": 8192, "micro_batch": 4, "global_batch": 128}),
    ("llama-3.1-70b", "h100", {"devices": 8, "zero": 3}),
    ("llama-3.1-405b", "h100", {"devices": 8}),  # all together, on more devices
    ("t5-large", "rtx-3060", {}),
    ("mixtral-8x7b", "rtx-4090", {}),
    ("llama-3-8b", "rtx-4090", {"lora": 64, "micro_batch": 4, "sequence": 8192}),
    # one micro-batch an iteration, no adapters
    ("llama-3-8b", "h100", {"global_batch": 8, "micro_batch": 8, "in_backward": True}),
    ("llama-3-8b", "rtx-4090", {"global_batch": 8, "micro_batch": 8, "in_backward": True,
                                "optimizer": "adamw-8bit-bf16", "recompute": "full"}),
]  # fmt: skip


def options(text: str) -> dict[str, object]:
    """The options of a remedy's text as keyword arguments."""
    words = text.rpartition(":")[0].partition(",")[0].split()
    freed = "--optimizer-in-backward" in words
    kept = {"in_backward": False} if "without --optimizer-in-backward" in text else {}
    words = [word for word in words if word != "--optimizer-in-backward"]
    pairs = zip(words[::2], words[1::2], strict=True)
    names = {"base": "base_dtype"}
    read = {name.lstrip("-").replace("-", "_"): value for name, value in pairs}
    found: dict[str, object] = {
        names.get(name, name): int(value) if value.isdecimal() else value
        for name, value in read.items()
    }
    return found | kept | ({"in_backward": True} if freed else {})


@pytest.mark.parametrize(("model", "device", "asked"), ASKED)
def test_every_remedy_makes_the_run_fit_by_its_own_options(model, device, asked):
    found = tf.train(model, device, **asked)
    assert not found.memory.fits
    assert found.remedies
    for remedy in found.remedies:
        assert "  " not in remedy.text
        again = tf.train(model, device, **{**asked, **options(remedy.text)})
        assert again.memory.fits, remedy.text


def test_the_least_change_comes_first_and_no_smaller_one_of_its_kind_fits():
    """GPT-2 on 12 GB with 16 sequences at once: 8 fit, the next that the 512 of a replica divide
    into."""
    found = tf.train("gpt2", "rtx-3060", micro_batch=16).remedies
    assert [remedy.kind for remedy in found[:2]] == ["micro_batch", "loss"]
    assert found[0].value == 8


def test_one_device_less_does_not_hold_it():
    """ZeRO-3 over n: the batch of 512 is shared out in powers of two."""
    [devices] = [each for each in tf.train("llama-3-8b", "rtx-4090").remedies
                 if each.kind == "devices"]  # fmt: skip
    half = tf.train("llama-3-8b", "rtx-4090", devices=int(devices.value) // 2, zero=3)
    assert not half.memory.fits


def test_one_card_trains_all_of_8_billion_with_an_optimizer_that_frees_gradients() -> None:
    """torchtune does so in 18.9 GiB; weights and gradients in 16 bits alone take 32 of 26 GB."""
    options_ = {"global_batch": 2, "micro_batch": 2}
    texts = [each.text for each in tf.train("llama-3.1-8b", "rtx-4090", **options_).remedies]
    assert any("--optimizer paged-adamw-8bit-bf16 --optimizer-in-backward" in t for t in texts)
    assert any(text.startswith("--lora 16 ") for text in texts)


def test_a_run_that_fits_needs_no_remedy(capsys):
    assert tf.train("gpt2", "h100").remedies == ()
    assert main(["train", "gpt2", "--gpu", "h100"]) == 0
    assert "would fit" not in capsys.readouterr().out
    assert main(["train", "gpt2", "--gpu", "rtx-3060", "--micro-batch", "16"]) == 1
    assert "it would fit with\n  --micro-batch 8: " in capsys.readouterr().out


def test_what_recomputes_scores_may_recompute_what_is_not_attentions_instead():
    """Flash attention keeps no scores, so that selective recomputation leaves all else: norms'
    results and gates, which fine-grained recomputation makes again."""
    asked = {"devices": 16384, "tp": 8, "pp": 16, "virtual": 4, "global_batch": 2048,
             "sequence": 8192, "zero": 2}  # fmt: skip
    found = tf.train("llama-3.1-405b", "h100", recompute="selective", **asked)
    assert "fine-grained" in [each.value for each in found.remedies if each.kind == "recompute"]
    assert tf.train("llama-3.1-405b", "h100", recompute="fine-grained", **asked).memory.fits
