/* The installer: sets up, then tells the portal once that it is done. */
(() => {
  "use strict";

  // The portal reloads this page when it is told; it never answers.
  const RELOAD_MS = 15_000;

  const { finishUrl } = document.querySelector("[data-finish-url]").dataset;
  let finished = false;

  function show(step) {
    for (const part of document.querySelectorAll("[data-step]")) {
      part.hidden = part.dataset.step !== step;
    }
  }

  function fail(sentence) {
    const reason = document.querySelector("[data-reason]");
    reason.textContent = sentence || reason.dataset.words;
    show("failed");
  }

  function tellPortal() {
    if (finished) return;
    finished = true;
    show("finished");
    window.appPortal.inPortal(() => window.BX24.installFinish());
    setTimeout(show, RELOAD_MS, "reload");
  }

  async function install() {
    show("working");
    try {
      const answer = await window.appFrame.post(finishUrl);
      if (answer.ok) {
        tellPortal();
        return;
      }
      const said = await answer.json();
      fail(said.sentence);
    } catch {
      fail();
    }
  }

  document.querySelector("[data-again]").addEventListener("click", install);
  install();
})();
