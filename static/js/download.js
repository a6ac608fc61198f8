/* Adds the session, as a field, to forms that open a file or a page in a new window. */
(() => {
  "use strict";

  document.addEventListener("formdata", ({ target, formData }) => {
    if (!target.matches("form[data-download]")) return;
    formData.set(target.dataset.download, window.appFrame.session());
  });
})();
