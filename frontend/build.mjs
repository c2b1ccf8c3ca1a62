// Builds the terminal's page and the console into the package: `node build.mjs FOLDER`.
import { copyFile, mkdir } from "node:fs/promises";
import { build } from "esbuild";

const folder = process.argv[2] ?? "../src/holdfast/web";

async function page(name, source, entry) {
  const outdir = `${folder}/${name}`;
  await mkdir(outdir, { recursive: true });
  await build({
    entryPoints: { [name]: `${source}/${entry}` },
    outdir,
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    legalComments: "eof",
    logLevel: "warning",
  });
  await copyFile(`${source}/index.html`, `${outdir}/index.html`);
}

await page("terminal", "src", "page.ts");
await page("console", "src/console", "main.ts");
