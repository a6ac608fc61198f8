/* The screens of the main page: which one is shown, which is on its way, and where the focus goes. */
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
    // What has to be mended, or what came of it; and where nothing is said, what this screen is.
    const led =
      screen.querySelector("[aria-invalid=true]") ??
      screen.querySelector(".message[role]") ??
      screen.querySelector("h1");
    if (led?.matches("h1, .message")) led.setAttribute("tabindex", "-1");
    led?.focus();
  });

  // Another screen may be long in coming; the one that is shown says that it is on its way.
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (detail.target?.id !== "screen") return;
    detail.target.setAttribute("aria-busy", "true");
    // A form that is being saved stays in sight; a screen that is left need not.
    detail.target.toggleAttribute("data-left", detail.elt.matches("nav.screens a"));
  });

  // Where nothing came of it, the same screen is still there.
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.requestConfig.target?.id === "screen") {
      detail.requestConfig.target.removeAttribute("aria-busy");
      detail.requestConfig.target.removeAttribute("data-left");
    }
  });
})();
