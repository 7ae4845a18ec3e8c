"""Devices: what a data sheet promises, with where each number was read.

Peaks are dense (no sparsity) and per device; bandwidth is of device memory; ``link_bytes_s`` is one
direction of the links to other devices. GB is 1e9 bytes. The catalogue is ``data/devices.jsonl``; a
device of one's own is a few lines of TOML::

    name = "My accelerator"
    memory_gb = 48
    bandwidth_gb_s = 900
    [dense_tflops]
    bf16 = 200

A machine that ``thermoflop calibrate`` measured is a device under the name of its profile.
"""

from __future__ import annotations

from thermoflop.base.messages import expected
from thermoflop.base.plain import is_between
from thermoflop.base.record import record
from thermoflop.cost.hardware.fabric import Network, default_network
from thermoflop.errors import InputError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GIGA = 1e9
CALIBRATED = "thermoflop calibrate"  # the source of a device that was measured
TERA = 1e12
PCIE_3_LANE_BYTES_S = 1e9  # in one direction; each generation doubles it
UNKNOWN_BYTES_S = 16e9  # between devices of which neither links nor PCIe are known
# Formats whose work runs on the unit of another one when a device does not name it.
SAME_UNIT = {"bf16": "fp16", "fp16": "bf16", "tf32": "fp32", "mxfp4": "fp4", "nvfp4": "fp4"}
# Formats that a peak may be stated of: those that a weight is multiplied in.
_PEAKS = frozenset(
    ["fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "fp6", "fp4", "int8", "int4", *SAME_UNIT]
)
_REQUIRED = ("memory_gb", "bandwidth_gb_s", "dense_tflops")
# Numbers in other units than the fields have that they are kept in.
_SCALED = {
    "memory_gb": ("memory_bytes", GIGA), "bandwidth_gb_s": ("bandwidth_bytes_s", GIGA),
    "half_accumulate_tflops": ("half_accumulate_flops_s", TERA), "cache_mb": ("cache_bytes", 1e6),
    "link_gb_s": ("link_bytes_s", GIGA), "network_gb_s": ("network_bytes_s", GIGA),
}  # fmt: skip
_NUMBERS = frozenset({
    *_SCALED, "cores", "boost_mhz", "power_w", "idle_w", "max_c", "slowdown_c", "shutdown_c",
    "thermal_resistance_c_per_w", "node_devices",
})  # fmt: skip
_WORDS = frozenset({
    "name", "vendor", "memory_kind", "link", "pcie", "note", "source", "confidence",
})  # fmt: skip
# By NVIDIA's names of products (developer.nvidia.com/cuda-gpus and cuda-legacy-gpus); the names of
# Ada's workstation cards begin as those of others: RTX 2000 Ada, RTX 3500 Ada, RTX 5000 Ada.
ARCHITECTURES = (
    ("blackwell", ("B100", "B200", "B300", "GB200", "GB300")),
    ("hopper", ("H100", "H200", "H800", "H20-", "GH200")),
    ("ampere", ("A100", "A800", "A30")),
    ("ada", ("L40", "L4", "L20", "L2", "RTX 40", "RTX 2000 Ada", "RTX 3500 Ada", "RTX 4500 Ada",
             "RTX 5000 Ada", "RTX 5880 Ada", "RTX 6000 Ada")),
    ("consumer ampere", ("RTX 30", "A10", "A16", "A2", "A40", "RTX A")),
    ("consumer blackwell", ("RTX 50", "RTX PRO", "RTX 6000 Pro", "RTX 6000D", "DGX Spark")),
    ("turing", ("T4", "RTX 20", "GTX 16", "Quadro RTX", "TITAN RTX")),
    ("volta", ("V100", "TITAN V")),
    ("pascal", ("P40", "P100", "GTX 10")),
)  # fmt: skip


@record
class Device:
    """One device, as its data sheet or a calibration describes it. GB is 1e9 bytes.

    Attributes:
        name: its name.
        memory_bytes: bytes of memory.
        bandwidth_bytes_s: bytes a second of that memory.
        peaks: dense FLOP/s by number format, without sparsity.
        vendor: who makes it; "" where not known, as all texts below.
        memory_kind: ``HBM3``, ``GDDR6X``, ...
        half_accumulate_flops_s: FLOP/s of fp16 summed in fp16, where that is faster, or None.
        link: what joins it to other devices.
        link_bytes_s: bytes a second of that, in one direction; None where there is none.
        pcie: its PCIe: ``PCIe 5 x16``, ...
        cache_bytes: bytes of the last cache on the chip; 0.0 where not known.
        cores: streaming multiprocessors or the like; None where not known, as all numbers below.
        boost_mhz: clock in MHz that the peaks are computed from.
        power_w: design power in watts.
        idle_w: watts when idle.
        max_c: highest operating temperature in °C.
        slowdown_c: temperature in °C at which it slows down.
        shutdown_c: temperature in °C at which it switches off.
        thermal_resistance_c_per_w: degrees above the coolant for each watt, in steady state.
        note: what else to know.
        source: where the numbers were read.
        read: names of the fields that were read in the source, or ``("all",)``; others are
            recalled.
        confidence: ``read``, ``recalled`` (default) or ``own``.
        node_devices: devices that its fast links join; None: as the makers' systems do.
        network_bytes_s: bytes a second to devices beyond those, in one direction; None likewise.

    Example:
        >>> import thermoflop as tf
        >>> peaks = {"bf16": 200e12}
        >>> mine = tf.Device("Mine", memory_bytes=48e9, bandwidth_bytes_s=1e12, peaks=peaks)
        >>> mine.ridge("bf16")
        200.0
        >>> tf.estimate("gpt2", mine, prompt=512).device.name
        'Mine'
    """

    name: str
    memory_bytes: float
    bandwidth_bytes_s: float
    peaks: dict[str, float]
    vendor: str = ""
    memory_kind: str = ""
    half_accumulate_flops_s: float | None = None
    link: str = ""
    link_bytes_s: float | None = None
    pcie: str = ""
    cache_bytes: float = 0.0
    cores: int | None = None
    boost_mhz: float | None = None
    power_w: float | None = None
    idle_w: float | None = None
    max_c: float | None = None
    slowdown_c: float | None = None
    shutdown_c: float | None = None
    thermal_resistance_c_per_w: float | None = None
    note: str = ""
    source: str = ""
    read: tuple[str, ...] = ()
    confidence: str = "recalled"
    node_devices: int | None = None
    network_bytes_s: float | None = None

    def has_peak(self, name: str) -> bool:
        """Whether the device computes in a number format.

        Args:
            name: the format, as in ``peak``.

        Returns:
            Whether ``peak`` knows it.

        Example:
            >>> import thermoflop as tf
            >>> tf.find_device("h100").has_peak("fp8"), tf.find_device("a100").has_peak("fp8")
            (True, False)
        """
        return bool(self.peaks.get(name) or self.peaks.get(SAME_UNIT.get(name, "")))

    def recalls(self, name: str) -> bool:
        """Whether a figure was recalled, not read: one whose name begins so.

        Args:
            name: the beginning of a field's name, such as ``memory`` or ``bandwidth``.

        Returns:
            True where the device is marked as recalled and no field of that name was read.

        Example:
            >>> import thermoflop as tf
            >>> tf.find_device("rtx 3090 ti").recalls("memory"), tf.find_device("h100").recalls("m")
            (True, False)
        """
        read = any(field.startswith((name, "all")) for field in self.read)
        return self.confidence == "recalled" and not read

    def peak(self, name: str) -> float:
        """Dense FLOP/s in a number format.

        Args:
            name: the format; one that runs on the unit of another (bf16 and fp16) has that one's
                peak.

        Returns:
            FLOP/s.

        Raises:
            UsageError: for a format that the device does not compute in.
        """
        peak = self.peaks.get(name) or self.peaks.get(SAME_UNIT.get(name, ""))
        if peak is None:
            known = ", ".join(self.peaks) or "none"
            raise UsageError(
                f"{self.name} does not compute in {name}: its peaks are known for {known}"
            )
        return peak

    def ridge(self, name: str) -> float:
        """The intensity at which computing and reading memory take equally long (Williams 2009).

        Args:
            name: a number format, as in ``peak``.

        Returns:
            FLOPs per byte.

        Raises:
            UsageError: as ``peak`` does.
        """
        return self.peak(name) / self.bandwidth_bytes_s

    @property
    def core_hz(self) -> float:
        """Cores times their clock: as many bytes a second as one byte per core and clock is.

        Where cores or clock are not known, 256 single-precision FLOPs per core and clock assumed.
        """
        if self.cores and self.boost_mhz:
            return self.cores * self.boost_mhz * 1e6
        return self.peaks.get("fp32", max(self.peaks.values(), default=1e12) / 16) / 256

    @property
    def fabric_bytes_s(self) -> float:
        """Bytes a second to another device: its links, else PCIe, else 16 GB/s assumed."""
        return self.link_bytes_s or pcie_bytes_s(self.pcie) or UNKNOWN_BYTES_S

    @property
    def network(self) -> Network:
        """How many devices make a node, and what joins nodes."""
        usual = default_network(self.name)
        if self.node_devices is None and self.network_bytes_s is None:
            return usual
        rate, what = self.network_bytes_s, "as stated"
        if rate is None:
            rate, what = usual.bytes_s, usual.what
        return Network(self.node_devices or usual.node_size, rate, what)


def architecture_named(name: str) -> str | None:
    """The architecture that the name of a device tells; None where it tells none."""
    return next((kind for kind, starts in ARCHITECTURES if name.startswith(starts)), None)


def format_in_4_bits(device: Device) -> str:
    """The format that a device's unit of 4 bits multiplies: NVIDIA's own with a scale of fp8 for
    16, or elsewhere OCP's with a power of two for 32 (AMD's CDNA 4 ISA, V_MFMA_SCALE; AWS's NKI on
    Trainium3)."""
    return "nvfp4" if device.vendor in ("NVIDIA", "") else "mxfp4"


def check_4_bits(device: Device, dtype: str) -> None:
    """UsageError for NVIDIA's 4 bits on a device whose unit multiplies others."""
    if said := other_4_bits(device, dtype):
        raise UsageError(said)


def other_4_bits(device: Device, dtype: str) -> str:
    """A sentence on the 4 bits that a device multiplies instead of NVIDIA's; "" elsewhere."""
    own = format_in_4_bits(device)
    if dtype != "nvfp4" or not device.has_peak("fp4") or own == dtype:
        return ""
    return f"{device.name} does not compute in {dtype}: its 4 bits are {own}, as quark-{own}"


def is_switched(device: Device) -> bool:
    """Whether a switch between the devices adds up what they send (NVLink 4 and 5)."""
    return device.link.startswith(("NVLink 4", "NVLink 5"))


def pcie_bytes_s(pcie: str) -> float:
    """Bytes a second of ``PCIe 4 x8`` in one direction; 0 where it says something else."""
    generation, _, lanes = pcie.removeprefix("PCIe ").partition(" x")
    if not (generation.isdecimal() and lanes.isdecimal()):
        return 0.0
    return PCIE_3_LANE_BYTES_S * 2.0 ** (int(generation[:2]) - 3) * int(lanes[:3])


def device_from(raw: dict[str, Any], name: str = "") -> Device:
    """A Device from the keys of the catalogue or of a TOML file. InputError names a bad one."""
    where = str(raw.get("name") or name or "the device")
    for key in _REQUIRED:
        if key not in raw:
            raise InputError(f"{where} lacks {key}: expected {', '.join(_REQUIRED)}")
    for key, value in raw.items():
        _check_field(where, key, value)
    peaks = {key: float(value) * TERA for key, value in raw["dense_tflops"].items()}
    stated = {key: value for key, value in raw.items() if value is not None}
    scaled = {name: stated[key] * unit for key, (name, unit) in _SCALED.items() if key in stated}
    alike = {*Device.__annotations__} - {"name", "read"}  # keys that are called as the field is
    optional = {key: value for key, value in stated.items() if key in alike}
    return Device(name=where, peaks=peaks, read=tuple(raw.get("read", ())), **scaled, **optional)


def _check_field(where: str, key: str, value: Any) -> None:
    """InputError for a key that is unknown or a value that makes no sense."""
    if key in _NUMBERS:
        if not is_between(value, 0, 1e9):
            asked = "expected a number above 0 and below 1e9"
            raise InputError(f"{where}: {key}={value!r:.40} makes no sense: {asked}")
    elif key == "dense_tflops":
        if not isinstance(value, dict):
            raise InputError(f"{where}: dense_tflops={value!r:.40} is no table of format = TFLOP/s")
        for name, peak in value.items():
            if name not in _PEAKS:
                raise InputError(
                    f"{where}: dense_tflops of {name!r:.40}, which is no format: "
                    f"{expected(name, sorted(_PEAKS))}"
                )
            if not is_between(peak, 0, 1e9):
                raise InputError(f"{where}: {name}={peak!r:.40} TFLOP/s makes no sense")
    elif key in ("read", "aliases"):
        if not isinstance(value, list):
            raise InputError(f"{where}: {key}={value!r:.40} is no list")
    elif key in _WORDS:
        if key != "name" and value is not None and not isinstance(value, str):
            raise InputError(f"{where}: {key}={value!r:.40} is no text")
    else:
        known = ", ".join(sorted(_NUMBERS | _WORDS | {"dense_tflops"}))
        raise InputError(
            f"{where}: {key!r:.40} is no property of a device: expected one of {known}"
        )


def is_its_hosts(device: Device) -> bool:
    """Whether a device's memory is that of its host, so nothing is gained by leaving to the host
    what does not fit: processors, and chips that are both (Apple, Jetson, Ryzen AI, MI300A)."""
    kind = device.memory_kind
    return device.vendor in ("Apple", "CPU") or "LPDDR" in kind or "unified" in kind
