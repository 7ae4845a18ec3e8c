"""ggml's kernels on the devices that llama.cpp runs on: products, experts, attention, recurrences.

Products of narrow weights are fitted on NVIDIA's and Apple's, beside half the peak of 8 bits
(``engine.peak_of``). AMD's matrix units but those of RDNA 4 multiply 8 bits as fast as 16. RDNA 3
with memory of its own reaches ``RDNA_3`` of what the fitted share, 0.59, makes of that peak: an RX
7900 XTX reads 4,200 tokens/s of a 7B in Q4_0 (llama.cpp issue 20934) and 745 of a 32B in Q4_K_S
(pull 13324), 2 x 6.74e9 x 4,200 = 56.6 and 48.8 of 122.8 TFLOP/s, 0.78 and 0.67 of it. Those that
share the memory and the watts of a processor stay at half: a Ryzen AI Max+ 395 reads 226 to 1,089
tokens/s of 32B to 7B (tables of lhl and visorcraft), 14 to 17 of 59.4 TFLOP/s.

Experts. A product of many rows fills tiles of up to ``WIDEST`` (``mmq_x`` of ggml-cuda's mmq.cuh,
which HIP compiles too). How wide they are is chosen for all tokens of a batch, as if each went to
every expert, and every expert has tiles of its own: 512 tokens of Qwen3 30B give each of 128
experts 32 rows, in a tile of 128 (llama.cpp pulls 13199, 15525, 26977; AMD-Ecosystem's pull 39:
"1/8 full"). On RDNA 3 and 4 a tile has been as wide as an expert's rows on average since September
2026 (pull 28552; not on RDNA 3.5), in steps of ``STEP``. Vulkan leaves out its large tile for
experts on AMD's (``mul_mat_id_l`` of ggml-vulkan.cpp) and has ``OF_VULKAN`` rows: the backend that
stands for devices which share a processor's memory. Metal's tile has ``OF_METAL``
(``kernel_mul_mm_id``). Unpacking the weights of a tile takes as long as ``UNPACKED`` rows: Qwen3
30B in Q4_K_M on a W7800 reads 512 tokens in 227 ms by tiles of 128 and in 161 ms by tiles of 32, 32
tokens in 43 and in 36 ms (pull 24546): those rows ask for 20 to 40.

Attention has been one kernel since 2025-08 (``fitting.regression.MEANS``), beside which AMD's are
at these shares (``ATTENTION``). An 8B on an RX 9060 XT takes 401 ms longer for 512 tokens at 32,768
than at 4,096 (pull 28102), 7.7 TFLOP, so 19.2 of 102.6 TFLOP/s; Qwen3 30B on a W7800 reads 65,536
tokens in 75 s more than its first (pull 24546), 1,689 TFLOP: 22.4 of 90.5. Qwen3.6 35B on Strix
Halo takes 423 ms longer at 65,536 than at 32,768 (pull 26419), 2.75 TFLOP: 6.5 of 59.4.

Recurrences run token after token in 32 bits: ``gated_delta_net_cuda`` keeps a column of a head's
state in a warp, and has no chunks (pulls 19504 and 22587, issue 22967). For 32 heads of 128 x 128,
2.1 MFLOP to read the state, a token takes 0.50 us on an RTX 5090 (pull 22587: 279.6 us for 512, and
28.3 for one) and 3.6 us on Strix Halo (AMD-Ecosystem's pull 54: 220.9 ms for 2,048 in 30 layers):
4.2 of 104.8 and 0.58 of 14.85 TFLOP/s in 32 bits, ``SCANNED`` of either.
"""

from __future__ import annotations

from thermoflop.cost.hardware.sustained import RDNA_4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from thermoflop.cost.hardware.device import Device

WIDEST, OF_VULKAN, OF_METAL = 128, 64, 32
STEP, UNPACKED = 8.0, 25.0
SCANNED = 0.04
RDNA_3 = 0.73
# By the names of products: RDNA 3 and 3.5.
_RDNA_3 = ("RX 7", "Radeon PRO W7")
_SHARED = ("AMD Ryzen", "Radeon 7", "Radeon 8")
# Of the share of their peak that NVIDIA's reach in attention.
ATTENTION = ((_RDNA_3, 0.95), (RDNA_4, 0.72), (_SHARED, 0.42))


def products_share(device: Device) -> float:
    """Of AMD's 8-bit peak, what the fitted share is a share of."""
    return RDNA_3 if device.name.startswith(_RDNA_3) else 0.5


def attention_share(device: Device) -> float:
    """Of the peak that attention is measured against."""
    return next((share for names, share in ATTENTION if device.name.startswith(names)), 1.0)


def tile_of(device: Device) -> tuple[int, bool]:
    """The rows of an expert's tile at most, and whether it is no wider than its rows on average;
    processors fill none."""
    if device.vendor == "CPU":
        return 1, False
    if device.vendor == "Apple":
        return OF_METAL, False
    fits = device.name.startswith((*_RDNA_3, *RDNA_4))
    return (OF_VULKAN if device.name.startswith(_SHARED) else WIDEST), fits


def apart(device: Device) -> tuple[str, ...]:
    """What sets a device apart from those that rates came from, by the names of
    ``catalogue.seen.EXTRA``: two backends, of which one figure speaks for both, or one of its own
    (processors; SYCL and Vulkan on Intel's; who knows which where no maker is stated)."""
    own = {"AMD": "backend", "CPU": "processor", "Intel": "runtime", "": "maker unstated"}.get(
        device.vendor
    )
    return () if own is None else (own,)


def scan_flops_s(device: Device) -> float:
    """FLOP/s at which a recurrence reads its state."""
    return SCANNED * (device.peaks.get("fp32") or min(device.peaks.values()) / 8)
