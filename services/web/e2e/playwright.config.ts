// Chromium against a running service: `node e2e/run.mjs` starts one and calls this.
import { defineConfig } from "@playwright/test";

const url = process.env["GEOSURGE_URL"];
if (!url) throw new Error("GEOSURGE_URL is not set; run the flows with: node e2e/run.mjs --binary GEOSURGE --data FOLDER");

export default defineConfig({
  testDir: ".",
  outputDir: "../node_modules/.cache/e2e",
  // Flows share one service and its record, and two cores draw the map in software.
  workers: 1,
  fullyParallel: false,
  timeout: 180_000,
  expect: { timeout: 45_000 },
  // A second try is told as flaky, not as passed: other programs on the machine can take the map's seconds.
  retries: 1,
  reporter: [["list"]],
  use: {
    baseURL: url,
    viewport: { width: 1360, height: 850 },
    colorScheme: "light",
    reducedMotion: "reduce",
    permissions: ["clipboard-read", "clipboard-write"],
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
      ],
    },
  },
});
