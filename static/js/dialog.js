/* The question before a payment, a mark or an undo: opens beside the row, is busy during the request,
   and closes after it. */
(() => {
  "use strict";

  const MARGIN = 16;
  const place = document.getElementById("question");
  // The button that opened the question.
  let opener = null;

  // The frame is as tall as its content, so its middle may be out of sight; the row is not.
  function moveToRow(dialog) {
    const { body } = document;
    body.style.minHeight = "";
    const row = document.getElementById(`settle-${dialog.dataset.payment}`);
    const { top, height } = row.getBoundingClientRect();
    const wanted = top + window.scrollY + (height - dialog.offsetHeight) / 2;
    const room = Math.max(body.offsetHeight, window.innerHeight) - dialog.offsetHeight - MARGIN;
    const chosen = Math.max(MARGIN, Math.min(wanted, room));
    dialog.style.top = `${chosen}px`;
    body.style.minHeight = `${chosen + dialog.offsetHeight + MARGIN}px`;
  }

  function close() {
    place.querySelector("dialog")?.close();
  }

  function busy(dialog, is) {
    const status = dialog.querySelector(".status");
    dialog.toggleAttribute("data-busy", is);
    status.textContent = is ? status.dataset.words : "";
    for (const button of dialog.querySelectorAll(".actions button")) button.disabled = is;
  }

  // Opens only when htmx has processed the form: before, Enter would submit it without htmx.
  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    const dialog = detail.target === place && place.querySelector("dialog");
    if (!dialog) return;
    opener = detail.requestConfig.elt;
    dialog.showModal();
    moveToRow(dialog);
    dialog.scrollIntoView({ block: "nearest" });
    // A person may still hold Enter down, without having read the question. So the focus goes to
    // Cancel, or to a field that has to be filled in first.
    dialog.querySelector("input:required, [data-close]").focus();
    new ResizeObserver(() => dialog.open && moveToRow(dialog)).observe(dialog);
  });

  document.addEventListener("click", ({ target }) => {
    if (target.closest("[data-close]")) close();
  });

  // `cancel` and `close` do not bubble.
  document.addEventListener(
    "cancel",
    (event) => {
      if (event.target.hasAttribute("data-busy")) event.preventDefault();
    },
    true,
  );

  document.addEventListener(
    "close",
    ({ target }) => {
      if (target.hasAttribute("data-busy")) {
        // A second Escape closes a dialog even if `cancel` was prevented.
        target.showModal();
        return;
      }
      place.replaceChildren();
      document.body.style.minHeight = "";
      if (document.activeElement !== document.body) return;
      const row = document.getElementById(`settle-${target.dataset.payment}`);
      (row?.contains(opener) ? opener : row?.querySelector("button"))?.focus();
    },
    true,
  );

  function questionOf(detail) {
    return detail.elt.closest("#question dialog");
  }

  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    const dialog = questionOf(detail);
    if (dialog) busy(dialog, true);
  });

  // Moves the focus to the outcome, because the button that had it is gone.
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    const dialog = questionOf(detail);
    if (dialog) busy(dialog, false);
    const { status } = detail.xhr;
    if (status !== 200 || !detail.target.matches(".settle")) return;
    close();
    document.getElementById(detail.target.id)?.focus();
  });
})();
