// Colour scales of the map and its legends, for a light and a dark page.
import type { Theme } from "./state/theme";

type Stop = readonly [at: number, colour: string];

/** Probability from 0 to 1: the likelier, the further from the map's own colours. Steps are fine where most cells are. */
const PROBABILITY: Record<Theme, readonly Stop[]> = {
  light: [[0, "#f7e3a1"], [0.02, "#f5c76b"], [0.1, "#ee9146"], [0.3, "#d9534a"], [0.6, "#a8296a"], [1, "#5b1165"]],
  dark: [[0, "#6a3390"], [0.02, "#8f3d97"], [0.1, "#c24c89"], [0.3, "#ec6f66"], [0.6, "#fba851"], [1, "#fdf2a0"]],
};

/** Density of training photos, from few to many, on a logarithmic scale from 0 to 1. */
const DENSITY: Record<Theme, readonly Stop[]> = {
  light: [[0, "#c5e6dc"], [0.25, "#93cfc2"], [0.5, "#54aaa6"], [0.75, "#277886"], [1, "#0d4557"]],
  dark: [[0, "#2b6470"], [0.25, "#33858b"], [0.5, "#49aaa5"], [0.75, "#86d4c1"], [1, "#e6fbe9"]],
};

const SCALES = { probability: PROBABILITY, density: DENSITY };
export type Scale = keyof typeof SCALES;

/** The stops of a scale. */
export function stops(scale: Scale, theme: Theme): readonly Stop[] {
  return SCALES[scale][theme];
}

/** The colour at a value between 0 and 1, as #rrggbb. */
export function colourAt(scale: Scale, theme: Theme, value: number): string {
  const all = stops(scale, theme);
  const bounded = Math.min(1, Math.max(0, value));
  const upper = all.findIndex(([at]) => at >= bounded);
  const [toAt, to] = all[Math.max(upper, 0)] ?? [1, "#000000"];
  const [fromAt, from] = all[Math.max(upper - 1, 0)] ?? [0, to];
  const part = toAt === fromAt ? 1 : (bounded - fromAt) / (toAt - fromAt);
  return mix(from, to, part);
}

function mix(from: string, to: string, part: number): string {
  const channel = (text: string, index: number) => Number.parseInt(text.slice(1 + 2 * index, 3 + 2 * index), 16);
  const channels = [0, 1, 2].map((index) => Math.round(channel(from, index) * (1 - part) + channel(to, index) * part));
  return `#${channels.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/** A MapLibre expression that colours by a number of the feature. */
export function colourExpression(scale: Scale, theme: Theme, value: unknown[]): unknown[] {
  return ["interpolate", ["linear"], value, ...stops(scale, theme).flatMap(([at, colour]) => [at, colour])];
}

/** Where a density lies between the smallest and largest of a view, on a logarithmic scale, 0 to 1. */
export function densityPosition(density: number, lowest: number, highest: number): number {
  if (density <= 0 || highest <= 0) return 0;
  const [low, high] = [Math.log(Math.max(lowest, highest * 1e-6)), Math.log(highest)];
  if (high - low < 1e-9) return 0.5;
  return Math.min(1, Math.max(0, (Math.log(density) - low) / (high - low)));
}
