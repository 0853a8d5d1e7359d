// The page of a server that runs, whose address is VL3_SERVER (and its key, VL3_KEY): what the mock cannot
// show, that both speak alike.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { answered, ask, CLIP, closeBrowser, counts, lastAnswer, openPage, options as inBrowser, PICTURE, RECORDED, shows, storedMessages, STRANGE } from "./support.mjs";

const server = process.env.VL3_SERVER;
const options = { ...inBrowser, skip: inBrowser.skip || (server ? false : "VL3_SERVER names no server") };
after(closeBrowser);

async function open() {
  const opened = await openPage({ server });
  if (process.env.VL3_KEY) {
    await opened.page.fill("#key-dialog input[type=password]", process.env.VL3_KEY);
    await opened.page.click("#key-dialog .primary");
  }
  await opened.ready();
  return opened;
}
const set = async (page, name, value) => {
  await page.click('#bar button[aria-label="Settings"]');
  await page.evaluate(() => document.querySelector("dialog details").setAttribute("open", ""));
  if (name === "ignore_eos") await page.check("dialog details input[type=checkbox]");
  else await page.fill(`dialog [name=${name}]`, String(value));
  await page.click("dialog .primary");
};
const noErrors = async (page) => assert.deepEqual(await page.locator(".error:visible").allInnerTexts(), []);

test("a server: a question about a picture is answered, and the chat lasts over a reload", options, async () => {
  const { page, done, ready } = await open();
  await set(page, "max_completion_tokens", 16);
  await page.setInputFiles("#composer input[type=file]", [PICTURE]);
  await page.waitForFunction(() => /^\d+ of .+ tokens/.test(document.querySelector(".meter").textContent));
  await ask(page, "What colour is it?");
  await answered(page);
  await noErrors(page);
  const answer = await lastAnswer(page);
  assert.notEqual(answer.trim(), "");
  await shows(page.locator(".assistant .facts"), /\d+ \+ \d+ tokens/);
  await ask(page, "And what else?");
  await answered(page, 2);
  await noErrors(page);
  await storedMessages(page, 4);
  await page.reload();
  await ready();
  await shows(page.locator(".assistant .text").first(), answer);
  await counts(page.locator(".user .tile img"), 1);
  await done();
});

test("a server: a trimmed clip costs less, and its frames are those of the part", options, async () => {
  const { page, done } = await open();
  await set(page, "max_completion_tokens", 8);
  const cost = async () => {
    await page.waitForFunction(() => /^\d/.test(document.querySelector(".meter").textContent) && !document.querySelector(".meter").matches(".stale"));
    return Number(/^[\d\u202f]+/.exec(await page.locator(".meter").innerText())[0].replaceAll("\u202f", ""));
  };
  await page.setInputFiles("#composer input[type=file]", [CLIP]);
  const whole = await cost();
  await page.click("#composer .tile-view");
  for (const [i, value] of [4, 7, 2].entries()) await page.locator("#trim-dialog .fields input").nth(i).fill(String(value));
  await page.click("#trim-dialog .primary");
  const part = await cost();
  assert.ok(part < whole, `${part} < ${whole}`);
  await page.fill("#composer-text", "What moves?");
  const all = await cost();
  await page.press("#composer-text", "Enter");
  await answered(page);
  await noErrors(page);
  await shows(page.locator(".assistant .facts"), new RegExp(`^${all} `), "what was counted is what was taken");
  await page.click(".saw summary");
  await page.locator(".frame-facts b").first().waitFor();
  const times = (await page.locator(".frame-facts b").allInnerTexts()).map((text) => Number(text.split(":")[1]));
  assert.ok(times.length >= 5 && times.length <= 7, `${times.length} frames`);
  assert.ok(times[0] >= 3.9 && times.at(-1) <= 7.1, String(times));
  await page.waitForFunction(() => document.querySelector(".frames canvas").width > 16);
  await shows(page.locator(".report-head"), /\d frames, \d+ × \d+ tokens each; \d+ of \d+ tokens kept \(\d+ %\)/);
  await done();
});

test("a server: what the camera records can be read", options, async () => {
  const { page, done } = await open();
  await set(page, "max_completion_tokens", 4);
  await page.click('#composer button[aria-label="Camera"]');
  await page.locator("dialog button:not([disabled])", { hasText: "Record a clip" }).click();
  await page.locator("dialog [role=status]", { hasText: RECORDED }).waitFor();
  await page.locator("dialog button", { hasText: "Stop recording" }).click();
  await page.locator("#composer .tile.video").waitFor();
  await ask(page, "What is it?");
  await answered(page);
  await noErrors(page);
  await counts(page.locator(".saw"), 1);
  await done();
});

test("a server: a clip that the browser cannot show is read", options, async () => {
  const { page, done } = await open();
  await set(page, "max_completion_tokens", 4);
  await page.setInputFiles("#composer input[type=file]", [STRANGE]);
  await page.locator("#composer .no-preview").waitFor();
  await ask(page, "What is it?");
  await answered(page);
  await noErrors(page);
  await page.click(".saw summary");
  await page.locator(".frames li").first().waitFor();
  await done();
});

test("a server: an answer is stopped, and refusals are told", options, async () => {
  const { page, done } = await open();
  await set(page, "ignore_eos");
  await set(page, "max_completion_tokens", 1500);
  await ask(page, "Count.");
  await page.waitForFunction(() => (document.querySelector(".assistant .text")?.textContent.length ?? 0) > 3);
  await page.keyboard.press("Escape");
  await answered(page);
  await shows(page.locator(".assistant .facts"), /^stopped/);
  await set(page, "max_completion_tokens", 1_000_000);
  await ask(page, "word ".repeat(60_000));
  await page.waitForSelector(".error:not([hidden])");
  await shows(page.locator(".error:visible"), /HTTP 4\d\d · \w+/);
  await done();
});
