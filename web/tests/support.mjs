// What the tests share: modules of src/ as they are, and pages in a browser.
import assert from "node:assert/strict";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Mock } from "../dev/mock.mjs";

export const web = join(dirname(fileURLToPath(import.meta.url)), "..");
export const project = join(web, "..");

// The exports of a file of src/, which must not need a page.
export async function load(entry) {
  const folder = await mkdtemp(join(tmpdir(), "vl3-test-"));
  const outfile = join(folder, "module.mjs");
  await build({ absWorkingDir: web, entryPoints: [join("src", entry)], bundle: true, format: "esm", outfile, logLevel: "error" });
  const module = await import(pathToFileURL(outfile));
  await rm(folder, { recursive: true });
  return module;
}

// Nothing is expected within a time: this only ends a test that hangs, on the busiest machine.
const PATIENCE_MS = 180_000;
export const browserPath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/usr/bin/google-chrome-stable"].find((path) => path && existsSync(path));
export const options = { skip: browserPath ? false : "no Chromium here (CHROMIUM names one)", timeout: 10 * PATIENCE_MS };

let shared = null;
async function browser() {
  shared ??= chromium.launch({
    executablePath: browserPath,
    timeout: PATIENCE_MS,
    // Root has no sandbox; the camera is a drawing.
    args: ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  });
  return shared;
}
export async function closeBrowser() {
  await (await shared)?.close();
  shared = null;
}

// A page on a mock server of its own, or of `server`. `done` closes both, and throws where the page logged
// errors or asked somebody else for something.
export async function openPage({ server = "", mock: options = {}, context: contextOptions = {}, path = "", allow = /Failed to load resource/ } = {}) {
  const mock = server ? null : await new Mock({ folder: join(web, "dist"), speed: 5, ...options }).listen();
  mock?.server.unref();
  const url = mock?.url ?? server;
  const context = await (await browser()).newContext({ viewport: { width: 1100, height: 800 }, acceptDownloads: true, ...contextOptions });
  const problems = [];
  const watch = (page) => {
    page.on("pageerror", (error) => problems.push(String(error.stack ?? error)));
    page.on("console", (message) => message.type() === "error" && !allow.test(message.text()) && problems.push(message.text()));
    page.on("request", (request) => /^(blob|data):/.test(request.url()) || request.url().startsWith(url) || problems.push(`asked ${request.url()}`));
    return page;
  };
  const page = watch(await context.newPage());
  page.setDefaultTimeout(PATIENCE_MS);
  // What toasts said, also those that are gone.
  await page.addInitScript(() => {
    window.toasted = [];
    const see = (changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((node) => node.classList?.contains("toast") && window.toasted.push(node.innerText)));
    new MutationObserver(see).observe(document, { childList: true, subtree: true });
  });
  await page.goto(url + path);
  const done = async () => {
    await context.close();
    await mock?.close();
    if (problems.length) throw new Error(problems.join("\n"));
  };
  return { mock, context, page, watch, done, ready: () => page.waitForSelector("#model:not([hidden])", { state: "attached" }) };
}

export const PICTURE = {
  name: "dot.png",
  mimeType: "image/png",
  buffer: Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8z8DAwMDAxMDAwMDAAAANHQEDasKb6QAAAABJRU5ErkJggg==", "base64"),
};
// 16 s of 64 × 48 pixels
export const CLIP = { name: "long.mp4", mimeType: "video/mp4", buffer: readFileSync(join(project, "tests/data/media/long_h264.mp4")) };

// What the camera says after a second or more of a clip: a busy machine may skip some.
export const RECORDED = /Recording, (?!0:00)/;

// of a codec that browsers do not have
export const STRANGE = { name: "strange.avi", mimeType: "video/x-msvideo", buffer: readFileSync(join(project, "tests/data/media/formats/huffyuv.avi")) };

export async function ask(page, text) {
  await page.fill("#composer-text", text);
  await page.press("#composer-text", "Enter");
}
export const answered = (page, n = 1) => page.waitForFunction((count) => document.querySelectorAll('.assistant[aria-busy="false"]').length >= count && !document.querySelector('.assistant[aria-busy="true"]'), n);
export const lastAnswer = (page) => page.locator(".assistant .text").last().innerText();

// What the page comes to show: read again until it is as expected, and asserted then.
export async function becomes(read, check) {
  for (const end = Date.now() + PATIENCE_MS; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    try {
      return check(await read());
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}
const alike = (text) => (is) => (text instanceof RegExp ? assert.match(is, text) : assert.equal(is, text));
export const counts = (locator, n) => becomes(() => locator.count(), alike(n));
export const has = (locator, attribute, value) => becomes(() => locator.getAttribute(attribute), alike(value));
export const shows = (locator, text) => becomes(() => locator.innerText(), alike(text));
export const toasts = (page, text) => becomes(async () => (await page.evaluate(() => window.toasted)).join("\n"), alike(text));

// The store's rows of a kind, once `check` holds for them: before a reload, what the page shows may still be on its way there.
export const stored = (page, kind, check) =>
  becomes(
    () =>
      page.evaluate(
        (name) =>
          new Promise((resolve, reject) => {
            const opening = indexedDB.open("videollama3");
            opening.onerror = reject;
            opening.onsuccess = () => {
              const rows = opening.result.transaction(name).objectStore(name).getAll();
              rows.onerror = reject;
              rows.onsuccess = () => (opening.result.close(), resolve(rows.result));
            };
          }),
        kind,
      ),
    check,
  );
export const storedMessages = (page, n) => stored(page, "messages", (rows) => assert.deepEqual(rows.map(({ state }) => state === "running"), Array(n).fill(false)));
