/* The frame: its session, its size, links into the CRM, and messages after a failed request. */
(() => {
  "use strict";

  const HEADER = "X-Frame-Session";
  const ANSWER_MS = 30_000;

  const { inPortal, freshProof } = window.appPortal;
  const { sessionUrl } = document.body.dataset;
  let session = document.body.dataset.session;

  // ---- the session: sent in a header, replaced when a response has a new one

  function renew(value) {
    if (value) session = value;
  }

  document.addEventListener("htmx:configRequest", ({ detail }) => {
    detail.headers[HEADER] = session;
  });

  document.addEventListener("htmx:beforeOnLoad", ({ detail }) => {
    renew(detail.xhr.getResponseHeader(HEADER));
  });

  async function post(url, fields = {}) {
    const answer = await fetch(url, {
      method: "POST",
      body: new URLSearchParams(fields),
      headers: { [HEADER]: session, Accept: "application/json" },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    renew(answer.headers.get(HEADER));
    return answer;
  }

  // Only htmx may send a form: the browser itself would leave the page and put the fields into its
  // address.
  document.addEventListener(
    "submit",
    (event) => {
      if (event.target.matches("[hx-post], [hx-get]")) event.preventDefault();
    },
    true,
  );

  // ---- the size of the frame, and links into the CRM

  let fitted = 0;

  // BX24.fitWindow measures the root element, which is never lower than the frame: after a long
  // screen, a short one would leave the frame too tall. So this measures the body.
  function fit() {
    const height = Math.ceil(document.body.getBoundingClientRect().height);
    if (height === fitted) return;
    fitted = height;
    inPortal(() => window.BX24.resizeWindow("100%", height));
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-open-path]");
    const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
    if (!link || elsewhere || !window.BX24) return;
    event.preventDefault();
    inPortal(() => {
      window.BX24.openPath(link.dataset.openPath, (answer) => {
        // The mobile app has no sliders.
        if (answer?.result === "error") window.open(link.href, "_blank", "noopener");
      });
    });
  });

  // ---- messages: in the dialog or the row of the button, else above the list

  function regionFor(element) {
    const near = element.isConnected ? element.closest("dialog, tr") : null;
    return near?.querySelector("[data-message]") ?? document.querySelector("[data-message]");
  }

  function say(region, name) {
    const words = document.querySelector(`template[data-words="${name}"]`);
    region.replaceChildren(words.content.cloneNode(true));
  }

  // Requests that the page sends by itself show no message.
  const isQuiet = (element) => element.hasAttribute("data-quiet");

  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.xhr.status < 400) return;
    if (isQuiet(detail.requestConfig.elt)) {
      detail.shouldSwap = false;
      return;
    }
    const region = regionFor(detail.requestConfig.elt);
    detail.target = region;
    detail.swapOverride = "innerHTML";
    if (detail.serverResponse.includes("data-error")) return;
    // Not a message of the app: a proxy or another server between has answered.
    detail.shouldSwap = false;
    say(region, "no-answer");
  });

  // A new request removes the last message.
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (!isQuiet(detail.elt)) regionFor(detail.elt).replaceChildren();
  });

  for (const failure of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(failure, ({ detail }) => {
      if (!isQuiet(detail.elt)) say(regionFor(detail.elt), "no-answer");
    });
  }

  // ---- a tab whose session has expired: gets a new one with a new token from the portal

  async function reopen(region) {
    say(region, "reopening");
    try {
      const answer = await post(sessionUrl, await freshProof());
      if (!answer.ok) throw new Error("The session was not renewed.");
      renew((await answer.json()).session);
      say(region, "reopened");
    } catch {
      say(region, "not-reopened");
    }
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-reopen]");
    if (button) reopen(regionFor(button));
  });

  // For download.js and install.js.
  window.appFrame = { post, session: () => session };
  new ResizeObserver(fit).observe(document.body);
})();
