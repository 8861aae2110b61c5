// Light or dark: as the system says, until the reader chooses.
import { effect, signal } from "@preact/signals";

export type Theme = "light" | "dark";

const STORAGE = "geosurge-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const chosen = localStorage.getItem(STORAGE);

export const theme = signal<Theme>(
  chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light",
);

system.addEventListener("change", () => {
  if (!localStorage.getItem(STORAGE)) theme.value = system.matches ? "dark" : "light";
});

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});

export function toggleTheme(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
  localStorage.setItem(STORAGE, theme.value);
}
