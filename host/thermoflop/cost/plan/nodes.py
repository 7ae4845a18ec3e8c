"""What a command needs besides where a replica is on more than one machine.

vLLM and SGLang are started once on each machine, TensorRT-LLM in a job of MPI that has a process a
device. Sources: vLLM's docs/serving/data_parallel_deployment.md at 01e4fce and
parallelism_scaling.md at 096bd6a; SGLang's docs/references/multi_node_deployment/multi_node.md;
TensorRT-LLM's docs/source/commands/trtllm-serve/trtllm-serve.rst (multi-node serving with Slurm);
llama.cpp's tools/rpc/README.md.
"""

from __future__ import annotations

import re
from math import ceil

from thermoflop.cost.work.share import Layout

# Fast links join more devices than a machine has in NVIDIA's NVL72, whose trays have four GPUs, and
# in pods of TPUs, whose hosts have four chips where there are several.
WIDEST, OF_WIDER = 16, 4
_RANK = re.compile(r"--nnodes (\d+) --node-rank 0 (--\S+)")
_START = re.compile(r"--data-parallel-size (\d+) .*--data-parallel-size-local (\d+)")


def machine_size(layout: Layout) -> int:
    """Devices in a machine; those of the layout where nothing is said."""
    size = layout.node_size or layout.devices
    return size if size <= WIDEST else OF_WIDER


def machines(layout: Layout) -> int:
    """Machines of a replica."""
    return ceil(layout.devices / machine_size(layout))


def vllm_nodes(layout: Layout) -> list[str]:
    """Flags of ``vllm serve``: of a group of attention on several machines those of its ranks, of
    groups within machines how many each has; groups that each span machines take Ray."""
    count, of_group = machines(layout), layout.devices // layout.dp
    if count == 1:
        return []
    if layout.dp == 1:
        return ["--nnodes", str(count), "--node-rank", "0", "--master-addr", "HEAD"]
    if of_group > machine_size(layout):
        return ["--data-parallel-backend", "ray"]
    local = str(machine_size(layout) // of_group)
    at_head = ["--data-parallel-address", "HEAD", "--data-parallel-rpc-port", "13345"]
    return ["--data-parallel-size-local", local, *at_head]


def sglang_nodes(layout: Layout) -> list[str]:
    """Flags of SGLang's server."""
    count = machines(layout)
    ranks = ["--nnodes", str(count), "--node-rank", "0", "--dist-init-addr", "HEAD:20000"]
    return ranks if count > 1 else []


def tensorrt_job(layout: Layout) -> list[str]:
    """What stands before ``trtllm-serve``."""
    count, each = machines(layout), machine_size(layout)
    tasks = f"-N {count} --ntasks {layout.devices} --ntasks-per-node {each} --mpi=pmix"
    return [f"srun {tasks} trtllm-llmapi-launch"] if count > 1 else []


def node_notes(command: str, layout: Layout) -> list[str]:
    """Sentences on how the commands of a choice, a line each, are started on several machines, and
    on a file that they name."""
    said = [_on_machines(line) for line in command.splitlines()]
    if command.startswith("llama-server") and machines(layout) > 1:
        others = "on all machines but the first"
        said.append(f"start ggml-rpc-server {others}, and add --rpc with each HOST:PORT")
    if "enable_attention_dp.yaml" in command:
        said.append("enable_attention_dp.yaml holds one line: enable_attention_dp: true")
    return [f"note: {each}" for each in dict.fromkeys(said) if each]


def _on_machines(command: str) -> str:
    """How a command is started on each; "" for one of a single machine."""
    head = "HEAD is the address of the first"
    if ranks := _RANK.search(command):
        others = ", and --headless on all but the first" if ranks[2] == "--master-addr" else ""
        last = int(ranks[1]) - 1
        return f"start it on {ranks[1]} machines, with --node-rank 0 to {last}{others}; {head}"
    if groups := _START.search(command):
        all_of, each = int(groups[1]), int(groups[2])
        firsts = " or ".join(map(str, range(each, all_of, each)))
        besides = f"--headless --data-parallel-start-rank {firsts}"
        return f"start it on {all_of // each} machines, with {besides} on all but the first; {head}"
    if "--data-parallel-backend ray" in command:
        return "start it on one machine of a Ray cluster, with VLLM_RAY_DP_PACK_STRATEGY=span"
    return "srun is Slurm's; mpirun starts as many processes" if "srun " in command else ""
