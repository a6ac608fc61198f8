/* What was searched for, kept over a reload of the portal's page.

   The portal opens the frame anew each time, with a POST to an address of its own making, so what is
   put into the address in here does not come back; and a browser that blocks third-party cookies
   gives a frame of another site no storage. The portal keeps it instead, as an option of this person
   in this app. It is what was typed, by screen, and it is forgotten soon: whoever comes back another
   day wants to see everything. */
(() => {
  "use strict";

  const OPTION = "search";
  const KEPT_MS = 10 * 60 * 1000;
  const { inPortal } = window.appPortal;

  const screenNow = () => document.getElementById("screen");
  const formOf = (screen) => screen?.querySelector("form[role=search]");
  let remembered = {};

  function remember(screen, typed) {
    if (!typed.length && !remembered[screen]) return;
    if (typed.length) remembered[screen] = { at: Date.now(), typed };
    else delete remembered[screen];
    inPortal(() => window.BX24.userOption.set(OPTION, JSON.stringify(remembered)));
  }

  function parsed(text) {
    try {
      return JSON.parse(text) ?? {};
    } catch {
      return {};
    }
  }

  function restore(screen) {
    const form = formOf(screen);
    const { at, typed } = remembered[screen?.dataset.screen] ?? {};
    if (!form || !Array.isArray(typed) || !(Date.now() - at < KEPT_MS)) return;
    // Who has begun to type meanwhile is faster than the portal.
    if (typedInto(form).length) return;
    for (const [name, value] of typed) {
      const field = form.elements.namedItem(name);
      if (!field) continue;
      field.value = value;
      // As if typed: where typing searches, it is by this that emptying the field is noticed later.
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    if (!form.getAttribute("hx-trigger").includes("input")) window.htmx.trigger(form, "submit");
  }

  const typedInto = (form) => [...new FormData(form)].filter(([, value]) => value);

  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    const form = detail.elt;
    if (form.matches("#screen form[role=search]")) {
      remember(screenNow().dataset.screen, typedInto(form));
    }
  });

  document.addEventListener("click", ({ target }) => {
    if (target.closest("[data-clear]")) remember(screenNow().dataset.screen, []);
  });

  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    if (detail.elt.id === "screen") restore(detail.elt);
  });

  inPortal(() => {
    remembered = { ...parsed(window.BX24.userOption.get(OPTION)), ...remembered };
    restore(screenNow());
  });
})();
