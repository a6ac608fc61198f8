/* Moves the focus to the outcome of a decision, because the button that had it is gone. */
(() => {
  "use strict";

  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    if (detail.elt.id === "waiting") detail.elt.querySelector("[role=status]")?.focus();
  });
})();
