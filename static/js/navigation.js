/* The screens of the main page: marks the current link, shows that one loads, moves the focus. */
(() => {
  "use strict";

  function shown(screen) {
    for (const link of document.querySelectorAll("nav.screens a")) {
      if (link.dataset.screen === screen.dataset.screen) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  // htmx requests the links' addresses with the session; the browser would open them without it.
  document.addEventListener("click", (event) => {
    if (event.target.closest("nav.screens a")) event.preventDefault();
  });

  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    const screen = document.getElementById("screen");
    if (!screen || detail.elt !== screen) return;
    shown(screen);
    // The field with an error, else the message, else the heading.
    const focused =
      screen.querySelector("[aria-invalid=true]") ??
      screen.querySelector(".message[role]") ??
      screen.querySelector("h1");
    if (focused?.matches("h1, .message")) focused.setAttribute("tabindex", "-1");
    focused?.focus();
  });

  // While another screen loads, which may take long, the current one is marked as busy.
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (detail.target?.id !== "screen") return;
    detail.target.setAttribute("aria-busy", "true");
    // A form that is being saved stays visible; a screen that the person leaves is hidden.
    detail.target.toggleAttribute("data-left", detail.elt.matches("nav.screens a"));
  });

  // After a failed request the same screen is still there.
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.requestConfig.target?.id === "screen") {
      detail.requestConfig.target.removeAttribute("aria-busy");
      detail.requestConfig.target.removeAttribute("data-left");
    }
  });
})();
