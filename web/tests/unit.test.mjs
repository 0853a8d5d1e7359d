import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { load } from "./support.mjs";

test("events are whole however their text is cut", async () => {
  const { SseParser } = await load("api/sse.ts");
  const text = ': ping\n\ndata: {"a":1}\r\n\r\ndata: one\ndata:two\n\nevent: x\ndata:  three\n\nid: 7\n\ndata: [DONE]\n\n';
  const whole = ['{"a":1}', "one\ntwo", " three", "[DONE]"];
  for (let size = 1; size <= text.length; ++size) {
    const parser = new SseParser();
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
    assert.deepEqual(events, whole, `pieces of ${size}`);
  }
  assert.deepEqual(new SseParser().push("data: not yet complete\n"), []);
});

test("failures are told in words, with code and the time to wait", async () => {
  const { failureOf, tell, retrySeconds, ApiFailure } = await load("api/failure.ts");
  const busy = tell(failureOf(429, { error: { message: "64 wait.", code: "queue_full", type: "rate_limit_error" } }, "7"), 1000);
  assert.deepEqual(busy, { title: "The server is busy", detail: "64 wait.", code: "queue_full", status: 429, retryAt: 8000 });
  assert.equal(tell(failureOf(400, { error: { message: "m", code: "context_length_exceeded" } })).title, "This is longer than the model can read");
  assert.equal(tell(failureOf(418, "a teapot")).title, "The server did not accept this request");
  assert.equal(tell(failureOf(418, "a teapot")).detail, "a teapot");
  assert.equal(tell(failureOf(599, null)).title, "The server failed");
  assert.equal(failureOf(502, "").message, "HTTP status 502");
  assert.equal(failureOf(500, { error: "plain" }).message, "plain");
  assert.equal(failureOf(503, { error: { code: 503, message: "Loading model" } }).code, "503");
  assert.equal(tell(new ApiFailure(0, "", "x")).title, "The server cannot be reached");
  assert.equal(tell(new TypeError("odd")).title, "The page failed");
  assert.equal(retrySeconds("Thu, 01 Jan 1970 00:00:30 GMT", 10_000), 20);
  assert.equal(retrySeconds("Thu, 01 Jan 1970 00:00:30 GMT", 60_000), 0);
  assert.equal(retrySeconds("99999999"), 3600);
  assert.equal(retrySeconds("soon"), null);
  assert.equal(retrySeconds(null), null);
});

test("branches: paths, siblings and newest leaves, also of a tree with a ring", async () => {
  const { pathTo, siblings, newestLeaf, titleOf } = await load("store/tree.ts");
  const message = (id, parent, created) => ({ id, parent, created, text: id, attachments: [] });
  const all = [message("a", null, 1), message("b", "a", 2), message("c", "b", 3), message("b2", "a", 4), message("c2", "b2", 5), message("d2", "c2", 6), message("a2", null, 7)];
  const messages = new Map(all.map((m) => [m.id, m]));
  const ids = (list) => list.map((m) => m.id).join(" ");
  assert.equal(ids(pathTo(messages, "c")), "a b c");
  assert.equal(ids(pathTo(messages, null)), "");
  assert.equal(ids(pathTo(messages, "nowhere")), "");
  assert.equal(ids(siblings(messages, messages.get("b2"))), "b b2");
  assert.equal(ids(siblings(messages, messages.get("a2"))), "a a2");
  assert.equal(newestLeaf(messages, "a"), "d2");
  assert.equal(newestLeaf(messages, "b"), "c");
  assert.equal(newestLeaf(messages, "a2"), "a2");
  const ring = new Map([message("x", "y", 1), message("y", "x", 2)].map((m) => [m.id, m]));
  assert.equal(ids(pathTo(ring, "x")), "y x");
  assert.ok(ring.has(newestLeaf(ring, "x")));
  assert.equal(titleOf({ text: "  What\n is  it? ", attachments: [] }), "What is it?");
  assert.equal(titleOf({ text: "word ".repeat(40), attachments: [] }), `${"word ".repeat(12).trim()}…`);
  assert.equal(titleOf({ text: "", attachments: [{ name: "cat.png" }] }), "cat.png");
});

test("the media report is read, and what does not fit is left out", async () => {
  const { readReport } = await load("media/report.ts");
  const read = readReport({
    images: [{ tokens: 6, grid: [2, 3] }],
    videos: [{ timestamps: [0, 0.5, 1], tokens_per_frame: 4, kept: [4, 1, 2], grid: [2, 2], masks: ["1111", "0100", "11"], notes: ["fps is assumed", 7] }],
  });
  assert.equal(read.length, 2);
  assert.deepEqual(read[0], { kind: "image", rows: 2, columns: 3, tokens: 6, kept: 6, frames: [{ time: null, kept: 6, tokens: 6, map: "" }], notes: [] });
  assert.deepEqual(read[1].frames, [{ time: 0, kept: 4, tokens: 4, map: "1111" }, { time: 0.5, kept: 1, tokens: 4, map: "0100" }, { time: 1, kept: 2, tokens: 4, map: "" }]);
  assert.deepEqual([read[1].tokens, read[1].kept, read[1].notes], [12, 7, ["fps is assumed"]]);
  for (const odd of [null, 7, "x", [], {}, { videos: "x" }, { videos: [null, 3] }]) assert.deepEqual(readReport(odd), []);
  assert.deepEqual(readReport({ videos: [{}] })[0].frames, []);
  assert.equal(readReport({ videos: [{ timestamps: [-1], masks: ["<b>"], grid: [1, 3] }] })[0].frames[0].map, "");
});

test("settings become fields of the request; empty ones are left to the server", async () => {
  const { answerFields, DEFAULTS, formatProblem, isChanged, FIELDS } = await load("chat/settings.ts");
  assert.deepEqual(answerFields(DEFAULTS), {});
  assert.equal(isChanged(DEFAULTS), false);
  assert.equal(isChanged({ ...DEFAULTS, model: "other", temperature: undefined }), false);
  assert.equal(isChanged({ ...DEFAULTS, temperature: 0 }), true);
  const all = { ...DEFAULTS, temperature: 0, top_p: 0.9, seed: 7, fps: 2, stop: "END\n\\n\\n", ignore_eos: true };
  assert.deepEqual(answerFields(all), { temperature: 0, top_p: 0.9, seed: 7, stop: ["END", "\n\n"], ignore_eos: true });
  assert.deepEqual(answerFields({ ...DEFAULTS, format: "json_schema", formatText: '{"type":"object"}' }).response_format, { type: "json_schema", json_schema: { name: "answer", strict: true, schema: { type: "object" } } });
  assert.deepEqual(answerFields({ ...DEFAULTS, format: "choice", formatText: "yes\n\n no " }).structured_outputs, { choice: ["yes", "no"] });
  assert.deepEqual(answerFields({ ...DEFAULTS, format: "regex", formatText: "a+" }).structured_outputs, { regex: "a+" });
  for (const [format, formatText] of [["json_schema", "{"], ["json_schema", "[]"], ["regex", ""], ["choice", " \n"]]) assert.notEqual(formatProblem({ format, formatText }), "", format);
  for (const [format, formatText] of [["text", ""], ["json_object", ""], ["json_schema", "{}"], ["regex", "a"], ["choice", "a"]]) assert.equal(formatProblem({ format, formatText }), "", format);
  assert.equal(new Set(FIELDS.map((f) => f.name)).size, FIELDS.length);
});

test("messages on the wire: bytes once, then names; trimmed clips; no empty text", async () => {
  const { wireMessages } = await load("chat/request.ts");
  const { DEFAULTS } = await load("chat/settings.ts");
  const image = { id: "i1", kind: "image", name: "a.png" };
  const clip = { id: "v1", kind: "video", name: "b.mp4", start: 1.5, end: 3, fps: 2 };
  const turns = [{ role: "user", text: "", attachments: [image, clip] }, { role: "assistant", text: "Yes.", attachments: [] }, { role: "user", text: "And?", attachments: [clip] }];
  const settings = { ...DEFAULTS, system: "Be brief.", fps: 9, max_frames: 20, max_tokens: 100 };
  const asked = [];
  const url = async (a) => (asked.push(a.id), `data:,${a.id}`);
  assert.deepEqual(await wireMessages(turns, settings, (a) => a.id === "v1", url), [
    { role: "system", content: "Be brief." },
    { role: "user", content: [
      { type: "image_url", image_url: { url: "data:,i1" }, uuid: "i1", max_tokens: 100 },
      { type: "video_url", video_url: null, uuid: "v1", max_tokens: 100, fps: 2, max_frames: 20, start_time: 1.5, end_time: 3 },
    ] },
    { role: "assistant", content: "Yes." },
    { role: "user", content: [{ type: "video_url", video_url: null, uuid: "v1", max_tokens: 100, fps: 2, max_frames: 20, start_time: 1.5, end_time: 3 }, { type: "text", text: "And?" }] },
  ]);
  assert.deepEqual(asked, ["i1"]);
});

test("zip files: what is written is read again; other files are refused", async () => {
  const { writeZip, readZip } = await load("store/zip.ts");
  const data = { "chats.json": new TextEncoder().encode('{"a":"ü"}'), "attachments/ä": new Uint8Array(70_000).map((_, i) => i * 7), empty: new Uint8Array() };
  const zip = await writeZip(Object.entries(data).map(([name, bytes]) => ({ name, data: new Blob([bytes]) })));
  const entries = await readZip(zip);
  assert.deepEqual([...entries.keys()], Object.keys(data));
  for (const [name, bytes] of Object.entries(data)) assert.deepEqual(new Uint8Array(await (await entries.get(name)()).arrayBuffer()), bytes, name);
  const bytes = new Uint8Array(await zip.arrayBuffer());
  const view = new DataView(bytes.buffer);
  assert.equal(view.getUint32(14, true), 0x3a1d613e, "the sum of the first entry");
  for (let cut = 0; cut < 60; ++cut) await assert.rejects(readZip(zip.slice(0, zip.size - 1 - cut)), /not a file that this page exported/);
  await assert.rejects(readZip(new Blob(["hello"])), /no zip directory/);
  await assert.rejects(readZip(new Blob([])), /no zip directory/);
});

test("zip files: compressed entries are read as far as they say they reach", async () => {
  const { writeZip, readZip } = await load("store/zip.ts");
  const text = Buffer.from("the same words ".repeat(1000));
  const packed = deflateRawSync(text);
  const made = async (size) => {
    const bytes = new Uint8Array(await (await writeZip([{ name: "a", data: new Blob([packed]) }])).arrayBuffer());
    const view = new DataView(bytes.buffer);
    const directory = 30 + 1 + packed.length;
    view.setUint16(directory + 10, 8, true);
    view.setUint32(directory + 24, size, true);
    return readZip(new Blob([bytes]));
  };
  assert.equal(await (await (await made(text.length)).get("a")()).text(), text.toString());
  await assert.rejects((await made(100)).get("a")(), /longer than it says/);
});

test("pictures and clips are told apart; drawings and other files are neither", async () => {
  const { kindOf } = await load("media/files.ts");
  assert.equal(kindOf("a", "image/png"), "image");
  assert.equal(kindOf("a.MKV", ""), "video");
  assert.equal(kindOf("a.heic", ""), "image");
  assert.equal(kindOf("a.mov", "video/quicktime"), "video");
  for (const [name, type] of [["a.svg", "image/svg+xml"], ["a.svg", ""], ["a.svg", "image/png"], ["a.txt", "text/plain"], ["mp4", ""], ["a.mp3", "audio/mpeg"]]) assert.equal(kindOf(name, type), null, name);
});

test("times are found in text, and what only looks like one is not", async () => {
  const { splitTimes } = await load("markdown/times.ts");
  const times = (text) => {
    const pieces = splitTimes(text);
    assert.equal(pieces.map((piece) => piece.text ?? piece).join(""), text);
    return pieces.filter((piece) => piece.text).map((piece) => piece.seconds);
  };
  assert.deepEqual(times("from 0:02.5 to 1:03, again at 1:02:03"), [2.5, 63, 3723]);
  assert.deepEqual(times("12.5s, 3 s, 1 second, (40 seconds)."), [12.5, 3, 1, 40]);
  assert.deepEqual(times("0:02–0:04"), [2, 4]);
  for (const none of ["3 squares", "16:9:x", "1:75", "v1:20a", "2024-01:10", "3 m/s", "12 sauces", "5s/frame", "", "a 1.2.3:40"]) assert.deepEqual(times(none), [], none);
});

test("formulas become trees; what is not understood stays text", async () => {
  const { maths } = await load("markdown/tex.ts");
  const show = ({ tag, within }) => `${tag}(${typeof within === "string" ? within : within.map(show).join(" ")})`;
  for (const [tex, tree] of [
    ["A = \\pi r^2", "mi(A) mo(=) mi(π) msup(mi(r) mn(2))"],
    ["\\sum_{i=1}^n a_i", "munderover(mo(∑) mrow(mi(i) mo(=) mn(1)) mi(n)) msub(mi(a) mi(i))"],
    ["\\frac12 - \\sqrt[3]{x}", "mfrac(mn(1) mn(2)) mo(−) mroot(mi(x) mn(3))"],
    ["x^10", "msup(mi(x) mn(1)) mn(0)"],
    ["f'(x_1^2)", "msup(mi(f) mo(′)) mo(() msubsup(mi(x) mn(1) mn(2)) mo())"],
    ["\\mathbb{R}^{n \\times m}", "msup(mi(ℝ) mrow(mi(n) mo(×) mi(m)))"],
    ["\\text{if } a", "mtext(if\u00a0) mi(a)"],
    ["\\left( \\frac{a}{b} \\right.", "mrow(mo(() mfrac(mi(a) mi(b)))"],
    ["\\begin{bmatrix} a & b \\\\ c & d \\end{bmatrix}", "mrow(mo([) mtable(mtr(mtd(mrow(mi(a))) mtd(mrow(mi(b)))) mtr(mtd(mrow(mi(c))) mtd(mrow(mi(d))))) mo(]))"],
    ["\\hat{x}_i", "msub(mover(mi(x) mo(^)) mi(i))"],
    ["90\\%", "mn(90) mo(%)"],
  ]) assert.equal(maths(tex)?.map(show).join(" "), tree, tex);
  for (const odd of ["\\href{x}{y}", "\\input{x}", "a } b", "{a", "\\frac{a}", "x^1^2", "a & b # c", "\\begin{tikz} \\end{tikz}", "\\left( a", "x".repeat(5000), `${"{".repeat(200)}x${"}".repeat(200)}`, `${"\\sqrt".repeat(700)}x`]) assert.equal(maths(odd), null, odd.slice(0, 40));
});

test("code in pieces: they are the text, and have kinds", async () => {
  const { highlight } = await load("markdown/highlight.ts");
  const kinds = (text, language) => {
    const pieces = highlight(text, language);
    assert.equal(pieces.map((piece) => piece.text).join(""), text);
    return pieces.filter(({ kind }) => kind).map(({ kind, text }) => `${kind} ${text}`);
  };
  assert.deepEqual(kinds('def f(x):  # a "b"\n  return "c#" + 0x1F', "Python"), ["word def", "name f", 'comment # a "b"', "word return", 'string "c#"', "number 0x1F"]);
  assert.deepEqual(kinds("int a = 1.5f; /* b\nc */ // d", "cpp"), ["word int", "number 1.5f", "comment /* b\nc */", "comment // d"]);
  assert.deepEqual(kinds("fn f<'a>(x: &'a str) { 'b' }", "rust"), ["word fn", "string 'b'"]);
  assert.deepEqual(kinds('{"a": [true, "b", 2]}', "json"), ['name "a"', "word true", 'string "b"', "number 2"]);
  assert.deepEqual(kinds("Select x FROM y -- z", "sql"), ["word Select", "word FROM", "comment -- z"]);
  assert.deepEqual(kinds('<a href="b">c</a><!-- d', "html"), ["word <a", 'string "b"', "word >", "word </a>", "comment <!-- d"]);
  assert.deepEqual(kinds("curl http://x/#y # z", "bash"), ["comment # z"]);
  for (const language of ["", "nothing", "__proto__", "constructor"]) assert.deepEqual(kinds("int x = 1;", language), [], language);
  const languages = ["js", "rust", "python", "sql", "html", "json"];
  for (const language of languages) for (const text of ['"""', "'", "`${", "/*", "<!--", '"\\', "\u{1f600}'\n", "", "'\"`/*<!--#".repeat(3000)]) kinds(text, language);
});

test("what a search found is shown with what is around it", async () => {
  const { excerptOf, wordsOf } = await load("store/search.ts");
  assert.deepEqual(wordsOf("  Red  SQUARE "), ["red", "square"]);
  assert.deepEqual(excerptOf(["The red\n square"], ["square"]), { before: "The red ", match: "square", after: "" });
  assert.deepEqual(excerptOf(["none", "a RED one"], ["blue", "red"]), { before: "a ", match: "RED", after: " one" });
  const { before, after } = excerptOf([`${"word ".repeat(30)}needle${" more".repeat(40)}`], ["needle"]);
  assert.match(before, /^…(word )+$/);
  assert.ok(before.length < 40 && after.length < 60);
  assert.equal(excerptOf([`${"x".repeat(100)}y`], ["y"]).before.length, 29);
  assert.equal(excerptOf(["İİİ y"], ["y"]), null);
  assert.equal(excerptOf([], ["y"]), null);
});
