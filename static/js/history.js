/* After a decision: whoever pressed is led to what came of it, since the button is gone. */
(() => {
  "use strict";

  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    if (detail.elt.id === "waiting") detail.elt.querySelector("[role=status]")?.focus();
  });
})();
