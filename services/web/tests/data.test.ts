import type { FeatureCollection, Polygon } from "geojson";
import { expect, test } from "vitest";
import { byDensity, byProbability, type CellFeature, densityRange, errorLine, outerEdges } from "../src/map/data";

function square(token: string, west: number, probability: number | null, density = 1): CellFeature {
  const coordinates = [[[west, 0], [west + 1, 0], [west + 1, 1], [west, 1], [west, 0]]];
  return {
    type: "Feature",
    geometry: { type: "Polygon", coordinates },
    properties: { token, level: 0, photos: 10, references: 1, areaKm2: 1, density, latitude: 0, longitude: west, name: null, probability },
  };
}

test("the likeliest cells lie on top, and the impossible are left out", () => {
  const painted = byProbability([square("a", 0, 0.7), square("b", 1, 0.00001), square("c", 2, 0.2), square("d", 3, null)]);
  expect(painted.features.map(({ properties }) => properties?.["token"])).toEqual(["c", "a"]);
  expect(painted.features.map(({ properties }) => properties?.["value"])).toEqual([0.2, 0.7]);
});

test("density is painted between the least and the most of what is in sight", () => {
  const cells = [square("a", 0, null, 1), square("b", 1, null, 10), square("c", 2, null, 100)];
  expect(densityRange(cells)).toEqual([1, 100]);
  expect(densityRange([])).toEqual([0, 0]);
  expect(byDensity(cells).features.map(({ properties }) => properties?.["value"])).toEqual([0, 0.5, 1]);
});

test("cells over the 180th meridian are cut before they are painted", () => {
  const cell = square("a", 0, 0.5);
  const over = { ...cell, geometry: { type: "Polygon", coordinates: [[[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]] } as Polygon };
  expect(byProbability([over]).features[0]?.geometry.type).toBe("MultiPolygon");
});

test("the outer edge of two cells side by side has six segments of eight", () => {
  const cells = { type: "FeatureCollection", features: [square("a", 0, 0.5), square("b", 1, 0.5)] } as FeatureCollection;
  const [edge] = outerEdges(cells).features;
  expect(edge?.geometry.type === "MultiLineString" && edge.geometry.coordinates).toHaveLength(6);
});

test("the line to a true place takes the short way over the Pacific", () => {
  const [line] = errorLine({ latitude: 0, longitude: 175 }, { latitude: 0, longitude: -175 }).features;
  expect(line?.geometry.type).toBe("MultiLineString");
});
