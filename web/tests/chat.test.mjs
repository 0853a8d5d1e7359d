// The page in a browser: questions, answers, branches, and what is kept.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { answered, ask, becomes, CLIP, closeBrowser, counts, has, lastAnswer, openPage, options, PICTURE, shows, stored, storedMessages, toasts } from "./support.mjs";

after(closeBrowser);

test("a question is answered as a stream of Markdown, with counters", options, async () => {
  const { page, mock, done, ready } = await openPage();
  await ready();
  await ask(page, "Give me markdown");
  await answered(page);
  const answer = page.locator(".assistant .text");
  await shows(answer.locator("h4"), "What is there");
  await counts(answer.locator("table tr"), 3);
  await shows(answer.locator("pre").first(), /"box": \[12, 30, 44, 62\]/);
  await shows(answer, /It says "a < b & c"\./);
  await has(answer.locator("a"), "rel", "noopener noreferrer nofollow");
  await shows(page.locator(".assistant .facts"), /^\d+ \+ \d+ tokens · first after \d+\.\d\d s · \d+\.\d tokens\/s$/);
  // The chat's share of what the model can read, before more is asked.
  await shows(page.locator("#composer .meter"), /^\d+ of 4\u202f096 tokens$/);
  const [body] = mock.chats();
  assert.deepEqual(body.messages, [{ role: "user", content: "Give me markdown" }]);
  assert.deepEqual([body.stream, body.stream_options, body.return_progress, body.media_report, body.temperature], [true, { include_usage: true }, true, true, undefined]);
  await shows(page.locator("#live"), /The answer is complete\.$/);
  await done();
});

test("formulas are drawn, prices are not; code has colours, and wraps where one asks for it", options, async () => {
  const { page, done } = await openPage();
  await ask(page, "markdown");
  await answered(page);
  const answer = page.locator(".assistant .text");
  assert.deepEqual(await answer.locator("math").evaluateAll((all) => all.map((m) => [m.namespaceURI.slice(-6), m.getAttribute("display"), m.querySelector("annotation").textContent])), [
    ["MathML", null, "\\pi r^2"],
    ["MathML", "block", "\\sum_{i=1}^{n} a_i = \\frac{n (n + 1)}{2}"],
  ]);
  await shows(answer, /costs \$5 or \$6 a frame:/);
  const code = answer.locator(".code").nth(1);
  assert.deepEqual(await code.locator(".code-word").allInnerTexts(), ["def", "return"]);
  await shows(code.locator(".code-comment"), "# of a circle");
  await code.getByLabel("Wrap lines").click();
  assert.equal(await code.locator("pre").evaluate((pre) => getComputedStyle(pre).whiteSpace), "pre-wrap");
  await has(code.getByLabel("Wrap lines"), "aria-pressed", "true");
  await done();
});

test("code that grows stays the element that it is", options, async () => {
  const { page, done } = await openPage({ mock: { speed: 60 } });
  await ask(page, "markdown");
  await page.waitForFunction(() => /box/.test(document.querySelector(".code pre")?.textContent ?? ""));
  await page.evaluate(() => (window.before = document.querySelector(".code pre")));
  await page.waitForFunction(() => /leaves_at_s": 3/.test(document.querySelector(".code pre").textContent));
  assert.ok(await page.evaluate(() => window.before === document.querySelector(".code pre")));
  await page.keyboard.press("Escape");
  await answered(page);
  await done();
});

test("an answer that was stopped goes on in its place", options, async () => {
  const { page, mock, done } = await openPage();
  await ask(page, "long");
  await page.waitForFunction(() => (document.querySelector(".assistant .text")?.textContent.length ?? 0) > 40);
  await page.keyboard.press("Escape");
  await answered(page);
  const before = await lastAnswer(page);
  await page.click(".go-on");
  await page.waitForFunction(() => /And it goes on\.$/.test(document.querySelector(".assistant .text").textContent.trim()));
  await answered(page);
  assert.ok((await lastAnswer(page)).startsWith(before));
  const body = mock.chats().at(-1);
  assert.equal(body.continue_final_message, true);
  assert.deepEqual(body.messages.map(({ role }) => role), ["user", "assistant"]);
  assert.equal(body.messages[1].content.trim(), before.trim());
  await counts(page.locator(".message"), 2);
  await counts(page.locator(".go-on"), 0);
  await done();
});

test("a question is deleted with what comes after it, an answer beside another alone", options, async () => {
  const { page, done, ready } = await openPage();
  await ask(page, "one");
  await answered(page);
  await counts(page.locator(".assistant .delete"), 0);
  await page.click(".assistant .retry");
  await page.waitForSelector(".assistant .branches");
  await answered(page);
  await page.click(".assistant .delete");
  await page.click("dialog .danger");
  await page.waitForSelector(".branches", { state: "detached" });
  assert.match(await lastAnswer(page), /№1/);
  await page.setInputFiles("#composer input[type=file]", [PICTURE]);
  await page.waitForSelector("#composer .tile img");
  await ask(page, "two");
  await answered(page, 2);
  await page.locator(".message.user").last().hover();
  await page.locator(".user .delete").last().click();
  await shows(page.locator("dialog"), /Delete this question\?/);
  await page.click("dialog .danger");
  await counts(page.locator(".message"), 2);
  await storedMessages(page, 2);
  await page.reload();
  await ready();
  await counts(page.locator(".message"), 2);
  await page.locator(".message.user").hover();
  await page.click(".user .delete");
  await page.click("dialog .danger");
  await page.waitForFunction(() => !document.querySelector(".message") && !document.querySelector("#chats li"));
  await stored(page, "blobs", (blobs) => assert.equal(blobs.length, 0));
  await done();
});

test("long questions are folded, and open", options, async () => {
  const { page, done } = await openPage();
  await ask(page, "A short one");
  await answered(page);
  await ask(page, "a\n".repeat(30) + "b");
  await answered(page, 2);
  await counts(page.locator(".unfold"), 1);
  const height = () => page.locator(".user .text").last().evaluate((text) => text.offsetHeight);
  const folded = await height();
  await page.click(".unfold");
  assert.ok((await height()) > folded);
  await has(page.locator(".unfold"), "aria-expanded", "true");
  await shows(page.locator(".unfold"), "Show less");
  await done();
});

test("progress is shown while the question is read", options, async () => {
  const { page, mock, done } = await openPage();
  await ask(page, "slow");
  await page.waitForFunction(() => /Reading \d+ of \d+ tokens/.test(document.querySelector(".status")?.textContent ?? ""));
  await becomes(() => page.locator("progress").getAttribute("value"), (value) => assert.ok(Number(value) > 0 && Number(value) < 1));
  await mock.go();
  await answered(page);
  await shows(page.locator(".status"), "");
  await done();
});

test("what a model says is text: no element, address or handler of it comes to be", options, async () => {
  const { page, done } = await openPage();
  await ask(page, "hostile");
  await answered(page);
  const answer = page.locator(".assistant .text");
  await counts(answer.locator("img, script, iframe, [onerror], [onclick]"), 0);
  assert.deepEqual(await answer.locator("a").evaluateAll((links) => links.map((a) => a.getAttribute("href"))), ["https://example.com/beacon.png"]);
  await shows(answer, /<img src=x onerror=/);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  await done();
});

test("Esc stops an answer, and the server sees it; what was said stays", options, async () => {
  const { page, mock, done } = await openPage();
  await ask(page, "long");
  await page.waitForFunction(() => (document.querySelector(".assistant .text")?.textContent.length ?? 0) > 40);
  await has(page.locator(".send"), "aria-label", "Stop");
  await page.keyboard.press("Escape");
  await answered(page);
  await shows(page.locator(".assistant .facts"), /^stopped/);
  assert.ok((await lastAnswer(page)).length > 40);
  await becomes(() => mock.stopped, (n) => assert.equal(n, 1));
  await has(page.locator(".send"), "aria-label", "Send");
  await done();
});

test("refusals are told in words, with the code and when to try again", options, async () => {
  const { page, done } = await openPage();
  await page.evaluate(() => {
    window.now = Date.now();
    Date.now = () => window.now;
  });
  await ask(page, "busy");
  const error = page.locator(".error:visible");
  await error.waitFor();
  await shows(error, /The server is busy\s+64 requests are waiting already\.\s+HTTP 429 · queue_full/);
  const again = error.locator("button");
  await shows(again, "Try again in 50 s");
  assert.ok(await again.isDisabled());
  await page.evaluate(() => (window.now += 49_000));
  await shows(again, "Try again in 1 s");
  assert.ok(await again.isDisabled());
  await page.evaluate(() => (window.now += 1_000));
  await shows(again, "Try again");
  await again.click();
  await page.waitForFunction(() => /You asked: busy/.test(document.querySelector(".assistant .text")?.textContent ?? ""));
  await answered(page);
  await ask(page, "this is too long");
  await error.waitFor();
  await shows(error, /longer than the model can read[^]*5000[^]*4096[^]*context_length_exceeded/);
  await shows(page.locator("#live-now"), /longer than the model can read/);
  await done();
});

test("errors after the first words, and connections that end, keep the words", options, async () => {
  const { page, mock, done } = await openPage({ allow: /Failed to load resource|ERR_/ });
  await ask(page, "it breaks");
  const error = page.locator(".error:visible");
  await error.waitFor();
  await shows(error, /The decoder of the clip stopped\.[^]*decode_failed/);
  assert.match(await lastAnswer(page), /You asked/);
  await ask(page, "it is cut");
  await page.waitForFunction(() => /You asked/.test([...document.querySelectorAll(".assistant .text")].at(1)?.textContent));
  await mock.go();
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
  await counts(page.locator(".message"), 2);
  await shows(page.locator(".user .branches"), /2 \/ 2/);
  assert.deepEqual(mock.chats()[3].messages, [{ role: "user", content: "other" }]);
  await page.click(".user .branches button >> nth=0");
  await page.waitForFunction(() => document.querySelectorAll(".message").length === 4);
  await page.click('.assistant button[aria-label^="Go on in a new chat"] >> nth=0');
  await page.waitForFunction(() => /branch/.test(document.querySelector("#chat-title").textContent));
  await counts(page.locator(".message"), 2);
  await counts(page.locator("#chats li"), 2);
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
  await storedMessages(page, 4);
  await page.reload();
  await ready();
  await counts(page.locator("#chats li"), 2);
  await shows(page.locator("#chat-title"), "Another question");
  await page.fill("#search", "NEEDLE this");
  await page.waitForFunction(() => document.querySelectorAll("#chats li").length === 1);
  await shows(page.locator("#chats .excerpt"), "What is this needle?");
  await shows(page.locator("#chats mark"), "needle");
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
  await stored(page, "blobs", (blobs) => assert.equal(blobs.length, 0));
  await done();
});

test("an answer that a reload cuts is there as far as it came", options, async () => {
  const { page, done, ready } = await openPage();
  await ask(page, "long");
  await stored(page, "messages", (rows) => assert.match(rows.find(({ role }) => role === "assistant").text, /All the same words/));
  await page.reload();
  await ready();
  await shows(page.locator(".assistant .text"), /All the same words/);
  await shows(page.locator(".assistant .facts"), /stopped/);
  await done();
});

test("an answer goes on while another chat is open", options, async () => {
  const { page, mock, done } = await openPage();
  await ask(page, "first waits");
  await page.waitForSelector(".assistant");
  await page.click("#new-chat");
  await counts(page.locator(".message"), 0);
  await page.waitForSelector("#chats .dot");
  await mock.go();
  await counts(page.locator("#chats .dot"), 0);
  await page.click("#chats .chat-name");
  await page.waitForFunction(() => /You asked: first waits\. Réponse №1 ✓/.test(document.querySelector(".assistant .text")?.textContent ?? ""));
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
  await shows(second.page.locator(".assistant .branches"), /2 \/ 2/);
  await counts(second.page.locator(".saw"), 1);
  await add();
  await toasts(second.page, /1 already here/);
  await counts(second.page.locator("#chats li"), 1);
  await second.page.setInputFiles("#sidebar-foot input[type=file]", [PICTURE]);
  await toasts(second.page, /not a file that this page exported/);
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
  const once = "This browser could not keep the chat: The disk is full.";
  await toasts(page, once);
  await ask(page, "again");
  await answered(page, 2);
  await toasts(page, once);
  await done();
});

test("code and answers are copied as they were written", options, async () => {
  const { page, done } = await openPage({ context: { permissions: ["clipboard-read", "clipboard-write"] } });
  await ask(page, "markdown");
  await answered(page);
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await page.click('.code button[aria-label="Copy code"]');
  await page.waitForFunction(async () => (await navigator.clipboard.readText()).startsWith('{"square"'));
  assert.match(await copied(), /"leaves_at_s": 3\.0\}\}$/);
  await shows(page.locator("#live"), "Copied.");
  await page.click('.assistant .foot button[aria-label="Copy"]');
  await page.waitForFunction(async () => (await navigator.clipboard.readText()).startsWith("## What is there"));
  assert.match(await copied(), /\|:-------\|:------:\|--------:\|/);
  await done();
});

test("a screen reader is told of sentences, not of tokens", options, async () => {
  const { page, done, ready } = await openPage();
  await ready();
  await page.evaluate(() => {
    window.time = performance.now();
    performance.now = () => window.time;
    window.said = [];
    new MutationObserver(() => window.said.push(document.querySelector("#live").textContent)).observe(document.querySelector("#live"), { childList: true, characterData: true, subtree: true });
  });
  const length = () => page.evaluate(() => document.querySelector(".assistant .text").textContent.length);
  // After so many seconds more, and two sentences: so many announcements.
  const after = async (seconds, n) => {
    await page.evaluate((more) => (window.time += 1000 * more), seconds);
    const before = await length();
    await becomes(length, (now) => assert.ok(now > before + 60));
    await becomes(() => page.evaluate(() => window.said), (said) => assert.equal(said.length, n, said.join("\n")));
  };
  await ask(page, "long");
  await page.waitForSelector(".assistant .text p");
  await after(3.9, 1);
  await after(0.2, 2);
  await after(3.9, 2);
  await after(0.2, 3);
  await page.keyboard.press("Escape");
  await answered(page);
  await shows(page.locator("#live"), /Stopped\.$/);
  const said = await page.evaluate(() => window.said);
  assert.equal(said[0], "The question is sent.");
  for (const text of said.slice(1, 3)) assert.match(text, /^All the same.*again\.$/);
  await done();
});
