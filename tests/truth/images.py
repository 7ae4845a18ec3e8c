"""Tokens of images of many sizes, by the image processors of transformers 5.24 themselves.

``python tests/truth/images.py > tests/data/image_tokens.json`` writes, for each rule of
``thermoflop.model.architecture.grid``, the processor's settings as that module names them, and
height, width, tiles and tokens. Needs torch, torchvision and transformers; see CONTRIBUTING.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from math import ceil
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from transformers.image_processing_utils import select_best_resolution
from transformers.image_utils import SizeDict
from transformers.models.gemma4.image_processing_pil_gemma4 import get_aspect_ratio_preserving_size
from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor
from transformers.models.idefics3.image_processing_idefics3 import Idefics3ImageProcessor
from transformers.models.kimi_k25.image_processing_kimi_k25 import navit_resize
from transformers.models.lfm2_vl.image_processing_lfm2_vl import Lfm2VlImageProcessor
from transformers.models.llama4.image_processing_llama4 import (
    find_supported_resolutions,
    get_best_fit,
)
from transformers.models.llava_next.processing_llava_next import LlavaNextProcessor
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor
from transformers.models.minicpmv4_6.image_processing_minicpmv4_6 import MiniCPMV4_6ImageProcessor
from transformers.models.pixtral.image_processing_pil_pixtral import get_resize_output_image_size
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

Counted = tuple[int, int]  # tiles, tokens
EDGES = [(1, 1), (28, 28), (336, 336), (448, 448), (512, 512), (512, 1024), (768, 1024),
         (1024, 768), (1080, 1920), (1512, 1512), (3000, 100), (100, 3000), (2160, 3840),
         (2210, 16), (146, 3441), (236, 2336), (3346, 151), (8, 2400), (2400, 8)]  # fmt: skip
PINPOINTS = [(336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)]


def smart(height: int, width: int) -> Counted:
    tall, wide = smart_resize(height, width, 28, 3136, 12845056)
    return 1, tall // 28 * (wide // 28)


def padded(height: int, width: int) -> Counted:
    _, (tall, wide) = navit_resize(height, width, 14, 2, 16384, 512)
    return 1, tall // 28 * (wide // 28)


def longest(height: int, width: int) -> Counted:
    image = np.zeros((height, width, 3), np.uint8)
    tall, wide = get_resize_output_image_size(image, (1540, 1540), (28, 28))
    return 1, tall // 28 * (wide // 28 + 1)


def budget(height: int, width: int) -> Counted:
    tall, wide = get_aspect_ratio_preserving_size(height, width, 16, 280 * 9, 3)
    return 1, tall // 48 * (wide // 48)


def shape(height: int, width: int) -> Counted:
    processor = GotOcr2ImageProcessor(size={"height": 448, "width": 448}, crop_to_patches=True)
    tiles = processor.get_number_of_image_patches(height, width, {"max_patches": 12})
    return tiles, tiles * 256


def canvas(height: int, width: int) -> Counted:
    sizes = torch.tensor(find_supported_resolutions(16, SizeDict(height=336, width=336)))
    tall, wide = (int(side) for side in get_best_fit((height, width), sizes))
    tiles = tall // 336 * (wide // 336)
    tiles += int(tiles > 1)
    return tiles, tiles * 144


def cut(height: int, width: int) -> Counted:
    processor = Idefics3ImageProcessor(
        size={"longest_edge": 4 * 364}, max_image_size={"longest_edge": 364}
    )
    tiles, _, _ = processor.get_number_of_image_patches(height, width)
    tiles = max(1, tiles)
    return tiles, tiles * 169


def pinpoints(height: int, width: int) -> Counted:
    return _unpadded(LlavaNextProcessor, height, width, num_additional_image_tokens=0)


def one_vision(height: int, width: int) -> Counted:
    return _unpadded(
        LlavaOnevisionProcessor, height, width, num_image_tokens=576,
        vision_aspect_ratio="anyres_max_2",
    )  # fmt: skip


def _unpadded(kind: Any, height: int, width: int, **settings: Any) -> Counted:
    """What a processor says that keeps each tile's tokens but for those of the padding."""
    processor = SimpleNamespace(
        patch_size=14, image_processor=SimpleNamespace(image_grid_pinpoints=PINPOINTS), **settings
    )
    processor._get_unpadded_features = lambda *sizes: kind._get_unpadded_features(processor, *sizes)
    tokens = kind._get_number_of_features(processor, height, width, 336, 336)
    tall, wide = select_best_resolution((height, width), PINPOINTS)
    return tall // 336 * (wide // 336) + 1, tokens


def split(height: int, width: int) -> Counted:
    processor = Lfm2VlImageProcessor()
    settings: dict[str, Any] = {"downsample_factor": 2, "encoder_patch_size": 16}
    large = processor._is_image_too_large(
        height, width, max_image_tokens=256, max_pixels_tolerance=2.0, **settings
    )
    wide, tall = processor.smart_resize(
        height, width, min_image_tokens=64, max_image_tokens=256, **settings
    )
    whole = tall // 32 * (wide // 32)
    if not large:
        return 1, whole
    *_, tiles = processor._get_grid_layout(height, width, 2, 10, 512)
    return tiles + 1, tiles * 256 + whole


def packed(height: int, width: int) -> Counted:
    return _sliced(height, width, "16x", 4)


def packed_finer(height: int, width: int) -> Counted:
    return _sliced(height, width, "4x", 2)


def _sliced(height: int, width: int, mode: str, side: int) -> Counted:
    processor = MiniCPMV4_6ImageProcessor()
    whole = processor.find_best_resize((height, width), 448, 14, mode, allow_upscale=True)
    grid = processor.get_sliced_grid((height, width), 9, 448)
    sizes = [whole]
    if grid is not None:
        sizes.append(processor.get_refine_size((height, width), grid, 448, 14, mode, True))
    return 1, sum(tall * wide // (14 * side) ** 2 for tall, wide in sizes)


# The settings as thermoflop's Grid has them, and how many tokens are left of a whole tile.
RULES: dict[Callable[[int, int], Counted], tuple[dict[str, Any], int]] = {
    smart: ({"rule": "smart", "patch": (14, 14), "merge": 2, "limits": (3136, 12845056)}, 0),
    padded: ({"rule": "padded", "patch": (14, 14), "merge": 2, "limits": (16384, 512)}, 0),
    longest: ({"rule": "longest", "patch": (14, 14), "merge": 2, "limits": (1540,),
               "breaks": True}, 0),
    budget: ({"rule": "budget", "patch": (16, 16), "merge": 3, "limits": (280 * 9,)}, 0),
    shape: ({"rule": "shape", "patch": (14, 14), "side": (448, 448), "limits": (12,)}, 256),
    canvas: ({"rule": "canvas", "patch": (14, 14), "side": (336, 336), "limits": (16,)}, 144),
    cut: ({"rule": "cut", "patch": (14, 14), "side": (364, 364)}, 169),
    pinpoints: ({"rule": "pinpoints", "patch": (14, 14), "side": (336, 336),
                 "sizes": PINPOINTS}, 0),
    one_vision: ({"rule": "pinpoints", "patch": (14, 14), "side": (336, 336),
                  "sizes": PINPOINTS, "limits": (2,)}, 0),
    split: ({"rule": "split", "patch": (16, 16), "side": (512, 512), "merge": 2,
             "limits": (65536, 262144, 10)}, 256),
    packed: ({"rule": "packed", "patch": (14, 14), "limits": (4,)}, 0),
    packed_finer: ({"rule": "packed", "patch": (14, 14), "limits": (2,)}, 0),
}  # fmt: skip


def main() -> int:
    drawn = random.Random(5)
    sizes = EDGES + [
        (ceil(10 ** drawn.uniform(1.2, 3.6)), ceil(10 ** drawn.uniform(1.2, 3.6)))
        for _ in range(50)
    ]
    found = []
    for counted, (grid, pooled) in RULES.items():
        rows = []
        for height, width in sizes:
            try:
                rows.append((height, width, *counted(height, width)))
            except ValueError:  # a shape that the processor refuses
                continue
        found.append({"name": counted.__name__, "grid": grid, "pooled": pooled, "rows": rows})
    json.dump(found, sys.stdout, separators=(",", ":"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
