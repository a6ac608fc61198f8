/* A page that could not be opened: posts the opening anew, as the portal did. */
(() => {
  "use strict";

  const button = document.querySelector("[data-retry]");
  const noAnswer = document.querySelector("[data-no-answer]");

  async function openAnew() {
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
        await openAnew();
      } catch {
        button.disabled = false;
        noAnswer.hidden = false;
      }
    });
  });
})();
