import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "vitest";

test("generated.ts is what operations.graphql and the service's schema give", () => {
  const script = fileURLToPath(new URL("../scripts/types.mjs", import.meta.url));
  execFileSync(process.execPath, [script, "--check"], { stdio: "pipe" });
}, 60_000);
