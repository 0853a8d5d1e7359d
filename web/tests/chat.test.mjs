// The page in a browser: questions, answers, branches, and what is kept.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { answered, ask, CLIP, closeBrowser, lastAnswer, noBrowser, openPage, PICTURE } from "./support.mjs";

const options = { skip: noBrowser, timeout: 60_000 };
after(closeBrowser);

test("a question is answered as a stream of Markdown, with counters", options, async () => {
  const { page, mock, done, ready } = await openPage();
  await ready();
  await ask(page, "Give me markdown");
  await answered(page);
  const answer = page.locator(".assistant .text");
  assert.equal(await answer.locator("h4").innerText(), "What is there");
  assert.equal(await answer.locator("table tr").count(), 3);
  assert.match(await answer.locator("pre").innerText(), /"box": \[12, 30, 44, 62\]/);
  assert.match(await answer.innerText(), /It says "a < b & c"\./);
  assert.equal(await answer.locator("a").getAttribute("rel"), "noopener noreferrer nofollow");
  assert.match(await page.locator(".assistant .facts").innerText(), /^\d+ \+ \d+ tokens · first after \d+\.\d\d s · \d+\.\d tokens\/s$/);
  const [body] = mock.chats();
  assert.deepEqual(body.messages, [{ role: "user", content: "Give me markdown" }]);
  assert.deepEqual([body.stream, body.stream_options, body.return_progress, body.media_report, body.temperature], [true, { include_usage: true }, true, true, undefined]);
  assert.equal(await page.locator("#live").innerText().then((t) => /The answer is complete\.$/.test(t)), true);
  await done();
});

test("progress is shown while the question is read", options, async () => {
  const { page, done } = await openPage();
  await ask(page, "slow");
  await page.waitForFunction(() => /Reading \d+ of \d+ tokens/.test(document.querySelector(".status")?.textContent ?? ""));
  assert.ok((await page.locator("progress").getAttribute("value")) !== null);
  await answered(page);
  assert.equal(await page.locator(".status").innerText(), "");
  await done();
});

test("what a model says is text: no element, address or handler of it comes to be", options, async () => {
  const { page, done } = await openPage();
  await ask(page, "hostile");
  await answered(page);
  const answer = page.locator(".assistant .text");
  assert.equal(await answer.locator("img, script, iframe, [onerror], [onclick]").count(), 0);
  assert.deepEqual(await answer.locator("a").evaluateAll((links) => links.map((a) => a.getAttribute("href"))), ["https://example.com/beacon.png"]);
  assert.match(await answer.innerText(), /<img src=x onerror=/);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  await done();
});

test("Esc stops an answer, and the server sees it; what was said stays", options, async () => {
  const { page, mock, done } = await openPage();
  await ask(page, "long");
  await page.waitForFunction(() => (document.querySelector(".assistant .text")?.textContent.length ?? 0) > 40);
  assert.equal(await page.locator(".send").getAttribute("aria-label"), "Stop");
  await page.keyboard.press("Escape");
  await answered(page);
  assert.match(await page.locator(".assistant .facts").innerText(), /^stopped/);
  assert.ok((await lastAnswer(page)).length > 40);
  await page.waitForTimeout(100);
  assert.equal(mock.stopped, 1);
  assert.equal(await page.locator(".send").getAttribute("aria-label"), "Send");
  await done();
});

test("refusals are told in words, with the code and when to try again", options, async () => {
  const { page, done } = await openPage();
  await ask(page, "busy");
  const error = page.locator(".error:visible");
  await error.waitFor();
  assert.match(await error.innerText(), /The server is busy\s+64 requests are waiting already\.\s+HTTP 429 · queue_full/);
  const again = error.locator("button");
  assert.match(await again.innerText(), /Try again in [12] s/);
  assert.ok(await again.isDisabled());
  await page.waitForFunction(() => document.querySelector(".error button")?.textContent === "Try again");
  await again.click();
  await page.waitForFunction(() => /You asked: busy/.test(document.querySelector(".assistant .text")?.textContent ?? ""));
  await answered(page);
  await ask(page, "this is too long");
  await error.waitFor();
  assert.match(await error.innerText(), /longer than the model can read[^]*5000[^]*4096[^]*context_length_exceeded/);
  assert.match(await page.locator("#live-now").innerText(), /longer than the model can read/);
  await done();
});

test("errors after the first words, and connections that end, keep the words", options, async () => {
  const { page, done } = await openPage({ allow: /Failed to load resource|ERR_/ });
  await ask(page, "it breaks");
  const error = page.locator(".error:visible");
  await error.waitFor();
  assert.match(await error.innerText(), /The decoder of the clip stopped\.[^]*decode_failed/);
  assert.match(await lastAnswer(page), /You asked/);
  await ask(page, "it is cut");
  await page.waitForFunction(() => [...document.querySelectorAll(".error")].some((e) => /stream_cut/.test(e.textContent)));
  assert.match(await lastAnswer(page), /You asked/);
  await done();
});

test("try again and edit make branches, and one goes between them", options, async () => {
  const { page, mock, done } = await openPage();
  await ask(page, "one");
  await answered(page);
  await page.click(".assistant .retry");
  await page.waitForFunction(() => /2 \/ 2/.test(document.querySelector(".assistant .branches")?.textContent ?? ""));
  await answered(page);
  assert.match(await lastAnswer(page), /№2/);
  await page.click(".assistant .branches button >> nth=0");
  await page.waitForFunction(() => /№1/.test(document.querySelector(".assistant .text").textContent));
  await ask(page, "two");
  await answered(page, 2);
  assert.deepEqual(mock.chats()[2].messages.map((m) => m.role), ["user", "assistant", "user"]);
  assert.match(mock.chats()[2].messages[1].content, /№1/);
  await page.locator(".message.user").first().hover();
  await page.locator(".message.user .edit").first().click();
  await page.fill(".editor textarea", "other");
  await page.click(".editor .primary");
  await page.waitForFunction(() => /You asked: other/.test(document.querySelector(".assistant .text")?.textContent ?? ""));
  await answered(page);
  assert.equal(await page.locator(".message").count(), 2);
  assert.match(await page.locator(".user .branches").innerText(), /2 \/ 2/);
  assert.deepEqual(mock.chats()[3].messages, [{ role: "user", content: "other" }]);
  await page.click(".user .branches button >> nth=0");
  await page.waitForFunction(() => document.querySelectorAll(".message").length === 4);
  await page.click('.assistant button[aria-label^="Go on in a new chat"] >> nth=0');
  await page.waitForFunction(() => /branch/.test(document.querySelector("#chat-title").textContent));
  assert.equal(await page.locator(".message").count(), 2);
  assert.equal(await page.locator("#chats li").count(), 2);
  await done();
});

test("history lasts over a reload, with attachments; chats are found, renamed and deleted", options, async () => {
  const { page, mock, done, ready } = await openPage();
  await page.setInputFiles("#composer input[type=file]", [PICTURE]);
  await page.waitForSelector("#composer .tile img");
  await ask(page, "What is this needle?");
  await answered(page);
  await page.click("#new-chat");
  await ask(page, "Another question");
  await answered(page);
  await page.reload();
  await ready();
  assert.equal(await page.locator("#chats li").count(), 2);
  assert.equal(await page.locator("#chat-title").innerText(), "Another question");
  await page.fill("#search", "NEEDLE this");
  await page.waitForFunction(() => document.querySelectorAll("#chats li").length === 1);
  await page.click("#chats .chat-name");
  await page.waitForSelector(".user .tile img");
  assert.equal(await page.locator(".user .tile img").evaluate((image) => image.naturalWidth), 2);
  // The server of before may have been restarted: what it does not have any more is sent again.
  await ask(page, "And now?");
  await answered(page, 2);
  assert.match(mock.chats().at(-1).messages[0].content[0].image_url.url, /^data:image\/png;base64,/);
  await page.fill("#search", "");
  await page.locator("#chats li").first().hover();
  await page.click('#chats li:first-child button[aria-label^="Rename"]');
  await page.fill("dialog input", "Needles");
  await page.press("dialog input", "Enter");
  await page.waitForFunction(() => document.querySelector("#chat-title").textContent === "Needles");
  await page.locator("#chats li").first().hover();
  await page.click('#chats li:first-child button[aria-label^="Delete"]');
  await page.click("dialog .danger");
  await page.waitForFunction(() => document.querySelectorAll("#chats li").length === 1);
  const blobs = await page.evaluate(() => new Promise((resolve) => {
    indexedDB.open("videollama3").onsuccess = ({ target }) => (target.result.transaction("blobs").objectStore("blobs").count().onsuccess = (event) => resolve(event.target.result));
  }));
  assert.equal(blobs, 0);
  await done();
});

test("an answer that a reload cuts is there as far as it came", options, async () => {
  const { page, done, ready } = await openPage();
  await ask(page, "long");
  await page.waitForTimeout(2500);
  await page.reload();
  await ready();
  assert.match(await lastAnswer(page), /All the same words/);
  assert.match(await page.locator(".assistant .facts").innerText(), /stopped/);
  await done();
});

test("an answer goes on while another chat is open", options, async () => {
  const { page, done } = await openPage({ mock: { speed: 60 } });
  await ask(page, "first");
  await page.waitForSelector(".assistant");
  await page.click("#new-chat");
  assert.equal(await page.locator(".message").count(), 0);
  await page.waitForSelector("#chats .dot");
  await page.waitForFunction(() => !document.querySelector("#chats .dot"));
  await page.click("#chats .chat-name");
  await page.waitForFunction(() => /You asked: first/.test(document.querySelector(".assistant .text")?.textContent ?? ""));
  await done();
});

test("all chats go into a file and come back from it, elsewhere", options, async () => {
  const first = await openPage();
  await first.page.setInputFiles("#composer input[type=file]", [PICTURE, CLIP]);
  await first.page.waitForSelector("#composer .tile video");
  await ask(first.page, "Keep this");
  await answered(first.page);
  await first.page.click(".assistant .retry");
  await first.page.waitForSelector(".assistant .branches");
  await answered(first.page);
  const [file] = await Promise.all([first.page.waitForEvent("download"), first.page.click('button[aria-label="Export all chats"]')]);
  assert.equal(file.suggestedFilename(), "videollama3 chats.zip");
  const path = await file.path();
  const second = await openPage();
  const add = () => second.page.setInputFiles("#sidebar-foot input[type=file]", path);
  await add();
  await second.page.waitForSelector("#chats li");
  await second.page.click("#chats .chat-name");
  await second.page.waitForSelector(".user .tile video");
  assert.match(await second.page.locator(".assistant .branches").innerText(), /2 \/ 2/);
  assert.equal(await second.page.locator(".saw").count(), 1);
  await add();
  await second.page.waitForFunction(() => /1 already here/.test(document.querySelector("#toasts").textContent));
  assert.equal(await second.page.locator("#chats li").count(), 1);
  await second.page.setInputFiles("#sidebar-foot input[type=file]", [PICTURE]);
  await second.page.waitForFunction(() => /not a file that this page exported/.test(document.querySelector("#toasts").textContent));
  await first.done();
  await second.done();
});

test("a browser that cannot keep a chat says so, once, and the answer comes all the same", options, async () => {
  const { page, done } = await openPage();
  await page.evaluate(() => {
    IDBObjectStore.prototype.put = () => {
      throw new DOMException("The disk is full.", "QuotaExceededError");
    };
  });
  await page.setInputFiles("#composer input[type=file]", [PICTURE]);
  await page.waitForSelector("#composer .tile img");
  await ask(page, "hello");
  await answered(page);
  assert.match(await lastAnswer(page), /You asked: hello/);
  assert.deepEqual(await page.locator(".toast").allInnerTexts(), ["This browser could not keep the chat: The disk is full."]);
  await ask(page, "again");
  await answered(page, 2);
  await done();
});
