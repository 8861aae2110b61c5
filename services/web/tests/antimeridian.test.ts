import type { Position } from "geojson";
import { expect, test } from "vitest";
import { cutGeometry, cutLine, cutPolygon, edges, unwrap } from "../src/geometry/antimeridian";

const area = (ring: readonly Position[]) =>
  Math.abs(
    ring.reduce((sum, [x = 0, y = 0], index) => {
      const [nextX = 0, nextY = 0] = ring[(index + 1) % ring.length] ?? [];
      return sum + (x * nextY - nextX * y) / 2;
    }, 0),
  );
const total = (polygons: Position[][][]) => polygons.reduce((sum, [shell = []]) => sum + area(shell), 0);

test("a polygon that stays on one side is left whole", () => {
  const square: Position[] = [[10, 0], [20, 0], [20, 10], [10, 10], [10, 0]];
  expect(cutPolygon([square])).toEqual([[square]]);
});

test("a square over the 180th meridian becomes two that meet there", () => {
  const square: Position[] = [[170, -5], [-170, -5], [-170, 5], [170, 5], [170, -5]];
  const cut = cutPolygon([square]);
  expect(cut).toHaveLength(2);
  expect(total(cut)).toBeCloseTo(200, 9);
  for (const [shell = []] of cut) {
    const longitudes = shell.map(([longitude = 0]) => longitude);
    expect(Math.max(...longitudes) - Math.min(...longitudes)).toBeCloseTo(10, 9);
    expect(longitudes.every((longitude) => Math.abs(longitude) <= 180)).toBe(true);
    expect(shell[0]).toEqual(shell.at(-1));
  }
});

test("coordinates that run past 180 are cut like those that jump", () => {
  const jumping: Position[] = [[170, 0], [-170, 0], [-170, 5], [170, 5], [170, 0]];
  const running: Position[] = [[170, 0], [190, 0], [190, 5], [170, 5], [170, 0]];
  expect(cutPolygon([running])).toEqual(cutPolygon([jumping]));
});

test("a ring round a pole is closed through it", () => {
  const ring: Position[] = [[-180, -70], [-90, -70], [0, -70], [90, -70], [180, -70]];
  const [polygon] = cutPolygon([ring]);
  const latitudes = polygon?.[0]?.map(([, latitude = 0]) => latitude) ?? [];
  expect(Math.min(...latitudes)).toBe(-90);
  expect(area(polygon?.[0] ?? [])).toBeCloseTo(360 * 20, 6);
});

test("a hole stays with the part that holds it", () => {
  const shell: Position[] = [[160, -10], [-160, -10], [-160, 10], [160, 10], [160, -10]];
  const hole: Position[] = [[-175, -2], [-172, -2], [-172, 2], [-175, 2], [-175, -2]];
  const holes = cutPolygon([shell, hole]).map((polygon) => polygon.length - 1);
  expect(holes.toSorted()).toEqual([0, 1]);
});

test("a line is cut where it crosses", () => {
  expect(cutLine([[179, 0], [-179, 2]])).toEqual([[[179, 0], [180, 1]], [[-180, 1], [-179, 2]]]);
  expect(cutLine([[0, 0], [10, 0]])).toEqual([[[0, 0], [10, 0]]]);
});

test("longitudes are continuous after unwrapping", () => {
  expect(unwrap([[179, 0], [-179, 0], [179, 0]]).map(([longitude]) => longitude)).toEqual([179, 181, 179]);
});

test("edges leave out what runs along the cut", () => {
  const cut = cutGeometry({ type: "Polygon", coordinates: [[[170, -5], [-170, -5], [-170, 5], [170, 5], [170, -5]]] });
  for (const line of edges(cut).coordinates) {
    for (const [index, point] of line.entries()) {
      const before = line[index - 1];
      if (before) expect(Math.abs(point[0] ?? 0) === 180 && before[0] === point[0]).toBe(false);
    }
  }
});
