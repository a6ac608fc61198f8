/* The screens of the main page: which one is shown, where the focus goes, and their badges. */
(() => {
  "use strict";

  function shown(screen) {
    for (const link of document.querySelectorAll("nav.screens a")) {
      if (link.dataset.screen === screen.dataset.screen) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  // The links have addresses for htmx to ask; opened by themselves these would carry no session.
  document.addEventListener("click", (event) => {
    if (event.target.closest("nav.screens a")) event.preventDefault();
  });

  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    const screen = document.getElementById("screen");
    if (!screen || detail.elt !== screen) return;
    shown(screen);
    const heading = screen.querySelector("h1");
    heading?.setAttribute("tabindex", "-1");
    heading?.focus();
  });
})();
