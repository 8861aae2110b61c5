// Puts GraphiQL and what it needs into the build as `graphiql/*`: no page of the service loads anything from elsewhere.
// GraphiQL 3 is the last line that ships a self-contained browser bundle.
import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

const FILES = {
  "react.js": "node_modules/react/umd/react.production.min.js",
  "react-dom.js": "node_modules/react-dom/umd/react-dom.production.min.js",
  "graphiql.js": "node_modules/graphiql/graphiql.min.js",
  "graphiql.css": "node_modules/graphiql/graphiql.min.css",
  "index.html": "graphiql/index.html",
  "start.js": "graphiql/start.js",
  "start.css": "graphiql/start.css",
};

export function graphiqlPlugin(): Plugin {
  return {
    name: "geosurge-graphiql",
    generateBundle() {
      for (const [name, path] of Object.entries(FILES)) {
        const source = readFileSync(new URL(`../${path}`, import.meta.url));
        this.emitFile({ type: "asset", fileName: `graphiql/${name}`, source });
      }
    },
  };
}
