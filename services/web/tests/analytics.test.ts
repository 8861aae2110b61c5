import { expect, test, vi } from "vitest";

vi.stubGlobal("sessionStorage", { getItem: () => null });
vi.stubGlobal("localStorage", { getItem: () => null });
vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
vi.stubGlobal("location", { hash: "" });
vi.stubGlobal("addEventListener", () => undefined);
vi.stubGlobal("document", { documentElement: { dataset: {} } });

const { toRows } = await import("../src/views/analytics/table");
const { expectedError } = await import("../src/views/analytics/calibration");
const { niceTop } = await import("../src/parts/line-chart");
const { sentence } = await import("../src/api/client");

test("rows by their columns' names", () => {
  expect(toRows(["a", "b"], [[1, "x"], [2]])).toEqual([{ a: 1, b: "x" }, { a: 2, b: null }]);
});

test("the expected calibration error weighs gaps by answers", () => {
  const rows = [{ answers: 30, claimed: 0.8, observed: 0.6 }, { answers: 10, claimed: 0.2, observed: 0.2 }];
  expect(expectedError(rows)).toBeCloseTo(0.15, 12);
  expect(expectedError([])).toBe(0);
});

test("charts end at round numbers", () => {
  expect([0, 0.3, 1, 7, 23, 51, 1000].map(niceTop)).toEqual([1, 0.5, 1, 10, 50, 100, 1000]);
});

test("messages of the service become sentences", () => {
  expect(sentence("the image is truncated")).toBe("The image is truncated.");
  expect(sentence("Really?")).toBe("Really?");
});
