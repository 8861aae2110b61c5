import { expect, test } from "vitest";
import { formatRoute, parseRoute, type Route } from "../src/route";

const ROUTES: Route[] = [
  { name: "locate" },
  { name: "answer", id: "0193f5c2-7a10-7cc0-8000-3f1f2e5c1a77" },
  { name: "answer", id: "a", level: 3 },
  { name: "answers" },
  { name: "explore" },
  { name: "explore", level: 4, view: { latitude: -12.3456, longitude: 178.9, zoom: 5.25 } },
  { name: "cell", level: 2, token: "47a1" },
  { name: "cell", level: 0, token: "1", release: "autumn 2026/b" },
  { name: "releases" },
  { name: "releases", from: "a", to: "b" },
  { name: "analytics" },
];

test.each(ROUTES)("$name survives being written and read", (route) => {
  expect(parseRoute(formatRoute(route))).toEqual(route);
});

test("what cannot be read is the nearest view that can", () => {
  for (const hash of ["", "#", "#/", "#/nowhere", "#/answer", "#/answer/", "#/%E0%A4%A"]) expect(parseRoute(hash)).toEqual({ name: "locate" });
  expect(parseRoute("#/cell/x/47a1")).toEqual({ name: "explore" });
  expect(parseRoute("#/explore?level=-1&at=1,2")).toEqual({ name: "explore" });
  expect(parseRoute("#/explore?at=95,0,3")).toEqual({ name: "explore" });
});
