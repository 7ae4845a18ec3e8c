// A Pico W as mpremote sees it: the real MicroPython VM, its raw REPL, and a flash that survives.
//
// stdin and stdout are the master side of a pseudo-terminal, not blocking. argv[2] is a JSON file:
// {"package": micropython.mjs, "rom": {VM path: text}, "image": flash file, "capacity": bytes,
//  "cutAtStep": n, "cutAtByte": n, "log": file or null}. The image, {"path": base64, "folder/": ""},
// is kept up to date after every step, so killing this process is what pulling the cable is.
//
// The VM's event-driven REPL lacks raw paste; this file speaks it, as the chip does (window of 128
// bytes), and hands the code to the VM as plain raw REPL input.

import { readFileSync, readSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { loadMicroPython } = await import(pathToFileURL(job.package).href);
const CTRL = { A: 1, B: 2, C: 3, D: 4, E: 5 };
const WINDOW = 128;
const FORCED_EXIT = 0x100;
const HIDDEN = new Set(["rom", "tmp", "home", "dev", "proc", ".", ".."]);
const pause = new Int32Array(new SharedArrayBuffer(4));

let mp = null;
let queue = []; // bytes from the host, not yet used
let interrupted = false; // a Ctrl-C came while a program ran
let running = false;
let restarting = false;
let kept = ""; // what the chip keeps through a reset
let skip = 0; // bytes of output that the host must not see
let bytesIn = 0;
let steps = 0;

function sleep(ms) {
  Atomics.wait(pause, 0, 0, ms);
}

function cut() {
  process.exit(9);
}

function pull() {
  const chunk = Buffer.alloc(4096);
  let count = 0;
  try {
    count = readSync(0, chunk, 0, chunk.length, null);
  } catch (error) {
    if (error.code === "EAGAIN") return;
    process.exit(0); // the other side of the terminal is gone for good
  }
  for (const byte of chunk.subarray(0, count)) {
    bytesIn += 1;
    if (job.cutAtByte && bytesIn >= job.cutAtByte) cut();
    if (running && byte === CTRL.C) interrupted = true;
    else queue.push(byte);
  }
}

function push(bytes) {
  let at = 0;
  for (let tries = 0; at < bytes.length && tries < 500; tries++) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if (error.code !== "EAGAIN") process.exit(0);
      sleep(1);
    }
  }
}

function print(bytes) {
  const hidden = restarting ? bytes.length : Math.min(skip, bytes.length);
  skip -= Math.min(skip, hidden);
  push(Buffer.from(bytes).subarray(hidden));
}

function list(folder, found) {
  for (const name of mp.FS.readdir(folder || "/")) {
    if (name === "." || name === ".." || (!folder && HIDDEN.has(name))) continue;
    const path = `${folder}/${name}`;
    if (mp.FS.isDir(mp.FS.stat(path).mode)) {
      found[`${path}/`] = "";
      list(path, found);
    } else {
      found[path] = Buffer.from(mp.FS.readFile(path)).toString("base64");
    }
  }
  return found;
}

function save() {
  writeFileSync(`${job.image}.new`, JSON.stringify(list("", {})));
  renameSync(`${job.image}.new`, job.image);
}

const wires = {
  sleep: (ms) => {
    sleep(ms);
    pull();
  },
  interrupted: () => {
    const was = interrupted;
    interrupted = false;
    return was;
  },
  waiting: () => queue.length > 0,
  read: () => queue.shift(),
  room: () => true,
  write: (byte) => {
    push(Buffer.of(byte));
    return 1;
  },
  step: () => {
    steps += 1;
    if (job.cutAtStep && steps >= job.cutAtStep) cut();
    return true;
  },
  save,
  capacity: () => job.capacity,
  restart: () => {
    restarting = true;
  },
  restarting: () => restarting,
  keep: (text) => {
    kept = text;
  },
  kept: () => kept,
};

async function powerOn(withMain) {
  restarting = false;
  mp = await loadMicroPython({ heapsize: 4 << 20, pystack: 16 << 10, linebuffer: false, stdout: print });
  const image = JSON.parse(readFileSync(job.image, "utf8"));
  for (const path of Object.keys(image).filter((name) => name.endsWith("/")).sort()) {
    mp.FS.mkdir(path.slice(0, -1));
  }
  for (const [path, data] of Object.entries(image)) {
    if (!path.endsWith("/")) mp.FS.writeFile(path, Buffer.from(data, "base64"));
  }
  mp.FS.mkdir("/rom");
  for (const [path, text] of Object.entries(job.rom)) mp.FS.writeFile(path, text);
  mp.registerJsModule("wires", wires);
  mp.runPython("import sys\nsys.path.append('/rom')\nimport repl_rom\nrepl_rom.power_on()");
  if (withMain) {
    running = true;
    mp.runPython("repl_rom.run_main()");
    running = false;
  }
}

function prompt(raw) {
  skip = raw ? 1 << 20 : 0; // the friendly banner is not for a host that asked for the raw REPL
  mp.replInit();
  skip = 0;
  if (raw) mp.replProcessChar(CTRL.A);
}

function next() {
  while (!queue.length) {
    sleep(1);
    pull();
  }
  return queue.shift();
}

// The code that follows 05 41 01, sent in windows: a 01 grants one more, a 04 ends it, a 03 aborts
// it (mp_reader_stdin_readbyte in MicroPython's pyexec.c).
function rawPaste() {
  push(Buffer.of(0x52, 1, WINDOW & 255, WINDOW >> 8, 1));
  const code = [];
  for (let byte = next(); byte !== CTRL.D; byte = next()) {
    if (byte === CTRL.C) {
      push(Buffer.from("\x04\x04KeyboardInterrupt: \r\n\x04>"));
      return 0;
    }
    code.push(byte);
    if (code.length % WINDOW === 0) push(Buffer.of(1));
  }
  push(Buffer.of(CTRL.D));
  for (const byte of code) mp.replProcessChar(byte);
  skip = 2; // the OK of the plain raw REPL
  return mp.replProcessChar(CTRL.D);
}

// One turn of the prompt: resolves to "main" or "raw" when the chip has to start again.
function serve(raw) {
  let empty = true;
  for (;;) {
    const byte = next();
    let ended = 0;
    if (raw && empty && byte === CTRL.E) {
      next();
      next();
      ended = rawPaste();
    } else {
      if (byte === CTRL.A) raw = true;
      if (byte === CTRL.B) raw = false;
      empty = byte < 5;
      ended = mp.replProcessChar(byte);
    }
    if (restarting) return "main";
    if (ended & FORCED_EXIT) return raw ? "raw" : "main";
  }
}

let why = "main";
for (;;) {
  if (why === "raw") push(Buffer.from("MPY: soft reboot\r\n"));
  await powerOn(why === "main");
  if (restarting) continue;
  prompt(why === "raw");
  why = serve(why === "raw");
}
