// Runs test functions of one case file on the real MicroPython VM, each in a VM of its own.
//
// stdin: {"package": path of micropython.mjs, "files": {VM path: text}, "case": module,
//         "tests": [function, ...]}
// stdout: {"start": function} before a test and {"test", "ok", "trace", "output"} after it, a line
// each, so that the caller knows which test hung.

import { readFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

const job = JSON.parse(readFileSync(0, "utf8"));
const { loadMicroPython } = await import(pathToFileURL(job.package).href);

// Heap and stack as words of the job may need; the heap grows by itself when it must.
const VM = { heapsize: 4 << 20, pystack: 16 << 10, linebuffer: true };

// The driver holds what it needs in locals: a test replaces sys and others in sys.modules.
// A heap that a test left locked would hang Node, so it is unlocked to the last level first.
const DRIVER = `
def _drive(case, name):
    import io, sys
    from micropython import heap_lock, heap_unlock
    sys.path.append("/suite")
    trace = ""
    try:
        getattr(__import__(case), name)()
    except BaseException as error:
        heap_lock()
        while heap_unlock():
            pass
        stream = io.StringIO()
        sys.print_exception(error, stream)
        trace = stream.getvalue() or repr(error)
    return trace
_trace = _drive("${job.case}", _name)
`;

function say(object) {
  writeSync(1, JSON.stringify(object) + "\n");
}

function makeFolders(FS, path) {
  for (let at = path.indexOf("/", 1); at > 0; at = path.indexOf("/", at + 1)) {
    if (!FS.analyzePath(path.slice(0, at)).exists) FS.mkdir(path.slice(0, at));
  }
}

async function runTest(name) {
  const output = [];
  const mp = await loadMicroPython({ ...VM, stdout: (text) => output.push(text) });
  for (const [path, text] of Object.entries(job.files)) {
    makeFolders(mp.FS, path);
    mp.FS.writeFile(path, text);
  }
  mp.globals.set("_name", name);
  let trace;
  try {
    mp.runPython(DRIVER);
    trace = mp.globals.get("_trace");
  } catch (error) {
    trace = `${error.type ?? error.name}: ${error.message}`;
  }
  say({ test: name, ok: trace === "", trace, output: output.join("\n") });
}

for (const name of job.tests) {
  say({ start: name });
  await runTest(name);
}
