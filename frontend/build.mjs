// Builds the terminal's page and the console into the package: `node build.mjs FOLDER`.
import { copyFile, mkdir } from "node:fs/promises";
import { build } from "esbuild";

const folder = process.argv[2] ?? "../src/holdfast/web";

async function page(name, source, scripts, pages) {
  const outdir = `${folder}/${name}`;
  await mkdir(outdir, { recursive: true });
  await build({
    entryPoints: Object.fromEntries(
      Object.entries(scripts).map(([built, file]) => [built, `${source}/${file}`]),
    ),
    outdir,
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    legalComments: "eof",
    logLevel: "warning",
  });
  for (const file of pages) await copyFile(`${source}/${file}`, `${outdir}/${file}`);
}

await page("terminal", "src", { terminal: "page.ts" }, ["index.html"]);
await page(
  "console",
  "src/console",
  { console: "main.ts", screen: "screen.ts" },
  ["index.html", "screen.html"],
);
