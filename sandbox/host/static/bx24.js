/* The API of BX24.js for a page in the frame, loaded from /api/v1/; it exchanges messages with
   parent.js.

   It follows the documentation: a command without a reply never calls back, and there is no
   error callback. */
var BX24 = (() => {
  "use strict";

  const [domain, secure, sid] = window.name.split("|");
  if (!domain || !sid || window.parent === window) {
    // Like the real one: outside a frame the script throws and BX24 is null.
    window.BX24 = null;
    throw new Error("Unable to initialize Bitrix24 JS library!");
  }

  const scheme = secure === "1" ? "https" : "http";
  const portal = `${scheme}://${domain.replace(/:(80|443)$/, "")}`;
  const PAGE = 50; // commands in a batch, and rows in a list

  const waiting = new Map(); // callback id -> handler of the portal's reply
  const initHandlers = [];
  const installHandlers = [];
  let known = null; // the reply to getInitData
  let started = false; // the init handlers have been called
  let settingUp = false; // an install handler is running
  let counter = 0;

  function call(callback, ...values) {
    if (typeof callback === "function") callback(...values);
  }

  // ---- the message protocol

  function send(method, params, callback, { keep = false } = {}) {
    counter += 1;
    const id = `bx24_${counter}_${Math.random().toString(36).slice(2)}`;
    waiting.set(id, { callback, keep });
    if (method.includes(":")) {
      window.parent.postMessage({ method, params: params ?? "", callback: id, appSid: sid }, portal);
      return;
    }
    const parts = [method, params === undefined ? "" : JSON.stringify(params), id, sid];
    window.parent.postMessage(parts.filter(Boolean).join(":"), portal);
  }

  window.addEventListener("message", (event) => {
    if (event.origin !== portal || typeof event.data !== "string") return;
    const colon = event.data.indexOf(":");
    const id = event.data.slice(0, colon);
    const answered = waiting.get(id);
    if (!answered) return;
    if (!answered.keep) waiting.delete(id);
    const text = event.data.slice(colon + 1);
    call(answered.callback, text ? JSON.parse(text) : undefined);
  });

  // ---- starting

  function keepAuth(data) {
    known.AUTH_ID = data.AUTH_ID;
    known.REFRESH_ID = data.REFRESH_ID;
    known.AUTH_EXPIRES = Date.now() + Number.parseInt(data.AUTH_EXPIRES, 10) * 1000;
  }

  function start() {
    started = true;
    while (initHandlers.length) initHandlers.shift()();
  }

  function nextInstallHandler() {
    const handler = installHandlers.shift();
    if (handler) {
      settingUp = true;
      if (typeof handler === "string") loadScript(handler, installFinish);
      else handler();
      return;
    }
    settingUp = false;
    send("setInstall", { install: true }, start);
  }

  function ready(handler) {
    if (document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", handler, { once: true });
    } else {
      setTimeout(handler, 0);
    }
  }

  ready(() => {
    send("getInitData", undefined, (data) => {
      known = data;
      keepAuth(data);
      if (known.FIRST_RUN && installHandlers.length && !known.INSTALL) nextInstallHandler();
      else start();
    });
  });

  function init(handler) {
    if (started) handler();
    else initHandlers.push(handler);
  }

  function install(handler) {
    if (!known) installHandlers.push(handler);
  }

  function installFinish() {
    // Before the reply to getInitData the stage is unknown, so the message is sent unchecked.
    if (!known || known.INSTALL) send("setInstallFinish", { value: true });
    else if (settingUp) nextInstallHandler();
  }

  function getAuth() {
    if (!known || known.AUTH_EXPIRES <= Date.now()) return false;
    return {
      access_token: known.AUTH_ID,
      refresh_token: known.REFRESH_ID,
      expires_in: known.AUTH_EXPIRES,
      domain: known.DOMAIN,
      member_id: known.MEMBER_ID,
    };
  }

  function refreshAuth(callback) {
    if (!known) return;
    send("refreshAuth", undefined, (data) => {
      keepAuth(data);
      call(callback, getAuth());
    });
  }

  // ---- REST from the browser

  function addFields(body, name, value) {
    if (value === null || value === undefined) body.append(name, "");
    else if (typeof value !== "object") body.append(name, String(value));
    else for (const key of Object.keys(value)) addFields(body, `${name}[${key}]`, value[key]);
  }

  function fields(params) {
    const body = new URLSearchParams();
    for (const name of Object.keys(params ?? {})) addFields(body, name, params[name]);
    return body;
  }

  function result(answer, status, method, params, callback) {
    const failed = answer.error !== undefined;
    return {
      answer,
      status,
      data: () => answer.result,
      error: () => (failed ? { status, ex: answer } : undefined),
      error_description: () => answer.error_description,
      more: () => answer.next !== undefined,
      total: () => answer.total,
      time: () => answer.time,
      next(another) {
        if (answer.next === undefined) return false;
        callMethod(method, { ...params, start: answer.next }, another ?? callback);
        return true;
      },
    };
  }

  async function post(method, params) {
    const body = fields(params);
    body.set("auth", known.AUTH_ID);
    const response = await fetch(`${portal}${known.PATH}/${method}.json`, { method: "POST", body });
    let answer;
    try {
      answer = await response.json();
    } catch {
      answer = { error: "ERROR_UNEXPECTED_ANSWER", error_description: "Server returned an unexpected response" };
    }
    return { answer, status: response.status };
  }

  function callMethod(method, params, callback) {
    init(async () => {
      const again = () => callMethod(method, params, callback);
      if (getAuth() === false) {
        refreshAuth(again);
        return;
      }
      let got;
      try {
        got = await post(method, params);
      } catch {
        got = { answer: { error: "ERROR_NETWORK", error_description: "No answer" }, status: 0 };
      }
      if (got.answer.error === "expired_token") refreshAuth(again);
      else call(callback, result(got.answer, got.status, method, params, callback));
    });
  }

  function callBatch(calls, callback, haltOnError = false) {
    const keys = Object.keys(calls).slice(0, PAGE);
    const asked = {};
    const cmd = {};
    for (const key of keys) {
      const entry = calls[key];
      const [method, params] = Array.isArray(entry) ? entry : [entry.method, entry.params];
      asked[key] = { method, params };
      cmd[key] = `${method}?${fields(params)}`;
    }
    callMethod("batch", { halt: haltOnError ? 1 : 0, cmd }, (batch) => {
      const whole = batch.data() ?? {};
      const results = Array.isArray(calls) ? [] : {};
      for (const key of keys) {
        const failure = batch.error()?.ex ?? whole.result_error?.[key];
        const answer = failure ?? {
          result: whole.result?.[key],
          total: whole.result_total?.[key],
          next: whole.result_next?.[key],
          time: whole.result_time?.[key],
        };
        results[key] = result(answer, batch.status, asked[key].method, asked[key].params);
      }
      call(callback, results);
    });
  }

  // ---- the window

  function getScrollSize() {
    // The root element is at least as high as the frame: fitting grows it and never shrinks it.
    const { scrollWidth, offsetWidth, scrollHeight, offsetHeight } = document.documentElement;
    return {
      scrollWidth: Math.max(scrollWidth, offsetWidth),
      scrollHeight: Math.max(scrollHeight, offsetHeight),
    };
  }

  function resizeWindow(width, height, callback) {
    send("resizeWindow", { width, height: Number.parseInt(height, 10) }, callback);
  }

  function loadScript(sources, callback) {
    const [first, ...rest] = [sources].flat();
    const script = document.createElement("script");
    script.src = first;
    script.onload = () => (rest.length ? loadScript(rest, callback) : call(callback));
    document.head.append(script);
  }

  function openApplication(params, callback, settings) {
    const prefixed = Object.entries(settings ?? {}).map(([key, value]) => [`bx24_${key}`, value]);
    send("openApplication", { ...params, ...Object.fromEntries(prefixed) }, callback);
  }

  function options(source, command) {
    return {
      get: (name) => known?.[source]?.[name],
      set(name, value, callback) {
        if (!known) return;
        known[source] = { ...known[source], [name]: value };
        send(command, { name, value }, callback);
      },
    };
  }

  return {
    init,
    install,
    installFinish,
    getAuth,
    refreshAuth,
    callMethod,
    callBatch,
    ready,
    isReady: () => document.readyState !== "loading",
    isAdmin: () => Boolean(known?.IS_ADMIN),
    getLang: () => known?.LANG,
    getDomain: () => domain.replace(/:(80|443)$/, ""),
    getScrollSize,
    resizeWindow,
    fitWindow: (callback) => resizeWindow("100%", getScrollSize().scrollHeight, callback),
    reloadWindow: (callback) => send("reloadWindow", undefined, callback),
    setTitle: (title, callback) => send("setTitle", { title: String(title) }, callback),
    scrollParentWindow(scroll, callback) {
      const position = Number.parseInt(scroll, 10);
      if (!Number.isNaN(position)) send("setScroll", { scroll: position }, callback);
    },
    loadScript,
    openApplication,
    openPath: (path, callback) => send("openPath", { path }, callback),
    closeApplication: (callback) => send("closeApplication", undefined, callback),
    userOption: options("USER_OPTIONS", "setUserOption"),
    appOption: options("APP_OPTIONS", "setAppOption"),
    placement: {
      info: () => ({ placement: known?.PLACEMENT, options: known?.PLACEMENT_OPTIONS }),
      getInterface: (callback) => send("getInterface", undefined, callback),
      bindEvent: (event, callback) => send("placementBindEvent", { event }, callback, { keep: true }),
      call: (command, params, callback) => send(command, params, callback),
    },
  };
})();
