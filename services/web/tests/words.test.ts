import { expect, test } from "vitest";
import * as format from "../src/format";
import { headline, line, surroundings } from "../src/names";
import { verdict } from "../src/verdict";

test("coordinates", () => {
  expect(format.coordinates({ latitude: -33.8688, longitude: 151.2093 })).toBe("33.8688° S, 151.2093° E");
  expect(format.plainCoordinates({ latitude: 1.5, longitude: -2 })).toBe("1.500000, -2.000000");
});

test("coordinates are read as people write them", () => {
  const paris = { latitude: 48.8566, longitude: 2.3522 };
  for (const text of ["48.8566, 2.3522", " 48.8566 2.3522 ", "48.8566° N, 2.3522° E", "48.8566;2.3522"]) expect(format.parseCoordinates(text)).toEqual(paris);
  expect(format.parseCoordinates("33.9° S, 18.4° W")).toEqual({ latitude: -33.9, longitude: -18.4 });
  for (const text of ["", "Paris", "91, 0", "0, 181", "1", "1, 2, 3", "NaN, 2"]) expect(format.parseCoordinates(text)).toBeUndefined();
});

test("coordinates survive being written and read", () => {
  const place = { latitude: -12.3456, longitude: 98.7654 };
  expect(format.parseCoordinates(format.coordinates(place))).toEqual(place);
});

test("shares never claim more than they hold", () => {
  expect([0, 0.0004, 0.042, 0.0996, 0.93, 0.9951, 0.99999, 1].map(format.percent)).toEqual(["0 %", "< 0.1 %", "4.2 %", "10 %", "93 %", "> 99 %", "> 99 %", "100 %"]);
});

test("distances, areas, counts, times", () => {
  expect([0.34, 7.24, 12.6, 1240].map(format.kilometres)).toEqual(["340 m", "7.2 km", "13 km", "1,240 km"]);
  expect([0.42, 12345].map(format.area)).toEqual(["0.4 km²", "12,345 km²"]);
  expect([7, 1234, 34567, 1234567].map(format.short)).toEqual(["7", "1.2k", "35k", "1.2M"]);
  expect([0.84, 24.4, 3100].map(format.duration)).toEqual(["0.8 ms", "24 ms", "3.1 s"]);
  const now = Date.parse("2026-11-24T12:00:00Z");
  expect(["2026-11-24T11:59:40Z", "2026-11-24T11:57:00Z", "2026-11-21T11:00:00Z"].map((at) => format.ago(at, now))).toEqual(["just now", "3 minutes ago", "3 days ago"]);
});

const lyon = { name: "", continent: "Europe", country: "France", countryCode: "FR", region: "Rhône", locality: "Lyon" };

test("names go from near to far, and say nothing twice", () => {
  expect([headline(lyon), surroundings(lyon), line(lyon)]).toEqual(["Lyon", "Rhône, France, Europe", "Lyon, France"]);
  const country = { ...lyon, region: null, locality: null };
  expect([headline(country), surroundings(country), line(country)]).toEqual(["France", "Europe", "France"]);
  expect([headline(null), line(null)]).toEqual(["At sea", "At sea"]);
});

const within = (...probabilities: number[]) => [1, 25, 200, 750, 2500].map((kilometres, index) => ({ kilometres, probability: probabilities[index] ?? 0 }));

test("a verdict is the smallest distance that holds", () => {
  expect(verdict(within(0.3, 0.83, 0.9, 0.94, 0.97), null)).toEqual({ tone: "sure", text: "Very likely within 25 km of here (83 %)." });
  expect(verdict(within(0.1, 0.2, 0.6, 0.7, 0.75), null).text).toBe("More likely than not within 200 km of here (60 %).");
  expect(verdict(within(0.1, 0.2, 0.3, 0.5, 0.99), null)).toEqual({ tone: "unsure", text: "Almost certainly within 2,500 km of here (99 %)." });
  expect(verdict(within(0, 0, 0.1, 0.2, 0.3), null).tone).toBe("unsure");
  expect(verdict(within(0.9, 0.9, 0.9, 0.9, 0.9), "too spread").tone).toBe("none");
});
