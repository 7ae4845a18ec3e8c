"use strict";
// <local-time utc="2026-01-31T12:00:00Z">: the moment on the viewer's clock, "2026-01-31 13:00".
customElements.define("local-time", class extends HTMLElement {
  static observedAttributes = ["utc"];
  attributeChangedCallback() {
    const utc = this.getAttribute("utc"), moment = new Date(utc), two = (n) => String(n).padStart(2, "0");
    const known = /^\d{4}-\d\d-\d\dT/.test(utc) && !Number.isNaN(moment.getTime());
    this.textContent = !known ? utc || "–" : `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${two(moment.getHours())}:${two(moment.getMinutes())}`;
    this.title = utc.replace("T", " ").replace("Z", " UTC");
  }
});
