// Writes src/api/generated.ts: the texts and TypeScript types of the operations in src/api/operations.graphql, checked
// against the service's schema. Run with `npm run types` after changing either; `--check` only compares, for the tests.
import { readFileSync, writeFileSync } from "node:fs";
import { codegen } from "@graphql-codegen/core";
import * as operationTypes from "@graphql-codegen/typescript-operations";
import { buildSchema, parse, print, validate, visit } from "graphql";

const here = (path) => new URL(path, import.meta.url);

/** The checked-in schema, or another one to try. */
const SCHEMA = process.env.GEOSURGE_SCHEMA ?? here("../../api/schema.graphql");
const OPERATIONS = here("../src/api/operations.graphql");
const GENERATED = here("../src/api/generated.ts");

/** Errors of the operations against a schema, as texts. */
function problems(schema, document) {
  return validate(schema, document).map((error) => `${error.message} (line ${error.locations?.[0]?.line})`);
}

/** An operation's text with the fragments that it uses, and nothing else. */
function text(operation, fragments) {
  const needed = new Set();
  const collect = (node) =>
    visit(node, {
      FragmentSpread({ name }) {
        if (needed.has(name.value)) return;
        needed.add(name.value);
        collect(fragments.get(name.value));
      },
    });
  collect(operation);
  const parts = [operation, ...[...needed].toSorted().map((name) => fragments.get(name))];
  return parts.map((part) => print(part)).join("\n").replace(/\s+/g, " ");
}

/** The whole generated file. */
async function generate() {
  const schema = buildSchema(readFileSync(SCHEMA, "utf8"));
  const document = parse(readFileSync(OPERATIONS, "utf8"));
  const found = problems(schema, document);
  if (found.length) throw new Error(`operations.graphql does not fit the schema:\n${found.join("\n")}`);
  const types = await codegen({
    filename: "generated.ts",
    schema: undefined,
    schemaAst: schema,
    documents: [{ location: "operations.graphql", document }],
    config: {
      useTypeImports: true,
      skipTypename: true,
      enumsAsTypes: true,
      enumType: "string-literal",
      strictScalars: true,
      scalars: { ID: "string", DateTime: "string", NaiveDate: "string", JSON: "unknown", Upload: "File" },
    },
    plugins: [{ operations: {} }],
    pluginMap: { operations: operationTypes },
  });
  const fragments = new Map(
    document.definitions.filter((node) => node.kind === "FragmentDefinition").map((node) => [node.name.value, node]),
  );
  const operations = document.definitions
    .filter((node) => node.kind === "OperationDefinition")
    .map((node) => {
      const name = node.name.value;
      const kind = node.operation[0].toUpperCase() + node.operation.slice(1);
      const type = `Operation<${name}${kind}, ${name}${kind}Variables>`;
      return `export const ${name}: ${type} = {\n  name: ${JSON.stringify(name)},\n  text: ${JSON.stringify(text(node, fragments))},\n};\n`;
    });
  return [
    "// Written by `npm run types` from operations.graphql and the service's schema; do not edit.",
    'import type { Operation } from "./operation";',
    "",
    types.trim(),
    "",
    ...operations,
  ].join("\n");
}

const wanted = await generate();
if (process.argv.includes("--check")) {
  if (readFileSync(GENERATED, "utf8") !== wanted) {
    console.error("src/api/generated.ts is not what operations.graphql and the schema give: run `npm run types`");
    process.exit(1);
  }
} else {
  writeFileSync(GENERATED, wanted);
}
