"""HunyuanOCR: what its eyes leave of an image."""

from __future__ import annotations

from thermoflop.model.load import read_model


def test_an_image_of_hunyuan_ocr_is_a_token_for_four_patches_and_one_a_row() -> None:
    model = read_model({"model_type": "hunyuan_vl", "text_config": {"head_dim": 128}})
    assert model.params == 8_139_351_536
    eyes = model.description.stack("image")
    assert eyes is not None
    assert eyes.grid is not None
    assert eyes.grid.breaks
    assert (eyes.patches, eyes.pooled, eyes.tokens) == (64 * 64, 32 * 32, 32 * 33)
