// What every flow has: photos to ask about, and a page that may load nothing from elsewhere and report no error.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test as base, expect, type Locator, type Page } from "@playwright/test";

export { expect };

/** Photographs of the planet, in the order of their names. */
export function photo(index: number): { name: string; mimeType: string; buffer: Buffer } {
  const folder = process.env["GEOSURGE_PHOTOS"] ?? "";
  const names = readdirSync(folder).filter((name) => /\.(png|jpe?g)$/i.test(name)).toSorted();
  const name = names[(index * 37) % names.length];
  if (!name) throw new Error(`no photographs in ${folder}`);
  const mimeType = name.toLowerCase().endsWith("png") ? "image/png" : "image/jpeg";
  return { name, mimeType, buffer: readFileSync(join(folder, name)) };
}

/** Errors that the browser itself logs for answers of the service that are meant to fail. */
const EXPECTED = /status of 4\d\d|status of 5\d\d|ERR_FAILED|ERR_INTERNET_DISCONNECTED|WebSocket connection to/;

export const test = base.extend<{ complaints: string[] }>({
  complaints: [
    async ({ page, baseURL }, use) => {
      const complaints: string[] = [];
      page.on("console", (message) => {
        if (message.type() === "error" && !EXPECTED.test(message.text())) complaints.push(message.text());
      });
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("request", (request) => {
        const address = request.url();
        if (/^(https?|wss?):/.test(address) && new URL(address).host !== new URL(baseURL ?? "").host) {
          complaints.push(`asked elsewhere: ${address}`);
        }
      });
      await use(complaints);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
});

/** Opens a view and waits for the map to be there. */
export async function open(page: Page, hash = "#/"): Promise<void> {
  await page.goto(`/${hash}`);
  await expect(page.locator(".map canvas")).toBeVisible();
  await expect(page.getByText("Drawing the map…")).toHaveCount(0);
}

/** Asks about one photo and waits for its answer. */
export async function ask(page: Page, index: number): Promise<string> {
  await open(page);
  await page.getByTestId("photos").setInputFiles(photo(index));
  await expect(page).toHaveURL(/#\/answer\//);
  await expect(page.locator(".headline h1")).toBeVisible();
  return /answer\/([^?]+)/.exec(page.url())?.[1] ?? "";
}

/** Waits until the map rests, which it does a moment after its data came. */
export async function settled(page: Page): Promise<void> {
  await page.waitForLoadState("networkidle");
  await page.waitForTimeout(600);
  if (await page.locator(".map").isVisible()) await expect(page.locator('.map[aria-busy="false"]')).toBeVisible();
}

/** The number at the start of a text such as `83 %`. */
export async function percentOf(cell: Locator): Promise<number> {
  return Number.parseFloat((await cell.innerText()).replace(/[<>\s]/g, ""));
}

/** What the page asks the service, asked directly. */
export async function query<T>(page: Page, text: string, variables: object = {}): Promise<T> {
  const response = await page.request.post("/graphql", { data: { query: text, variables } });
  const { data, errors } = (await response.json()) as { data: T; errors?: { message: string }[] };
  if (errors?.length) throw new Error(errors.map(({ message }) => message).join("; "));
  return data;
}
