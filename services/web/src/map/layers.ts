// Everything that the map draws, bottom first. Colours come from the theme, so that a change of theme repaints without
// loading anything again.
import basemap from "virtual:basemap";
import type { LayerSpecification, SourceSpecification, StyleSpecification } from "maplibre-gl";
import { colourExpression, type Scale } from "../colour";
import type { Theme } from "../state/theme";
import { graticule } from "./graticule";
import { PALETTES } from "./palette";
import type { Tiles } from "./tiles";

export const EMPTY = { type: "FeatureCollection", features: [] } as const;
const FONT = ["system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "DejaVu Sans", "sans-serif"];

/** Sources that the page fills. */
export const DATA_SOURCES = ["cells", "cell-edges", "cell-points", "region", "focus", "error", "references", "clusters"] as const;
export type DataSource = (typeof DATA_SOURCES)[number];

/** Layers that answer to the pointer, topmost first. */
export const POINTER_LAYERS = ["references", "clusters", "cell-points", "cells"] as const;

const kind = (name: string): ["==", ["get", string], string] => ["==", ["get", "kind"], name];

/** All layers. `scale` colours the cells by their property `value`. */
export function layers(theme: Theme, scale: Scale, tiles?: Tiles): LayerSpecification[] {
  const colours = PALETTES[theme];
  const cellColour = colourExpression(scale, theme, ["get", "value"]) as never;
  const dark = theme === "dark";
  return [
    { id: "sea", type: "background", paint: { "background-color": colours.sea } },
    { id: "land", type: "fill", source: "world", filter: kind("land"), paint: { "fill-color": colours.land } },
    { id: "grid", type: "line", source: "grid", paint: { "line-color": colours.grid, "line-width": 0.7 } },
    ...(tiles
      ? ([{ id: "tiles", type: "raster", source: "tiles", minzoom: 3, paint: { "raster-opacity": dark ? 0.7 : 1 } }] as const)
      : []),
    {
      id: "coast",
      type: "line",
      source: "world",
      filter: kind("coast"),
      paint: { "line-color": colours.coast, "line-width": ["interpolate", ["linear"], ["zoom"], 0, 0.5, 6, 1.4] },
    },
    {
      id: "border",
      type: "line",
      source: "world",
      filter: kind("border"),
      paint: { "line-color": colours.border, "line-width": ["interpolate", ["linear"], ["zoom"], 0, 0.5, 6, 1.4] },
    },
    {
      id: "cells",
      type: "fill",
      source: "cells",
      paint: { "fill-color": cellColour, "fill-opacity": ["get", "opacity"] },
    },
    {
      id: "cell-edges",
      type: "line",
      source: "cell-edges",
      paint: {
        "line-color": colours.edge,
        "line-opacity": dark ? 0.6 : 0.5,
        "line-width": ["interpolate", ["linear"], ["zoom"], 1, 0.7, 8, 1.1],
      },
    },
    {
      id: "region-area",
      type: "fill",
      source: "region",
      filter: kind("area"),
      paint: { "fill-color": colours.region, "fill-opacity": 0.1 },
    },
    {
      id: "region",
      type: "line",
      source: "region",
      filter: kind("edge"),
      layout: { "line-join": "round" },
      paint: { "line-color": colours.region, "line-width": 1.6, "line-dasharray": [2.4, 1.4] },
    },
    {
      id: "focus",
      type: "line",
      source: "focus",
      layout: { "line-join": "round" },
      paint: { "line-color": colours.focus, "line-width": 2.6 },
    },
    {
      id: "names",
      type: "symbol",
      source: "world",
      filter: kind("name"),
      layout: {
        "text-field": ["get", "name"],
        "text-font": FONT,
        "text-size": ["interpolate", ["linear"], ["zoom"], 1, 10, 5, 14],
        "text-letter-spacing": 0.06,
        "text-max-width": 7,
        "symbol-sort-key": ["get", "rank"],
        "text-padding": 6,
      },
      paint: {
        "text-color": colours.name,
        "text-halo-color": colours.halo,
        "text-halo-width": 1.2,
        // Small countries are named only from nearer.
        "text-opacity": [
          "step",
          ["zoom"],
          ["case", ["<=", ["get", "rank"], 0], 1, 0],
          2,
          ["case", ["<=", ["get", "rank"], 1], 1, 0],
          3,
          ["case", ["<=", ["get", "rank"], 2], 1, 0],
          4,
          1,
        ],
      },
    },
    {
      // Fine cells are smaller than a pixel until one is near.
      id: "cell-points",
      type: "circle",
      source: "cell-points",
      paint: {
        "circle-color": cellColour,
        "circle-radius": ["interpolate", ["linear"], ["sqrt", ["get", "value"]], 0.1, 4, 1, 13],
        "circle-stroke-color": colours.halo,
        "circle-stroke-width": 1.4,
      },
    },
    {
      id: "error",
      type: "line",
      source: "error",
      layout: { "line-cap": "round" },
      paint: { "line-color": colours.truth, "line-width": 2.4, "line-dasharray": [0.2, 1.8] },
    },
    {
      id: "references",
      type: "circle",
      source: "references",
      paint: {
        "circle-radius": ["case", ["get", "chosen"], 13, 10],
        "circle-color": ["case", ["get", "chosen"], colours.focus, colours.reference],
        "circle-stroke-color": colours.halo,
        "circle-stroke-width": 2,
      },
    },
    {
      id: "reference-numbers",
      type: "symbol",
      source: "references",
      layout: {
        "text-field": ["get", "label"],
        "text-font": FONT,
        "text-size": 11,
        // Numbers that may overlap would show through the globe.
        "text-ignore-placement": true,
      },
      paint: { "text-color": colours.referenceText },
    },
    {
      id: "clusters",
      type: "circle",
      source: "clusters",
      paint: {
        "circle-color": colours.cluster,
        "circle-opacity": 0.88,
        "circle-radius": ["interpolate", ["linear"], ["ln", ["+", ["get", "count"], 1]], 0.7, 6, 3, 12, 7, 20, 12, 30],
        "circle-stroke-color": colours.halo,
        "circle-stroke-width": 1.6,
      },
    },
    {
      id: "cluster-counts",
      type: "symbol",
      source: "clusters",
      filter: [">", ["get", "count"], 1],
      layout: {
        "text-field": ["get", "label"],
        "text-font": FONT,
        "text-size": 11,
        // Numbers that may overlap would show through the globe.
        "text-ignore-placement": true,
      },
      paint: { "text-color": colours.clusterText },
    },
  ];
}

/** A whole style: the offline base map, tiles where they are configured, and the empty sources for data. */
export function style(theme: Theme, tiles?: Tiles): StyleSpecification {
  const data = DATA_SOURCES.map((name): [string, SourceSpecification] => [name, { type: "geojson", data: EMPTY as never }]);
  return {
    version: 8,
    projection: { type: "globe" },
    sky: sky(theme),
    sources: {
      world: { type: "geojson", data: basemap["110m"], attribution: "Natural Earth" },
      grid: { type: "geojson", data: graticule() },
      ...(tiles
        ? { tiles: { type: "raster" as const, tiles: [tiles.url], tileSize: 256, attribution: tiles.attribution } }
        : {}),
      ...Object.fromEntries(data),
    },
    layers: layers(theme, "probability", tiles),
  };
}

/** The thin air round the globe. */
export function sky(theme: Theme): NonNullable<StyleSpecification["sky"]> {
  const { space, sea } = PALETTES[theme];
  return {
    "sky-color": space,
    "horizon-color": sea,
    "atmosphere-blend": ["interpolate", ["linear"], ["zoom"], 0, theme === "dark" ? 0.5 : 0.1, 5, 0],
  };
}
