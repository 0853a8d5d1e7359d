// Chats as one file: chats.json and the attachments' bytes, in a zip.
import type { Told } from "../api/failure.js";
import type { Usage } from "../api/types.js";
import type { Medium } from "../media/report.js";
import type { Store } from "./store.js";
import { newId, type Attachment, type Chat, type Message, type Timing } from "./types.js";
import { readZip, writeZip } from "./zip.js";

const FORMAT = "videollama3-chats";
const VERSION = 1;
const MAX_JSON = 512 << 20;

export async function exportChats(store: Store, chats: Chat[]): Promise<Blob> {
  const out = [];
  const blobs = new Map<string, Blob>();
  for (const chat of chats) {
    const messages = (await store.messages(chat.id)).sort((a, b) => a.created - b.created);
    out.push({ ...chat, messages });
    for (const { id } of messages.flatMap((message) => message.attachments)) {
      const blob = blobs.has(id) ? undefined : await store.blob(id);
      if (blob) blobs.set(id, blob);
    }
  }
  const json = JSON.stringify({ format: FORMAT, version: VERSION, chats: out }, null, 1);
  const entries = [{ name: "chats.json", data: new Blob([json], { type: "application/json" }) }];
  for (const [id, data] of blobs) entries.push({ name: `attachments/${id}`, data });
  return writeZip(entries);
}

export interface Imported {
  added: number;
  // were here already, unchanged
  known: number;
  // attachments that the file names and does not have
  missing: number;
}

// Adds the file's chats under new names, so that nothing here is written over. Throws Error that says what
// is wrong with the file, before anything was added.
export async function importChats(store: Store, file: Blob): Promise<Imported> {
  const entries = await readZip(file);
  const json = await entries.get("chats.json")?.();
  if (!json) throw new Error("This is not a file that this page exported (no chats.json).");
  if (json.size > MAX_JSON) throw new Error("This file is too large to import.");
  const read = readChats(await json.text());
  const here = new Map((await store.chats()).map((chat) => [chat.origin ?? chat.id, chat.updated]));
  const result: Imported = { added: 0, known: 0, missing: 0 };
  for (const { chat, messages } of read) {
    const origin = chat.origin ?? chat.id;
    if (here.get(origin) === chat.updated) {
      ++result.known;
      continue;
    }
    const names = new Map<string, string>([[chat.id, newId()]]);
    const renamed = (id: string) => names.get(id) ?? (names.set(id, newId()), names.get(id)!);
    for (const message of messages) {
      for (const attachment of message.attachments) {
        const blob = names.has(attachment.id) ? null : await entries.get(`attachments/${attachment.id}`)?.();
        if (blob) await store.putBlob(renamed(attachment.id), blob.slice(0, blob.size, attachment.type));
        else if (blob === undefined) ++result.missing;
        attachment.id = renamed(attachment.id);
      }
      message.id = renamed(message.id);
      message.parent = message.parent === null ? null : renamed(message.parent);
      message.chat = renamed(chat.id);
      await store.putMessage(message);
    }
    await store.putChat({ ...chat, id: renamed(chat.id), leaf: chat.leaf === null ? null : renamed(chat.leaf), origin });
    ++result.added;
  }
  return result;
}

// ---- what the file says, field by field: it may come from anywhere

type Json = Record<string, unknown>;
const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

class Reader {
  constructor(
    private readonly from: Json,
    private readonly where: string,
  ) {}
  static of(value: unknown, where: string): Reader {
    if (!isJson(value)) throw new Error(`chats.json: ${where} is no object.`);
    return new Reader(value, where);
  }
  text(name: string): string {
    const value = this.from[name];
    if (typeof value !== "string") this.wrong(name, "is no text");
    return value as string;
  }
  id(name: string): string {
    const value = this.text(name);
    if (!/^[\w-]{1,64}$/.test(value)) this.wrong(name, "is no name");
    return value;
  }
  idOrNull(name: string): string | null {
    return (this.from[name] ?? null) === null ? null : this.id(name);
  }
  number(name: string): number {
    const value = this.from[name];
    if (typeof value !== "number" || !Number.isFinite(value) || value < 0) this.wrong(name, "is no number");
    return value as number;
  }
  maybe<T>(name: string, read: (name: string) => T): T | undefined {
    return this.from[name] === undefined || this.from[name] === null ? undefined : read.call(this, name);
  }
  one<T extends string>(name: string, ...of: T[]): T {
    const value = this.from[name] as T;
    if (!of.includes(value)) this.wrong(name, `is none of ${of.join(", ")}`);
    return value;
  }
  list(name: string): Reader[] {
    const value = this.from[name];
    if (!Array.isArray(value)) this.wrong(name, "is no list");
    return (value as unknown[]).map((item, i) => Reader.of(item, `${this.where}.${name}[${i}]`));
  }
  inner(name: string): Reader | undefined {
    return this.from[name] === undefined || this.from[name] === null ? undefined : Reader.of(this.from[name], `${this.where}.${name}`);
  }
  raw(name: string): unknown {
    return this.from[name];
  }
  private wrong(name: string, what: string): never {
    throw new Error(`chats.json: ${this.where}.${name} ${what}.`);
  }
}

function readChats(json: string): { chat: Chat; messages: Message[] }[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    throw new Error("chats.json is not JSON.");
  }
  const file = Reader.of(parsed, "the file");
  if (file.raw("format") !== FORMAT) throw new Error(`This is not a file that this page exported (its format is not "${FORMAT}").`);
  if (file.raw("version") !== VERSION) throw new Error(`This file has version ${String(file.raw("version"))}; this page reads version ${VERSION}.`);
  return file.list("chats").map((from) => {
    const id = from.id("id");
    const messages = from.list("messages").map((message) => readMessage(message, id));
    if (new Set(messages.map((m) => m.id)).size !== messages.length) throw new Error(`chats.json: two messages of chat ${id} have one name.`);
    const chat: Chat = { id, title: from.text("title").slice(0, 200), created: from.number("created"), updated: from.number("updated"), leaf: from.idOrNull("leaf") };
    const origin = from.maybe("origin", from.id);
    return { chat: origin ? { ...chat, origin } : chat, messages };
  });
}

function readMessage(from: Reader, chat: string): Message {
  const state = from.one("state", "done", "running", "stopped", "failed");
  const report = from.raw("report");
  return {
    id: from.id("id"),
    chat,
    parent: from.idOrNull("parent"),
    role: from.one("role", "user", "assistant"),
    text: from.text("text"),
    attachments: from.list("attachments").map(readAttachment),
    created: from.number("created"),
    state: state === "running" ? "stopped" : state,
    finish: from.maybe("finish", from.text),
    model: from.maybe("model", from.text),
    error: readError(from.inner("error")),
    usage: readUsage(from.inner("usage")),
    timing: readTiming(from.inner("timing")),
    report: report === undefined || report === null ? undefined : from.list("report").map(readMedium),
  };
}

function readAttachment(from: Reader): Attachment {
  const of = (name: string) => from.maybe(name, from.number);
  return {
    id: from.id("id"),
    kind: from.one("kind", "image", "video"),
    name: from.text("name").slice(0, 300),
    type: /^(image|video)\/[\w.+-]+$/.test(from.text("type")) && from.text("type") !== "image/svg+xml" ? from.text("type") : "",
    size: from.number("size"),
    width: of("width"),
    height: of("height"),
    duration: of("duration"),
    start: of("start"),
    end: of("end"),
    fps: of("fps"),
    maxFrames: of("maxFrames"),
    shown: from.raw("shown") === true,
  };
}

function readError(from: Reader | undefined): Told | undefined {
  if (!from) return undefined;
  const status = from.raw("status");
  return { title: from.text("title"), detail: from.text("detail"), code: from.text("code"), status: typeof status === "number" ? status : 0, retryAt: null };
}

function readUsage(from: Reader | undefined): Usage | undefined {
  if (!from) return undefined;
  const details = from.inner("prompt_tokens_details");
  const of = (name: string) => details?.maybe(name, details.number);
  return {
    prompt_tokens: from.number("prompt_tokens"),
    completion_tokens: from.number("completion_tokens"),
    total_tokens: from.number("total_tokens"),
    prompt_tokens_details: details ? { cached_tokens: of("cached_tokens"), image_tokens: of("image_tokens"), video_tokens: of("video_tokens") } : null,
  };
}

function readTiming(from: Reader | undefined): Timing | undefined {
  return from && { first: from.number("first"), rest: from.number("rest"), tokens: from.number("tokens") };
}

function readMedium(from: Reader): Medium {
  const notes = from.raw("notes");
  return {
    kind: from.one("kind", "image", "video"),
    rows: from.number("rows"),
    columns: from.number("columns"),
    tokens: from.number("tokens"),
    kept: from.number("kept"),
    frames: from.list("frames").map((frame) => ({
      time: frame.maybe("time", frame.number) ?? null,
      kept: frame.number("kept"),
      tokens: frame.number("tokens"),
      map: /^[01]*$/.test(frame.text("map")) ? frame.text("map") : "",
    })),
    notes: Array.isArray(notes) ? notes.filter((note): note is string => typeof note === "string") : [],
  };
}
