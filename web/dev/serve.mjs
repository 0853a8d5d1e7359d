// npm run dev: the page, built again at each change, on a server that plays the API. PORT and KEY from the
// environment.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { watch } from "node:fs";
import { buildPage } from "../build.mjs";
import { Mock } from "./mock.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const folder = await mkdtemp(join(tmpdir(), "vl3-page-"));
const build = () => buildPage(folder).catch((error) => console.error(error.message));
await build();
let timer = 0;
watch(join(here, "../src"), { recursive: true }, () => {
  clearTimeout(timer);
  timer = setTimeout(build, 100);
});
const mock = await new Mock({ folder, key: process.env.KEY ?? "", speed: 30, hold: 1500 }).listen(Number(process.env.PORT ?? 8090));
console.error(`${mock.url}\nWords that do something: markdown, hostile, long, slow, waits, busy, fails, breaks, cut, too long`);
