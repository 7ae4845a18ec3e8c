"""What the command line says of a value that makes no sense, and of what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from thermoflop.cli import main
from thermoflop.cli.parser import bandwidth
from thermoflop.cli.serving import first_s, token_s
from thermoflop.cost.catalogue.profiles import training_profiles


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("fit gpt2 --batch 1,2,4", "or 1e6; `thermoflop sweep` takes several"),
        (
            "fit gpt2 --batch many",
            "--batch 'many' makes no sense: expected a whole number",
        ),
        ("pick --context 4.5", "--context '4.5' makes no sense: expected a whole number"),
        ("pick --context inf", "--context 'inf' makes no sense: expected a whole number"),
        (
            "serving gpt2 --prefix-hit half%",
            "'half%' makes no sense: expected a share, such as 0.5 or 50%",
        ),
        ("serving gpt2 --rate 50%", "--rate '50%' makes no sense: expected a number"),
        ("pick --at-least fast", "--at-least 'fast' makes no sense: expected a number"),
        ("plan gpt2 --ttft 2000", "--ttft '2000' would be 33.3 min; did you mean 2000ms?"),
        ("plan gpt2 --ttft 20m", "--ttft '20m' would be 20.0 min; did you mean 20ms?"),
        ("serving gpt2 --tpot 50", "--tpot '50' would be 50.0 s; did you mean 50ms?"),
        ("plan gpt2 --tpot 0tok/s", "--tpot '0tok/s' is no duration"),
        ("plan gpt2 --tpot 20xps", "60s, 5m or 1h, or a rate such as 20tok/s"),
        ("fit gpt2 --svg x.png", "--svg 'x.png' is no .svg: pictures are written as SVG"),
        ("estimate gpt2 --roofline a.b/x.pdf", "'a.b/x.pdf' is no .svg"),
        ("plan gpt2 --ttft 0", "--ttft '0' is no duration: expected a number above 0"),
        ("serving gpt2 --tpot 0", "5m or 1h, or a rate such as 20tok/s. See"),
    ],
)
def test_a_refused_number_comes_with_what_was_expected(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(typed.split())
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("estimat gpt2", "thermoflop: 'estimat' is no command; did you mean estimate?"),
        ("estimate gpt2 --gup h100", "there is no option --gup; did you mean --gpu?"),
        ("estimate gpt2 --gpus h100", "there is no option --gpus; did you mean --gpu?"),
        ("estimate gpt2 --gpus=2x4090", "there is no option --gpus; did you mean --gpu?"),
        ("estimate gpt2 --gpus 4", "there is no option --gpus; did you mean --devices?"),
        ("plan gpt2 --gpus 4", "there is no option --gpus; did you mean --max-devices?"),
        ("plan gpt2 --devices h100,h200", "there is no option --devices; did you mean --gpu?"),
        ("estimate gpt2 --devices h100", "or 1e6; did you mean --gpu h100?"),
        ("plan gpt2 --gpu 4", "--gpu '4' is no device; did you mean --max-devices 4?"),
        ("estimate gpt2 --gpu 4909", "--gpu '4909' is no device; did you mean --gpu 4090?"),
        ("estimate gpt2 --device 4090", "'4090' is a device's name; did you mean --gpu 4090?"),
        ("estimate gpt2 --gpu 4900", "--gpu '4900' is no device; did you mean --gpu 4090?"),
        ("plan gpt2 --max-devices 3090", "'3090' is a device's name; did you mean --gpu 3090?"),
        ("train gpt2 --gpu 1024", "--gpu '1024' is no device; did you mean --devices 1024?"),
        ("why gpt2", "'why' is no command; did you mean estimate --why?"),
        ("speculate gpt2", "'speculate' is no command; did you mean estimate --draft?"),
        ("run -- true", "'run' is no command; did you mean record?"),
        ("ESTIMATE gpt2", "'ESTIMATE' is no command; did you mean estimate?"),
        ("pick --vram 24GB", "no option --vram: the device says its memory: --gpu rtx-4090"),
        (
            "estimate gpt2 --gpu h100 --n-cpu-moe 12",
            "what stays in the computer's memory",
        ),
        ("serving gpt2 --gpu h100 --host-bandwidth 90", "--engine-option n_cpu_moe=36"),
        ("serving gpt2 --slo=100ms", "no option --slo: targets are --ttft"),
        ("serving gpt2 --slo 100ms", "no option --slo: targets are --ttft"),
        ("ops gpt2 --prompt 1024", "there is no option --prompt; did you mean --prefill?"),
        ("train gpt2 --fsdp", "no option --fsdp: it is --zero 3"),
        ("train gpt2 --nodes 8", "no option --nodes: --devices counts those of all nodes"),
        ("fit gpt2 --max-model-len 512", "there is no option --max-model-len; did you mean --prom"),
        ("train gpt2 --epochs 3", "no option --epochs: the tokens of the data times the epochs"),
        ("train gpt2 --lora-r 16", "there is no option --lora-r; did you mean --lora?"),
        ("train gpt2 --lora-alpha 16", "the scale of adapters changes no time and no memory"),
        ("train gpt2 --target-modules q", "did you mean --lora-targets?"),
        ("train gpt2 --modules-to-save lm_head", "did you mean --train-embeddings?"),
        ("train gpt2 --load_in_4bit", "it is --base nf4, beside --lora"),
        ("train gpt2 --quantize bnb.nf4", "did you mean --base?"),
        ("fit gpt2 --quantize q4_k_m", "did you mean --dtype?"),
        ("train gpt2 --gradient-checkpointing", "did you mean --recompute?"),
        ("train gpt2 --max_seq_length 8", "did you mean --sequence?"),
        ("train gpt2 --gradient-accumulation-steps 4", "sequences an iteration are --global-batch"),
        ("train gpt2 --use-liger-kernel", "it is --loss fused --feed-forward in-place"),
        ("train gpt2 --cpu-offload", "did you mean --offload?"),
        ("plan gpt2 --train --lora 16", "no option --lora: `train` counts adapters"),
        ("plan gpt2 --draft ngram", "no option --draft: `estimate` and `serving` say what a draft"),
        ("estimate gpt2 --engine-option ngl=3", "`fit`, `serving` and `plan` take options of an"),
        ("ops gpt2 --new 8", "did you mean --prefill?"),
        ("fit gpt2 --cpu-offload-gb 50", "what stays in the computer's memory"),
        ("estimate gpt2 --acceptance-length 2.8", "did you mean --tokens-per-check?"),
        ("serving gpt2 --num-speculative-tokens 3", "did you mean --draft-tokens?"),
        ("simulate --pty --tcp", "--tcp and --pty exclude each other."),
        ("pick --bogus", "there is no option --bogus."),
        ("sweep --gpu h100", "there is no option --gpu; did you mean --devices?"),
        ("estimate gpt2 --bogus", "there is no option --bogus. See"),
        ("estimate gpt2 --GPU h100", "there is no option --GPU; did you mean --gpu?"),
        ("estimate gpt2 --context 8k", "did you mean --prompt?"),
        ("estimate gpt2 --max_new_tokens 8", "did you mean --generate?"),
        ("estimate gpt2 --users 8", "did you mean --batch?"),
        ("serving gpt2 --concurrency 8", "did you mean --users?"),
        ("train gpt2 --seq-len 8", "did you mean --sequence?"),
        ("fit gpt2 --tensor-parallel-size 8", "did you mean --tp?"),
        ("fit --model gpt2", "MODEL stands alone, without one"),
        ("fit llama 3 8b", "'3' is one word too many; a name with spaces stands in quotes"),
        ("estimate gpt2 h100", "'h100' is one word too many; did you mean --gpu h100?"),
        ("estimate gpt2 --batch", "--batch needs a value."),
        ("estimate", "MODEL is missing: a config.json"),
        ("validate", "a word is missing: expected one of counts, times,"),
        ("validate tims", "'tims' is none of counts, times, memory, training, plan, kernels; did "),
        ("ops gpt2 --mla foo", "--mla 'foo' is none of latent, expanded, absorbed."),
        ("record --repaet 2 -- ls", "there is no option --repaet; did you mean --repeat?"),
        ("record --in x -- ls", "there is no option --in; did you mean --out?"),
        ("--gpu h100 estimate gpt2", "a command comes before '--gpu'."),
    ],
)
def test_a_word_that_is_not_known_ends_in_one_sentence_without_the_usage(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(typed.split())
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert "--help`" in printed


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"peft_type": "LORA", "base_model_name_or_path": "a/b"}, "an adapter's file: pass the"),
        ({"dim": 8, "n_layers": 2, "n_heads": 2}, "a params.json, in its maker's own keys"),
        ({"model_type": "llama", "my_width": 7}, "say --ignore 'my_width' if it does not"),
    ],
)
def test_a_file_that_is_no_config_is_called_what_it_is_and_an_option_stands_once(
    config: dict[str, object], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps(config))
    assert main(["ops", str(file)]) in (2, 3)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("fit gpt2 --dtype q4km", "did you mean q4_k_m?"),
        ("fit gpt2 --dtype UD-Q4_K_XL", "differ from model to model: expected the file, or q4_k_m"),
        ("fit gpt2 --dtype Q4_K", "did you mean q4_k_m?"),
        ("fit gpt2 --dtype q8_k_xl", "expected the file, or q8_0"),
        ("fit gpt2 --dtype q6_k_xl", "expected the file, or q6_k"),
        ("fit gpt2 --dtype ud-iq3_xxs", "expected the file, or iq3_xxs"),
        ("fit gpt2 --dtype 4bit", "one of 4 bits, such as q4_k_m, awq, gptq, int4, mxfp4"),
        ("fit gpt2 --dtype q4", "one of 4 bits, such as q4_k_m, awq, gptq"),
        ("fit gpt2 --dtype FP4", "one of 4 bits, such as q4_k_m, awq, gptq, int4, mxfp4"),
        ("fit gpt2 --dtype q5", "one of 5 bits, such as q5_k_m, q5_0"),
        ("fit gpt2 --dtype gguf", "one such as bf16, fp8, awq, q8_0, q4_k_m; --help has more"),
        ("estimate gpt2 --dtype int2", "one of 2 bits, such as q2_k, iq2_xxs"),
        ("plan gpt2 --dtype w8", "one of 8 bits, such as q8_0, fp8, int8"),
        ("estimate h100 --gpu gpt2", "; it is a device: MODEL --gpu h100"),
        ("serving gpt2 --gpu llama-3-8b", "; it is a model: serving llama-3-8b --gpu NAME"),
        ("fit gpt2 --gpu 24gb", "is how much memory a device has: expected its name, such as A10"),
        ("fit gpt2 --gpu 5gb", "is how much memory a device has: expected its name\n"),
        ("fit gpt2 --profile vllm --gpu-memory-utilization 90", "a share above 0, up to 1"),
        ("fit gpt2 --profile vlm", "did you mean vllm?"),
        ("fit gpt2 --gpu h1000", "nearest: H100-SXM-80GB"),
        ("fit gtp2 --gpu h100", "the nearest name is gpt2"),
        ("compare gpt2 qwen3-8b", "for several models there is `thermoflop plan`, for runs"),
        ("sweep gpt2 --devices h100", "GRID is a TOML file; a model is --models gpt2"),
        ("fit org/own --gpu h100", "the config.json of a repository is read by its path"),
        ("record --timeout 60 -- true", "record -- timeout 60 COMMAND"),
        (
            "estimate gpt2 --images 1x64x64",
            "gpt2 sees nothing: --images '1x64x64' is for models th",
        ),
        ("estimate gpt2 --audio 5", "gpt2 hears nothing: --audio '5' is for models that do"),
        ("estimate gpt2 --encoder 5", "has no encoder beside a decoder: --encoder 5 is for models"),
        ("train gpt2 --devices 3", "no multiple of dp x micro-batch (3): expected such as 513"),
        ("train gpt2 --optimizer adamv", "did you mean adamw?"),
        ("plan gpt2 --gpu h100 --price free", "--price 'free' makes no sense: expected dollars an"),
        ("estimate gpt2 --gpu h100 --draft mtp", "names no layers that predict further ahead"),
        ("ops -", "'-' is a pipe, which is not read: save it and give its path"),
        ("train gpt2 --profile megatron", "did you mean megatron-lm?"),
        (
            "serving gpt2 --gpu h100 --draft gpt2 --draft-tokens 0",
            ": --draft needs --draft-tokens: expected at",
        ),
        (
            "serving gpt2 --gpu h100 --tokens-per-check 2",
            ": --tokens-per-check needs --draft MODEL or --draft-tokens K",
        ),
        ("serving gpt2 --gpu h100 --acceptance 0.5 --draft-tokens 0", ": --acceptance needs --dr"),
        ("serving gpt2 --gpu h100 --draft-tokens 65", ": --draft-tokens 65 makes no sense"),
        ("estimate gpt2 --draft gpt2 --draft-tokens 0", ": --draft-tokens 0 makes no sense"),
        ("estimate gpt2 --comm-overlap 2", ": --comm-overlap 2.0 makes no sense"),
        ("train gpt2 --interleave 0", ": --interleave 0 makes no sense"),
        (
            "train gpt2 --recompute full --recompute-share 0.5",
            "--recompute-share 0.5 is a share of the layers, and full recomputes all of them",
        ),
    ],
)
def test_a_name_that_is_not_known_comes_with_the_one_most_like_it(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed.split()) in (2, 3)
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("typed", "gb_s"),
    [
        ("89.6", 89.6), ("89.6GB", 89.6), ("900 GB/s", 900.0), ("900GBps", 900.0),
        ("1.8TB/s", 1800.0), ("400Gbit/s", 50.0), ("400Gb/s", 50.0), ("400gbps", 50.0),
    ],
)  # fmt: skip
def test_a_bandwidth_is_read_with_its_unit_and_networks_in_bits(typed: str, gb_s: float) -> None:
    """NVIDIA: ConnectX-7 is 400 Gb/s, 50 GB/s in a direction."""
    assert bandwidth(typed) == pytest.approx(gb_s)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("fit deepseek-v4 --gpu h100", "deepseek-v4 is deepseek-v4-flash here; others are called"),
        ("fit llama3 --gpu h100", "llama3 is llama-3-8b here; others are called llama-3-70b"),
        ("fit llama3:8b --gpu h100", ""),
        ("fit deepseek-v4-flash --gpu h100", ""),
        ("fit gpt2 --gpu h100", ""),
    ],
)
def test_a_name_that_several_models_share_says_which_it_means(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(typed.split())
    printed = " ".join(capsys.readouterr().out.split())
    assert ("others are called" in printed) is bool(said)
    assert said in printed


@pytest.mark.parametrize("command", ["ops {}", "mults {}", "fit {} --gpu h100"])
def test_a_name_that_has_another_models_sizes_says_so_above_what_is_read_by_people(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "athene-v2 is counted as qwen2.5-72b, whose sizes it has\n\n"
    for name, form, told in (("athene-v2", "", True), ("qwen2.5-72b", "", False),
                             ("athene-v2", "--json", False)):  # fmt: skip
        main([*command.format(name).split(), *form.split()])
        assert capsys.readouterr().out.startswith(said) is told


def test_a_k_of_tokens_is_1024_and_said_so_and_one_of_anything_else_is_1000(
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed = "fit llama-3.1-8b --gpu h100 --prompt 2k --generate 1_000 --batch 1k"
    main(typed.split())
    printed = capsys.readouterr()
    assert "batch 1000, 2048 + 1000 tokens" in " ".join(printed.out.split())
    assert printed.err == "thermoflop fit: --prompt 2k is 2,048 tokens (k is 1,024)\n"


def test_help_is_a_word_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["help", "fit"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: thermoflop fit")


def test_a_whole_number_may_be_written_with_an_exponent(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["fit", "gpt2", "--gpu", "h100", "--prompt", "8", "--generate", "8", "--batch", "1e3"])
        == 0
    )
    assert "batch 1000, 8 + 8 tokens" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ("--generate 1000000", "a prompt and --generate 1000000 pass the 1024 positions of gpt2"),
        ("--prompt 9 --generate 1016", "--prompt 9 + --generate 1016 passes the 1024 positions"),
        ("--prompt 1025", "--prompt 1025 passes the 1024 positions"),
        ("--prompt 1025", "that together, such as --prompt 896, or --beyond-context"),
        ("--prompt 1k --generate 1", "--prompt 1024 + --generate 1 passes the 1024 positions"),
    ],
)
def test_sizes_that_pass_the_positions_are_named_as_they_were_asked_for(
    sizes: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["estimate", "gpt2", "--gpu", "h100", *sizes.split()]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("1k", "--prompt 1,024 takes all positions of gpt2: 896 are counted as read and 128 as"),
        ("1000", "24 tokens are generated: the prompt leaves no more positions"),
    ],
)
@pytest.mark.parametrize("command", ["estimate", "fit", "compare", "serving"])
def test_a_full_context_is_answered_where_nobody_said_the_output(
    command: str, prompt: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    load = ["--users", "1"] if command == "serving" else []
    if load:
        said = said.replace("896", "768").replace("128", "256")
    assert main([command, "gpt2", "--gpu", "h100", "--prompt", prompt, *load]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("estimate llama-3-8b --gpu h100", 0),
        ("estimate llama-3-70b --gpu rtx-4090", 1),  # 141 GB into 24
        ("estimate llama-3-70b --gpu rtx-4090 --json", 1),
        ("fit llama-3-70b --gpu rtx-4090", 1),
        ("train gpt2 --gpu h100", 0),
        ("train llama-3-8b --gpu h100", 1),  # 16 bytes of states each of 8 G parameters
    ],
)
def test_what_does_not_fit_is_printed_and_ends_with_1(
    typed: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed.split()) == code
    printed = capsys.readouterr()
    assert len(printed.out) > 300
    assert printed.err == ""


def test_pick_tries_the_formats_that_the_engine_runs() -> None:
    """Of a profile too that has another name than its engine, as one's own kernels have."""
    from thermoflop.cost.catalogue.profiles import find_profile
    from thermoflop.cost.engines.abilities import no_weights
    from thermoflop.cost.engines.engine import ENGINES
    from thermoflop.cost.plan.pick import FORMATS, SERVED, formats_of

    served = ("vllm", "vllm@0.11", "SGLang", "tensorrt-llm", find_profile("vllm"))
    assert {formats_of(name) for name in served} == {SERVED}
    assert {formats_of(name) for name in ("llama.cpp", "ollama", "default")} == {FORMATS}
    for engine in ENGINES:
        if engine.name == "jax":  # has no profile
            continue
        names = formats_of(engine.name)
        assert [name for name in names if no_weights(engine, name)] == []
        assert engine.alone or not [name for name in names if name.startswith("q")]
    assert not [name for name in SERVED if name.startswith("q")]


def test_a_share_of_the_device_is_the_option_of_one_engine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And may be a percentage, as every share."""
    served = "serving gpt2 --gpu l4 --users 4 --prompt 100 --prefix-hit"
    for share in ("50%", "0.5"):
        assert main([*served.split(), share]) == 0
        assert "100 prompt, 50% cached" in capsys.readouterr().out
    assert main(["fit", "llama-3-8b", "--gpu", "h100", "--gpu-memory-utilization", "85%"]) == 0
    assert "vllm: gpu_memory_utilization=0.85" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "has", "lacks"),
    [
        ("amd", "MI300X", "RTX 4090"),
        ("24gb", "RTX 3090", "RTX 3080"),
        ("24gb", "L4 ", "L40S"),  # ECC keeps a sixteenth: 22.5 GiB are left
        ("141gb", "H200-SXM", "B200-SXM"),  # of which 140.4 GiB are left
        ("288gb", "B300-SXM", "GB300"),  # of 1e9 bytes
        ("12gb", "RTX 3060", "GTX 1080 Ti"),  # 11 GiB are 11.8e9 bytes
        ("rtx ada", "RTX 6000 Ada", "RTX 4090"),
        ("RTX", "RTX 4090", "H100"),
    ],
)
def test_devices_are_found_by_maker_memory_and_words(
    words: str, has: str, lacks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gpus", *words.split()]) == 0
    said = capsys.readouterr().out
    assert has in said
    assert lacks not in said
    assert "ridge" in said  # a table


def test_what_is_known_of_a_device_is_told_in_gb_with_its_kin(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """NVIDIA's data sheet of the A100 SXM: 80 GiB at 2,039 GB/s; it is sold in four forms."""
    assert main(["gpus", "a100"]) == 0
    said = capsys.readouterr().out
    for line in ("memory: 85.9 GB", "bandwidth: 2,039 GB/s", "link bandwidth: 300 GB/s",
                 "others of this kind: A100-SXM-40GB, A100-PCIe-40GB, A100-PCIe-80GB"):  # fmt: skip
        assert f"  {line}\n" in said


@pytest.mark.parametrize("typed", ["8xh100", "h100 x8", "h100:8", "gpu:h100:8"])
def test_a_number_of_devices_is_read_as_clusters_write_it(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """h100:8 was one H100."""
    main(["fit", "llama-3-8b", "--gpu", typed])
    assert " on 8 x H100-SXM-80GB (" in capsys.readouterr().out


def test_a_format_that_was_asked_for_is_not_told_as_ollama_s(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for asked, told in (([], True), (["--dtype", "q4_k_m"], False)):
        main(["fit", "gpt2", "--gpu", "3090", "--profile", "ollama", *asked])
        assert ("Ollama's downloads are" in capsys.readouterr().out) is told


def test_profiles_are_found_by_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "vllm"]) == 0
    said = capsys.readouterr().out
    assert "vllm@0.11" in said
    assert "\nmlc" not in said
    assert main(["profiles", "vlm"]) == 3
    assert "did you mean vllm?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "speaks"),
    [("vllm@0.6", "vllm@0.11"), ("VLLM 0.6", "vllm@0.11"), ("sglang@0.3", "sglang@0.4"),
     ("ollama", "llama.cpp"), ("lmstudio", "llama.cpp"), ("vllm@0.13", "vllm")],
)  # fmt: skip
def test_a_name_that_profile_takes_is_told_the_profile_that_speaks_for_it(
    asked: str, speaks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profiles", *asked.split()]) == 0
    first, _, _, row = capsys.readouterr().out.splitlines()[:4]
    assert first == f"{asked}: the profile {speaks} speaks for it"
    assert row.split()[0] == speaks
    assert main(["profiles", *asked.split(), "--json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == [speaks]


def test_trainers_are_listed_and_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "llm-foundry, maxtext, megatron-bridge" in said
    for name, profile in training_profiles().items():
        if name == "default":
            continue
        assert main(["profiles", name]) == 0
        rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
        assert rows[name].split()[1:4] == [
            f"{profile.rows:,}", str(profile.models), str(len(profile.devices)),
        ]  # fmt: skip
        assert main(["profiles", name, "--json"]) == 0
        first = json.loads(capsys.readouterr().out)[0]
        assert (first["name"], first["rows"]) == (name, profile.rows)
    assert main(["profiles", "torchtitn"]) == 3
    assert "did you mean torchtitan?" in capsys.readouterr().err


def test_models_are_found_by_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "llama", "8b"]) == 0
    said = capsys.readouterr().out
    assert "llama-3.1-8b" in said
    assert "llama-3-70b" not in said


@pytest.mark.parametrize("command", ["estimate", "serving", "plan", "train", "fit", "compare"])
def test_a_device_that_nobody_named_is_said_first(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    load = ["--rate", "1"] if command == "plan" else []
    assert main([command, "gpt2", *load]) == 0
    assert capsys.readouterr().out.startswith("no --gpu given, so for the H100-SXM-80GB;")
    assert main([command, "gpt2", *load, "--gpu", "h100"]) == 0
    assert "no --gpu" not in capsys.readouterr().out


def test_json_of_an_assumed_device_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "gpt2", "--json"]) == 0
    assert '"device": "H100-SXM-80GB"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("ops {empty}", 3, "is not valid JSON: it is empty"),
        ("mults t5-base", 2, "the published formulas have no place for its source"),
        (
            "estimate gpt2 --gpu {folder}/x.toml",
            3,
            "is no device in TOML: No such file or directory",
        ),
        ("serving gpt2 --gpu l4 --trace {folder}", 3, "cannot be read as a trace: Is a directory"),
        (
            "plan gpt2 --gpu l4 --rate 1 --price {empty}",
            3,
            "has no prices: expected [[price]]",
        ),
        ("pick --gpu 0x3090", 3, "asks for 0 devices: expected 1 to 999"),
    ],
)
def test_a_file_that_is_none_ends_in_one_sentence(
    typed: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.json"
    empty.touch()
    assert main(typed.format(empty=empty, folder=tmp_path).split()) == code
    printed = capsys.readouterr()
    assert said in printed.err
    assert "[Errno" not in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.parametrize(("model", "says"), [("t5-small", True), ("whisper-tiny", False)])
@pytest.mark.parametrize("command", ["estimate", "fit"])
def test_an_encoder_that_no_step_runs_is_said(
    command: str, model: str, says: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, model, "--gpu", "l4"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert ("what the decoder keeps of its source, are not counted" in said) is says


COSTS = ("estimate", "fit", "serving", "plan", "compare", "train")
UNKNOWN = (
    # whatever stands for a model, a device, a profile or a run: 3
    *((f"{name} nobody", 3) for name in
      (*COSTS, "ops", "explain", "mults", "bench", "report", "gpus")),
    *((f"{name} gpt2 --gpu nobody", 3) for name in
      (*COSTS, "explain")),
    *((f"{name} gpt2 --profile nobody", 3) for name in
      (*COSTS, "bench")),
    ("pick --gpu nobody", 3), ("pick --gpu h100 --profile nobody", 3), ("models nobody", 3),
    ("runs show nobody", 3), ("runs show last", 3), ("runs export nobody", 3),
    ("runs delete nobody", 3),
    ("runs note nobody x", 3), ("runs compare nobody nothing", 3), ("sweep nobody", 3),
    ("record --model nobody --hardware h100 -- true", 3),
    ("record --model gpt2 --hardware nobody -- true", 3),
    ("record --model gpt2 --hardware h100 --profile nobody -- true", 3),
    ("calibrate --kernels k.json --engine nobody", 3), ("estimate gpt2 --draft nobody", 3),
    ("ops gpt2 --as nobody", 3), ("train gpt2 --lora 4 --base nobody", 2),
    ("sweep --models nobody --devices h100 --out t", 3),
    ("sweep --models gpt2 --devices nobody --out t", 3),
    ("sweep --models gpt2 --devices h100 --profile nobody --out t", 3),
    # one of few: 2
    *((f"{name} gpt2 --dtype nobody", 2) for name in COSTS),
    ("nobody", 2), ("runs nobody", 2), ("validate nobody", 2), ("completion nobody", 2),
    ("bench gpt2 --backend nobody", 2), ("ops gpt2 --mla nobody", 2), ("export nobody", 2),
    ("simulate --fault nobody", 2), ("train gpt2 --optimizer nobody", 2),
    # a board: 4
    ("watch --port nobody", 4), ("log --port nobody", 4), ("pico --port nobody get", 4),
    ("flash --port nobody", 4),
)  # fmt: skip


@pytest.mark.parametrize(("typed", "code"), UNKNOWN)
def test_a_name_that_nothing_has_ends_with_the_same_code_in_every_command(
    typed: str, code: int, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """As `thermoflop --help` says: 3 for a name, 2 for a word of few, 4 for a port; a sentence."""
    monkeypatch.chdir(tmp_path)
    try:
        ended = main(typed.split())
    except SystemExit as error:
        ended = int(str(error.code))
    out, err = capsys.readouterr()
    assert ended == code
    assert len(err.splitlines()) == 1 or code == 0
    assert "nobody" in err + out or "there is no run in runs yet: `thermoflop demo` makes" in err
    assert not out or code == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("typed", "first", "figures"),
    [
        ("estimate llama-3-70b --gpu 4090", "DOES NOT FIT: 143 GB of 25.8 GB", "first token"),
        ("estimate t5-small", "the encoder of t5-small, and what", "first token"),
        ("train llama-3-70b --devices 8", "DOES NOT FIT: ", "an iteration"),
        ("serving gpt2 --users 9 --tpot 0.001ms", "targets: MISSED", "a user's tokens"),
        ("serving gpt2 --rate 1e5 --slots 8", "OVERLOADED: ", "a user's tokens"),
    ],
)
def test_what_changes_the_meaning_of_figures_stands_before_them(
    typed: str, first: str, figures: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(typed.split())
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    at = [next(n for n, line in enumerate(said) if line.startswith(w)) for w in (first, figures)]
    assert at == sorted(at)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("plan gpt2 --max-devices -1", "plan: --max-devices -1 makes no sense"),
        ("serving gpt2 --tpot 1e13", "serving: --tpot 10000000000000.0 makes no sense"),
        ("fit gpt2 --kv-dtype x", "fit: --kv-dtype 'x' is no format of a cache"),
        ("train gpt2 --global-batch 0", "train: --global-batch 0 makes no sense"),
        ("train gpt2 --loss tp=3", "train: --loss 'tp=3'"),  # what was typed stays
    ],
)
def test_a_refusal_names_the_option_as_it_is_typed(
    typed: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And not the argument of the function behind it."""
    assert main(typed.split()) == 2
    assert capsys.readouterr().err.startswith(f"thermoflop {said}")


@pytest.mark.parametrize(
    ("command", "usage"),
    [("train", "[options] MODEL"), ("record", "[options] -- COMMAND [ARG ...]")],
)
def test_usage_is_a_line_where_options_are_many(
    command: str, usage: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"usage: thermoflop {command} {usage}", ""]
    assert max(map(len, lines)) <= 60


def test_a_target_may_be_said_as_tokens_a_second_and_in_long_units() -> None:
    """20 tokens a second are 50 ms apart; who writes s or h means it."""
    assert [token_s(text) for text in ("20tok/s", "8 tokens/s", ".5t/s")] == [0.05, 0.125, 2.0]
    assert [first_s(text) for text in ("2000s", "1h", "600", "20min")] == [2000, 3600, 600, 1200]


def test_the_mqa_page_leaves_no_model_unread(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "gpt2", "--mqa-page", "A100"]) == 2
    assert "--mqa-page has a model of its own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said", "code"),
    [
        ("plan gpt2 --gpu h100,h200 --price 2,3,4", "--price 2,3,4 has 3 prices, and --gpu 2", 2),
        ("ops Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
         "a file or a folder; as a name, Meta-Llama-3.1-8B-Instruct-Q4_K_M is llama-3.1-8b", 3),
        ("check gpt2 nowhere.txt --gpu 4070", "'nowhere.txt' is neither a file nor a number", 3),
        ("check gpt2 72 --gpu 4070 --generate 1", "expected at least 2 tokens generated", 2),
        ("check bert-base-uncased 72 --gpu 4070", "expected at least 2 tokens generated", 2),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_what_may_be(
    typed: str, said: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed.split()) == code
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("command", ["estimate", "fit"])
def test_a_picture_in_a_folder_that_is_not_there_says_so_by_the_exit_code_of_the_help(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "nowhere"
    assert main([command, "gpt2", "--gpu", "h100", "--svg", str(folder / "x.svg")]) == 6
    assert f"there is no folder {folder}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "6 a file cannot be written: no such folder" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("named", ["cpu", "CPU", "processor"])
def test_a_word_for_any_processor_is_no_device(
    named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "gpt2", "--gpu", named]) == 3
    assert "expected a processor's name, such as epyc-9654" in capsys.readouterr().err
    assert main(["fit", "gpt2", "--gpu", "epyc-9654"]) == 0
    assert main(["fit", "gpt2", "--gpu", "i9-13900k"]) == 0
