/* The portal around us: its script comes when it comes, and nothing of ours waits for it. */
(() => {
  "use strict";

  // The portal gives no answer at all to a command that it refuses.
  const AUTH_MS = 10_000;

  const loaded = new Promise((resolve) => {
    window.addEventListener("load", resolve, { once: true });
  });

  async function inPortal(act) {
    await loaded;
    window.BX24?.init(act);
  }

  /* A new proof of who is here, in the form's own names; rejects where the portal gives none. */
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
