// Runs the firmware's loop for a long time on the real MicroPython VM and reports its heap.
//
// stdin: {"package": path of micropython.mjs, "files": {VM path: text}, "ticks": N, "step": N}
// stdout: one line of JSON a step: {"ticks", "heap_bytes"}.
//
// This VM can only collect its garbage between two calls from JavaScript, so the loop runs in steps
// and the heap is read after each collection.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const job = JSON.parse(readFileSync(0, "utf8"));
const { loadMicroPython } = await import(pathToFileURL(job.package).href);
const mp = await loadMicroPython({ heapsize: 32 << 20, pystack: 16 << 10, linebuffer: true });
mp.FS.mkdir("/suite");
for (const [path, text] of Object.entries(job.files)) mp.FS.writeFile(path, text);

mp.runPython(`
import gc, sys
sys.path.append("/suite")
import rig
bench = rig.Bench()
app = bench.app()
# the fake world keeps a diary of the pin and what was sent; the chip does not
bench.send = lambda data: len(data)
bench.pin_changed = lambda number, level: None

def step(count):
    for i in range(count):
        if i % 400 == 0:
            bench.code = 2400 if bench.code < 2400 else 1900
        if i % 1000 == 500:
            bench.say("!1 get")
        bench.say("junk") if i % 777 == 0 else None
        app.tick()
        bench.now_ms += 100
`);

for (let ticks = 0; ticks < job.ticks; ticks += job.step) {
  mp.runPython(`step(${job.step})`);
  mp.runPython("gc.collect()");
  mp.runPython("used = gc.mem_alloc()");
  console.log(JSON.stringify({ ticks: ticks + job.step, heap_bytes: mp.globals.get("used") }));
}
