"use strict";
// Draws the charts of each run into its own element. Text goes in through textContent only.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const runs = JSON.parse(document.getElementById("series").textContent);
  const make = (name, attributes, text) => {
    const node = document.createElementNS(NS, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const niceStep = (span, most) => {
    const power = Math.pow(10, Math.floor(Math.log10(span / most)));
    for (const m of [1, 2, 2.5, 5, 10]) if (span / (m * power) <= most) return m * power;
    return 10 * power;
  };
  const timeUnit = (span) => span <= 180 ? ["s", 1] : span <= 10800 ? ["min", 60] : span <= 345600 ? ["h", 3600] : ["d", 86400];
  const digits = (step) => {
    const power = Math.floor(Math.log10(step) + 1e-9);
    return Math.max(0, -power + (Math.abs(step / Math.pow(10, power) - 2.5) < 1e-6 ? 1 : 0));
  };
  const show = (value, step) => {
    const places = Math.min(6, digits(step));
    return (value + 0).toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
  };
  // an end of a curve's range: three digits, and every one of a number from 100 on
  const told = (value) => Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en-US") : String(+value.toPrecision(3));
  const clip = (text, width) => {
    const most = Math.floor(width / 6.9);
    return text.length <= most ? text : most < 3 ? "" : text.slice(0, most - 1) + "…";
  };

  function Chart(run, box) {
    const full = [Math.min(run.start, 0), Math.max(run.end, run.start + 0.001)];
    let view = full.slice();
    let drag = null, lines = [];
    const left = 62, right = 10;
    const body = box.querySelector(".body");
    const reading = box.querySelector(".reading");
    const width = () => Math.max(260, body.clientWidth);
    const x = (t) => left + (width() - left - right) * (t - view[0]) / (view[1] - view[0]);
    const when = (px) => view[0] + (view[1] - view[0]) * (px - left) / (width() - left - right);

    const set = (a, b) => {
      const least = Math.max((full[1] - full[0]) / 5000, 0.002);
      if (b - a < least) { const m = (a + b) / 2; a = m - least / 2; b = m + least / 2; }
      const span = Math.min(b - a, full[1] - full[0]);
      a = Math.max(full[0], Math.min(a, full[1] - span));
      view = [a, a + span];
      draw();
    };
    const zoom = (factor) => { const m = (view[0] + view[1]) / 2, h = (view[1] - view[0]) * factor / 2; set(m - h, m + h); };
    const shift = (share) => { const d = (view[1] - view[0]) * share; set(view[0] + d, view[1] + d); };
    const actions = { in: () => zoom(0.5), out: () => zoom(2), left: () => shift(-0.5), right: () => shift(0.5), all: () => set(full[0], full[1]) };
    box.querySelectorAll("button[data-do]").forEach((b) => b.addEventListener("click", () => actions[b.dataset.do]()));

    const band = (svg, start, end, top, height, fill, opacity) => {
      const a = Math.max(left, x(start)), b = Math.min(width() - right, x(end));
      if (b < left || a > width() - right) return null;
      const rect = make("rect", { x: a.toFixed(1), y: top, width: Math.max(0.8, b - a).toFixed(1), height, fill, "fill-opacity": opacity });
      svg.append(rect);
      return [a, b];
    };

    const palette = ["gpu0", "board", "gpu1", "gpu2", "rate", "gpu3"];
    const phaseNames = [...new Set(run.phases.map((p) => p.name))];
    const phaseColor = (name) => `var(--${palette[phaseNames.indexOf(name) % palette.length]})`;

    const strip = () => {
      const rows = [];
      if (run.trials.length > 1) rows.push(["trials", run.trials.map((t) => ({ ...t, name: t.variant + (t.warmup ? " warm-up" : " " + t.name.replace("trial ", "")) }))]);
      if (run.phases.length) rows.push(["phases", run.phases.map((p) => ({ ...p, color: phaseColor(p.name) }))]);
      if (run.fan.length) rows.push(["fan on", run.fan.map(([start, end]) => ({ start, end, name: "", fan: 1 }))]);
      if (run.throttle.length) rows.push(["throttled", run.throttle.map((t) => ({ ...t, name: "", hot: 1 }))]);
      if (!rows.length) return null;
      const svg = make("svg", { height: rows.length * 24 + 2, viewBox: `0 0 ${width()} ${rows.length * 24 + 2}`, role: "img", "aria-label": "phases, fan and throttling over time" });
      rows.forEach(([label, spans], row) => {
        const top = row * 24 + 2;
        svg.append(make("text", { x: left - 6, y: top + 14, "text-anchor": "end" }, label));
        spans.forEach((span, index) => {
          const fill = span.fan ? "var(--fan)" : span.hot ? "var(--hot)" : span.color || "var(--gpu0)";
          const at = band(svg, span.start, span.end, top, 19, fill, span.fan || span.hot ? 0.75 : span.color ? 0.34 : index % 2 ? 0.16 : 0.3);
          const room = at ? at[1] - at[0] - 8 : 0;
          // the legend names every phase: a name that does not fit is left out; a trial's is cut
          if (at && span.name && (span.color ? span.name.length * 6.9 <= room : room > 18)) {
            const text = make("text", { x: at[0] + 5, y: top + 14 }, clip(span.name, room));
            text.style.fill = "var(--ink)";
            svg.append(text);
          }
        });
      });
      return svg;
    };

    const panel = (p, index, last) => {
      const height = (width() < 500 ? 150 : 178) + (last ? 22 : 0), top = 26, bottom = height - (last ? 30 : 8);
      const svg = make("svg", { height, viewBox: `0 0 ${width()} ${height}`, role: "img", "aria-label": `${p.title} in ${p.unit} over time` });
      let low = Infinity, high = -Infinity;
      const take = (v) => { if (v < low) low = v; if (v > high) high = v; };
      p.curves.forEach((c) => c.points.forEach(([t, v]) => { if (v !== null && t >= view[0] && t <= view[1]) take(v); }));
      if (low > high) p.curves.forEach((c) => c.points.forEach(([, v]) => { if (v !== null) take(v); }));
      p.levels.forEach((l) => { if (l.value <= high + (high - low + 1) * 1.2 && l.value >= low - (high - low + 1) * 1.2) take(l.value); });
      if (high - low < 1e-9) { low -= Math.max(1, Math.abs(low) * 0.05); high += Math.max(1, Math.abs(high) * 0.05); }
      const pad = (high - low) * 0.08; high += pad; low = low >= 0 && low - pad < 0 ? 0 : low - pad;
      const y = (v) => bottom - (bottom - top) * (v - low) / (high - low);
      svg.append(make("text", { x: left, y: 15, class: "strong" }, p.title + (p.unit ? ", " + p.unit : "")));
      run.throttle.forEach((s) => band(svg, s.start, s.end, top, bottom - top, "var(--hot)", 0.09));
      run.fan.forEach(([a, b]) => band(svg, a, b, top, bottom - top, "var(--fan)", 0.09));
      const step = niceStep(high - low, 4);
      for (let v = Math.ceil(low / step) * step; v <= high + 1e-9; v += step) {
        svg.append(make("path", { d: `M${left} ${y(v).toFixed(1)}H${width() - right}`, stroke: "var(--line)", fill: "none" }));
        svg.append(make("text", { x: left - 6, y: (y(v) + 4).toFixed(1), "text-anchor": "end" }, show(v, step)));
      }
      p.levels.forEach((l) => {
        if (l.value < low || l.value > high) return;
        svg.append(make("path", { d: `M${left} ${y(l.value).toFixed(1)}H${width() - right}`, stroke: "var(--soft)", "stroke-dasharray": "5 4", fill: "none" }));
      });
      p.curves.forEach((c) => {
        let d = "", pen = false, column = null, held = [];
        // of each column of pixels: first, lowest, highest and last
        const flush = () => {
          if (!held.length) return;
          const low = held.reduce((m, q) => q[1] < m[1] ? q : m), high = held.reduce((m, q) => q[1] > m[1] ? q : m);
          const kept = [...new Set([held[0], low, high, held[held.length - 1]])].sort((a, b) => a[0] - b[0]);
          for (const [px, v] of kept) { d += (pen ? "L" : "M") + px.toFixed(1) + " " + y(v).toFixed(1); pen = true; }
          held = [];
        };
        for (const [t, v] of c.points) {
          if (v === null) { flush(); pen = false; column = null; continue; }
          const px = x(t);
          if (px < left - 3000 || px > width() + 3000) continue;
          if (Math.floor(px) !== column) { flush(); column = Math.floor(px); }
          held.push([px, v]);
        }
        flush();
        const path = make("path", { d: d || "M0 0", fill: "none", stroke: `var(--${c.color})`, "stroke-width": 1.8, "stroke-linejoin": "round", "stroke-dasharray": c.dash || "none", "clip-path": `url(#c${box.id}-${index})` });
        svg.append(path);
      });
      const defs = make("defs", {}), hole = make("clipPath", { id: `c${box.id}-${index}` });
      hole.append(make("rect", { x: left, y: 0, width: width() - left - right, height }));
      defs.append(hole); svg.prepend(defs);
      run.marks.forEach((m) => {
        const px = x(m.t);
        if (px < left || px > width() - right) return;
        svg.append(make("path", { d: `M${px.toFixed(1)} ${top}V${bottom}`, stroke: "var(--hot)", "stroke-dasharray": "2 3", fill: "none" }));
      });
      if (last) {
        const [unit, seconds] = timeUnit(full[1] - full[0]);
        const tick = niceStep((view[1] - view[0]) / seconds, width() < 500 ? 4 : 9);
        for (let n = Math.ceil(view[0] / seconds / tick - 1e-9) * tick; n <= view[1] / seconds + 1e-9; n += tick) {
          const px = x(n * seconds);
          svg.append(make("path", { d: `M${px.toFixed(1)} ${bottom}v5`, stroke: "var(--soft)", fill: "none" }));
          const edge = px > width() - 34 ? "end" : "middle";
          svg.append(make("text", { x: Math.min(px, width() - 2).toFixed(1), y: bottom + 19, "text-anchor": edge }, show(n, tick) + " " + unit));
        }
      }
      follow(svg, top, bottom);
      return svg;
    };

    const read = (t) => {
      const parts = [timeText(t)];
      run.panels.forEach((p) => p.curves.forEach((c) => {
        let best = null;
        for (const q of c.points) if (q[1] !== null && (best === null || Math.abs(q[0] - t) < Math.abs(best[0] - t))) best = q;
        if (best && Math.abs(best[0] - t) < (full[1] - full[0]) / 50 + 1) parts.push(`${c.name === p.unit ? "" : c.name + " "}${+best[1].toPrecision(5)} ${p.unit}`);
      }));
      run.phases.forEach((p) => { if (t >= p.start && t < p.end) parts.push(p.name); });
      run.throttle.forEach((s) => { if (t >= s.start && t < s.end) parts.push(s.text); });
      reading.textContent = parts.join(" · ");
    };
    const rest = () => { reading.hidden = true; lines.forEach((move) => move(null)); };
    document.addEventListener("pointerdown", (e) => { if (!body.contains(e.target)) rest(); });
    const timeText = (t) => { const [unit, seconds] = timeUnit(full[1] - full[0]); return `at ${+(t / seconds).toPrecision(5)} ${unit}`; };

    const follow = (svg, top, bottom) => {
      const line = make("path", { stroke: "var(--soft)", fill: "none", d: "M0 0" });
      const choice = make("rect", { y: top, height: bottom - top, width: 0, x: 0, fill: "var(--gpu0)", "fill-opacity": 0.15 });
      svg.append(choice, line);
      lines.push((at) => line.setAttribute("d", at === null ? "M0 0" : `M${at.toFixed(1)} ${top}V${bottom}`));
      const px = (e) => (e.clientX - svg.getBoundingClientRect().left) * width() / svg.getBoundingClientRect().width;
      svg.addEventListener("pointerdown", (e) => { if (e.button === 0) { drag = px(e); svg.setPointerCapture(e.pointerId); } });
      svg.addEventListener("pointermove", (e) => {
        const at = Math.max(left, Math.min(width() - right, px(e)));
        lines.forEach((move) => move(at));
        read(when(at));
        // at the screen's other end: it never lies on the curve that is pointed at
        reading.classList.toggle("above", e.clientY > innerHeight / 2);
        reading.hidden = false;
        if (drag !== null) { choice.setAttribute("x", Math.min(drag, at)); choice.setAttribute("width", Math.abs(at - drag)); }
      });
      svg.addEventListener("pointerup", (e) => {
        const from = drag, to = px(e); drag = null;
        choice.setAttribute("width", 0);
        if (from !== null && Math.abs(to - from) > 6) set(when(Math.min(from, to)), when(Math.max(from, to)));
      });
      svg.addEventListener("pointerleave", (e) => { if (e.pointerType === "mouse") rest(); });
      svg.addEventListener("pointercancel", () => { drag = null; choice.setAttribute("width", 0); });
      svg.addEventListener("dblclick", () => set(full[0], full[1]));
    };

    const legendRow = (kind) => {
      const row = document.createElement("div");
      row.className = kind;
      const entry = (color, text, dashed) => {
        const item = document.createElement("span"), swatch = document.createElement("i");
        swatch.style.background = color;
        if (dashed) { swatch.style.background = "none"; swatch.style.borderTop = "2px dashed " + color; swatch.style.height = "4px"; }
        item.append(swatch, text);
        row.append(item);
      };
      return [row, entry];
    };
    // narrow phases have no room for their name on the strip: here each name stands once
    const phaseLegend = () => {
      const [row, entry] = legendRow("legend phases"), most = 12;
      phaseNames.slice(0, most).forEach((name) => {
        const mine = run.phases.filter((p) => p.name === name);
        const seconds = mine.reduce((sum, p) => sum + p.end - p.start, 0);
        entry(phaseColor(name), `${name}: ${+seconds.toPrecision(3)} s${mine.length > 1 ? ` in ${mine.length}` : ""}`);
      });
      if (phaseNames.length > most) row.append(`and ${phaseNames.length - most} more, in the table of phases`);
      return row;
    };
    const legend = (p) => {
      const [row, entry] = legendRow("legend");
      p.curves.forEach((c) => entry(`var(--${c.color})`, c.name + range(c), c.dash));
      p.levels.forEach((l) => entry("var(--soft)", `${l.name} ${+l.value.toPrecision(4)} ${p.unit}`, true));
      return row;
    };
    const range = (c) => {
      let low = Infinity, high = -Infinity;
      for (const [, v] of c.points) if (v !== null) { low = Math.min(low, v); high = Math.max(high, v); }
      return low > high ? "" : low === high ? `: ${told(low)}` : `: ${told(low)} to ${told(high)}`;
    };

    function draw() {
      body.replaceChildren();
      lines = [];
      const top = strip();
      if (top) body.append(top);
      if (phaseNames.length) body.append(phaseLegend());
      run.panels.forEach((p, index) => { body.append(panel(p, index, index === run.panels.length - 1), legend(p)); });
      if (!run.panels.length) { const none = document.createElement("p"); none.className = "soft"; none.textContent = "This run has no board and no GPU telemetry to draw."; body.append(none); }
    }
    draw();
    let known = body.clientWidth;
    new ResizeObserver(() => { if (body.clientWidth !== known) { known = body.clientWidth; draw(); } }).observe(body);
  }
  // of several runs one phase is shown: the one that the address names, else the first
  const sections = [...document.querySelectorAll("section.phase")];
  const links = [...document.querySelectorAll("a[data-phase]")];
  const choose = () => {
    const chosen = Math.max(0, links.findIndex((each) => each.hash === location.hash));
    sections.forEach((each, index) => { each.hidden = index !== chosen; });
    links.forEach((each, index) => index === chosen ? each.setAttribute("aria-current", "true") : each.removeAttribute("aria-current"));
  };
  if (sections.length) { choose(); addEventListener("hashchange", choose); }
  // paper has no click: notes are printed whole
  let opened = [];
  addEventListener("beforeprint", () => { opened = [...document.querySelectorAll("details.notes:not([open])")]; opened.forEach((each) => { each.open = true; }); });
  addEventListener("afterprint", () => opened.forEach((each) => { each.open = false; }));
  runs.forEach((run, index) => Chart(run, document.getElementById("chart" + index)));
})();
