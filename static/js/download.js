/* Forms that open a file or a page of their own: the session goes along, as a field of the body. */
(() => {
  "use strict";

  document.addEventListener("formdata", ({ target, formData }) => {
    if (!target.matches("form[data-download]")) return;
    formData.set(target.dataset.download, window.appFrame.session());
  });
})();
