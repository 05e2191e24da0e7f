// Before the page is painted: the theme that was chosen here, else the system's.
"use strict";
(() => {
  const kept = localStorage.getItem("theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
})();
