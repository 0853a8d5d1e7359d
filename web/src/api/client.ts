import { ApiFailure, failureOf } from "./failure.js";
import { SseParser } from "./sse.js";
import type { Chunk, ModelCard } from "./types.js";

// Where the key is kept: this tab, or this browser where the user asked for it.
export class KeyStore {
  private static readonly name = "vl3.key";

  get(): string {
    return sessionStorage.getItem(KeyStore.name) ?? localStorage.getItem(KeyStore.name) ?? "";
  }
  set(key: string, keep: boolean): void {
    this.forget();
    (keep ? localStorage : sessionStorage).setItem(KeyStore.name, key);
  }
  forget(): void {
    sessionStorage.removeItem(KeyStore.name);
    localStorage.removeItem(KeyStore.name);
  }
}

export class Client {
  // Asks for a key after a 401; false: the user gave none. Calls at the same time share one question.
  askKey: (hadOne: boolean) => Promise<boolean> = async () => false;
  private asking: Promise<boolean> | null = null;

  constructor(
    private readonly base: string,
    readonly keys: KeyStore,
  ) {}

  async models(): Promise<ModelCard[]> {
    const reply = await this.request("v1/models", {});
    const body = (await reply.json()) as { data?: ModelCard[] };
    return body.data ?? [];
  }

  // {count, ...}: what a chat of these messages would take
  async tokenize(body: object, signal: AbortSignal): Promise<Record<string, unknown>> {
    const reply = await this.request("tokenize", { ...posted(body), signal });
    return (await reply.json()) as Record<string, unknown>;
  }

  // The chunks of one streamed answer, as they come; ends after "[DONE]". Throws ApiFailure for refusals,
  // for errors in the stream, and where the stream ends without "[DONE]".
  async *chat(body: object, signal: AbortSignal): AsyncGenerator<Chunk> {
    const reply = await this.request("v1/chat/completions", { ...posted(body), signal });
    if (!reply.body) throw new ApiFailure(0, "", "The answer has no body.");
    const reader = reply.body.getReader();
    const decoder = new TextDecoder();
    const parser = new SseParser();
    try {
      for (;;) {
        const { done, value } = await reader.read().catch((error: unknown) => {
          if (signal.aborted) throw error;
          throw new ApiFailure(0, "stream_cut", "The connection was lost before the answer was complete.");
        });
        for (const data of parser.push(done ? "\n\n" : decoder.decode(value, { stream: true }))) {
          if (data === "[DONE]") return;
          const chunk = parse(data);
          if (chunk.error !== undefined) throw failureOf(reply.status, chunk);
          yield chunk;
        }
        if (done) throw new ApiFailure(0, "stream_cut", "The stream ended before the answer was complete.");
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  private async request(path: string, init: RequestInit): Promise<Response> {
    for (;;) {
      const key = this.keys.get();
      const headers = new Headers(init.headers);
      if (key) headers.set("Authorization", `Bearer ${key}`);
      const reply = await fetch(new URL(path, this.base), { ...init, headers, credentials: "omit" }).catch(
        (error: unknown) => {
          if (init.signal?.aborted) throw error;
          throw new ApiFailure(0, "", "No answer came. Is the server running, and the network up?");
        },
      );
      if (reply.ok) return reply;
      const text = await reply.text().catch(() => "");
      const failure = failureOf(reply.status, textOrJson(text), reply.headers.get("Retry-After"));
      // Another call may have been given the key while this one was on its way.
      if (reply.status !== 401 || (key === this.keys.get() && !(await this.keyAgain(key !== "")))) throw failure;
      init.signal?.throwIfAborted();
    }
  }

  private keyAgain(hadOne: boolean): Promise<boolean> {
    this.asking ??= this.askKey(hadOne).finally(() => (this.asking = null));
    return this.asking;
  }
}

function posted(body: object): RequestInit {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

function textOrJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's page of HTML says nothing to a reader.
    return /^\s*</.test(text) ? "" : text.slice(0, 500);
  }
}

function parse(data: string): Chunk {
  try {
    return JSON.parse(data) as Chunk;
  } catch {
    throw new ApiFailure(0, "bad_chunk", "The server sent something that is not JSON.");
  }
}
