/* Finishes the installation, then tells the portal once that it is finished. */
(() => {
  "use strict";

  // After installFinish the portal reloads this page, without calling back. If it has not done so
  // by then, the page asks the person to open the app.
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
