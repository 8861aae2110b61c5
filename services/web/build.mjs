// Copies GraphiQL and what it needs into dist/, from where the service embeds them at compile time: no page of the
// service loads anything from elsewhere. GraphiQL 3 is the last line that ships a self-contained browser bundle.
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const here = (path) => new URL(path, import.meta.url);
const files = {
  "react.js": "node_modules/react/umd/react.production.min.js",
  "react-dom.js": "node_modules/react-dom/umd/react-dom.production.min.js",
  "graphiql.js": "node_modules/graphiql/graphiql.min.js",
  "graphiql.css": "node_modules/graphiql/graphiql.min.css",
  "index.html": "src/graphiql.html",
  "start.js": "src/graphiql.js",
  "start.css": "src/graphiql.css",
};

rmSync(here("dist/"), { recursive: true, force: true });
mkdirSync(here("dist/graphiql/"), { recursive: true });
for (const [name, source] of Object.entries(files)) {
  copyFileSync(here(source), here(`dist/graphiql/${name}`));
}

const notice = ["graphiql", "graphql", "react", "react-dom"]
  .map((name) => {
    const { version } = JSON.parse(readFileSync(here(`node_modules/${name}/package.json`)));
    const licence = readFileSync(here(`node_modules/${name}/LICENSE`), "utf8");
    return `${name} ${version}\n\n${licence}`;
  })
  .join("\n----\n\n");
writeFileSync(here("dist/graphiql/LICENSES.txt"), notice);
console.log(`dist/graphiql: ${Object.keys(files).length + 1} files`);
