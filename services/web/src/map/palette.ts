// The map's own colours, quiet enough that an answer stands out.
import type { Theme } from "../state/theme";

export interface Palette {
  space: string;
  sea: string;
  land: string;
  coast: string;
  border: string;
  grid: string;
  name: string;
  halo: string;
  region: string;
  reference: string;
  referenceText: string;
  cluster: string;
  clusterText: string;
  edge: string;
  focus: string;
  truth: string;
}

export const PALETTES: Record<Theme, Palette> = {
  light: {
    space: "#e9eef0",
    sea: "#b9d2de",
    land: "#f7f4ec",
    coast: "#7f9fae",
    border: "#b8ac90",
    grid: "#a9c6d4",
    name: "#4d5a5f",
    halo: "#fbf9f4",
    region: "#b3261e",
    reference: "#0b5d6b",
    referenceText: "#ffffff",
    cluster: "#0b5d6b",
    clusterText: "#ffffff",
    edge: "#3b4b52",
    focus: "#111c20",
    truth: "#17663a",
  },
  dark: {
    space: "#070d12",
    sea: "#12303f",
    land: "#2d4149",
    coast: "#6b8c99",
    border: "#47606a",
    grid: "#1c4152",
    name: "#b4c6cd",
    halo: "#16252c",
    region: "#ff8a73",
    reference: "#7fdbe6",
    referenceText: "#06222a",
    cluster: "#6fcfd9",
    clusterText: "#06222a",
    edge: "#b8c9d0",
    focus: "#ffffff",
    truth: "#7ee0a1",
  },
};
