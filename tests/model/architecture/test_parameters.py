"""Parameters by group."""

from __future__ import annotations

from kit.made_up import HEAD_MATRIX, decoder


def test_a_group_without_parameters_of_its_own_is_left_out():
    """A head that is the table of tokens has none; one of its own has as many as the table."""
    tied, apart = decoder(tie_word_embeddings=True), decoder()
    assert "lm_head" not in tied.params_by_group
    assert apart.params_by_group["lm_head"] == HEAD_MATRIX
    assert apart.params - tied.params == HEAD_MATRIX
    for model in (tied, apart):
        assert min(model.params_by_group.values()) > 0
