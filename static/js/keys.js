/* Keys: / for the search, arrows to move between rows, Enter for a row's first button. Also tells
   screen readers how many rows a search has found. */
(() => {
  "use strict";

  const ROWS = "table.payments > tbody > tr:not(:has(> .empty, > .more))";
  // Enter presses the first of these in a row that has the focus.
  const FIRST = ".settle .button-main, .settle button, .actions button, summary";
  // Fields that use the arrow keys, or in which a slash can be typed.
  const OWN_ARROWS = "select, textarea, input:not([type=search], [type=checkbox])";
  const OWN_SIGNS = "select, textarea, input:not([type=checkbox], [type=radio])";

  const rows = () => [...document.querySelectorAll(ROWS)];

  function step(event, by) {
    if (event.target.closest(OWN_ARROWS)) return;
    const all = rows();
    const at = all.indexOf(event.target.closest("tr"));
    const next = at < 0 ? all[by > 0 ? 0 : -1] : all[at + by];
    if (!next) return;
    event.preventDefault();
    next.tabIndex = -1;
    next.focus();
  }

  function press(event) {
    const row = event.target;
    if (event.repeat || !row.matches(ROWS)) return;
    const first = row.querySelector(FIRST);
    if (!first) return;
    event.preventDefault();
    first.click();
    // A summary opens a list of pay systems to choose from.
    if (first.matches("summary")) first.parentElement.querySelector("select")?.focus();
  }

  function search(event) {
    const field = document.querySelector("main [type=search]");
    if (!field || event.target.closest(OWN_SIGNS)) return;
    event.preventDefault();
    field.focus();
    field.select();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "/") search(event);
    else if (event.key === "ArrowDown") step(event, 1);
    else if (event.key === "ArrowUp") step(event, -1);
    else if (event.key === "Enter") press(event);
  });

  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    if (!detail.elt.matches("#rows, #found")) return;
    const said = document.querySelector("[data-shown]");
    if (said) said.textContent = `${said.dataset.shown} ${rows().length}`;
  });
})();
