// A service that demands API keys: the page asks for one and uses it for everything, pictures too.
import { expect, open, photo, test } from "./flow";

const key = process.env["GEOSURGE_KEY"];
test.skip(!key, "the service of this run demands no keys");

test("without a key the page asks for one, and refuses a wrong one", async ({ page }) => {
  await page.goto("/");
  const dialog = page.getByRole("dialog", { name: "API key" });
  await expect(dialog).toBeVisible();
  await dialog.getByLabel("Key").fill("nonsense");
  await dialog.getByRole("button", { name: "Use this key" }).click();
  await expect(dialog.getByRole("alert")).toContainText("begin with gsk_");
  await dialog.getByLabel("Key").fill(`gsk_${"a".repeat(43)}`);
  await dialog.getByRole("button", { name: "Use this key" }).click();
  await expect(dialog.getByRole("alert")).toContainText("does not know this key");
});

test("with a key photos are answered and pictures are shown", async ({ page }) => {
  await page.goto("/");
  const dialog = page.getByRole("dialog", { name: "API key" });
  await dialog.getByLabel("Key").fill(key ?? "");
  await dialog.getByRole("button", { name: "Use this key" }).click();
  await expect(dialog).toBeHidden();
  await page.getByTestId("photos").setInputFiles(photo(1));
  await expect(page.locator(".ladder tbody tr")).toHaveCount(5);
  const picture = page.locator(".references img").first();
  await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
  expect(await picture.getAttribute("src")).toMatch(/^blob:/);
  await page.reload();
  await expect(page.locator(".ladder tbody tr")).toHaveCount(5);
});

test("a reader sees why the record is closed to it", async ({ page }) => {
  test.skip(process.env["GEOSURGE_KEY_SCOPE"] !== "reader", "the key of this run may read the record");
  await page.addInitScript((value) => sessionStorage.setItem("geosurge-key", value), key ?? "");
  await open(page, "#/answers");
  await expect(page.getByText("Your API key does not permit this.")).toBeVisible();
});
