import { defineConfig } from "vite";
import { basemapPlugin } from "./build/basemap.ts";
import { brotliPlugin } from "./build/brotli.ts";
import { graphiqlPlugin } from "./build/graphiql.ts";
import { licencesPlugin } from "./build/licences.ts";

/** The service that answers in development: `GEOSURGE_SERVICE=http://127.0.0.1:8080 npm run dev`. */
const service = process.env["GEOSURGE_SERVICE"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [basemapPlugin(), graphiqlPlugin(), licencesPlugin(), brotliPlugin()],
  build: {
    target: "es2022",
    // The service's content security policy forbids data URLs in scripts and styles.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1500,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  worker: { format: "es" },
  server: {
    host: "127.0.0.1",
    proxy: Object.fromEntries(
      ["/graphql", "/references", "/predictions", "/map.json", "/health", "/schema.graphql", "/graphiql"].map((path) => [
        path,
        { target: service, ws: true },
      ]),
    ),
  },
});
