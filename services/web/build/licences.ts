// The licences of everything that reaches the browser, as `LICENSES.txt` beside the page.
import { existsSync, readFileSync } from "node:fs";
import type { Plugin } from "vite";

/** Packages that reach the browser without being modules of the bundle. */
const COPIED = ["graphiql", "graphql", "react", "react-dom", "world-atlas"];
const NAMES = ["LICENSE", "LICENSE.txt", "LICENSE.md", "license", "LICENCE"];

export function licencesPlugin(): Plugin {
  return {
    name: "geosurge-licences",
    generateBundle(_options, bundle) {
      const packages = new Set(COPIED);
      for (const item of Object.values(bundle)) {
        if (item.type !== "chunk") continue;
        for (const id of item.moduleIds) {
          const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1];
          if (name) packages.add(name);
        }
      }
      // The bundle of MapLibre GL holds its own dependencies.
      if (packages.has("maplibre-gl")) dependencies("maplibre-gl").forEach((name) => packages.add(name));
      const source = [...packages].toSorted().map(notice).join("\n----\n\n");
      this.emitFile({ type: "asset", fileName: "LICENSES.txt", source });
    },
  };
}

function folder(name: string): URL {
  return new URL(`../node_modules/${name}/`, import.meta.url);
}

function manifest(name: string): { version: string; license?: string; dependencies?: Record<string, string> } {
  return JSON.parse(readFileSync(new URL("package.json", folder(name)), "utf8"));
}

function dependencies(name: string): string[] {
  return Object.keys(manifest(name).dependencies ?? {}).filter((dependency) => existsSync(folder(dependency)));
}

function notice(name: string): string {
  const { version, license } = manifest(name);
  const file = NAMES.map((candidate) => new URL(candidate, folder(name))).find((candidate) => existsSync(candidate));
  return `${name} ${version}\n\n${file ? readFileSync(file, "utf8") : `Licence: ${license ?? "not stated"}\n`}`;
}
