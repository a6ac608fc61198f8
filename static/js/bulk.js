/* Counts the ticked rows of the list, and lets a run continue after a step without an answer. */
(() => {
  "use strict";

  const boxes = () => [...document.querySelectorAll("#rows .ticking input")];

  // A row that was paid or refused meanwhile has neither of these buttons, so it cannot be ticked.
  const DOABLE = '.settle :is([hx-post$="/payments/question/"], [hx-post$="/mark/question/"])';

  function update() {
    const form = document.getElementById("bulk");
    if (!form) return;
    const open = boxes().filter((box) => {
      box.disabled = !box.closest("tr").querySelector(DOABLE);
      if (box.disabled) box.checked = false;
      return !box.disabled;
    });
    const ticked = open.filter((box) => box.checked).length;
    const all = form.querySelector("[data-tick-all]");
    all.disabled = open.length === 0;
    all.checked = ticked > 0 && ticked === open.length;
    all.indeterminate = ticked > 0 && ticked < open.length;
    const bound = form.querySelector("[data-most]");
    const tooMany = ticked > Number(bound.dataset.most);
    bound.textContent = tooMany ? bound.dataset.words : "";
    form.querySelector("[data-ticked]").disabled = ticked === 0 || tooMany;
    form.querySelector("[data-count]").textContent = `(${ticked})`;
  }

  document.addEventListener("change", ({ target }) => {
    if (target.matches("[data-tick-all]")) {
      for (const box of boxes()) if (!box.disabled) box.checked = target.checked;
    }
    if (target.matches("[data-tick-all], .ticking input")) update();
  });

  // Each step that goes on says when the next one is due. After Pause or Stop it is gone by then.
  function awaitStep() {
    const next = document.querySelector("[data-next-step-in]:not([data-awaited])");
    if (!next) return;
    next.dataset.awaited = "";
    setTimeout(() => {
      if (next.isConnected) window.htmx.trigger("#run-stepper", "step-is-due");
    }, Number(next.dataset.nextStepIn));
  }

  document.addEventListener("htmx:afterSettle", () => {
    update();
    awaitStep();
  });

  // Without an answer no further step is sent. A message says why, and this button continues.
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (!detail.elt.matches("#run-stepper, [data-go-on]") || detail.xhr.status === 200) return;
    const button = document.querySelector("[data-go-on]");
    if (button) button.hidden = false;
  });

  update();
})();
