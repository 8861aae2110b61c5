#!/usr/bin/env node
// Runs the browser flows against the real service.
//
//   node e2e/run.mjs --binary GEOSURGE [--data FOLDER --photos FOLDER] [--screenshots] [-- PLAYWRIGHT ARGUMENTS]
//
// --data is a data folder with an active release of the procedural planet and --photos a folder of its photographs. Without them a
// small planet is made in a temporary folder: 2,400 photographs, twenty seconds of learning, two releases. The record of --data
// changes (answers, a true place, a key that is revoked at the end); its active release is the same afterwards. --screenshots also writes docs/images/map-*.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const dashes = process.argv.indexOf("--");
const { values } = parseArgs({
  args: process.argv.slice(2, dashes < 0 ? undefined : dashes),
  options: {
    binary: { type: "string" },
    data: { type: "string" },
    photos: { type: "string" },
    screenshots: { type: "boolean", default: false },
  },
});
const rest = dashes < 0 ? [] : process.argv.slice(dashes + 1);

function fail(message) {
  console.error(message);
  process.exit(1);
}

if (!values.binary) fail("--binary is missing: the geosurge program whose service is tried");
if (!values.data !== !values.photos) fail("--data and --photos belong together");
const binary = resolve(values.binary);

function run(args) {
  const { status, stderr } = spawnSync(binary, args, { encoding: "utf8", stdio: ["ignore", "inherit", "pipe"] });
  if (status !== 0) fail(`geosurge ${args.join(" ")} failed:\n${stderr}`);
}

/** The folder with the photographs below a folder. */
function findPhotos(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!statSync(path).isDirectory()) continue;
    if (readdirSync(path).some((file) => /\.(png|jpe?g)$/i.test(file))) return path;
    const deeper = findPhotos(path);
    if (deeper) return deeper;
  }
  return undefined;
}

/** A small planet with two releases. */
function make(folder) {
  // A busy machine learns less in this time; the flows need a model, not a good one.
  const demo = readFileSync(here("../../../configs/demo.toml"), "utf8");
  const training = demo.replace(/^max_seconds = 300\.0/m, "max_seconds = 20.0").replace(/^max_seconds = 60\.0/m, "max_seconds = 5.0");
  if (training.split("max_seconds = 20.0").length !== 2 || training.split("max_seconds = 5.0").length !== 2)
    fail("configs/demo.toml has other times than e2e/run.mjs shortens");
  const config = join(folder, "training.toml");
  writeFileSync(config, training);
  const data = join(folder, "data");
  run(["demo", "--exit", "--photos", "2400", "--config", config, "--data-dir", data]);
  const world = readdirSync(data).find((name) => name.startsWith("demo-"));
  if (!world) fail(`geosurge demo left no planet in ${data}`);
  const [planet, checkpoint] = [join(data, world, "planet"), join(data, world, "run", "checkpoint")];
  run(["index", checkpoint, planet, "--name", "second", "--data-dir", data]);
  return { data, photos: findPhotos(planet) };
}

function freePort() {
  return new Promise((done) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

async function ready(url, service) {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (service.exitCode !== null) fail(`the service ended with ${service.exitCode}`);
    const response = await fetch(`${url}/health/ready`).catch(() => undefined);
    if (response?.ok) return;
    await new Promise((done) => setTimeout(done, 200));
  }
  fail("the service was not ready after a minute");
}

const chromium = process.env.CHROMIUM ?? "/usr/bin/chromium";
if (!existsSync(chromium)) fail(`${chromium} is not there: install Chromium (Debian: apt-get install chromium), or set CHROMIUM to its path`);

const temporary = mkdtempSync(join(tmpdir(), "geosurge-e2e-"));
let service;
// Also where something fails and ends the program at once.
process.on("exit", () => {
  service?.kill("SIGTERM");
  rmSync(temporary, { recursive: true, force: true });
});

/** Starts the service on the data folder. */
async function serve(data, extra = []) {
  const url = `http://127.0.0.1:${await freePort()}`;
  service = spawn(binary, ["serve", "--data-dir", data, "--listen", url.slice(7), ...extra], { stdio: ["ignore", "ignore", "inherit"] });
  await ready(url, service);
  return url;
}

async function stop() {
  if (!service || service.exitCode !== null) return;
  const ended = new Promise((done) => service.once("exit", done));
  service.kill("SIGTERM");
  await ended;
}

/** Runs flows; true when all passed. */
function flows(environment, filters) {
  const playwright = here("../node_modules/.bin/playwright");
  const outcome = spawnSync(playwright, ["test", "--config", here("playwright.config.ts"), ...filters], {
    stdio: "inherit",
    env: { ...process.env, CHROMIUM: chromium, GEOSURGE_BINARY: binary, ...environment },
  });
  return outcome.status === 0;
}

let passed = false;
try {
  const world = values.data ? { data: resolve(values.data), photos: resolve(values.photos) } : make(temporary);
  const environment = { GEOSURGE_PHOTOS: world.photos };
  if (values.screenshots) environment.GEOSURGE_SCREENSHOTS = here("../../../docs/images");
  passed = flows({ ...environment, GEOSURGE_URL: await serve(world.data) }, rest);
  await stop();
  // The same service asking for keys; a selection of flows by hand needs no second round.
  if (rest.length === 0) {
    const name = `e2e ${process.pid}`;
    const made = spawnSync(binary, ["keys", "create", name, "--scope", "reader", "--json", "--data-dir", world.data], { encoding: "utf8" });
    if (made.status !== 0) fail(`geosurge keys create failed:\n${made.stderr}`);
    const { key, id } = JSON.parse(made.stdout);
    const url = await serve(world.data, ["--keys"]);
    passed = flows({ ...environment, GEOSURGE_URL: url, GEOSURGE_KEY: key, GEOSURGE_KEY_SCOPE: "reader" }, ["keys.spec.ts"]) && passed;
    run(["keys", "revoke", id, "--data-dir", world.data]);
  }
} finally {
  await stop();
}
process.exit(passed ? 0 : 1);
