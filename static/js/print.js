/* The page to be printed asks for it by itself. */
window.addEventListener("load", () => window.print(), { once: true });
