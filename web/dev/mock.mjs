// A server that plays the API for the page: what it says depends on words in the last question, so that
// tests and people can see each case; "slow", "cut" and "waits" stop in the middle for `hold` ms, or until `go()`, and
// "long" goes on until it is stopped. It serves the files of a folder as `videollama3 serve` does, with the same policy.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };

// The policy that the page is written for; docs/page.md explains it.
export const POLICY =
  "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: data:; object-src 'none'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

export const MARKDOWN = `## What is there

A **red square** stands *left* of a \`blue\` circle, and ~~nothing~~ moves. It says "a < b & c".

1. The square turns at 0:02.
2. The circle leaves at 0:03.
   - slowly
   - to the right

| object | colour | seconds |
|:-------|:------:|--------:|
| square | red    | 0 – 4   |
| circle | blue   | 0 – 3   |

\`\`\`json
{"square": {"box": [12, 30, 44, 62], "colour": "red"}, "circle": {"colour": "blue", "leaves_at_s": 3.0}}
\`\`\`

The circle covers $\\pi r^2$ of it, which costs $5 or $6 a frame:

$$\\sum_{i=1}^{n} a_i = \\frac{n (n + 1)}{2}$$

\`\`\`python
def area(r: float) -> float:  # of a circle
    return math.pi * r**2
\`\`\`

> Times are in seconds. See [the paper](https://arxiv.org/abs/2501.13106).`;

export const HOSTILE = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>

[click](javascript:window.pwned=1) [data](data:text/html,<script>window.pwned=1</script>) ![beacon](https://example.com/beacon.png)

<iframe src="https://example.com/"></iframe> **<b onclick=alert(1)>bold</b>**`;

const json = (response, status, body, headers = {}) => {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(JSON.stringify(body));
};
const refuse = (response, status, type, code, message, headers = {}) => json(response, status, { error: { message, type, param: null, code } }, headers);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Mock {
  constructor({ folder, key = "", base = "/", speed = 12, loading = 0, images = 5, duration = 4, hold = 0 } = {}) {
    Object.assign(this, { folder, key, base, speed, loading, duration, hold, waiting: [] });
    this.picture = [images, images];
    this.requests = [];
    this.known = new Set();
    this.stopped = 0;
    this.refused = 0;
    this.server = createServer((request, response) => this.serve(request, response).catch((error) => response.destroy(error)));
  }

  async listen(port = 0) {
    await new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}${this.base}`;
    return this;
  }
  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
  // What waits goes on, once something does.
  async go() {
    while (!this.waiting.length) await sleep(5);
    for (const resolve of this.waiting.splice(0)) resolve();
  }
  held() {
    return new Promise((resolve) => (this.hold ? setTimeout(resolve, this.hold) : this.waiting.push(resolve)));
  }
  chats() {
    return this.requests.filter(({ path }) => path === "v1/chat/completions").map(({ body }) => body);
  }

  async serve(request, response) {
    const { pathname } = new URL(request.url, "http://x");
    if (!pathname.startsWith(this.base)) return refuse(response, 404, "not_found_error", "not_found", "There is no such address.");
    const path = pathname.slice(this.base.length);
    if (request.method === "GET" && !path.startsWith("v1/")) return this.file(path || "index.html", response);
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = parts.length ? JSON.parse(Buffer.concat(parts)) : null;
    this.requests.push({ path, body, key: request.headers.authorization ?? "" });
    if (this.key && request.headers.authorization !== `Bearer ${this.key}`) {
      return refuse(response, 401, "authentication_error", "invalid_api_key", "A key is needed: Authorization: Bearer KEY.", { "WWW-Authenticate": "Bearer" });
    }
    if (this.loading-- > 0) return refuse(response, 503, "unavailable_error", "loading", "The model is being loaded.", { "Retry-After": "1" });
    if (path === "v1/models") return json(response, 200, { object: "list", data: [{ id: "videollama3-demo", object: "model", created: 0, owned_by: "videollama3", max_model_len: 4096, architecture: { input_modalities: ["text", "image", "video"] } }] });
    if (path === "tokenize") return this.withMedia(body, response, () => json(response, 200, { count: this.count(body.messages), max_model_len: 4096, tokens: [] }));
    if (path === "v1/chat/completions") return this.withMedia(body, response, () => this.chat(request, response, body));
    return refuse(response, 404, "not_found_error", "not_found", "There is no such address.");
  }

  async file(path, response) {
    const safe = normalize(join("/", path));
    const data = await readFile(join(this.folder, safe)).catch(() => null);
    if (!data) return refuse(response, 404, "not_found_error", "not_found", "There is no such file.");
    response.writeHead(200, { "Content-Type": TYPES[extname(safe)] ?? "application/octet-stream", "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache" });
    return response.end(data);
  }

  media(messages) {
    return messages.flatMap(({ content }) => (Array.isArray(content) ? content.filter((part) => part.type !== "text") : []));
  }
  withMedia(body, response, go) {
    for (const part of this.media(body.messages)) {
      const url = (part.image_url ?? part.video_url)?.url;
      if (url && !/^data:(image|video)\/[\w.+-]+;base64,[A-Za-z0-9+/=]+$/.test(url)) return refuse(response, 400, "invalid_request_error", "bad_media", "This is no data: URL.");
      if (!url && !this.known.has(part.uuid)) return refuse(response, 400, "invalid_request_error", "unknown_uuid", `Nothing was sent under "${part.uuid}".`);
      this.known.add(part.uuid);
    }
    return go();
  }
  clip(part) {
    const [start, end, fps] = [part.start_time ?? 0, part.end_time ?? this.duration, part.fps ?? 1];
    const n = Math.max(1, Math.min(part.max_frames ?? 180, Math.round((end - start) * fps)));
    const [rows, columns] = [6, 8];
    const masks = Array.from({ length: n }, (_, f) => Array.from({ length: rows * columns }, (_, i) => (f === 0 || (i + f) % 5 === 0 ? "1" : "0")).join(""));
    return { fps: 25, fps_assumed: false, timestamps: masks.map((_, i) => start + i / fps), tokens_per_frame: rows * columns, kept: masks.map((m) => m.split("1").length - 1), grid: [rows, columns], masks, notes: [] };
  }
  count(messages) {
    const words = messages.flatMap(({ content }) => (Array.isArray(content) ? content.filter((p) => p.type === "text").map((p) => p.text) : [content]));
    const visual = this.media(messages).map((part) => (part.type === "video_url" ? this.clip(part).kept.reduce((a, b) => a + b, 0) : this.picture[0] * this.picture[1]));
    return 12 + words.join(" ").split(/\s+/).filter(Boolean).length + visual.reduce((a, b) => a + b, 0);
  }

  answer(ask) {
    if (/hostile/.test(ask)) return HOSTILE;
    if (/markdown/.test(ask)) return MARKDOWN;
    return /long/.test(ask) ? "All the same words again. ".repeat(400) : `You asked: ${ask || "nothing"}. Réponse №${this.chats().length} ✓`;
  }
  async chat(request, response, body) {
    const last = body.messages.at(-1).content;
    const ask = (Array.isArray(last) ? last.filter((p) => p.type === "text").map((p) => p.text) : [last]).join(" ");
    const prompt = this.count(body.messages);
    if (/too long/.test(ask)) return refuse(response, 400, "invalid_request_error", "context_length_exceeded", "The prompt has 5000 tokens and the model reads 4096 at most.");
    if (/busy/.test(ask) && this.refused++ % 2 === 0) {
      return refuse(response, 429, "rate_limit_error", "queue_full", "64 requests are waiting already.", { "Retry-After": "50" });
    }
    if (/fails/.test(ask)) return refuse(response, 500, "server_error", "internal_error", "The server failed.");
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
    let gone = false;
    response.on("close", () => (gone = !response.writableFinished));
    const common = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: body.model };
    const event = (more) => response.write(`data: ${JSON.stringify({ ...common, usage: null, ...more })}\n\n`);
    const choice = (delta, finish_reason = null) => event({ choices: [{ index: 0, delta, logprobs: null, finish_reason }] });
    choice({ role: "assistant", content: "" });
    response.write(": ping\n\n");
    for (let i = 0; i <= 4 && body.return_progress; ++i) {
      event({ choices: [], prompt_progress: { stage: "prefill", total: prompt, processed: Math.round((prompt * i) / 4) } });
      await (/slow/.test(ask) && i === 2 ? this.held() : sleep(this.speed));
    }
    const answer = body.continue_final_message ? " And it goes on." : this.answer(ask);
    const pieces = answer.match(/\s*\S{1,6}/gu) ?? [];
    let said = 0;
    for (const content of pieces) {
      if (gone) {
        ++this.stopped;
        return undefined;
      }
      if (/cut/.test(ask) && said === 3) {
        // Not at once: browsers drop what they have not handed on when a connection ends like this.
        await this.held();
        return response.destroy();
      }
      if (/breaks/.test(ask) && said === 3) {
        response.write(`data: ${JSON.stringify({ error: { message: "The decoder of the clip stopped.", type: "server_error", param: null, code: "decode_failed" } })}\n\n`);
        return response.end("data: [DONE]\n\n");
      }
      if (/waits/.test(ask) && said === 3) await this.held();
      choice({ content });
      ++said;
      await sleep(this.speed);
    }
    // A page that is slow to stop it has not read it to the end.
    while (/long/.test(ask) && !body.continue_final_message && !gone) {
      choice({ content: " All the same words again." });
      await sleep(20 * this.speed);
    }
    if (gone) {
      ++this.stopped;
      return undefined;
    }
    choice({}, "stop");
    const visual = (type) => this.media(body.messages).filter((part) => part.type === type);
    const videos = visual("video_url").map((part) => this.clip(part));
    const images = visual("image_url").map(() => ({ tokens: this.picture[0] * this.picture[1], grid: this.picture }));
    event({ choices: [], usage: { prompt_tokens: prompt, completion_tokens: said, total_tokens: prompt + said, prompt_tokens_details: { cached_tokens: 0, image_tokens: 25 * images.length, video_tokens: 0 } }, ...(body.media_report ? { media_report: { images, videos } } : {}) });
    return response.end("data: [DONE]\n\n");
  }
}
