"use strict";
// The first answer stands in the page as it comes; it goes when the page that can be used is there.
new MutationObserver((_, seen) => {
  if (!document.querySelector("#app .est-head")) return;
  document.getElementById("first")?.remove();
  seen.disconnect();
}).observe(document, {childList: true, subtree: true});
// The boxes of models and GPUs: the best match comes first, and Enter takes what is typed.
(() => {
  const plain = (text) => String(text).toLowerCase().replace(/[-_ :./]/g, "");
  // 0 the name itself, 1 begins with it, 2 a word of it is it ("8b", not "2.8b"), 3 begins with it,
  // 4 somewhere in it, 5 each word is
  const rank = (label, typed) => {
    const needle = plain(typed), name = plain(label), place = name.indexOf(needle);
    if (place < 0) return typed.split(/[-_ :./]+/).every((word) => name.includes(plain(word))) ? 5 : -1;
    if (name === needle) return 0;
    if (place === 0) return 1;
    const words = String(label).toLowerCase().split(/[-_ :/]/).map(plain);
    return words.includes(needle) ? 2 : words.some((word) => word.startsWith(needle)) ? 3 : 4;
  };
  window.thermoflopUploader = () => getElement(Number(document.querySelector(".chooser").id.slice(1))).$refs.qRef;
  // A file that is dropped anywhere is the config.json; without this the browser leaves the page for it.
  const isFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const show = (on) => document.body.classList.toggle("dropping", on);
  addEventListener("dragover", (event) => { if (isFile(event)) { event.preventDefault(); show(true); } });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) show(false); });
  addEventListener("drop", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    show(false);
    thermoflopUploader().addFiles([event.dataTransfer.files[0]]);
  });
  // What was typed counts too when the field is left without Enter, unless an option was chosen.
  const typing = (box) => {
    const input = box.$el.querySelector("input[type=search]");
    input?.addEventListener("input", () => { box.typed = input.value; });
    input?.addEventListener("blur", () => setTimeout(() => {
      // Quasar puts back what was chosen before, beside the reason why what was typed is refused
      if (!box.typed?.trim() && box.$refs.qRef.error) box.$refs.qRef.updateInputValue(box.shown, true);
      if (!box.typed?.trim() || box.modelValueChanged) return;
      box.emitTyped(box.typed);
      box.typed = "";
      box.$refs.qRef.hidePopup(); // which what was typed last opened
    }, 200));
  };
  window.thermoflopSearch = (id, emit) => {
    const box = getElement(id);
    box.emitTyped = emit;
    if (box.ranked) return;
    box.ranked = true;
    typing(box);
    box.findFilteredOptions = () => {
      const needle = box.$el.querySelector("input[type=search]")?.value ?? "";
      setTimeout(() => box.$refs.qRef.scrollTo(0)); // the list opened at the chosen one
      return box.initialOptions
        .map((option) => [rank(option.label, needle), String(option.label).length, option])
        .filter(([place]) => place >= 0)
        .sort((a, b) => a[0] - b[0] || a[1] - b[1])
        .map(([, , option]) => option);
    };
    box.$el.querySelector("input[type=search]")?.select();
  };
  window.thermoflopShow = (id, label) => {
    const box = getElement(id);
    box.shown = label;
    box.$refs.qRef.updateInputValue(label, true);
  };
  // An option counts when the arrow keys have gone to it, not when the mouse rests on it.
  const arrows = new Set(["ArrowUp", "ArrowDown"]);
  window.thermoflopTyped = (event, id, emit) => {
    const box = getElement(id), list = box.$refs.qRef;
    if (event.key === "Escape") box.typed = "";
    if (event.key !== "Enter") {
      if (event.key.length === 1 || event.key === "Backspace") box.went = false;
      if (arrows.has(event.key)) box.went = true;
      return;
    }
    if (box.went && list.getOptionIndex() >= 0) { box.went = false; return; }
    box.typed = "";
    event.qKeyEvent = true; // Quasar leaves it alone
    event.preventDefault();
    emit(event.target.value);
    list.hidePopup();
    setTimeout(() => list.hidePopup(), 50); // what was typed last opens it from a timer
  };
})();
