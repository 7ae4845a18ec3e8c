"""What devices of another maker sustain of their data sheets, beside those that rates came from.

Rates that were fitted to NVIDIA's data-centre devices alone hold what those sustain of their sheets
already. A device of AMD's sustains another share, and has other gaps between kernels: here is by
how much, from kernels that one tool timed on both makers' devices. What nothing can beat stays the
data sheet's.

``compute`` of CDNA 3, 0.55, MI300A's too. Azure's benchmarking guide
(samuel-bohman/AI-benchmarking-guide, ``Azure_Results``, fp8 with random numbers) has products of
m = 2048, 4096, 8192, 16384, 32768 and
6144 x 12288 x 12288: MI300X 427.7, 955.2, 1159.2, 1015.1, 1029.1 and 1159.5 of 2,614.9 TFLOP/s;
H100 1011.3, 1216.9, 1290.1, 1377.3, 1382.2 and 1351.4, H200 1013.4, 1249.1, 1300.6, 1366.3, 1349.5
and 1318.0 of 1,979. The shares of their sheets are as 0.55 to 1 in the geometric mean. The largest
rates alone are as 0.64 to 1, in bf16 too (stas00/ml-engineering, maximum achievable matmul: MI300X
668.4 of 1,307.4; H100 794.5 of 989; B200 1,745 and B300 1,769 of 2,250). The same table has MI325X
at 784.9, 1.17 times the MI300X, and MI355X at 1,565 of 2,500: 0.79 to 1; no table was found that
has MI355X by shapes. Attention is taken to be like products: AITER runs 1.18 to 1.62 times as fast
as Triton on MI300X (midiareshadi.github.io/blog/attn-dsl-bench), FlashAttention 2 there at 328.6
TFLOP/s (Azure), FlashAttention 3 on H100 at 590 (pytorch/benchmark pull 2391).

``compute`` of RDNA 4, 0.81. PyTorch's largest products in half precision
(zzc0721/torch-performance-test-data, as below): RX 9070 XT 133.4 and 125.2 of 194.6 TFLOP/s
(issues 173 and 201), RX 9060 XT 66.1 of 102.6 (issue 165), where A100 has 253 of 312. On RDNA 3
they reach 0.95 of what A100's do (RX 7700 XT, 54.2 of 70.3, issue 157), which is left as it is.

``reads``, 0.78, of weights and of the cache: BabelStream's dot, which only reads (Azure): MI300X
3.87 of 5.3 TB/s, H100 3.18 of 3.35, H200 4.48 of 4.8. ``passes``, 0.91, of activations: its other
four, which write too: MI300X 4.11, 4.26, 4.14 and 4.09; H100 2.90, 2.90, 2.97 and 2.97; H200 4.01,
4.00, 4.15 and 4.15. Nothing was found of MI355X: taken to be alike.

``link``. Buses of an all-reduce of 8 GB over eight: MI300X 316.8 of 448 GB/s, H100 478.9 and H200
480.0 of 450 (Azure); 315.9, MI325X 318 and MI355X 369 of 535.5 (hisohara/ai-scripts, RCCL). Small
messages take 1.5 to 1.75 times as long in the one and no longer in the other: left as they are.

``gap``, 2.03. What gpt-fast's published rows ask for on MI250X beside A100 (``profiles``,
launch_s); a node of a graph takes 3.87 µs on a W7900 (ROCm/rocm-systems issue 10834) and 0.58 µs
on an RTX 5070 Ti (ahrefs/ocannl issue 488), 3.3 µs more beside the 3.7 that vLLM has. GLM-5.2 and
MiniMax-M3 on eight MI355X (their benchmarks in SGLang's cookbook) ask for 1.25.

``HALVED``. GeForce cards multiply half-precision numbers at half the rate where they are summed in
32 bits, and all else of a core is as fast as ever: attention reaches the same share of the whole
rate as elsewhere, and no more than 0.9 of its own. On an RTX 5090 FlashAttention reaches 187 and
191 TFLOP/s, cuDNN 204 of 209.5 (gau-nernst.github.io/fa-5090: 8 heads, 4,096 queries, 8,192 keys).

``HELD`` and ``SINGLE``. What NVIDIA's devices reach in large products beside A100 and V100, of
which rates came first: those reach 0.95 of their sheets in single precision and 0.81 in half. One
program has timed PyTorch's products of up to 10,240 on all of them
(zzc0721/torch-performance-test-data). In single precision A100 has 18.1 and 19.2 of 19.5, V100 14.5
of 15.7, H100 52.1 and H200 51.3 of 67; where a core has two lanes that one product cannot both
fill, RTX 3090 24.8 of 35.6, A40 23.7 of 37.4, RTX 4090 55 of 82.6, L20 37.3 of 59.4 and RTX 5090 68
of 104.8. Cards with few watts for their chip lose clock as well: an L4 is at 10.9 of 30.3 in single
and at 54 of 121 in half precision; an A10 at 12.5 of 31.2 in single (NVIDIA/cutlass issue 941; its
clock goes down from 1,695 to 885 MHz), and in half as good as A100; FasterTransformer's encoder
takes 2.78 times as long on T4 as on V100 in single and 2.36 times in half precision
(docs/encoder_guide.md, geometric mean of batches of 8 and 32 of 128 and 384 tokens, both ops), of
which the sheets explain 1.94 and 1.92. Products alone, one after the other, are at 24 of 65 on a T4
("power capping", forums.developer.nvidia.com 264462).

None of these was fitted to a published row of an engine but ``gap``. On 18 pairs that Azure timed
on H200 and MI300X with one vLLM (Llama 3.1 8B, 70B and 405B in fp8), H200 is 1.32 times as fast;
data sheets alone say 0.91.
"""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.cost.hardware.device import architecture_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from thermoflop.cost.hardware.device import Device


@record
class Sustained:
    """Shares of a sheet beside NVIDIA's: of products and attention, of memory that is only read and
    that is written too, of links; and how many times as long the gaps between kernels are."""

    compute: float = 1.0
    reads: float = 1.0
    passes: float = 1.0
    link: float = 1.0
    gap: float = 1.0


LIKE_NVIDIA = Sustained()
BY_NAME = {
    "MI300A": Sustained(compute=0.55, reads=0.78, passes=0.91, link=0.66, gap=2.03),
    "MI300X": Sustained(compute=0.55, reads=0.78, passes=0.91, link=0.66, gap=2.03),
    "MI325X": Sustained(compute=0.65, reads=0.78, passes=0.91, link=0.66, gap=2.03),
    "MI350X": Sustained(compute=0.79, reads=0.78, passes=0.91, link=0.65, gap=1.25),
    "MI355X": Sustained(compute=0.79, reads=0.78, passes=0.91, link=0.65, gap=1.25),
}
RDNA_4 = ("RX 90", "Radeon AI PRO R9")  # by the names of products
OF_RDNA_4, OTHERS_OF_AMD = Sustained(compute=0.81, gap=2.03), Sustained(gap=2.03)
SINGLE = {"hopper": 0.82, "consumer ampere": 0.70, "ada": 0.68, "consumer blackwell": 0.68}
HELD = {
    "A10": {"fp32": 0.42}, "L4": {"fp32": 0.38, "": 0.55}, "T4": {"fp32": 0.70, "": 0.82},
}  # fmt: skip
HALVED = 0.9  # of its peak, what attention reaches at most where products in 16 bits are halved
# Which rates of an engine each share is of.
RATES = {
    "matmul": "compute", "attention": "compute", "expert_matmul": "compute",
    "weights": "reads", "cache": "reads", "activations": "passes", "expert_weights": "reads",
    "link": "link", "kernel_gap_s": "gap",
}  # fmt: skip


def sustained_of(device: Device) -> Sustained:
    """What a device sustains beside NVIDIA's; nothing is known of other makers than AMD."""
    if device.vendor != "AMD":
        return LIKE_NVIDIA
    others = OF_RDNA_4 if device.name.startswith(RDNA_4) else OTHERS_OF_AMD
    return BY_NAME.get(device.name, others)


def held_share(device: Device, compute: str) -> float:
    """Of its data sheet in a format, what a device reaches beside what rates came from."""
    of_device = HELD.get(device.name)
    if of_device is not None:
        return of_device.get(compute, of_device.get("", 1.0))
    if compute != "fp32" or device.vendor != "NVIDIA":
        return 1.0
    return SINGLE.get(architecture_named(device.name) or "", 1.0)


def of_sheet(rates: dict[str, float], device: Device, compute: str) -> dict[str, float]:
    """Rates that are shares of a data sheet itself, one's own or measured on the device, where
    those of engines are of what it holds."""
    share = held_share(device, compute)
    return {
        name: rate / share if RATES.get(name) == "compute" else rate for name, rate in rates.items()
    }


def held_words(device: Device, compute: str) -> str:
    """That share in a part of a sentence; "" where it is the whole."""
    share = held_share(device, compute)
    said = f"its products in {compute} reach {share:g} of what A100's do of a data sheet"
    return said if share < 1 else ""


def sustained_rates(rates: dict[str, float], device: Device) -> dict[str, float]:
    """Rates that NVIDIA's devices have of their sheets, as this one has them of its own."""
    shares = sustained_of(device)
    if shares == LIKE_NVIDIA:
        return rates
    return {
        name: rate * getattr(shares, RATES[name]) if name in RATES else rate
        for name, rate in rates.items()
    }


def carried_over(
    rates: dict[str, float], device: Device, unseen: Sequence[str], *, today: bool
) -> dict[str, float]:
    """Rates for a device that was never measured: what is ``unseen`` of it, and whether they are of
    an engine of ``today``, fitted to devices that halve nothing."""
    if "maker" in unseen:
        return sustained_rates(rates, device)
    whole, own = device.half_accumulate_flops_s, device.peaks.get("bf16")
    if not (today and whole and own and device.vendor == "NVIDIA"):
        return rates
    share = rates["attention"]
    return {**rates, "attention": max(share, min(share * whole / own, HALVED))}


def sustained_words(device: Device) -> str:
    """The shares of a device, in a part of a sentence; "" where none is known."""
    shares = sustained_of(device)
    if shares == LIKE_NVIDIA:
        return ""
    gaps = f"gaps between kernels {shares.gap:g} times as long"
    if shares.compute == shares.reads == shares.link == 1:
        return f"it has {gaps} as NVIDIA's"
    others = f", {shares.reads:g} in reading memory and {shares.link:g} in links"
    return (
        f"beside NVIDIA's it reaches {shares.compute:g} of the share of its data sheet in "
        f"products{'' if shares.reads == shares.link == 1 else others}, with {gaps}"
    )
