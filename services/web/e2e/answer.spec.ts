import { ask, expect, open, percentOf, photo, query, settled, test } from "./flow";

test("a photo that was chosen: place, chances, region, evidence, time", async ({ page }) => {
  await ask(page, 1);
  await expect(page.locator(".coordinates")).toHaveText(/\d+\.\d{4}° [NS], \d+\.\d{4}° [EW]/);
  const chances = page.locator(".ladder tbody tr");
  await expect(chances).toHaveCount(5);
  const values = await Promise.all([0, 1, 2, 3, 4].map((row) => percentOf(chances.nth(row).locator("td").last())));
  expect(values).toEqual(values.toSorted((a, b) => a - b));
  await expect(page.getByText(/of the belief lies in \d+ cells? of/)).toBeVisible();
  await expect(page.locator(".references li").first()).toBeVisible();
  await expect(page.locator(".references img").first()).toHaveJSProperty("complete", true);
  await expect(page.locator(".stage-names li").filter({ hasText: "encode" })).toHaveText(/encode \d/);
  await expect(page.locator(".pin-answer, .pin-unsure")).toBeVisible();
});

test("the slider narrows from the coarsest partition to the finest", async ({ page }) => {
  await ask(page, 1);
  const slider = page.getByRole("slider", { name: /Partition/ });
  const last = Number(await slider.getAttribute("max"));
  expect(last).toBe(6);
  const areas: number[] = [];
  for (const level of [0, 3, 6]) {
    await slider.fill(String(level));
    await expect(slider).toHaveAttribute("aria-valuetext", new RegExp(`^Level ${level} of ${last}, [\\d,]+ cells, best cell`));
    await expect(page).toHaveURL(new RegExp(`level=${level}$`));
    await expect(page.locator(".cell-list li").first()).toBeVisible();
    const text = await page.getByText(/The best cell of this level has/).innerText();
    areas.push(Number(/has ([\d,.]+) km²/.exec(text)?.[1]?.replaceAll(",", "")));
  }
  expect(areas[0]).toBeGreaterThan(areas[1] ?? 0);
  expect(areas[1]).toBeGreaterThan(areas[2] ?? 0);
});

test("the slider obeys the arrow keys", async ({ page }) => {
  await ask(page, 1);
  const slider = page.getByRole("slider", { name: /Partition/ });
  await slider.focus();
  await page.keyboard.press("Home");
  await expect(slider).toHaveAttribute("aria-valuetext", /^Level 0/);
  await page.keyboard.press("ArrowRight");
  await expect(slider).toHaveAttribute("aria-valuetext", /^Level 1/);
});

test("the segmentation lies over the photo, with a legend", async ({ page }) => {
  await ask(page, 2);
  await page.getByRole("button", { name: "Show what it sees" }).click();
  const overlay = page.getByRole("img", { name: "What the segmenter saw" });
  await expect(overlay).toBeVisible();
  await expect.poll(() => overlay.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
  const [photoBox, overlayBox] = [await page.locator(".photo-frame > img").boundingBox(), await overlay.boundingBox()];
  expect(Math.abs((photoBox?.width ?? 0) - (overlayBox?.width ?? 0))).toBeLessThan(1.5);
  await expect(page.getByRole("list", { name: /What the photo shows/ }).locator("li").first()).toHaveText(/[a-z]+ .*%/);
  await page.getByRole("button", { name: "Hide what it sees" }).click();
  await expect(overlay).toHaveCount(0);
});

test("references by likeness and by distance, and on the map", async ({ page }) => {
  await ask(page, 1);
  const items = page.locator(".references li");
  await expect(items.first()).toBeVisible();
  const distances = async () =>
    (await items.locator("strong").allInnerTexts()).map((text) => {
      const [value = "0", unit] = text.replaceAll(",", "").split(" ");
      return Number(value) * (unit === "m" ? 0.001 : 1);
    });
  const likeness = (await items.allInnerTexts()).map((text) => Number(/likeness ([\d.-]+)/.exec(text)?.[1]));
  expect(likeness).toEqual(likeness.toSorted((a, b) => b - a));
  await page.getByRole("combobox", { name: "Order" }).selectOption("distance");
  const nearest = await distances();
  expect(nearest).toEqual(nearest.toSorted((a, b) => a - b));
  await items.first().getByRole("button").click();
  await expect(items.first().getByRole("button")).toHaveAttribute("aria-pressed", "true");
});

test("copies: coordinates, GeoJSON, and a link that opens the same answer", async ({ page, context }) => {
  const id = await ask(page, 1);
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole("button", { name: "Copy coordinates" }).click();
  await expect(page.getByRole("button", { name: "Copied" })).toBeVisible();
  expect(await clipboard()).toMatch(/^-?\d+\.\d{6}, -?\d+\.\d{6}$/);
  await page.getByRole("button", { name: "Copy GeoJSON" }).click();
  await expect.poll(async () => (await clipboard()).slice(0, 1)).toBe("{");
  const shapes = JSON.parse(await clipboard()) as { type: string; features: unknown[] };
  expect(shapes.type).toBe("FeatureCollection");
  expect(shapes.features.length).toBeGreaterThan(1);
  await page.getByRole("button", { name: "Copy link" }).click();
  await expect.poll(clipboard).toContain(id);
  const other = await context.newPage();
  await other.goto(await clipboard());
  await expect(other.locator(".headline h1")).toHaveText(await page.locator(".headline h1").innerText());
  await expect(other.locator(".ladder tbody tr")).toHaveCount(5);
});

test("many photos at once; one that is none does not keep the others from being answered", async ({ page }) => {
  await open(page);
  const none = { name: "notes.jpg", mimeType: "image/jpeg", buffer: Buffer.from("not a picture") };
  await page.getByTestId("photos").setInputFiles([photo(3), photo(4), none, photo(5)]);
  await expect(page.getByText("3 of 4 photos answered, 1 refused")).toBeVisible();
  await expect(page.locator(".photo-row", { hasText: "notes.jpg" })).toContainText("Refused");
  await settled(page);
  await page.locator("a.photo-link").first().click();
  await expect(page.getByText("1 of 3")).toBeVisible();
  await page.getByRole("button", { name: "Next photo" }).click();
  await expect(page.getByText("2 of 3")).toBeVisible();
  await page.getByRole("link", { name: "All photos" }).click();
  await page.getByRole("button", { name: "Remove notes.jpg" }).click();
  await expect(page.locator(".photo-row")).toHaveCount(3);
});

for (const way of ["dropped", "pasted"] as const) {
  test(`a photo that was ${way}`, async ({ page }) => {
    await open(page);
    const { name, mimeType, buffer } = photo(6);
    const transfer = await page.evaluateHandle(
      ({ base64, name, mimeType }) => {
        const transfer = new DataTransfer();
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type: mimeType }));
        return transfer;
      },
      { base64: buffer.toString("base64"), name, mimeType },
    );
    if (way === "dropped") {
      await page.dispatchEvent("body", "dragenter", { dataTransfer: transfer });
      await expect(page.getByText("Drop the photos to find out")).toBeVisible();
      await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
    } else {
      await page.evaluate((clipboardData) => dispatchEvent(new ClipboardEvent("paste", { clipboardData })), transfer);
    }
    await expect(page).toHaveURL(/#\/answer\//);
    await expect(page.locator(".ladder tbody tr")).toHaveCount(5);
  });
}

test("only the places that were allowed are considered", async ({ page }) => {
  // A country where the release has cells: one of its reference photos was taken there.
  const { referenceImages } = await query<{ referenceImages: { nodes: { place: { countryCode: string; country: string } | null }[] } }>(
    page,
    "{ referenceImages(first: 200) { nodes { place { countryCode country } } } }",
  );
  const country = referenceImages.nodes.find(({ place }) => place)?.place;
  if (!country) throw new Error("no reference photo of this release lies in a country");
  await open(page);
  await page.locator(".options summary").click();
  await page.getByRole("radio", { name: "in countries" }).check();
  const choice = page.getByRole("combobox", { name: "Add a country" });
  await expect(choice.locator("option")).not.toHaveCount(1);
  await choice.selectOption(country.countryCode);
  await expect(page.locator(".tags")).toContainText(country.country);
  await page.getByTestId("photos").setInputFiles(photo(1));
  await expect(page.locator(".headline h1")).toBeVisible();
  await expect(page.getByText("Only the places that you allowed were considered.")).toBeVisible();
  await expect(page.locator(".headline")).toContainText(country.country);
});

test("a true place by dragging, by keys and by typing", async ({ page }) => {
  await ask(page, 7);
  await page.getByRole("button", { name: "Set the true place" }).click();
  const pin = page.locator(".pin-truth");
  await expect(pin).toBeVisible();
  const field = page.getByRole("textbox", { name: "Latitude, longitude" });
  await settled(page);
  const first = await field.inputValue();
  const box = await pin.boundingBox();
  if (!box) throw new Error("the pin is not on the map");
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + 90, box.y + 60, { steps: 8 });
  await page.mouse.up();
  await expect(field).not.toHaveValue(first);
  const dragged = await field.inputValue();
  await pin.focus();
  await page.keyboard.press("ArrowUp");
  await expect(field).not.toHaveValue(dragged);
  await field.fill("somewhere");
  await expect(page.getByText("For example: 48.8566, 2.3522")).toBeVisible();
  await field.fill("48.8566, 2.3522");
  await page.getByRole("button", { name: "Record the true place" }).click();
  await expect(page.getByText(/Recorded true place: Paris/)).toBeVisible();
  await page.reload();
  await expect(page.getByText(/Recorded true place: Paris/)).toBeVisible();
});
