// What the theme makes in the browser gets names and a place for the keyboard.
(() => {
  let blocks = 0;
  const improve = () => {
    for (const one of document.querySelectorAll(".md-code__nav:not([aria-label])")) {
      one.setAttribute("aria-label", `Code block ${++blocks}`);
    }
    for (const one of document.querySelectorAll(".md-code__button:not([aria-label])")) {
      one.setAttribute("aria-label", one.title);
    }
    for (const one of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])")) {
      one.tabIndex = 0;
    }
  };
  improve();
  new MutationObserver(improve).observe(document.documentElement, { childList: true, subtree: true });
})();
