"""Every class of kernels by name."""

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
