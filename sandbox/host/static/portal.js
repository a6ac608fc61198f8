/* The scripts of the portal's own pages: sliders, a card's payments, the sandbox panel. */
(() => {
  "use strict";

  const POLL_MILLISECONDS = 1500;

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // ---- sliders: a portal page laid over this one. Only the outermost window has them.

  if (window.top === window) {
    const open = [];

    function close(after) {
      const slider = open.pop();
      if (!slider) return;
      slider.node.remove();
      document.body.classList.toggle("has-slider", open.length > 0);
      slider.closed?.();
      after?.();
    }

    window.portalSliders = {
      open(address, { width, closed } = {}) {
        const url = new URL(address, window.location.href);
        const path = url.pathname;
        url.searchParams.set("IFRAME", "Y");
        const node = element("div", "slider");
        const shade = element("div", "slider-shade");
        const panel = element("div", "slider-panel");
        const button = element("button", "slider-close", "Close");
        const page = element("iframe", "slider-page");
        if (Number.isFinite(width)) panel.style.width = `${width}px`;
        button.type = "button";
        page.title = "Slider";
        page.src = url.pathname + url.search;
        shade.addEventListener("click", () => close());
        button.addEventListener("click", () => close());
        panel.append(button, page);
        node.append(shade, panel);
        document.body.append(node);
        document.body.classList.add("has-slider");
        open.push({ node, path, closed });
      },
      close,
      topPath: () => open.at(-1)?.path,
    };
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close();
    });
    document.addEventListener("click", ({ target }) => {
      const item = target.closest("[data-slider]");
      if (!item) return;
      item.closest("details").open = false;
      window.portalSliders.open(item.dataset.slider);
    });
  }

  // ---- polling

  async function fill(target, render) {
    const response = await fetch(target.dataset.source);
    if (response.ok) render(target, await response.json());
  }

  function poll(target, render) {
    const again = () => fill(target, render).catch(() => {}); // the sandbox may be restarting
    again();
    setInterval(again, POLL_MILLISECONDS);
    document.addEventListener("portal:reload", again);
  }

  function renderPayments(body, { payments }) {
    const rows = payments.map((payment) => {
      const row = element("tr");
      row.dataset.payment = payment.id;
      row.dataset.paid = payment.paid ? "Y" : "N";
      const sum = element("td", "number", payment.sum);
      sum.append(" ", element("span", "quiet", payment.currency));
      const state = element("td");
      state.append(element("span", payment.paid ? "pill success" : "pill", payment.paid ? "Paid" : "Not paid"));
      const by = payment.paid_by ? `${payment.paid_by}, ${payment.date_paid}` : "";
      row.append(
        element("td", "", payment.account_number),
        sum,
        element("td", "", payment.pay_system),
        state,
        element("td", "paid-by", by),
      );
      return row;
    });
    if (!rows.length) {
      const row = element("tr");
      const cell = element("td", "quiet", "Nothing to pay here yet.");
      cell.colSpan = 5;
      row.append(cell);
      rows.push(row);
    }
    body.replaceChildren(...rows);
  }

  function renderPanel(panel, { faults, calls }) {
    const armed = panel.querySelector("[data-faults]");
    armed.textContent = faults.length
      ? `Active: ${faults.map((fault) => `${fault.kind}, ${fault.when} the effect`).join("; ")}`
      : "No active fault.";
    const rows = calls.map((call) => {
      const row = element("tr");
      row.append(
        element("td", "quiet", call.time),
        element("td", "", call.method),
        element("td", "", call.who),
        element("td", call.status >= 400 || !call.status ? "bad" : "", call.status || "cut"),
      );
      return row;
    });
    panel.querySelector("[data-calls]").replaceChildren(...rows);
  }

  for (const body of document.querySelectorAll("[data-payments]")) poll(body, renderPayments);
  for (const panel of document.querySelectorAll("[data-panel]")) {
    poll(panel, renderPanel);
    const remembered = "sandbox-panel-open";
    panel.open = sessionStorage.getItem(remembered) === "yes";
    panel.addEventListener("toggle", () => sessionStorage.setItem(remembered, panel.open ? "yes" : "no"));
    for (const form of panel.querySelectorAll("form[data-background]")) {
      form.addEventListener("submit", async (event) => {
        event.preventDefault();
        await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
        document.dispatchEvent(new Event("portal:reload"));
      });
    }
  }
})();
