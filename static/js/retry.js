/* Opens a page again that could not be opened: sends the same POST as the portal. */
(() => {
  "use strict";

  const button = document.querySelector("[data-retry]");
  const noAnswer = document.querySelector("[data-no-answer]");

  async function openAgain() {
    const { placement, options } = window.BX24.placement.info();
    const fields = {
      ...(await window.appPortal.freshProof()),
      PLACEMENT: placement ?? "DEFAULT",
      PLACEMENT_OPTIONS: JSON.stringify(options ?? {}),
    };
    const form = document.createElement("form");
    form.method = "post";
    form.hidden = true;
    for (const [name, value] of Object.entries(fields)) {
      const field = document.createElement("input");
      field.name = name;
      field.value = value;
      form.append(field);
    }
    document.body.append(form);
    form.submit();
  }

  button.addEventListener("click", () => {
    button.disabled = true;
    noAnswer.hidden = true;
    window.appPortal.inPortal(async () => {
      try {
        await openAgain();
      } catch {
        button.disabled = false;
        noAnswer.hidden = false;
      }
    });
  });
})();
