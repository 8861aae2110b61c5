import type { Position } from "geojson";
import { expect, test } from "vitest";
import { basemap } from "../build/basemap.ts";
import { positions } from "../src/geometry/box";
import { contains } from "../src/geometry/label-point";

const map = basemap("110m");
const kind = (name: string) => map.features.filter(({ properties }) => properties?.["kind"] === name);

test("nothing smears across the world", () => {
  for (const { geometry } of map.features) {
    const lines: Position[][] =
      geometry.type === "Polygon" || geometry.type === "MultiLineString"
        ? geometry.coordinates
        : geometry.type === "MultiPolygon"
          ? geometry.coordinates.flat()
          : geometry.type === "LineString"
            ? [geometry.coordinates]
            : [];
    for (const line of lines) {
      for (const [index, [longitude = 0, latitude = 0]] of line.entries()) {
        const [before = longitude] = line[index - 1] ?? [];
        // Only the edge of the flat world itself, through a pole, is as long as the world.
        if (Math.abs(latitude) < 89.9) expect(Math.abs(longitude - before)).toBeLessThan(180);
      }
    }
  }
});

test("places lie on land or at sea as on the Earth", () => {
  const rings = kind("land").flatMap(({ geometry }) =>
    geometry.type === "Polygon" ? [geometry.coordinates] : geometry.type === "MultiPolygon" ? geometry.coordinates : [],
  );
  const onLand = (place: Position) => rings.some(([shell = []]) => contains(shell, place));
  for (const place of [[2.35, 48.86], [37.6, 55.75], [177, 67.5], [-175, 66.8], [0, -85], [134, -25]]) expect(onLand(place)).toBe(true);
  for (const place of [[-30, 40], [170, 30], [-170, 30], [80, -40]]) expect(onLand(place)).toBe(false);
});

test("every country has its name inside the map, large ones first", () => {
  const names = kind("name");
  expect(names.length).toBeGreaterThan(170);
  const rank = (name: string) => names.find(({ properties }) => properties?.["name"] === name)?.properties?.["rank"] as number;
  expect(rank("Russia")).toBeLessThan(rank("Belgium"));
  for (const [longitude = 0, latitude = 0] of names.flatMap(({ geometry }) => positions(geometry))) {
    expect(Math.abs(longitude)).toBeLessThanOrEqual(180);
    expect(Math.abs(latitude)).toBeLessThanOrEqual(90);
  }
});
