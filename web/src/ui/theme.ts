// Light, dark, or what the system prefers (which is the style sheet's own doing).
import { button, icon } from "./dom.js";

type Theme = "auto" | "light" | "dark";
const NAME = "vl3.theme";
const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const PICTURE: Record<Theme, string> = { auto: "auto", light: "sun", dark: "moon" };
const WORDS: Record<Theme, string> = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };

export function themeButton(): HTMLButtonElement {
  const kept = localStorage.getItem(NAME);
  let theme: Theme = kept === "light" || kept === "dark" ? kept : "auto";
  const element = button("Theme", "auto", () => {
    theme = NEXT[theme];
    localStorage.setItem(NAME, theme);
    apply();
  });
  const apply = () => {
    if (theme === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
    element.replaceChildren(icon(PICTURE[theme]));
    element.title = WORDS[theme];
    element.setAttribute("aria-label", WORDS[theme]);
  };
  apply();
  return element;
}
