import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { buildPage } from "../build.mjs";
import { web } from "./support.mjs";

const dist = join(web, "dist");

test("dist/ is what the build makes", async () => {
  const fresh = await mkdtemp(join(tmpdir(), "vl3-dist-"));
  await buildPage(fresh);
  const names = (await readdir(fresh)).sort();
  assert.deepEqual((await readdir(dist)).sort(), names, "run npm run build");
  for (const name of names) assert.ok((await readFile(join(fresh, name))).equals(await readFile(join(dist, name))), `${name} is old: run npm run build`);
  await rm(fresh, { recursive: true });
});

test("the page is small, and names no other host to load from", async () => {
  let size = 0;
  for (const name of await readdir(dist)) {
    const text = await readFile(join(dist, name), "utf8");
    size += Buffer.byteLength(text);
    for (const [address] of text.matchAll(/(?:https?:)?\/\/[\w-]+\.[\w./-]+/g)) {
      // The names of namespaces, and who wrote what is bundled.
      assert.match(address, /^(http:)?\/\/www\.w3\.org\/(2000\/svg|1998\/Math\/MathML)$|^https:\/\/github\.com\/(markedjs|chjj)\/(marked\.)?$/, `${name} names ${address}`);
    }
  }
  assert.ok(size < 200_000, `${size} bytes`);
});

test("the HTML has no scripts, styles or handlers of its own, and its addresses are relative", async () => {
  const html = await readFile(join(dist, "index.html"), "utf8");
  assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:/);
  for (const [, address] of html.matchAll(/(?:src|href)="([^"]+)"/g)) assert.match(address, /^#|^[\w.-]+$/);
  assert.match(html, /<html lang="en">/);
  assert.match(html, /<title>VideoLLaMA3<\/title>/);
});

test("no text becomes HTML: the sources use none of the ways to parse it", async () => {
  const files = (await readdir(join(web, "src"), { recursive: true })).filter((name) => name.endsWith(".ts"));
  assert.ok(files.length > 20);
  for (const name of files) {
    const text = await readFile(join(web, "src", name), "utf8");
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\(|new Function/, name);
    assert.ok(text.split("\n").length <= 500, `${name} is long`);
  }
});

test("the lock file names packages, not where they were fetched from", async () => {
  const lock = JSON.parse(await readFile(join(web, "package-lock.json"), "utf8"));
  for (const [name, { resolved }] of Object.entries(lock.packages)) assert.equal(resolved, undefined, name);
});
