// The page in a browser: attachments, settings, the key, keys and screen readers.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, test } from "node:test";
import { answered, ask, becomes, CLIP, closeBrowser, counts, openPage, options, PICTURE, RECORDED, shows, STRANGE, toasts } from "./support.mjs";

after(closeBrowser);

const parts = (mock) => mock.chats().at(-1).messages.at(-1).content;
const tile = (page, name = "") => page.locator(`#composer .tile${name}`);

test("a clip is trimmed, costs fewer tokens, and its frames and kept tokens are shown", options, async () => {
  const { page, mock, done, ready } = await openPage({ mock: { duration: 16 } });
  await ready();
  await page.setInputFiles("#composer input[type=file]", [CLIP]);
  await page.waitForFunction(() => /^\d+ of 4\u202f096 tokens/.test(document.querySelector(".meter").textContent) && !document.querySelector(".meter").matches(".stale"));
  const cost = async () => Number(/^\d+/.exec(await page.locator(".meter").innerText())[0]);
  const whole = await cost();
  await shows(tile(page), /0:16\.0/);
  await page.click("#composer .tile-view");
  const [start, end, fps] = [0, 1, 2].map((i) => page.locator("#trim-dialog .fields input").nth(i));
  await end.fill("1");
  await start.fill("2");
  await page.click("#trim-dialog .primary");
  await shows(page.locator("#trim-dialog .problem"), /end must come after/);
  await end.fill("5.5");
  await fps.fill("2");
  await shows(page.locator("#trim-dialog .hint"), /0:03\.5 chosen, about 7 frames/);
  await page.getByLabel("Start of the part").fill("3");
  assert.equal(await start.inputValue(), "3.00");
  await page.click("#trim-dialog .primary");
  await page.waitForFunction(() => /0:03\.0 – 0:05\.5 · 2 fps/.test(document.querySelector("#composer .tile").textContent));
  await page.waitForFunction((before) => !document.querySelector(".meter").matches(".stale") && parseInt(document.querySelector(".meter").textContent) < before, whole);
  await ask(page, "What happens?");
  await answered(page);
  const [clip, text] = parts(mock);
  assert.deepEqual([clip.type, clip.start_time, clip.end_time, clip.fps, text.text], ["video_url", 3, 5.5, 2, "What happens?"]);
  // The bytes went with the counting.
  assert.equal(clip.video_url, null);
  const [counted] = mock.requests.filter(({ path }) => path === "tokenize").map(({ body }) => body.messages[0].content[0]);
  assert.ok(Buffer.from(counted.video_url.url.split(",")[1], "base64").equals(CLIP.buffer));
  await ask(page, "markdown");
  await answered(page, 2);
  await page.locator(".assistant button.time", { hasText: "0:03" }).click();
  await page.waitForFunction(() => document.querySelector("dialog video")?.currentTime >= 3);
  await page.keyboard.press("Escape");
  await counts(page.locator(".assistant pre button"), 0);
  await page.click(".saw summary >> nth=0");
  const frames = page.locator(".frames li");
  await counts(frames, 5);
  await shows(frames.nth(1), /0:03\.5\s+\d+\/48/);
  // Drawn from the clip here: pixels of it, not an empty canvas.
  await page.waitForFunction(() => document.querySelector(".frames canvas").width > 16);
  const colours = () => page.locator(".frames li:nth-child(2) canvas").first().evaluate((canvas) => new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size);
  await becomes(colours, (n) => assert.ok(n > 2, `${n} colours`));
  const map = await page.locator(".frames li:nth-child(2) canvas.map").evaluate((canvas) => ({ size: [canvas.width, canvas.height], kept: [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data].filter((v, i) => i % 4 === 3 && v === 0).length }));
  assert.deepEqual(map, { size: [8, 6], kept: 9 });
  await frames.nth(1).locator("button").click();
  await shows(page.locator(".frame-words"), /Frame 2 of 5, at 0:03\.50: 9 of 48 tokens kept/);
  await page.keyboard.press("ArrowRight");
  await shows(page.locator(".frame-words"), /Frame 3 of 5/);
  await done();
});

test("attachments come by paste, drop and camera; other files are refused by name", options, async () => {
  const { page, mock, done, ready } = await openPage({ context: { permissions: ["camera"] } });
  await ready();
  const give = (how) => page.evaluate(async ([type, bytes]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(bytes)], `${type}.png`, { type: "image/png" }));
    const event = type === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }) : new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
    document.querySelector("#composer-text").dispatchEvent(event);
  }, [how, [...PICTURE.buffer]]);
  await give("paste");
  await tile(page).nth(0).locator("img").waitFor();
  await give("dragenter");
  await page.locator("body.dropping").waitFor();
  await give("drop");
  await tile(page).nth(1).locator("img").waitFor();
  await counts(page.locator("body.dropping"), 0);
  await page.click('#composer button[aria-label="Camera"]');
  await page.click("dialog .primary:not([disabled])");
  await tile(page).nth(2).locator("img").waitFor();
  await tile(page).nth(0).getByLabel("Show paste.png").click();
  await page.locator("dialog img.large").waitFor();
  await page.keyboard.press("Escape");
  await page.click('#composer button[aria-label="Camera"]');
  await page.locator("dialog button:not([disabled])", { hasText: "Record a clip" }).click();
  await page.locator("dialog [role=status]", { hasText: RECORDED }).waitFor();
  await page.locator("dialog button", { hasText: "Stop recording" }).click();
  await tile(page, ".video").locator("video").waitFor();
  await page.setInputFiles("#composer input[type=file]", [{ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("x") }, { name: "empty.png", mimeType: "image/png", buffer: Buffer.alloc(0) }]);
  await toasts(page, /notes\.txt is neither a picture nor a clip/);
  await toasts(page, /empty\.png is empty/);
  await tile(page).nth(1).getByLabel("Remove drop.png").click();
  await counts(tile(page), 3);
  await ask(page, "");
  await answered(page);
  assert.deepEqual(parts(mock).map((part) => part.type), ["image_url", "image_url", "video_url"]);
  await done();
});

test("a clip that the browser cannot show is sent all the same, with its part", options, async () => {
  const { page, mock, done, ready } = await openPage();
  await ready();
  await page.setInputFiles("#composer input[type=file]", [STRANGE]);
  await tile(page, ".video").locator(".no-preview").waitFor();
  await page.click("#composer .tile-view");
  await shows(page.locator("#trim-dialog"), /cannot show the clip/);
  await page.locator("#trim-dialog .fields input").nth(1).fill("2");
  await page.click("#trim-dialog .primary");
  await ask(page, "What is it?");
  await answered(page);
  const [clip] = parts(mock);
  assert.deepEqual([clip.type, clip.start_time, clip.end_time], ["video_url", undefined, 2]);
  await page.click(".saw summary");
  await page.locator(".frames canvas.undrawn").first().waitFor();
  await counts(page.locator(".frames canvas.map"), 1);
  await done();
});

test("a picture that was sent is named later, and sent again where the server forgot it", options, async () => {
  const { page, mock, done } = await openPage();
  await page.setInputFiles("#composer input[type=file]", [PICTURE]);
  await tile(page).locator("img").waitFor();
  await ask(page, "one");
  await answered(page);
  await ask(page, "two");
  await answered(page, 2);
  assert.equal(mock.chats()[1].messages[0].content[0].image_url, null);
  mock.known.clear();
  await page.click(".assistant .retry >> nth=1");
  await page.waitForSelector(".branches");
  await answered(page, 2);
  await counts(page.locator(".error:visible"), 0);
  assert.match(mock.chats().at(-1).messages[0].content[0].image_url.url, /^data:image\/png/);
  await done();
});

test("the key is asked for, kept for the tab or the browser, and sent", options, async () => {
  const { page, context, mock, done, ready, watch } = await openPage({ mock: { key: "sesame" } });
  const key = page.locator("#key-dialog input[type=password]");
  await key.fill("wrong");
  await page.click("#key-dialog .primary");
  await page.waitForSelector("#key-dialog .problem");
  await key.fill("sesame");
  await page.click("#key-dialog .primary");
  await ready();
  await ask(page, "hello");
  await answered(page);
  assert.equal(mock.requests.at(-1).key, "Bearer sesame");
  assert.ok(mock.requests.every(({ path }) => !path.includes("sesame")));
  await page.reload();
  await ready();
  const other = watch(await context.newPage());
  await other.goto(mock.url);
  await other.locator("#key-dialog input[type=password]").fill("sesame");
  await other.check("#key-dialog input[type=checkbox]");
  await other.click("#key-dialog .primary");
  await other.waitForSelector("#model:not([hidden])", { state: "attached" });
  const third = watch(await context.newPage());
  await third.goto(mock.url);
  await third.waitForSelector("#model:not([hidden])", { state: "attached" });
  await third.click('#bar button[aria-label="Settings"]');
  await third.locator("dialog button", { hasText: "Forget the key" }).click();
  await becomes(() => third.evaluate(() => localStorage.getItem("vl3.key")), (key) => assert.equal(key, null));
  await done();
});

test("without a key the page says so and offers to give it", options, async () => {
  const { page, done, ready } = await openPage({ mock: { key: "sesame" } });
  await page.waitForSelector("#key-dialog");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#notice button");
  await shows(page.locator("#notice"), /was not accepted|key is needed/);
  await page.click("#notice button");
  await page.fill("#key-dialog input[type=password]", "sesame");
  await page.click("#key-dialog .primary");
  await ready();
  await page.locator("#notice").waitFor({ state: "hidden" });
  await done();
});

test("a server that is loading its model is waited for", options, async () => {
  const { page, mock, done, ready } = await openPage({ mock: { loading: Infinity } });
  await shows(page.locator("#notice"), /not ready\s+The model is being loaded/);
  mock.loading = 0;
  await ready();
  await page.locator("#notice").waitFor({ state: "hidden" });
  await done();
});

test("settings are checked, kept, sent and reset", options, async () => {
  const { page, mock, done, ready } = await openPage();
  await ready();
  const open = () => page.click('#bar button[aria-label="Settings"]');
  await open();
  await page.fill("dialog [name=temperature]", "3");
  await page.click("dialog .primary");
  await counts(page.locator("dialog"), 1);
  await page.fill("dialog [name=temperature]", "0.7");
  await page.fill("dialog [name=fps]", "2.5");
  await page.fill("dialog textarea >> nth=0", "Be brief.");
  await page.click("dialog summary");
  await page.selectOption("dialog select", "json_schema");
  await page.fill("dialog textarea.mono", "{nonsense");
  await page.click("dialog .primary");
  await shows(page.locator("dialog .problem"), /not JSON/);
  await page.fill("dialog textarea.mono", '{"type": "object"}');
  await page.click("dialog .primary");
  await page.locator("#bar .changed").waitFor();
  await page.reload();
  await ready();
  await ask(page, "x");
  await answered(page);
  const body = mock.chats().at(-1);
  assert.deepEqual([body.temperature, body.messages[0], body.response_format.json_schema.schema], [0.7, { role: "system", content: "Be brief." }, { type: "object" }]);
  await open();
  await page.locator("dialog button", { hasText: "Reset all" }).click();
  await page.click(".assistant .retry");
  await page.waitForSelector(".branches");
  await answered(page);
  assert.deepEqual(["temperature", "response_format"].map((name) => mock.chats().at(-1)[name]), [undefined, undefined]);
  assert.equal(mock.chats().at(-1).messages.length, 1);
  await done();
});

test("keys work, and the focus goes where it is needed", options, async () => {
  const { page, done, ready } = await openPage();
  await ready();
  const focused = (name) => becomes(() => page.evaluate(() => document.activeElement.id || document.activeElement.getAttribute("aria-label")), (is) => assert.match(is, name));
  await focused(/^composer-text$/);
  await page.keyboard.type("one");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("two");
  await page.keyboard.press("Enter");
  await answered(page);
  await shows(page.locator(".user .text"), "one\ntwo");
  await page.keyboard.press("Alt+ArrowUp");
  await focused(/^edit-/);
  await page.keyboard.press("Escape");
  await counts(page.locator(".editor"), 0);
  await page.keyboard.press("Control+k");
  await focused(/^search$/);
  await page.keyboard.press("Control+/");
  await shows(page.locator("dialog"), /Stop the answer/);
  await page.keyboard.press("Escape");
  await focused(/^search$/);
  await page.keyboard.press("Alt+r");
  await page.waitForSelector(".branches");
  await answered(page);
  await page.keyboard.press("Alt+ArrowLeft");
  await page.waitForFunction(() => /1 \/ 2/.test(document.querySelector(".branches").textContent));
  await page.keyboard.press("Control+Shift+O");
  await page.waitForFunction(() => document.activeElement.id === "composer-text" && !document.querySelector(".message"));
  await done();
});

test("light and dark follow the system, or the switch, which is kept", options, async () => {
  const { page, done, ready } = await openPage({ context: { colorScheme: "dark" } });
  await ready();
  const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const becomesOf = (colour) => becomes(paper, (is) => assert.equal(is, colour));
  const dark = await paper();
  await page.click('button[aria-label="Theme: as the system"]');
  const light = await paper();
  assert.notEqual(light, dark);
  await page.reload();
  await ready();
  await becomesOf(light);
  await page.click('button[aria-label="Theme: light"]');
  await becomesOf(dark);
  await done();
});

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
for (const [name, context] of [["light", { colorScheme: "light" }], ["dark", { colorScheme: "dark" }], ["360 pixels", { viewport: { width: 360, height: 700 }, isMobile: true, hasTouch: true }]]) {
  test(`axe finds nothing serious, and nothing is wider than the page: ${name}`, options, async () => {
    const { page, done, ready } = await openPage({ context: { ...context, reducedMotion: "reduce" }, mock: { duration: 16 } });
    await ready();
    const check = async (where) => {
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      // Evaluated by the debugger, which the page's policy does not hold for.
      await page.evaluate(`${axe}; undefined`);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      const bad = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
      assert.deepEqual(bad.map(({ id, nodes }) => `${where}: ${id} ${nodes.slice(0, 3).map((n) => n.html.slice(0, 120)).join(" | ")}`), []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector("#scroll").scrollWidth <= document.querySelector("#scroll").clientWidth), `${where} is too wide`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollHeight <= innerHeight), `${where}: the page itself scrolls`);
    };
    await check("start");
    await page.setInputFiles("#composer input[type=file]", [PICTURE, CLIP]);
    await page.waitForSelector("#composer .tile video");
    await page.fill("#composer-text", "markdown");
    await check("draft");
    await page.click("#composer .tile.video .tile-view");
    await check("trim");
    await page.keyboard.press("Escape");
    await page.click(".send");
    await answered(page);
    await page.click(".saw summary");
    await check("answer");
    await page.fill("#composer-text", "fails");
    await page.click(".send");
    await page.waitForSelector(".error:not([hidden])");
    await check("error");
    await page.click('#bar button[aria-label="Settings"]');
    await page.click("dialog summary");
    await check("settings");
    await page.keyboard.press("Escape");
    await page.click('#bar button[aria-label="Chats"]');
    if (name === "360 pixels") await check("history");
    await done();
  });
}

test("the page works below a path", options, async () => {
  const { page, done, ready } = await openPage({ mock: { base: "/models/vl3/" } });
  await ready();
  await ask(page, "hello");
  await answered(page);
  await done();
});
