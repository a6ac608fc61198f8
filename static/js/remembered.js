/* Which screen is shown and what was searched for: in the frame's own address, after the #, where a
   reload of the frame finds it; and with the portal, for a reload of the portal's page.

   For that one the portal opens the frame anew, with a POST to an address of its own making; and a
   browser that blocks third-party cookies gives a frame of another site no storage. The portal keeps
   what was typed, by screen, as an option of this person in this app. It is forgotten soon: whoever
   comes back another day wants to see everything. */
(() => {
  "use strict";

  const OPTION = "search";
  const KEPT_MS = 10 * 60 * 1000;
  const SCREEN = "screen";
  const { inPortal } = window.appPortal;

  const screenNow = () => document.getElementById("screen");
  const formOf = (screen) => screen?.querySelector("form[role=search]");
  const typedInto = (form) => [...new FormData(form)].filter(([, value]) => value);
  let remembered = {};

  function kept(name) {
    const { at, typed } = remembered[name] ?? {};
    return Array.isArray(typed) && Date.now() - at < KEPT_MS ? typed : [];
  }

  function remember(name, typed) {
    if (typed.length || remembered[name]) {
      if (typed.length) remembered[name] = { at: Date.now(), typed };
      else delete remembered[name];
      inPortal(() => window.BX24.userOption.set(OPTION, JSON.stringify(remembered)));
    }
    intoAddress(name);
  }

  function intoAddress(name) {
    const address = new URLSearchParams([[SCREEN, name], ...kept(name)]);
    // Not by history.replaceState, after which a reload would be a GET, without the portal's proof.
    window.location.replace(`#${address}`);
  }

  function fromAddress() {
    const typed = [...new URLSearchParams(window.location.hash.slice(1))];
    const [first, ...rest] = typed;
    return first?.[0] === SCREEN ? { name: first[1], typed: rest } : null;
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
    const typed = kept(screen?.dataset.screen);
    // Who has begun to type meanwhile is faster than the portal.
    if (!form || !typed.length || typedInto(form).length) return;
    for (const [name, value] of typed) {
      const field = form.elements.namedItem(name);
      if (!field) continue;
      field.value = value;
      // As if typed: where typing searches, it is by this that emptying the field is noticed later.
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    if (!form.getAttribute("hx-trigger").includes("input")) window.htmx.trigger(form, "submit");
  }

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
    if (detail.elt.id !== "screen") return;
    intoAddress(detail.elt.dataset.screen);
    restore(detail.elt);
  });

  // Before the portal has answered anything: what is shown now may have been filled in meanwhile.
  const left = fromAddress();
  if (left?.typed.length) remembered[left.name] = { at: Date.now(), typed: left.typed };

  inPortal(() => {
    remembered = { ...parsed(window.BX24.userOption.get(OPTION)), ...remembered };
    const link = left && document.querySelector(`nav.screens a[data-screen="${CSS.escape(left.name)}"]`);
    if (link && left.name !== screenNow()?.dataset.screen) link.click();
    else restore(screenNow());
  });
})();
