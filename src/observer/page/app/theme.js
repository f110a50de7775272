// Light or dark: as the system has it, until the user chooses.
"use strict";

const KEY = "regrow-theme";

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  try { localStorage.setItem(KEY, name); } catch { /* The theme lasts as long as the page. */ }
}

export function nextTheme() {
  const chosen = document.documentElement.dataset.theme;
  const isDark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(isDark ? "light" : "dark");
}

export function restoreTheme() {
  let saved = null;
  try { saved = localStorage.getItem(KEY); } catch { /* None can be saved. */ }
  if (saved === "light" || saved === "dark") setTheme(saved);
}
