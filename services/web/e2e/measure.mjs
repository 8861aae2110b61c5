#!/usr/bin/env node
// Lighthouse-like figures of the page of a running service, in Chromium with software rendering.
//
//   node e2e/measure.mjs URL [--runs 5] [--level 3] [--at LONGITUDE,LATITUDE,ZOOM]...
//
// First view: first and largest contentful paint, total blocking time (what long tasks take beyond 50 ms), bytes over the wire. `--runs 0` leaves it out.
// Explore, at each place: time until the map is at rest, then between frames while it is moved for some seconds, with the reference photos and
// cells of the active release, and with nothing on it.
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { chromium } from "@playwright/test";

const { values, positionals } = parseArgs({ allowPositionals: true, options: {
  runs: { type: "string", default: "5" },
  level: { type: "string", default: "3" },
  at: { type: "string", multiple: true, default: ["20.0000,10.0000,2.60", "20.0000,10.0000,1.20"] },
} });
const url = positionals[0];
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
if (!url || !existsSync(executablePath)) {
  console.error("usage: node e2e/measure.mjs URL [--runs N] [--level N] [--at LONGITUDE,LATITUDE,ZOOM]..., with Chromium at /usr/bin/chromium or at CHROMIUM");
  process.exit(1);
}
const args = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"];
const browser = await chromium.launch({ executablePath, args });
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
const quantile = (numbers, share) => numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))] ?? Number.NaN;

/** One visit with an empty cache. */
async function firstView(viewport) {
  const context = await browser.newContext({ viewport });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  let bytes = 0;
  session.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  await page.addInitScript(() => {
    globalThis.seen = { lcp: 0, blocked: 0, shift: 0 };
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => (seen.lcp = entry.startTime))).observe({ type: "largest-contentful-paint", buffered: true });
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => (seen.blocked += Math.max(0, entry.duration - 50)))).observe({ type: "longtask", buffered: true });
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => (seen.shift += entry.hadRecentInput ? 0 : entry.value))).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto(url, { waitUntil: "networkidle" });
  await page.waitForSelector(".map canvas");
  await page.waitForTimeout(1500);
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Number.NaN);
  const { lcp, blocked, shift } = await page.evaluate(() => seen);
  await context.close();
  return { paint, lcp, blocked, shift, bytes };
}

/** Milliseconds until the map rests and between frames while it moves, and how much it shows. */
async function moving(at, empty) {
  const page = await browser.newPage({ viewport: { width: 1360, height: 850 } });
  const started = performance.now();
  await page.goto(`${url}#/explore?level=${values.level}&at=${at}`, { waitUntil: "networkidle" });
  await page.waitForSelector(".map canvas");
  if (empty) for (const name of ["Cells", "Reference photos"]) await page.getByLabel(name, { exact: true }).uncheck();
  await page.waitForSelector('.map[aria-busy="false"]', { timeout: 120_000 });
  const rest = performance.now() - started;
  const box = await page.locator(".map").boundingBox();
  await page.evaluate(() => {
    globalThis.frames = [];
    let before = performance.now();
    const tick = (now) => {
      frames.push(now - before);
      before = now;
      globalThis.counting = requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  for (let round = 0; round < 4; round += 1) {
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x - 220, y + 60, { steps: 25 });
    await page.mouse.move(x + 180, y - 60, { steps: 25 });
    await page.mouse.up();
    await page.mouse.wheel(0, round % 2 ? 240 : -240);
    await page.waitForTimeout(600);
  }
  const frames = await page.evaluate(() => {
    cancelAnimationFrame(counting);
    return frames.slice(1);
  });
  const sight = await page.locator('[role="status"].fact').innerText().catch(() => "");
  await page.close();
  return { frames, sight, rest };
}

const runs = Number(values.runs);
const viewports = [["desk, 1360 x 850", { width: 1360, height: 850 }], ["phone, 390 x 844", { width: 390, height: 844 }]];
for (const [name, viewport] of runs > 0 ? viewports : []) {
  const views = [];
  for (let run = 0; run < runs; run += 1) views.push(await firstView(viewport));
  const of = (key) => median(views.map((view) => view[key]));
  console.log(
    `${name}: first contentful paint ${Math.round(of("paint"))} ms, largest ${Math.round(of("lcp"))} ms, blocked ${Math.round(of("blocked"))} ms, ` +
      `layout shift ${of("shift").toFixed(3)}, ${Math.round(of("bytes") / 1024)} KiB over the wire (median of ${runs})`,
  );
}
for (const at of values.at) {
  for (const empty of [true, false]) {
    const { frames, sight, rest } = await moving(at, empty);
    console.log(
      `${at}, ${empty ? "nothing on the map" : sight}: at rest after ${(rest / 1000).toFixed(1)} s; moving: ${frames.length} frames, ` +
        `median ${median(frames).toFixed(0)} ms, 95 in 100 below ${quantile(frames, 0.95).toFixed(0)} ms, longest ${Math.max(...frames).toFixed(0)} ms`,
    );
  }
}
await browser.close();
