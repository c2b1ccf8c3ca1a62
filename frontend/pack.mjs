// Packs the JavaScript client for npm: `node pack.mjs FOLDER` leaves holdfast-VERSION.tgz there.
// Its types are made by the TypeScript compiler from the JSDoc.
import { execFileSync } from "node:child_process";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";

const folder = resolve(process.argv[2] ?? "dist");
const made = `${folder}/package`;
const source = "../src/holdfast/web/holdfast.js";
const inherit = { stdio: ["ignore", "inherit", "inherit"] };

await rm(made, { recursive: true, force: true });
await mkdir(made, { recursive: true });
const manifest = JSON.parse(await readFile("npm/package.json", "utf8"));
const project = await readFile("../pyproject.toml", "utf8");
manifest.version = /^version = "(.+)"$/m.exec(project)[1];
await writeFile(`${made}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);
await copyFile("npm/README.md", `${made}/README.md`);
await copyFile("../LICENSE", `${made}/LICENSE`);
await copyFile(source, `${made}/holdfast.js`);
const options = "--allowJs --checkJs --strict --declaration --emitDeclarationOnly --target es2022";
execFileSync(
  "node_modules/.bin/tsc",
  [...options.split(" "), "--lib", "es2023,dom,dom.iterable", "--outDir", made, source],
  inherit,
);
execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: made, ...inherit });
await rm(made, { recursive: true });
