// Builds the terminal's page into the package: `node build.mjs FOLDER`.
import { copyFile, mkdir } from "node:fs/promises";
import { build } from "esbuild";

const folder = process.argv[2] ?? "../src/holdfast/web/terminal";
await mkdir(folder, { recursive: true });
await build({
  entryPoints: { terminal: "src/page.ts" },
  outdir: folder,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  legalComments: "eof",
  logLevel: "warning",
});
await copyFile("src/index.html", `${folder}/index.html`);
