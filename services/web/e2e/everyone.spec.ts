// For everyone: axe, the keyboard, light and dark, a phone.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "@playwright/test";
import { ask, expect, open, settled, test } from "./flow";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const VIEWS = ["#/", "#/answers", "#/explore?level=3", "#/releases", "#/analytics"];

interface Finding {
  id: string;
  help: string;
  nodes: { target: string[]; failureSummary?: string }[];
}

/** What axe finds, as texts. */
async function findings(page: Page): Promise<string[]> {
  // The debugger's protocol may run a script that the page's own policy would not load.
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: (options: object) => Promise<{ violations: Finding[] }> } };
    return (await axe.run({ resultTypes: ["violations"] })).violations;
  });
  return found.flatMap(({ id, help, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target.join(" ")} ${failureSummary ?? ""}`));
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const [name, viewport] of [["a desk", { width: 1360, height: 850 }], ["a phone", { width: 390, height: 844 }]] as const) {
    test.describe(`${colorScheme} on ${name}`, () => {
      test.use({ colorScheme, viewport });

      test("axe finds nothing, and nothing is wider than the screen", async ({ page }) => {
        test.setTimeout(240_000);
        const visit = async () => {
          await settled(page);
          expect(await findings(page)).toEqual([]);
          expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(viewport.width);
          expect(await page.locator(".panel").evaluate((panel) => panel.scrollWidth - panel.clientWidth)).toBeLessThanOrEqual(0);
        };
        for (const view of VIEWS) {
          await page.goto(`/${view}`);
          await visit();
        }
        await ask(page, 1);
        await page.getByRole("button", { name: "Show what it sees" }).click();
        await page.getByRole("button", { name: "Set the true place" }).click();
        await visit();
        await page.locator(".cell-list a").first().click();
        await expect(page).toHaveURL(/#\/cell\//);
        await visit();
      });
    });
  }
}

test("by keyboard alone: from the tabs to a cell and back", async ({ page }) => {
  await open(page);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Skip to the content" })).toBeFocused();
  for (const name of ["GeoSURGE, first page", "Locate", "Answers", "Explore"]) {
    await page.keyboard.press("Tab");
    await expect(page.getByRole("link", { name, exact: true })).toBeFocused();
  }
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/#\/explore/);
  await expect(page.locator("#panel")).toBeFocused();
  await expect(page.locator(".cell-list a").first()).toBeVisible();
  const slider = page.getByRole("slider");
  await page.keyboard.press("Tab");
  await expect(slider).toBeFocused();
  await page.keyboard.press("End");
  await expect(page).toHaveURL(/level=6/);
  await settled(page);
  await page.locator(".cell-list a").first().focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/#\/cell\/6\//);
});

test("the colours follow the system until somebody chooses", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "dark" });
  await open(page);
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.emulateMedia({ colorScheme: "light" });
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
  await page.getByRole("button", { name: "Use dark colours" }).click();
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
});

test("without scripts the page says what to do", async ({ page }) => {
  // Chromium reads a noscript element as text while it only pretends to have no scripts, so the page's own text is looked at.
  const text = await (await page.request.get("/")).text();
  expect(/<noscript>[^]*The map needs JavaScript[^]*<\/noscript>/.test(text)).toBe(true);
});

test("the base map is drawn without a network", async ({ page, context }) => {
  await open(page);
  await settled(page);
  await context.setOffline(true);
  await page.getByRole("link", { name: "Explore" }).click();
  await expect(page.getByText("The service does not answer. Is it still running?").first()).toBeVisible();
  const drawn = await page.locator(".map canvas").screenshot();
  expect(drawn.byteLength).toBeGreaterThan(20_000);
  await context.setOffline(false);
});
