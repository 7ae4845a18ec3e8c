"""llama.cpp's own server under ``record --attach --scrape``: a campaign, not a test.

    python -m venv v && v/bin/pip install . gguf xllamacpp
    v/bin/python tests/llama_server.py

A random Llama of two layers is written as GGUF and served (xllamacpp builds llama.cpp's server in,
https://github.com/xorbitsai/xllamacpp); three requests of forty tokens are sent while a recording
is attached to the server's process. Exit code 0: the run holds 120 tokens in a phase of serving,
their time per token is what the server says of it, and `fit` reads the file.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HEADS, WIDTH, MLP, LAYERS = 4, 64, 128, 2
REQUESTS, TOKENS = 3, 40


def write_model(path: Path) -> None:
    """A Llama with random weights and a vocabulary of bytes, as llama.cpp reads it."""
    import gguf
    import numpy as np

    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    kinds = gguf.TokenType
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256, kinds.NORMAL]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(MLP)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(words))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([0.0] * len(words))
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    shapes = {"token_embd": (len(words), WIDTH), "output": (len(words), WIDTH)}
    for n in range(LAYERS):
        shapes |= {f"blk.{n}.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
        shapes |= {f"blk.{n}.ffn_{name}": (MLP, WIDTH) for name in ("gate", "up")}
        shapes |= {f"blk.{n}.ffn_down": (WIDTH, MLP)}
        shapes |= {f"blk.{n}.{name}_norm": (WIDTH,) for name in ("attn", "ffn")}
    shapes["output_norm"] = (WIDTH,)
    random = np.random.default_rng(7)
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(0, 0.1, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(model: str, port: int) -> None:
    """The process that is recorded: the server, until it is ended."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames, params.port = ["127.0.0.1"], port
    params.endpoint_metrics, params.n_parallel, params.n_ctx, params.warmup = True, 1, 512, False
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    time.sleep(600)


def ask(url: str, question: dict[str, object] | None = None) -> str:
    """An answer of the server, waited for while it starts."""
    data = None if question is None else json.dumps(question).encode()
    headers = {"Content-Type": "application/json"}
    for _ in range(300):
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, data, headers), timeout=60
            ) as a:
                return str(a.read().decode())
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise SystemExit(f"{url} does not answer")


def main() -> int:
    """Serve, record, ask, and look."""
    from thermoflop.runs.analysis.analyze import analyze

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        model, runs = Path(folder) / "tiny.gguf", Path(folder) / "runs"
        write_model(model)
        fits = subprocess.run(
            [sys.executable, "-m", "thermoflop", "fit", str(model), "--gpu", "rtx-4090", "--prompt",
             "10", "--generate", "40"], check=False,
        ).returncode  # fmt: skip
        server = subprocess.Popen([sys.executable, __file__, "serve", str(model), str(port)])
        try:
            ask(f"{url}/metrics")
            words = ["record", "--attach", str(server.pid), "--scrape", url, "--port", "none"]
            words += ["--gpu", "none", "--no-report", "--duration", "8s", "--out", str(runs)]
            recording = subprocess.Popen([sys.executable, "-m", "thermoflop", *words])
            time.sleep(3.0)
            for _ in range(REQUESTS):
                question = {"prompt": "hot", "n_predict": TOKENS, "ignore_eos": True}
                ask(f"{url}/completion", question)
            code = recording.wait(60)
        finally:
            server.kill()
        (run,) = runs.iterdir()
        phases = [phase.window for phase in analyze(run).phases]
    tokens = sum(window.sums.get("tokens", 0) for window in phases if window.name == "serving")
    print(f"exit code {code}, phases {[each.name for each in phases]}, {tokens:g} tokens")
    return int(code != 0 or fits != 0 or tokens != REQUESTS * TOKENS)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main())
