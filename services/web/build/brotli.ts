// Compresses what compresses well beforehand, so that the service has nothing to compute: `NAME.br` beside `NAME`.
import { brotliCompressSync, constants } from "node:zlib";
import type { Plugin } from "vite";

const WORTH = /\.(js|css|json|html|svg|txt)$/;
/** Smaller files are not worth a second copy, in bytes. */
const SMALLEST = 1024;

export function brotliPlugin(): Plugin {
  return {
    name: "geosurge-brotli",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        for (const item of Object.values(bundle)) {
          const content = Buffer.from(item.type === "chunk" ? item.code : item.source);
          if (!WORTH.test(item.fileName) || content.length < SMALLEST) continue;
          const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
          this.emitFile({ type: "asset", fileName: `${item.fileName}.br`, source: brotliCompressSync(content, { params }) });
        }
      },
    },
  };
}
