/* The portal's side of the messages with one application frame.

   The frame sends `method:<JSON params>:<callback id>:<APP_SID>`; the reply is
   `<callback id>:<JSON>`. Unknown, denied and failed commands get no reply. */
(() => {
  "use strict";

  const node = document.getElementById("layout");
  if (!node) return;
  const layout = JSON.parse(node.textContent);
  const frame = document.getElementById(`appframe_${layout.sid}`);
  const form = document.getElementById(`appform_${layout.sid}`);
  const OPEN_PATHS =
    /^\/(crm\/(deal|lead|contact|company|type)|marketplace|company\/personal\/user\/\d+|workgroups\/group\/\d+)\//;

  async function ask(action, fields = {}) {
    const response = await fetch(`/_host/layout/${layout.sid}/${action}`, {
      method: "POST",
      body: new URLSearchParams(fields),
    });
    return response.ok ? response.json() : {};
  }

  function withParameters(address, parameters) {
    const url = new URL(address, window.location.href);
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url.pathname + url.search;
  }

  const sliders = () => window.top.portalSliders;

  const commands = {
    getInitData(params, reply) {
      reply({
        LANG: layout.language,
        DOMAIN: window.location.host,
        PROTOCOL: window.location.protocol === "https:" ? 1 : 0,
        PATH: "/rest",
        AUTH_ID: layout.auth.access_token,
        AUTH_EXPIRES: String(layout.auth.expires_in),
        REFRESH_ID: layout.auth.refresh_token,
        MEMBER_ID: layout.memberId,
        FIRST_RUN: layout.firstRun,
        IS_ADMIN: layout.isAdmin,
        INSTALL: layout.installing,
        USER_OPTIONS: layout.userOptions,
        APP_OPTIONS: layout.appOptions,
        PLACEMENT: layout.placement,
        PLACEMENT_OPTIONS: layout.placementOptions,
      });
      layout.firstRun = false;
    },

    async refreshAuth(params, reply) {
      const auth = await ask("refresh");
      if (!auth.access_token) {
        window.alert("No new access could be issued. Reload the page, please.");
        return;
      }
      layout.auth = auth;
      reply({
        AUTH_ID: auth.access_token,
        AUTH_EXPIRES: String(auth.expires_in),
        REFRESH_ID: auth.refresh_token,
      });
    },

    async setInstall(params, reply) {
      await ask("launched", { install: params.install ? "1" : "0" });
      reply(params);
    },

    async setInstallFinish(params) {
      const done = await ask("installed", { value: params.value === false ? "N" : "Y" });
      const finished = { install_finished: done.result ? "Y" : "N" };
      window.location.assign(withParameters(window.location.href, finished));
    },

    resizeWindow(params, reply) {
      const width = params.width === "100%" ? params.width : `${Number.parseInt(params.width, 10) || 100}px`;
      const height = Number.parseInt(params.height, 10);
      // The tab of a CRM card always has the width of the card.
      if (!layout.isPlacement) frame.style.width = width;
      if (height > 0) frame.style.height = `${height}px`;
      const box = frame.getBoundingClientRect();
      reply({ width: box.width, height: box.height });
    },

    setTitle(params, reply) {
      document.getElementById("page-title").textContent = params.title;
      reply(params);
    },

    setScroll(params, reply) {
      if (params.scroll >= 0) window.scrollTo(window.scrollX, Number.parseInt(params.scroll, 10));
      reply(params);
    },

    async setUserOption(params, reply) {
      layout.userOptions = await ask("user-option", {
        name: params.name,
        value: JSON.stringify(params.value ?? null),
      });
      reply(params);
    },

    async setAppOption(params, reply) {
      if (!layout.isAdmin) return;
      layout.appOptions = await ask("app-option", {
        name: params.name,
        value: JSON.stringify(params.value ?? null),
      });
      reply(layout.appOptions);
    },

    openPath(params, reply) {
      const path = typeof params.path === "string" ? params.path : "";
      if (!OPEN_PATHS.test(path)) {
        reply({ result: "error", errorCode: "PATH_NOT_AVAILABLE" });
        return;
      }
      const address = withParameters(path, { from: "rest_placement", from_app: layout.appId });
      sliders().open(address, { closed: () => reply({ result: "close" }) });
    },

    openApplication(params, reply) {
      const given = Object.entries(params ?? {});
      const own = given.filter(([name]) => !name.startsWith("bx24_"));
      const parameters = own.map(([name, value]) => [
        name,
        typeof value === "object" ? JSON.stringify(value) : value,
      ]);
      const address = withParameters(layout.applicationUrl, Object.fromEntries(parameters));
      sliders().open(address, { width: params.bx24_width, closed: () => reply() });
    },

    closeApplication(params, reply) {
      if (sliders().topPath() === layout.applicationUrl) sliders().close(reply);
    },

    reloadWindow() {
      window.location.reload();
    },

    getInterface(params, reply) {
      const own = Object.keys(placementCommands).filter((name) => name !== "placementBindEvent");
      reply({ command: layout.isPlacement ? own : [], event: [] });
    },
  };

  // More commands in a tab of a CRM card. The sandbox's cards fire no events, so a subscription gets
  // no reply.
  const placementCommands = {
    reloadData(params, reply) {
      document.dispatchEvent(new Event("portal:reload"));
      reply([]);
    },
    placementBindEvent() {},
  };

  const available = layout.isPlacement ? { ...commands, ...placementCommands } : commands;

  function parse(data) {
    if (typeof data === "object" && data !== null) {
      return { method: data.method, params: data.params || {}, callback: data.callback, sid: data.appSid };
    }
    if (typeof data !== "string") return {};
    const parts = data.split(":");
    const text = parts.slice(1, -2).join(":");
    return {
      method: parts[0],
      params: text ? JSON.parse(text) : {},
      callback: parts.at(-2),
      sid: parts.at(-1),
    };
  }

  window.addEventListener("message", (event) => {
    if (event.origin !== layout.appOrigin) return;
    const message = parse(event.data);
    if (message.sid !== layout.sid) return;
    if (layout.denied.includes(message.method) || !Object.hasOwn(available, message.method)) return;
    available[message.method](message.params, (value) => {
      if (!message.callback || !frame.contentWindow) return;
      const text = value === undefined ? "" : JSON.stringify(value);
      frame.contentWindow.postMessage(`${message.callback}:${text}`, layout.appOrigin);
    });
  });

  frame.addEventListener("load", () => frame.classList.remove("app-loading"));
  form.submit();
})();
