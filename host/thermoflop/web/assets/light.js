"use strict";
// The recording light in the header: what is recorded, its phase, and tokens a second.
(() => {
  const LOOK_MS = 2000;
  const number = (n) => n >= 100 ? Math.round(n).toLocaleString("en-US") : n.toPrecision(3);
  const clock = (exact) => {
    const s = Math.round(exact);
    return s < 60 ? s + " s" : Math.floor(s / 60) + " min " + String(s % 60).padStart(2, "0") + " s";
  };
  const words = (run) => [
    "Recording " + clock(run.elapsed_s),
    run.phase,
    run.tokens_per_s === null ? "" : number(run.tokens_per_s) + " tokens/s" + (run.expected_per_s === null ? "" : " of " + number(run.expected_per_s) + " expected"),
  ].filter(Boolean).join(" · ");
  const look = async () => {
    const light = document.querySelector("[data-light]");
    try {
      const runs = await (await fetch("/live/recordings")).json();
      light.hidden = runs.length === 0;
      if (runs.length) light.textContent = words(runs[0]) + (runs.length > 1 ? ` and ${runs.length - 1} more` : "");
    } catch { /* the page's server is gone; the live page says so */ }
    setTimeout(look, LOOK_MS);
  };
  look();
})();
