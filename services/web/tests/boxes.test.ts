import { expect, test } from "vitest";
import { around, normalised, positions, WORLD, wrap } from "../src/geometry/box";
import { distance, greatCircle } from "../src/geometry/sphere";

test("a box that runs past 180 comes back with west above east", () => {
  expect(normalised({ south: -10, west: 170, north: 10, east: 190 })).toEqual({ south: -10, west: 170, north: 10, east: -170 });
  expect(normalised({ south: -100, west: -300, north: 100, east: 300 })).toEqual(WORLD);
});

test("longitudes are brought between -180 and 180", () => {
  expect(wrap(190)).toBe(-170);
  expect(wrap(-190)).toBe(170);
  expect(wrap(180)).toBe(180);
  expect(wrap(725)).toBe(5);
});

test("the box round places on both sides of the 180th meridian is narrow", () => {
  const box = around([[179, 0], [-178, 5]]);
  expect(box).toEqual({ south: 0, west: 179, north: 5, east: 182 });
  expect(around([[10, 1], [30, 2], [20, 3]])).toEqual({ south: 1, west: 10, north: 3, east: 30 });
  expect(around([[7, 8]])).toEqual({ south: 8, west: 7, north: 8, east: 7 });
  expect(around([])).toBeUndefined();
});

test("all positions of a geometry", () => {
  expect(positions({ type: "GeometryCollection", geometries: [{ type: "Point", coordinates: [1, 2] }, { type: "LineString", coordinates: [[3, 4], [5, 6]] }] })).toEqual([[1, 2], [3, 4], [5, 6]]);
});

test("distances on the sphere", () => {
  // Paris and New York, 5,837 km on a sphere of 6,371 km.
  expect(distance({ latitude: 48.8566, longitude: 2.3522 }, { latitude: 40.7128, longitude: -74.006 })).toBeCloseTo(5837.2, 0);
  expect(distance({ latitude: 0, longitude: 0 }, { latitude: 0, longitude: 180 })).toBeCloseTo(Math.PI * 6371, 6);
  expect(distance({ latitude: 10, longitude: 10 }, { latitude: 10, longitude: 10 })).toBe(0);
});

test("a great circle begins and ends where it should, in equal steps", () => {
  const [a, b] = [{ latitude: 10, longitude: 170 }, { latitude: -20, longitude: -160 }];
  const line = greatCircle(a, b, 10);
  const at = (index: number) => ({ longitude: line[index]?.[0] ?? 0, latitude: line[index]?.[1] ?? 0 });
  expect(distance(at(0), a)).toBeLessThan(1e-6);
  expect(distance(at(10), b)).toBeLessThan(1e-6);
  for (let index = 0; index < 10; index += 1) expect(distance(at(index), at(index + 1))).toBeCloseTo(distance(a, b) / 10, 6);
});
