/* Remembers the screen and its search: in the frame's address after the #, for a reload of the frame,
   and in the portal, for a reload of the portal's page.

   When its own page is reloaded, the portal opens the frame with a POST to another address; and
   browsers that block third-party cookies give a frame of another site no storage. So the portal
   stores the search of each screen as an option of this person in this app. It expires soon: a
   person who returns on another day wants to see everything. */
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
    // After history.replaceState, a reload would be a GET without the portal's token.
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
    // Does not overwrite what the person has typed meanwhile.
    if (!form || !typed.length || typedInto(form).length) return;
    for (const [name, value] of typed) {
      const field = form.elements.namedItem(name);
      if (!field) continue;
      field.value = value;
      // htmx has to see this value as typed, or it would not notice later that the field is emptied.
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

  // Read at once: by the time the portal answers, the person may have searched for something else.
  const left = fromAddress();
  if (left?.typed.length) remembered[left.name] = { at: Date.now(), typed: left.typed };

  inPortal(() => {
    remembered = { ...parsed(window.BX24.userOption.get(OPTION)), ...remembered };
    const link = left && document.querySelector(`nav.screens a[data-screen="${CSS.escape(left.name)}"]`);
    if (link && left.name !== screenNow()?.dataset.screen) link.click();
    else restore(screenNow());
  });
})();
