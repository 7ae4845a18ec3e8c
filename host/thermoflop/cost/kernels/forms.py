"""Every class of kernels by name, and the table of measured rows that speaks for it."""

from __future__ import annotations

from thermoflop.cost.kernels import attention, collectives, experts, gemm, latent
from thermoflop.cost.kernels.form import Form

FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        gemm.FORM,
        attention.DECODE,
        attention.PROMPT,
        latent.FORM,
        attention.LATENT_PROMPT,
        experts.FORM,
        collectives.ALL_REDUCE,
        *collectives.NCCL,
    )
}
TABLES = dict(
    zip(
        FORMS,
        (
            "gemm", "attention_decode", "attention_context", "mla_decode", "mla_context", "moe",
            "all_reduce", "nccl_all_reduce", "nccl_all_gather", "nccl_reduce_scatter",
            "nccl_alltoall",
        ),
        strict=True,
    )
)  # fmt: skip
