"use strict";
// Draws what comes on the live websocket into the elements with data-board, data-gpu and the like.
// All text goes in through textContent; nothing here makes HTML from what a board said.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const KEEP = 14000, COARSE_S = 5, DRAW_MS = 200, SILENT_MS = 30000; // the server says something every second
  const points = new Map(); // source -> [[seconds, value, ...], ...]
  let frame = null, socket = null, retryMs = 500, heardMs = 0, drawn = 0, windowS = 120, shown = "load", asked = false, pointer = null, lost = false;

  const make = (tag, cls, text) => {
    const node = document.createElement(tag);
    if (cls) node.className = cls;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const draw = (tag, attributes, text) => {
    const node = document.createElementNS(NS, tag);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const say = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  const fixed = (value, digits) => value === null || value === undefined ? "–" : value.toFixed(digits);
  const count = (n) => Math.round(n).toLocaleString("en-US");
  const time = (s) => {
    s = Math.round(s);
    if (s < 100) return s + " s";
    if (s < 6000) return Math.floor(s / 60) + " min" + (s % 60 ? " " + String(s % 60).padStart(2, "0") + " s" : "");
    return Math.floor(s / 3600) + " h " + String(Math.floor(s % 3600 / 60)).padStart(2, "0") + " min";
  };
  const list = (parent, rows) => {
    const names = JSON.stringify(rows.map(([name]) => name));
    if (parent.dataset.names !== names) {
      parent.dataset.names = names;
      parent.replaceChildren(...rows.map(([name]) => {
        const box = make("div");
        box.append(make("span", "soft", name), make("b", "num"));
        return box;
      }));
    }
    rows.forEach(([, value], i) => say(parent.children[i].lastChild, value));
  };

  // of the older half one reading every few seconds, as the server keeps them
  const thinned = (kept) => {
    let last = -Infinity;
    return kept.filter((p, i) => {
      if (i > kept.length / 2) return true;
      if (p[0] - last < COARSE_S) return false;
      last = p[0];
      return true;
    });
  };

  // ---- the socket

  // what was last heard stays to be read, grey; the server sends its past with the first frame
  const tellLost = (now) => {
    lost = now;
    if (!now) points.clear();
    document.querySelectorAll("[data-lost]").forEach((n) => { n.hidden = !now; });
    document.querySelectorAll(".dash").forEach((n) => n.classList.toggle("lost", now));
  };
  const connect = () => {
    heardMs = performance.now();
    socket = new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/live/stream");
    socket.onmessage = (event) => {
      retryMs = 500;
      heardMs = performance.now();
      if (lost) tellLost(false);
      const { past, points: fresh, ...state } = JSON.parse(event.data);
      frame = { ...frame, ...state }; // what did not change is not said again
      for (const [key, all] of Object.entries(past || {})) points.set(key, all);
      for (const [key, news] of Object.entries(fresh)) {
        const kept = points.get(key) || [];
        kept.push(...news.points);
        points.set(key, kept.length > KEEP ? thinned(kept) : kept);
      }
      if (!asked) { asked = true; requestAnimationFrame(show); }
    };
    socket.onclose = again;
  };
  const again = () => {
    tellLost(true);
    setTimeout(connect, retryMs);
    retryMs = Math.min(5000, retryMs * 1.6);
  };
  setInterval(() => { // a machine that slept is not told that its connection has ended
    if (socket.readyState > WebSocket.OPEN || performance.now() - heardMs < SILENT_MS) return;
    socket.onclose = socket.onmessage = null;
    socket.close();
    again();
  }, SILENT_MS / 4);

  // ---- a plot

  const niceStep = (span, most) => {
    const power = Math.pow(10, Math.floor(Math.log10(span / most)));
    for (const m of [1, 2, 2.5, 5, 10]) if (span / (m * power) <= most) return m * power;
    return 10 * power;
  };

  const LEFT = 46, RIGHT = 8;
  const visible = (all, from) => {
    let low = 0, high = all.length;
    while (low < high) { const middle = (low + high) >> 1; if (all[middle][0] < from) low = middle + 1; else high = middle; }
    return all.slice(Math.max(0, low - 1));
  };

  // One plot of several curves: {points, column, name, cls}, on the time axis that all plots share.
  function plot(svg, curves, levels, now, options) {
    const width = Math.max(240, svg.parentNode.clientWidth), height = options.height;
    const top = 24, bottom = height - (options.axis ? 22 : 6), from = now - windowS;
    const lines = curves.map((curve) => ({ ...curve, seen: visible(curve.points, from) }));
    let high = -Infinity, low = Infinity;
    for (const { seen, column } of lines) for (const p of seen) if (p[column] !== null && p[column] !== undefined) { low = Math.min(low, p[column]); high = Math.max(high, p[column]); }
    for (const level of levels) { low = Math.min(low, level.value); high = Math.max(high, level.value); }
    if (low > high) { low = options.low; high = options.high; }
    const spare = Math.max((high - low) * 0.1, options.spare); low -= spare; high += spare;
    if (options.zero) low = 0;
    if (options.most) high = options.most;
    const x = (t) => LEFT + (width - LEFT - RIGHT) * (t - from) / windowS;
    const y = (v) => bottom - (bottom - top) * (v - low) / (high - low);
    const kids = [];
    if (options.fan && lines.length) kids.push(...fanBands(lines[0].seen, x, top, bottom));
    kids.push(draw("text", { x: LEFT, y: 14, class: "strong" }, options.title));
    const step = niceStep(high - low, Math.max(3, Math.floor((bottom - top) / 30)));
    for (let v = Math.ceil(low / step) * step; v <= high + 1e-9; v += step) {
      kids.push(draw("path", { d: `M${LEFT} ${y(v).toFixed(1)}H${width - RIGHT}`, class: "rule" }));
      kids.push(draw("text", { x: LEFT - 6, y: (y(v) + 4).toFixed(1), "text-anchor": "end" }, step < 1 || step === 2.5 ? v.toFixed(step < 0.3 ? 2 : 1) : count(v + 0)));
    }
    if (options.axis) for (let i = 0; i <= 2; i += 1) {
      const t = from + windowS * i / 2, ago = windowS - windowS * i / 2;
      kids.push(draw("text", { x: x(t).toFixed(1), y: height - 6, "text-anchor": i === 0 ? "start" : i === 2 ? "end" : "middle" }, i === 2 ? "now" : "−" + (ago === 60 ? "1 min" : time(ago))));
    }
    for (const level of levels) kids.push(draw("path", { d: `M${LEFT} ${y(level.value).toFixed(1)}H${width - RIGHT}`, class: "level " + level.cls }));
    for (const line of lines) kids.push(draw("path", { d: outline(line.seen, line.column, x, y, now), class: "curve " + line.cls }));
    for (const level of levels) { // on the curves, so that their ground keeps them legible
      kids.push(draw("text", { x: width - RIGHT - 2, y: (y(level.value) + (level.below ? 13 : -4)).toFixed(1), "text-anchor": "end", class: "level-name" }, level.name));
    }
    if (pointer !== null) kids.push(...crosshair(lines, options, width, top, bottom, from));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
    svg.setAttribute("aria-label", options.label);
    svg.replaceChildren(...kids);
  }

  const fanBands = (seen, x, top, bottom) => { // while the fan ran
    const bands = [];
    let start = null, last = null;
    const close = () => {
      if (start !== null) bands.push(draw("rect", { x: Math.max(LEFT, x(start)).toFixed(1), y: top, width: Math.max(0.5, x(last) - Math.max(LEFT, x(start))).toFixed(1), height: bottom - top, class: "fan-band" }));
      start = null;
    };
    for (const p of seen) {
      if (p[2]) { if (start === null) start = p[0]; last = p[0]; } else { if (start !== null) last = p[0]; close(); }
    }
    close();
    return bands;
  };

  const outline = (seen, column, x, y, now) => {
    let d = "", pen = false, at = null, held = [], before = null;
    const flush = () => { // of each column of pixels its lowest and highest
      if (!held.length) return;
      const lowest = held.reduce((m, q) => q[1] < m[1] ? q : m), highest = held.reduce((m, q) => q[1] > m[1] ? q : m);
      for (const [px, v] of [...new Set([held[0], lowest, highest, held[held.length - 1]])].sort((a, b) => a[0] - b[0])) { d += (pen ? "L" : "M") + px.toFixed(1) + " " + y(v).toFixed(1); pen = true; }
      held = [];
    };
    for (const p of seen) {
      const t = p[0], v = p[column];
      const hole = now - t > 120 ? 2.5 * COARSE_S : 3;
      if (v === null || v === undefined || (before !== null && t - before > hole)) { flush(); pen = false; at = null; }
      before = t;
      if (v === null || v === undefined) continue;
      const px = Math.max(LEFT, x(t));
      if (Math.floor(px) !== at) { flush(); at = Math.floor(px); }
      held.push([px, v]);
    }
    flush();
    return d;
  };

  // ---- the crosshair, at the same moment in every plot

  const nearestTo = (seen, t) => seen.reduce((best, p) => best === null || Math.abs(p[0] - t) < Math.abs(best[0] - t) ? p : best, null);
  const crosshair = (lines, options, width, top, bottom, from) => {
    const px = LEFT + pointer * (width - LEFT - RIGHT), t = from + pointer * windowS;
    const values = lines.map((line) => {
      const p = nearestTo(line.seen, t), v = p && Math.abs(p[0] - t) < Math.max(1.5, windowS / 50) ? p[line.column] : null;
      return v === null || v === undefined ? null : (lines.length > 1 ? line.name + " " : "") + v.toFixed(options.digits) + " " + options.unit;
    }).filter((text) => text !== null);
    return [
      draw("path", { d: `M${px.toFixed(1)} ${top}V${bottom}`, class: "crosshair" }),
      draw("text", { x: width - RIGHT - 2, y: 14, "text-anchor": "end", class: "strong" }, values.join(", ")),
    ];
  };
  const point = (event) => {
    const area = event.target.closest("[data-plots]");
    const svg = area && area.querySelector("svg");
    const before = pointer;
    pointer = null;
    if (svg) {
      const box = svg.getBoundingClientRect();
      const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
      if (share >= 0 && share <= 1) pointer = share;
    }
    const told = document.querySelector("[data-crosshair]");
    if (told) say(told, pointer === null ? "" : time(windowS * (1 - pointer)) + " ago");
    if (pointer !== before && frame && !asked) { asked = true; drawn = 0; requestAnimationFrame(show); }
  };
  document.addEventListener("pointermove", point);

  // ---- a board

  const FAN = "M0-3C-9-9-7-23 2-23C10-21 6-9 3-2M3 0C12-5 23 2 19 10C14 16 4 8 0 3M-2 2C-2 12-14 20-20 13C-23 6-12-2-3-1";
  const boardView = (box) => {
    const now = make("div", "now"), temp = make("div", "temp"), fan = make("div", "fan");
    const value = make("span", "big num", "–"), unit = make("span", "unit", " °C");
    temp.append(value, unit);
    const wheel = draw("svg", { viewBox: "-26 -26 52 52", width: 40, height: 40, "aria-hidden": "true" });
    wheel.append(draw("path", { d: FAN, class: "blades" }));
    const words = make("div"), fanText = make("b", "fan-text", "fan –"), mode = make("div", "soft"), tag = make("b", "tag", "simulated");
    tag.hidden = true;
    words.append(fanText, mode);
    fan.append(wheel, words);
    now.append(temp, fan);
    const faults = make("div", "faults"), trouble = make("div", "warn");
    faults.setAttribute("role", "status");
    trouble.setAttribute("role", "status");
    trouble.hidden = true;
    const facts = make("div", "facts"), news = make("ul", "news");
    news.tabIndex = 0; // it scrolls
    const counters = make("details", "fold"), events = make("details", "fold");
    counters.append(make("summary", "", "Link counters"), facts);
    events.append(make("summary", "", "Events"), news);
    const health = make("div", "row-wrap");
    health.append(faults, tag);
    box.replaceChildren(now, health, trouble, counters, events);
    return (state) => {
      say(value, state.heard ? state.temp_c === null ? "no valid reading" : state.temp_c.toFixed(2) : "listening");
      value.classList.toggle("words", !state.heard || state.temp_c === null);
      unit.hidden = !state.heard || state.temp_c === null;
      wheel.classList.toggle("turns", state.fan === 1);
      say(fanText, state.fan === null ? "fan –" : state.fan ? "fan on" : "fan off");
      fanText.classList.toggle("on", state.fan === 1);
      say(mode, state.mode ? "mode " + state.mode : "");
      tag.hidden = !state.simulated;
      const bad = state.faults.length ? "Fault: " + state.faults.join(", ") : state.heard ? "no fault" : "";
      say(faults, bad);
      faults.className = state.faults.length ? "faults bad" : "faults good";
      say(trouble, state.trouble);
      trouble.hidden = !state.trouble;
      list(facts, [
        ["samples a second", fixed(state.rate_hz, 1)],
        ["samples", count(state.samples)],
        ...state.losses.map(([name, n]) => [name, count(n)]),
        ["up", state.up_s === null ? "–" : time(state.up_s)],
        ["firmware", state.firmware || "–"],
      ]);
      const told = JSON.stringify(state.news);
      if (news.dataset.shown !== told) {
        news.dataset.shown = told;
        news.replaceChildren(...state.news.slice().reverse().map(([at, text]) => {
          const row = make("li");
          row.append(make("span", "soft num", at), make("span", "", text));
          return row;
        }));
      }
    };
  };

  // ---- a GPU

  const pcie = ({ link, link_max: most }) => {
    const name = ([generation, width]) => generation + ".0 x" + width;
    return link === null ? "PCIe" : "PCIe " + name(link) + (String(link) === String(most) ? "" : " of " + name(most));
  };
  const gpuView = (box) => {
    const title = make("h3"), reasons = make("div"), facts = make("div", "facts");
    // of several each is a line, so that all are seen at once; what else is known unfolds
    const fold = make("details", "gpu-fold"), line = make("summary"), values = Array.from({ length: 6 }, () => make("span", "num"));
    const key = draw("svg", { width: 24, height: 8, class: "key", "aria-hidden": "true" }), stroke = draw("path", { d: "M0 4H16" });
    key.append(stroke);
    line.append(key, ...values);
    let several = null;
    const processes = make("details", "fold"), heading = make("summary"), running = make("ul", "news");
    running.tabIndex = 0; // it scrolls
    processes.append(heading, running);
    fold.append(line, title, reasons, facts, processes);
    box.replaceChildren(fold);
    const tellProcesses = (all) => {
      processes.hidden = !all;
      const told = JSON.stringify(all);
      if (!all || running.dataset.shown === told) return;
      running.dataset.shown = told;
      say(heading, all.length === 1 ? "1 process" : all.length + " processes");
      running.replaceChildren(...all.map(([pid, name, bytes]) => {
        const row = make("li");
        row.append(make("span", "soft num", String(pid)), make("span", "", name || "name not told"), make("b", "num", bytes === null ? "–" : (bytes / 1e9).toFixed(2) + " GB"));
        return row;
      }));
    };
    return (state) => {
      if (several !== frame.gpus.length > 1) {
        several = frame.gpus.length > 1;
        line.hidden = !several;
        fold.open = !several || (frame.gpus.length === 2 && innerHeight > 980); // where both have room
        box.classList.toggle("one-line", several);
        (several ? values[5] : reasons).setAttribute("role", "status");
        (several ? reasons : values[5]).removeAttribute("role");
      }
      say(title, several ? state.name : `GPU ${state.index}: ${state.name}`);
      stroke.setAttribute("class", "line-" + frame.gpus.indexOf(state) % 8); // which of the curves is its
      const hot = state.throttled && state.throttled.length;
      say(reasons, state.lost ? "this GPU stopped answering" : hot ? "Throttled: " + state.throttled.join(", ") : state.throttled ? "not throttled" : "the driver gives no reasons of throttling");
      reasons.className = state.lost || hot ? "bad" : state.throttled ? "good" : "soft";
      const gb = (bytes) => bytes === null ? "–" : (bytes / 1e9).toFixed(1) + " GB";
      const share = (part) => part === null ? "–" : (100 * part).toFixed(0) + " %";
      const short = !several ? "" : state.lost ? "lost" : hot ? "throttled" : "";
      [state.index, fixed(state.temp_c, 0) + " °C", fixed(state.power_w, 0) + " W", share(state.util), gb(state.mem_used_bytes), short].forEach((text, i) => say(values[i], String(text)));
      values[5].className = short && "hot";
      list(facts, [
        ["temperature", fixed(state.temp_c, 0) + " °C" + (state.limit_c ? " of " + fixed(state.limit_c, 0) : "")],
        ...(state.mem_temp_c === null ? [] : [["memory temperature", fixed(state.mem_temp_c, 0) + " °C"]]),
        ["power", fixed(state.power_w, 0) + " W" + (state.power_limit_w ? " of " + fixed(state.power_limit_w, 0) : "")],
        ["utilization", share(state.util) + " at " + fixed(state.sm_mhz, 0) + " MHz"],
        ["memory used", gb(state.mem_used_bytes) + (state.memory_bytes ? " of " + gb(state.memory_bytes) : "")],
        ...(state.fan === null ? [] : [["fan", share(state.fan)]]),
        ...(state.link === null && state.pcie_in === null ? [] : [[pcie(state), state.pcie_in === null ? "–" : `${count(state.pcie_in / 1e6)} in, ${count(state.pcie_out / 1e6)} out MB/s`]]),
      ]);
      tellProcesses(state.processes);
    };
  };

  const gpusView = (box) => {
    const views = new Map(), none = make("p", "soft");
    box.replaceChildren(none);
    return (states) => {
      none.hidden = states.length > 0;
      say(none, frame.gpu_absent ? "No GPU: " + frame.gpu_absent : "Looking for a GPU …");
      for (const state of states) {
        if (!views.has(state.key)) {
          const own = make("div", "card gpu-box");
          box.append(own);
          views.set(state.key, gpuView(own));
        }
        views.get(state.key)(state);
      }
    };
  };

  // ---- all curves, one above the other on one time axis

  const plotsView = (box) => {
    const svgs = new Map(), none = make("p", "soft", "Curves come with a board or a GPU.");
    box.replaceChildren(none);
    const panels = () => {
      const all = [];
      for (const state of frame.boards) {
        const levels = [];
        if (state.on_c !== null) levels.push({ value: state.on_c, name: "fan on at " + fixed(state.on_c, 1) + " °C", cls: "hot" });
        if (state.off_c !== null) levels.push({ value: state.off_c, name: "off at " + fixed(state.off_c, 1) + " °C", cls: "cool", below: true });
        const run = frame.boards.some((other) => other !== state && other.port === state.port) && state.recording ? ", " + state.recording : "";
        const which = (frame.boards.length > 1 ? " at " + state.port + run : "") + (state.simulated ? " (simulated)" : "");
        all.push({ id: state.key, curves: [[state.key, 1, "board", "board"]], levels, title: "board" + which + ", °C", unit: "°C", digits: 2, fan: true, low: 20, high: 30, spare: 0.3, label: `board temperature over the last ${time(windowS)}, now ${fixed(state.temp_c, 1)} °C` });
      }
      const gpus = frame.gpus;
      if (!gpus.length) return all;
      const curves = (column) => gpus.map((state, i) => [state.key, column, "GPU " + state.index, "line-" + i % 8]);
      const near = gpus.filter((state) => state.limit_c && state.temp_c > state.limit_c - 15);
      const levels = near.length ? [{ value: near[0].limit_c, name: "slows down at " + near[0].limit_c + " °C", cls: "hot" }] : [];
      const what = (gpus.length > 1 ? "GPUs" : "GPU") + (gpus[0].simulated ? " (simulated)" : "");
      if (shown === "traffic") {
        const slow = (column) => gpus.map((state, i) => [state.key + " slow", column, "GPU " + state.index, "line-" + i % 8]);
        const panel = (id, column, name, unit, more) => all.push({ id, curves: slow(column), levels: [], title: `${what}, ${name} ${unit}`, unit, digits: 0, low: 0, high: 100, spare: 1, zero: true, label: `${what}, ${name} over the last ${time(windowS)}`, ...more });
        panel("gpu-memory", 1, "memory used", "%", { most: 105 });
        panel("gpu-fan", 2, "fan", "%", { most: 105 });
        panel("gpu-pcie-in", 3, "PCIe in", "MB/s");
        panel("gpu-pcie-out", 4, "PCIe out", "MB/s");
        return all;
      }
      const now = (name, unit) => `${what}, ${name} over the last ${time(windowS)}, now ${gpus.map((s) => fixed(s[unit], 0)).join(", ")}`;
      all.push({ id: "gpu-temp", curves: curves(1), levels, title: what + ", °C", unit: "°C", digits: 0, low: 30, high: 60, spare: 1, label: now("temperature", "temp_c") });
      all.push({ id: "gpu-power", curves: curves(2), levels: [], title: what + ", W", unit: "W", digits: 0, low: 0, high: 100, spare: 5, zero: true, label: now("power", "power_w") });
      all.push({ id: "gpu-busy", curves: curves(3), levels: [], title: what + ", utilization %", unit: "%", digits: 0, low: 0, high: 100, spare: 1, zero: true, most: 105, label: `${what}, share of the time that is computed` });
      all.push({ id: "gpu-clock", curves: curves(4), levels: [], title: what + ", clock MHz", unit: "MHz", digits: 0, low: 0, high: 2000, spare: 20, zero: true, label: now("clock", "sm_mhz") });
      return all;
    };
    return () => {
      const all = panels(), ids = all.map((panel) => panel.id).join();
      none.hidden = all.length > 0;
      if (box.dataset.ids !== ids) {
        box.dataset.ids = ids;
        svgs.clear();
        box.replaceChildren(none, ...all.map((panel) => {
          const chart = make("div", "chart"), svg = draw("svg", { role: "img" });
          chart.append(svg);
          svgs.set(panel.id, svg);
          return chart;
        }));
      }
      const height = Math.max(84, Math.floor((box.clientHeight - 4) / Math.max(all.length, 1)));
      all.forEach((panel, i) => plot(svgs.get(panel.id), panel.curves.map(([key, column, name, cls]) => ({ points: points.get(key) || [], column, name, cls })), panel.levels, frame.now_s, { ...panel, height, axis: i === all.length - 1 }));
    };
  };

  // ---- everything, at most five times a second

  const mounted = new WeakMap();
  const mount = (node, maker) => {
    if (!mounted.has(node) || !node.firstChild) mounted.set(node, maker(node));
    return mounted.get(node);
  };
  const show = (at) => {
    if (at - drawn < DRAW_MS) { requestAnimationFrame(show); return; }
    drawn = at;
    asked = false;
    const boards = new Map(frame.boards.map((state) => [state.key, state]));
    document.querySelectorAll("[data-board]").forEach((node) => {
      const state = boards.get(node.dataset.board);
      if (state) mount(node, boardView)(state);
    });
    document.querySelectorAll("[data-gpus]").forEach((node) => mount(node, gpusView)(frame.gpus));
    document.querySelectorAll("[data-plots]").forEach((node) => mount(node, plotsView)());
    document.querySelectorAll("[data-elapsed]").forEach((node) => {
      const run = frame.recordings.find((r) => r.name === node.dataset.elapsed);
      if (run) say(node, time(run.elapsed_s) + (run.duration_s ? " of " + time(run.duration_s) : ""));
    });
  };
  document.addEventListener("change", (event) => {
    if (event.target.name === "window") windowS = Number(event.target.value);
    if (event.target.name === "curves") shown = event.target.value;
  });
  connect();
})();
