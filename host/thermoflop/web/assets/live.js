"use strict";
// Draws what comes on the live websocket into the elements with data-board, data-gpu and the like.
// All text goes in through textContent; nothing here makes HTML from what a board said.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const KEEP = 6000, DRAW_MS = 200;
  const points = new Map(); // source -> [[seconds, value, ...], ...]
  let frame = null, socket = null, retryMs = 500, drawn = 0, windowS = 120, asked = false;

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

  // ---- the socket

  const connect = () => {
    socket = new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/live/stream");
    socket.onmessage = (event) => {
      retryMs = 500;
      frame = JSON.parse(event.data);
      for (const [key, news] of Object.entries(frame.points)) {
        const kept = points.get(key) || [];
        kept.push(...news.points);
        if (kept.length > KEEP) kept.splice(0, kept.length - KEEP);
        points.set(key, kept);
      }
      if (!asked) { asked = true; requestAnimationFrame(show); }
    };
    socket.onclose = () => {
      document.querySelectorAll("[data-lost]").forEach((n) => { n.hidden = false; });
      points.clear();
      setTimeout(connect, retryMs);
      retryMs = Math.min(5000, retryMs * 1.6);
    };
    socket.onopen = () => document.querySelectorAll("[data-lost]").forEach((n) => { n.hidden = true; });
  };

  // ---- a plot

  const niceStep = (span, most) => {
    const power = Math.pow(10, Math.floor(Math.log10(span / most)));
    for (const m of [1, 2, 2.5, 5, 10]) if (span / (m * power) <= most) return m * power;
    return 10 * power;
  };

  function plot(svg, all, column, levels, now, options) {
    const width = Math.max(240, svg.parentNode.clientWidth), height = options.height;
    const left = 46, right = 8, top = 24, bottom = height - 22;
    const from = now - windowS;
    let first = 0, high = -Infinity, low = Infinity;
    while (first < all.length && all[first][0] < from) first += 1;
    const seen = all.slice(Math.max(0, first - 1));
    for (const p of seen) if (p[column] !== null) { low = Math.min(low, p[column]); high = Math.max(high, p[column]); }
    for (const level of levels) { low = Math.min(low, level.value); high = Math.max(high, level.value); }
    if (low > high) { low = options.low; high = options.high; }
    const spare = Math.max((high - low) * 0.1, options.spare); low -= spare; high += spare;
    if (options.zero && low < 0) low = 0;
    const x = (t) => left + (width - left - right) * (t - from) / windowS;
    const y = (v) => bottom - (bottom - top) * (v - low) / (high - low);
    const kids = [];
    if (options.fan) { // bands while the fan ran
      let start = null, last = null;
      const close = () => {
        if (start !== null) kids.push(draw("rect", { x: Math.max(left, x(start)).toFixed(1), y: top, width: Math.max(0.5, x(last) - Math.max(left, x(start))).toFixed(1), height: bottom - top, class: "fan-band" }));
        start = null;
      };
      for (const p of seen) {
        if (p[2]) { if (start === null) start = p[0]; last = p[0]; } else { if (start !== null) last = p[0]; close(); }
      }
      close();
    }
    kids.push(draw("text", { x: left, y: 14, class: "strong" }, options.title));
    const step = niceStep(high - low, 4);
    for (let v = Math.ceil(low / step) * step; v <= high + 1e-9; v += step) {
      kids.push(draw("path", { d: `M${left} ${y(v).toFixed(1)}H${width - right}`, class: "rule" }));
      kids.push(draw("text", { x: left - 6, y: (y(v) + 4).toFixed(1), "text-anchor": "end" }, v.toFixed(step < 0.3 ? 2 : step < 1 || step === 2.5 ? 1 : 0)));
    }
    for (let i = 0; i <= 2; i += 1) {
      const t = from + windowS * i / 2, ago = windowS - windowS * i / 2;
      kids.push(draw("text", { x: x(t).toFixed(1), y: height - 6, "text-anchor": i === 0 ? "start" : i === 2 ? "end" : "middle" }, i === 2 ? "now" : "−" + time(ago)));
    }
    for (const level of levels) {
      kids.push(draw("path", { d: `M${left} ${y(level.value).toFixed(1)}H${width - right}`, class: "level " + level.cls }));
      kids.push(draw("text", { x: width - right - 2, y: (y(level.value) + (level.below ? 13 : -4)).toFixed(1), "text-anchor": "end", class: "level-name" }, level.name));
    }
    let d = "", pen = false, at = null, held = [];
    const flush = () => { // of each column of pixels its lowest and highest
      if (!held.length) return;
      const lowest = held.reduce((m, q) => q[1] < m[1] ? q : m), highest = held.reduce((m, q) => q[1] > m[1] ? q : m);
      for (const [px, v] of [...new Set([held[0], lowest, highest, held[held.length - 1]])].sort((a, b) => a[0] - b[0])) { d += (pen ? "L" : "M") + px.toFixed(1) + " " + y(v).toFixed(1); pen = true; }
      held = [];
    };
    let before = null;
    for (const p of seen) {
      const t = p[0], v = p[column];
      if (v === null || (before !== null && t - before > 3)) { flush(); pen = false; at = null; }
      before = t;
      if (v === null) continue;
      const px = Math.max(left, x(t));
      if (Math.floor(px) !== at) { flush(); at = Math.floor(px); }
      held.push([px, v]);
    }
    flush();
    kids.push(draw("path", { d, class: "curve " + options.cls }));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
    svg.setAttribute("aria-label", options.label);
    svg.replaceChildren(...kids);
  }

  // ---- a board

  const FAN = "M0-3C-9-9-7-23 2-23C10-21 6-9 3-2M3 0C12-5 23 2 19 10C14 16 4 8 0 3M-2 2C-2 12-14 20-20 13C-23 6-12-2-3-1";
  const boardView = (box) => {
    const now = make("div", "now"), temp = make("div", "temp"), fan = make("div", "fan");
    const value = make("span", "big num", "–"), unit = make("span", "unit", " °C");
    temp.append(value, unit);
    const wheel = draw("svg", { viewBox: "-26 -26 52 52", width: 52, height: 52, "aria-hidden": "true" });
    wheel.append(draw("path", { d: FAN, class: "blades" }));
    const words = make("div"), fanText = make("b", "fan-text", "fan –"), mode = make("div", "soft");
    words.append(fanText, mode);
    fan.append(wheel, words);
    now.append(temp, fan);
    const faults = make("div", "faults"), trouble = make("div", "warn");
    faults.setAttribute("role", "status");
    trouble.setAttribute("role", "status");
    trouble.hidden = true;
    const chart = make("div", "chart"), svg = draw("svg", { role: "img" });
    chart.append(svg);
    const facts = make("div", "facts"), news = make("ul", "news");
    box.replaceChildren(now, faults, trouble, chart, facts, news);
    return (state) => {
      say(value, state.heard ? state.temp_c === null ? "no valid reading" : state.temp_c.toFixed(2) : "listening");
      value.classList.toggle("words", !state.heard || state.temp_c === null);
      unit.hidden = !state.heard || state.temp_c === null;
      wheel.classList.toggle("turns", state.fan === 1);
      say(fanText, state.fan === null ? "fan –" : state.fan ? "fan on" : "fan off");
      fanText.classList.toggle("on", state.fan === 1);
      say(mode, state.mode ? "mode " + state.mode : "");
      const bad = state.faults.length ? "Fault: " + state.faults.join(", ") : state.heard ? "no fault" : "";
      say(faults, bad);
      faults.className = state.faults.length ? "faults bad" : "faults good";
      say(trouble, state.trouble);
      trouble.hidden = !state.trouble;
      const levels = [];
      if (state.on_c !== null) levels.push({ value: state.on_c, name: "fan on at " + fixed(state.on_c, 1) + " °C", cls: "hot" });
      if (state.off_c !== null) levels.push({ value: state.off_c, name: "off at " + fixed(state.off_c, 1) + " °C", cls: "cool", below: true });
      const label = `temperature over the last ${time(windowS)}, now ${fixed(state.temp_c, 1)} °C`;
      plot(svg, points.get(state.key) || [], 1, levels, frame.now_s, { height: 240, title: "temperature, °C", fan: true, cls: "board", low: 20, high: 30, spare: 0.3, label });
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

  const gpuView = (box) => {
    const title = make("h3"), reasons = make("div"), facts = make("div", "facts");
    reasons.setAttribute("role", "status");
    const charts = [make("div", "chart"), make("div", "chart")];
    const svgs = charts.map((chart) => { const svg = draw("svg", { role: "img" }); chart.append(svg); return svg; });
    box.replaceChildren(title, reasons, facts, ...charts);
    return (state) => {
      say(title, `GPU ${state.index}: ${state.name}`);
      const hot = state.throttled && state.throttled.length;
      say(reasons, state.lost ? "this GPU stopped answering" : hot ? "Throttled: " + state.throttled.join(", ") : state.throttled ? "not throttled" : "the driver gives no reasons of throttling");
      reasons.className = state.lost || hot ? "bad" : state.throttled ? "good" : "soft";
      const gb = (bytes) => bytes === null ? "–" : (bytes / 1e9).toFixed(1) + " GB";
      list(facts, [
        ["temperature", fixed(state.temp_c, 0) + " °C"],
        ["memory temperature", state.mem_temp_c === null ? "–" : fixed(state.mem_temp_c, 0) + " °C"],
        ["power", fixed(state.power_w, 0) + " W" + (state.power_limit_w ? " of " + fixed(state.power_limit_w, 0) : "")],
        ["clock", fixed(state.sm_mhz, 0) + " MHz"],
        ["busy", state.util === null ? "–" : (100 * state.util).toFixed(0) + " %"],
        ["memory used", gb(state.mem_used_bytes) + (state.memory_bytes ? " of " + gb(state.memory_bytes) : "")],
      ]);
      const mine = points.get(state.key) || [];
      const levels = state.slowdown_c && state.temp_c > state.slowdown_c - 15 ? [{ value: state.slowdown_c, name: "slows down at " + state.slowdown_c + " °C", cls: "hot" }] : [];
      plot(svgs[0], mine, 1, levels, frame.now_s, { height: 160, title: "temperature, °C", cls: "gpu", low: 30, high: 60, spare: 1, label: `GPU temperature, now ${fixed(state.temp_c, 0)} °C` });
      plot(svgs[1], mine, 2, [], frame.now_s, { height: 130, title: "power, W", cls: "power", low: 0, high: 100, spare: 5, zero: true, label: `GPU power, now ${fixed(state.power_w, 0)} W` });
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
          const own = make("div", "gpu-box");
          box.append(own);
          views.set(state.key, gpuView(own));
        }
        views.get(state.key)(state);
      }
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
    document.querySelectorAll("[data-elapsed]").forEach((node) => {
      const run = frame.recordings.find((r) => r.name === node.dataset.elapsed);
      if (run) say(node, time(run.elapsed_s) + (run.duration_s ? " of " + time(run.duration_s) : ""));
    });
  };
  document.addEventListener("change", (event) => {
    if (event.target.name === "window") windowS = Number(event.target.value);
  });
  connect();
})();
