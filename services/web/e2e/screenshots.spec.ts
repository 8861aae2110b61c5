// The pictures of docs/map.md, made only when they are asked for.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { ask, expect, open, photo, settled, test } from "./flow";

const folder = process.env["GEOSURGE_SCREENSHOTS"];
test.skip(!folder, "no screenshots were asked for");

async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(folder ?? "", { recursive: true });
  await settled(page);
  await page.mouse.move(0, 0);
  await page.screenshot({ path: join(folder ?? "", `map-${name}.jpg`), type: "jpeg", quality: 82 });
}

test("an answer, in light", async ({ page }) => {
  await ask(page, Number(process.env["GEOSURGE_PICTURED"] ?? 1));
  await picture(page, "answer");
  await page.getByRole("button", { name: "Show what it sees" }).click();
  await page.getByRole("slider", { name: /Partition/ }).fill("2");
  await page.getByText("How the partitions narrow").scrollIntoViewIfNeeded();
  await picture(page, "levels");
});

test.describe("in dark", () => {
  test.use({ colorScheme: "dark" });

  test("explore, and many photos", async ({ page }) => {
    await open(page, "#/explore?level=3");
    await picture(page, "explore-dark");
    await open(page);
    await page.getByTestId("photos").setInputFiles([1, 3, 5, 7, 9, 11].map(photo));
    await expect(page.getByText("6 of 6 photos answered")).toBeVisible();
    await picture(page, "photos-dark");
  });
});

test("releases and analytics", async ({ page }) => {
  await page.setViewportSize({ width: 1360, height: 1000 });
  await page.goto("/#/analytics");
  await expect(page.getByRole("region", { name: "Time of an answer" }).getByText("encode")).toBeVisible();
  await picture(page, "analytics");
  await open(page, "#/releases");
  await picture(page, "releases");
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 });

  test("an answer", async ({ page }) => {
    await ask(page, Number(process.env["GEOSURGE_PICTURED"] ?? 1));
    await picture(page, "phone");
  });
});
