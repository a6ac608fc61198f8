/* Calls the portal's script (BX24), which may load late; the app does not wait for it. */
(() => {
  "use strict";

  // The portal does not answer a command that it refuses.
  const AUTH_MS = 10_000;

  const loaded = new Promise((resolve) => {
    window.addEventListener("load", resolve, { once: true });
  });

  async function inPortal(act) {
    await loaded;
    window.BX24?.init(act);
  }

  /* Returns a new token of the person, under the names of the form's fields. Rejects if the portal
     gives no token. */
  async function freshProof() {
    const auth = await new Promise((resolve, reject) => {
      setTimeout(reject, AUTH_MS, new Error("The portal did not answer."));
      inPortal(() => window.BX24.refreshAuth((given) => (given ? resolve(given) : reject(given))));
    });
    return {
      AUTH_ID: auth.access_token,
      REFRESH_ID: auth.refresh_token,
      AUTH_EXPIRES: Math.max(0, Math.round((auth.expires_in - Date.now()) / 1000)),
      member_id: auth.member_id,
    };
  }

  window.appPortal = { inPortal, freshProof };
})();
