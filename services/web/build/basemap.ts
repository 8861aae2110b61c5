// The offline base map: Natural Earth's public-domain land, borders and country names from the npm world-atlas, cut at
// the 180th meridian, as GeoJSON files beside the page. A coarse one shows at once, a finer one replaces it on zooming in.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Feature, FeatureCollection, Geometry, Position } from "geojson";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import type { Plugin } from "vite";
import { cutGeometry, cutLine, cutPolygon } from "../src/geometry/antimeridian.ts";
import { labelPoint } from "../src/geometry/label-point.ts";

type Atlas = Topology<{ countries: GeometryCollection<{ name: string }>; land: GeometryCollection }>;

/** Decimal places kept: 0.01 degrees is about a kilometre, finer than either atlas. */
const DECIMALS = { "110m": 2, "50m": 3 } as const;
type Resolution = keyof typeof DECIMALS;

function atlas(resolution: Resolution): Atlas {
  const file = new URL(`../node_modules/world-atlas/countries-${resolution}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")) as Atlas;
}

/** One file: land polygons, borders inside the land, coasts, and a point with each country's name. */
export function basemap(resolution: Resolution): FeatureCollection {
  const topology = atlas(resolution);
  const { countries, land } = topology.objects;
  const shape = (kind: string, geometry: Geometry, extra: Record<string, unknown> = {}): Feature => ({
    type: "Feature",
    properties: { kind, ...extra },
    geometry,
  });
  const landShape = feature(topology, land);
  const landPolygons = landShape.features.map(({ geometry }) => cutGeometry(geometry));
  const borders = cutGeometry(mesh(topology, countries, (a, b) => a !== b));
  const coasts = mesh(topology, countries, (a, b) => a === b).coordinates.flatMap((line) => cutLine(withoutSeam(line)));
  const names = feature(topology, countries).features.flatMap((country) => {
    const largest = largestPolygon(country.geometry);
    if (!largest) return [];
    const { point, area } = labelPoint(largest);
    return [shape("name", { type: "Point", coordinates: point }, { name: country.properties.name, rank: rank(area) })];
  });
  const features = [
    ...landPolygons.map((geometry) => shape("land", geometry)),
    shape("border", borders),
    shape("coast", { type: "MultiLineString", coordinates: coasts }),
    ...names,
  ];
  return { type: "FeatureCollection", features: features.map((item) => rounded(item, DECIMALS[resolution])) };
}

/** Antarctica's outline runs along the edge of the world; that is no coast. */
function withoutSeam(line: Position[]): Position[] {
  return line.filter(([, latitude = 0]) => latitude > -89.9);
}

function largestPolygon(geometry: Geometry): Position[][] | undefined {
  const parts =
    geometry.type === "Polygon"
      ? cutPolygon(geometry.coordinates)
      : geometry.type === "MultiPolygon"
        ? geometry.coordinates.flatMap((polygon) => cutPolygon(polygon))
        : [];
  return parts.toSorted((a, b) => labelPoint(b).area - labelPoint(a).area)[0];
}

/** 0 for the largest countries, whose names come first; `area` in square degrees of an equal-area map. */
function rank(area: number): number {
  if (area > 300) return 0;
  if (area > 60) return 1;
  if (area > 15) return 2;
  return area > 2 ? 3 : 4;
}

function rounded(item: Feature, decimals: number): Feature {
  const scale = 10 ** decimals;
  const round = (value: unknown): unknown =>
    Array.isArray(value) ? value.map(round) : typeof value === "number" ? Math.round(value * scale) / scale : value;
  const geometry = item.geometry as Exclude<Geometry, { type: "GeometryCollection" }>;
  return { ...item, geometry: { ...geometry, coordinates: round(geometry.coordinates) } as Geometry };
}

/** The module that tells the page where the files are. */
const MODULE = "virtual:basemap";

/** Puts the files into the build with their content's hash in their names, and answers for them in development. */
export function basemapPlugin(): Plugin {
  const resolutions = Object.keys(DECIMALS) as Resolution[];
  let building = false;
  return {
    name: "geosurge-basemap",
    configResolved(config) {
      building = config.command === "build";
    },
    resolveId: (id) => (id === MODULE ? `\0${MODULE}` : undefined),
    load(id) {
      if (id !== `\0${MODULE}`) return undefined;
      const urls = resolutions.map((resolution) => {
        if (!building) return [resolution, `/basemap/${resolution}.json`];
        const source = JSON.stringify(basemap(resolution));
        const hash = createHash("sha256").update(source).digest("base64url").slice(0, 10);
        const fileName = `assets/land-${resolution}-${hash}.json`;
        this.emitFile({ type: "asset", fileName, source });
        return [resolution, `/${fileName}`];
      });
      return `export default ${JSON.stringify(Object.fromEntries(urls))};`;
    },
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const resolution = resolutions.find((name) => request.url === `/basemap/${name}.json`);
        if (!resolution) return next();
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(basemap(resolution)));
      });
    },
  };
}
