import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { colourAt, densityPosition, stops, type Scale } from "../src/colour";
import { PALETTES } from "../src/map/palette";

const THEMES = ["light", "dark"] as const;

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [0, 1, 2].map((index) => {
    const value = Number.parseInt(colour.slice(1 + 2 * index, 3 + 2 * index), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Contrast of two colours by the Web Content Accessibility Guidelines, 1 to 21. */
function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].toSorted((x, y) => y - x);
  return ((high ?? 0) + 0.05) / ((low ?? 0) + 0.05);
}

test.each(["probability", "density"] as Scale[])("%s gets steadily darker in light and lighter in dark", (scale) => {
  for (const theme of THEMES) {
    const values = Array.from({ length: 51 }, (_, index) => luminance(colourAt(scale, theme, index / 50)));
    for (const [index, value] of values.entries()) {
      const before = values[index - 1];
      if (before !== undefined) expect(theme === "light" ? before - value : value - before).toBeGreaterThanOrEqual(-1e-9);
    }
  }
});

test("colours at the stops are the stops, and outside them the ends", () => {
  for (const [at, colour] of stops("probability", "light")) expect(colourAt("probability", "light", at)).toBe(colour);
  expect(colourAt("probability", "light", -1)).toBe(colourAt("probability", "light", 0));
  expect(colourAt("probability", "light", 2)).toBe(colourAt("probability", "light", 1));
});

test("densities lie on a logarithmic scale", () => {
  expect(densityPosition(1, 1, 100)).toBe(0);
  expect(densityPosition(10, 1, 100)).toBeCloseTo(0.5, 9);
  expect(densityPosition(100, 1, 100)).toBe(1);
  expect(densityPosition(5, 5, 5)).toBe(0.5);
  expect(densityPosition(0, 0, 0)).toBe(0);
});

test("likely cells and names stand out from the map", () => {
  for (const theme of THEMES) {
    const { land, sea, name, halo } = PALETTES[theme];
    for (const ground of [land, sea]) expect(contrast(colourAt("probability", theme, 0.9), ground)).toBeGreaterThan(4.5);
    expect(contrast(name, halo)).toBeGreaterThan(4.5);
  }
});

test("text of the page can be read on every ground of it", () => {
  const css = readFileSync(new URL("../src/styles/tokens.css", import.meta.url), "utf8");
  const [light = "", dark = ""] = css.split(':root[data-theme="dark"]');
  const value = (block: string, name: string) => new RegExp(`--${name}: (#[0-9a-f]{6})`).exec(block)?.[1] ?? "";
  for (const block of [light, dark]) {
    for (const ground of ["paper", "raised", "sunk"]) {
      for (const ink of ["ink", "quiet", "accent", "sure", "likely", "unsure", "truth"]) {
        expect(contrast(value(block, ink), value(block, ground)), `${ink} on ${ground}`).toBeGreaterThan(4.5);
      }
    }
    for (const [ink, ground] of [["accent-ink", "accent"], ["warn-ink", "warn"], ["error-ink", "error"], ["ink", "accent-soft"], ["truth", "truth-soft"]] as const) {
      expect(contrast(value(block, ink), value(block, ground)), `${ink} on ${ground}`).toBeGreaterThan(4.5);
    }
  }
});
