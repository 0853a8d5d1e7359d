// Makes dist/ from src/. What it writes depends on the sources and the lock file alone, so that a test can
// compare the committed dist/ with it. `out` is another folder, for that test.
import { build } from "esbuild";
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

export async function buildPage(out = join(here, "dist"), extra = {}) {
  // The licence of what is bundled goes with it.
  const licences = await readFile(join(here, "node_modules/marked/LICENSE"), "utf8");
  const licence = /## Marked\n+([^]*?)(?=\n## |$)/.exec(licences)[1];
  await mkdir(out, { recursive: true });
  await build({
    absWorkingDir: here,
    entryPoints: { app: "src/main.ts" },
    bundle: true,
    minify: true,
    format: "iife",
    target: ["es2022", "chrome123", "firefox121", "safari17.5"],
    charset: "utf8",
    legalComments: "none",
    banner: { js: `/*! Holds marked (MIT License).\n${licence.replaceAll("*/", "").trim()}\n*/` },
    outdir: out,
    logLevel: "warning",
    ...extra,
  });
  await build({
    absWorkingDir: here,
    entryPoints: { app: "src/app.css" },
    bundle: true,
    minify: true,
    target: ["chrome123", "firefox121", "safari17.5"],
    outdir: out,
    logLevel: "warning",
  });
  for (const file of ["index.html", "icon.svg"]) await copyFile(join(here, "src", file), join(out, file));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPage();
