"""Every count of every record, exactly; and published totals as literals."""

from __future__ import annotations

from pathlib import Path

import pytest
import thermoflop as tf
from thermoflop.model.config.catalogue import entry, names
from thermoflop.model.validate import Report, compare_record, read_records, validate_counts

FUZZ = str(Path(__file__).resolve().parents[1] / "data" / "fuzz.json.gz")


@pytest.fixture(scope="module")
def report() -> Report:
    return validate_counts([FUZZ])


def test_every_published_and_random_record_is_counted_exactly(report: Report) -> None:
    assert [f"{found}" for found in report.differences] == []
    records = sum(count[0] for count in report.by("family").values())
    assert records == 77 + 358
    assert len(report.comparisons) > 14_000


def test_a_wrong_number_is_found() -> None:
    record = read_records(FUZZ)[0]
    record["params_total"] += 1
    found = [comparison for comparison in compare_record(record) if not comparison.equal]
    assert [comparison.what for comparison in found] == ["parameters"]


# name in the catalogue, parameters, where the total is published
TOTALS = [
    ("gpt2", 124_439_808, "12 (12h^2+13h) + Vh + Ph + 2h; Radford 2019 as released"),
    ("gpt2-medium", 354_823_168, "checkpoint of openai-community/gpt2-medium"),
    ("gpt2-large", 774_030_080, "checkpoint of openai-community/gpt2-large"),
    ("gpt2-xl", 1_557_611_200, "checkpoint of openai-community/gpt2-xl"),
    ("llama-7b", 6_738_415_616, "Touvron 2023: 6.7B; checkpoint"),
    ("llama-2-13b", 13_015_864_320, "checkpoint of meta-llama/Llama-2-13b-hf"),
    ("llama-2-70b", 68_976_648_192, "checkpoint of meta-llama/Llama-2-70b-hf"),
    ("llama-3.1-8b", 8_030_261_248, "checkpoint of meta-llama/Llama-3.1-8B"),
    ("llama-3.1-70b", 70_553_706_496, "checkpoint of meta-llama/Llama-3.1-70B"),
    ("llama-3.1-405b", 405_853_388_800, "checkpoint of meta-llama/Llama-3.1-405B"),
    ("llama-3.2-1b", 1_235_814_400, "checkpoint of meta-llama/Llama-3.2-1B"),
    ("llama-3.2-3b", 3_212_749_824, "checkpoint of meta-llama/Llama-3.2-3B"),
    ("tinyllama-1.1b", 1_100_048_384, "checkpoint of TinyLlama/TinyLlama-1.1B"),
    ("mistral-7b-v0.1", 7_241_732_096, "checkpoint of mistralai/Mistral-7B-v0.1"),
    ("mistral-nemo-12b", 12_247_782_400, "checkpoint of mistralai/Mistral-Nemo-Base-2407"),
    ("mixtral-8x7b", 46_702_792_704, "Jiang 2024: 47B; checkpoint"),
    ("mixtral-8x22b", 140_620_634_112, "checkpoint of mistralai/Mixtral-8x22B-v0.1"),
    ("qwen2.5-7b", 7_615_616_512, "checkpoint of Qwen/Qwen2.5-7B"),
    ("qwen2.5-72b", 72_706_203_648, "checkpoint of Qwen/Qwen2.5-72B"),
    ("qwen3-8b", 8_190_735_360, "checkpoint of Qwen/Qwen3-8B"),
    ("qwen3-30b-a3b", 30_532_122_624, "checkpoint of Qwen/Qwen3-30B-A3B"),
    ("qwen3-235b-a22b", 235_093_634_560, "checkpoint of Qwen/Qwen3-235B-A22B"),
    ("gemma-2-9b", 9_241_705_984, "checkpoint of google/gemma-2-9b"),
    ("gemma-2-27b", 27_227_128_320, "checkpoint of google/gemma-2-27b"),
    ("gemma-3-4b", 4_300_079_472, "checkpoint of google/gemma-3-4b-pt"),
    ("gemma-3-27b", 27_432_406_640, "checkpoint of google/gemma-3-27b-pt"),
    ("phi-2", 2_779_683_840, "checkpoint of microsoft/phi-2"),
    ("phi-4", 14_659_507_200, "checkpoint of microsoft/phi-4"),
    ("phi-3.5-moe", 41_873_153_344, "checkpoint of microsoft/Phi-3.5-MoE-instruct"),
    ("falcon-40b", 41_303_293_952, "checkpoint of tiiuae/falcon-40b"),
    ("bloom-176b", 176_247_271_424, "BigScience 2022: 176,247,271,424"),
    ("opt-175b", 174_604_468_224, "Zhang 2022, its table 1"),
    ("gpt-neox-20b", 20_554_567_680, "Black 2022, its table 1"),
    ("gpt-j-6b", 6_050_882_784, "checkpoint of EleutherAI/gpt-j-6b"),
    ("deepseek-v3", 671_026_404_352, "DeepSeek-AI 2024: 671B, without the correction bias"),
    ("deepseek-v2", 235_741_434_880, "checkpoint of deepseek-ai/DeepSeek-V2"),
    ("kimi-k2", 1_026_408_209_408, "Moonshot 2025: 1T, without the correction bias"),
    ("gpt-oss-20b", 20_914_757_184, "OpenAI 2025: 20.9B"),
    ("gpt-oss-120b", 116_829_156_672, "OpenAI 2025: 116.8B"),
    ("dbrx", 131_596_523_520, "checkpoint of databricks/dbrx-base"),
    ("command-r-plus", 103_810_674_688, "checkpoint of c4ai-command-r-plus"),
    ("bert-base-uncased", 109_514_298, "checkpoint with its language head"),
    ("roberta-large", 355_412_057, "checkpoint with its language head"),
    ("distilbert-base-uncased", 66_985_530, "checkpoint with its language head"),
    ("t5-large", 737_668_096, "checkpoint of google-t5/t5-large"),
    ("whisper-large-v3", 1_543_490_560, "Radford 2022: 1550M; checkpoint"),
    ("vit-base-patch16-224", 86_567_656, "Dosovitskiy 2020: 86M; checkpoint"),
    ("clip-vit-large-patch14", 427_616_513, "checkpoint of openai/clip-vit-large-patch14"),
    ("mamba-2.8b", 2_768_345_600, "checkpoint of state-spaces/mamba-2.8b-hf"),
    ("nemotron-nano-9b-v2", 8_888_227_328, "checkpoint of nvidia/NVIDIA-Nemotron-Nano-9B-v2"),
    ("zamba-7b-v1", 7_232_490_496, "ZambaForCausalLM of transformers 5.24 from its defaults"),
    ("ministral-3-8b", 8_918_026_240, "checkpoint of mistralai/Ministral-3-8B-Instruct-2512-BF16"),
    ("llama-3.2-11b-vision", 10_670_220_835, "checkpoint of meta-llama/Llama-3.2-11B-Vision"),
    ("deepseek-ocr", 3_336_106_240, "checkpoint of deepseek-ai/DeepSeek-OCR"),
    ("internvl3.5-8b", 8_528_318_464, "checkpoint of OpenGVLab/InternVL3_5-8B"),
    ("command-a", 111_057_580_032, "checkpoint of CohereLabs/c4ai-command-a-03-2025"),
    ("command-r7b", 8_028_033_024, "checkpoint of CohereLabs/c4ai-command-r7b-12-2024"),
    ("seed-oss-36b", 36_151_104_512, "checkpoint of ByteDance-Seed/Seed-OSS-36B-Instruct"),
    ("multilingual-e5-large", 559_890_432, "checkpoint of intfloat/multilingual-e5-large"),
]


@pytest.mark.parametrize(("name", "parameters", "source"), TOTALS)
def test_published_total(name: str, parameters: int, source: str) -> None:
    assert source
    assert tf.load_model(name).params == parameters


def test_helium_as_its_class_makes_it() -> None:
    """HeliumConfig() of transformers 5, added up by hand: 48000 2560 (2) + 24 layers + norm."""
    layer = 4 * 2560 * 2560 + 3 * 2560 * 7040 + 2 * 2560
    assert tf.load_model({"model_type": "helium"}).params == 2 * 48_000 * 2560 + 24 * layer + 2560


def test_a_hybrid_of_granite_may_have_no_experts_to_choose_from() -> None:
    """Granite 4.0 Micro, added up by hand: 40 layers of attention, shared MLP and two norms."""
    layer = 2 * 2560 * (40 + 8) * 64 + 3 * 2560 * 8192 + 2 * 2560
    assert tf.load_model("granite-4.0-micro").params == 100_352 * 2560 + 40 * layer + 2560


def test_the_catalogue_has_sixty_models_and_states_what_it_knows() -> None:
    found = [entry(name) for name in names()]
    assert len(found) >= 60
    for each in found:
        assert each is not None
        assert each["source"]
        model = tf.load_model(each["name"])
        assert each.get("params", model.params) == model.params
        assert repr(model).startswith(f"<Model {each['name']}")
