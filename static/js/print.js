/* Opens the browser's print dialog. */
window.addEventListener("load", () => window.print(), { once: true });
