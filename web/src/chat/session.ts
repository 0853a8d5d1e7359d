// What the page is about: chats, the one that is open, its answers while they are written. Views call its
// methods and are told what changed.
import type { Client } from "../api/client.js";
import type { ModelCard } from "../api/types.js";
import { excerptOf, wordsOf, type Excerpt } from "../store/search.js";
import type { Store } from "../store/store.js";
import { newestLeaf, pathTo, siblings, titleOf, type Messages } from "../store/tree.js";
import { newId, type Attachment, type Chat, type Message } from "../store/types.js";
import type { Blobs } from "./blobs.js";
import { Generation } from "./generation.js";
import { wireMessages, type Turn } from "./request.js";
import { answerFields, loadSettings, saveSettings, type Settings } from "./settings.js";

export interface Draft {
  text: string;
  attachments: Attachment[];
}

export interface Listener {
  // another chat, or other messages of it
  chat(): void;
  message(message: Message): void;
  chats(): void;
  settings(): void;
  // an answer is complete, was stopped or failed
  over(message: Message): void;
  // the browser did not keep something
  unkept(why: string): void;
}

// How often an answer that is being written goes into the store.
const SAVE_EVERY_MS = 1000;

export class Session {
  chat: Chat | null = null;
  messages: Messages = new Map();
  chats: Chat[] = [];
  models: ModelCard[] = [];
  settings: Settings = loadSettings();
  listener!: Listener;
  readonly running = new Map<string, Generation>();
  // names of attachments that the server has
  private readonly sent = new Set<string>();
  // ids of messages that were deleted while they were written
  private readonly gone = new Set<string>();

  constructor(
    readonly client: Client,
    readonly store: Store,
    readonly blobs: Blobs,
  ) {}

  get model(): ModelCard | undefined {
    return this.models.find((model) => model.id === this.settings.model) ?? this.models[0];
  }
  get path(): Message[] {
    return pathTo(this.messages, this.chat?.leaf ?? null);
  }
  // The answer of the open chat that is being written.
  get generation(): Generation | undefined {
    return this.chat?.leaf ? this.running.get(this.chat.leaf) : undefined;
  }

  // The tokens that the open branch had when it was last answered, and the model's most.
  get used(): { count: number; limit: number | null } | null {
    const usage = this.path.at(-1)?.usage;
    return usage ? { count: usage.prompt_tokens + usage.completion_tokens, limit: this.model?.max_model_len ?? null } : null;
  }

  async refreshChats(): Promise<void> {
    this.chats = await this.store.chats();
    this.listener.chats();
  }
  async open(id: string | null): Promise<void> {
    const chat = id === null ? null : (this.chats.find((other) => other.id === id) ?? null);
    const messages = chat ? await this.store.messages(chat.id) : [];
    this.messages = new Map(messages.map((message) => [message.id, message]));
    for (const message of messages) {
      const live = this.running.get(message.id)?.message;
      if (live) this.messages.set(live.id, live);
      // The page went away while it was written.
      else if (message.state === "running") message.state = "stopped";
    }
    this.chat = chat;
    this.blobs.release(new Set(messages.flatMap((message) => message.attachments.map((a) => a.id))));
    this.listener.chat();
  }
  change(settings: Partial<Settings>): void {
    this.settings = { ...this.settings, ...settings };
    saveSettings(this.settings);
    this.listener.settings();
  }

  async send(draft: Draft): Promise<void> {
    await this.ask(draft, this.chat?.leaf ?? null);
  }
  // Another question in the place of one: a new branch.
  async edit(message: Message, draft: Draft): Promise<void> {
    await this.ask(draft, message.parent);
  }
  async retry(answer: Message): Promise<void> {
    if (answer.parent !== null) await this.answer(answer.parent);
  }
  async show(message: Message): Promise<void> {
    if (!this.chat) return;
    this.chat.leaf = newestLeaf(this.messages, message.id);
    await this.store.putChat(this.chat);
    this.listener.chat();
  }
  siblings(message: Message): Message[] {
    return siblings(this.messages, message);
  }
  // With all that comes after it. The newest branch beside it is shown then, or what was before it.
  async removeMessage(message: Message): Promise<void> {
    const chat = this.chat;
    if (!chat) return;
    const gone = [...this.messages.values()].filter((other) => pathTo(this.messages, other.id).includes(message));
    for (const { id } of gone) {
      if (this.running.has(id)) this.gone.add(id);
      this.running.get(id)?.stop();
      this.messages.delete(id);
    }
    const beside = this.siblings(message).at(-1);
    chat.leaf = beside ? newestLeaf(this.messages, beside.id) : message.parent;
    if (chat.leaf === null) return this.remove(chat);
    await this.store.removeMessages(gone);
    await this.store.putChat(chat);
    this.listener.chat();
  }
  // The branch up to a message, as a chat of its own.
  async fork(message: Message): Promise<void> {
    const now = Date.now();
    const chat: Chat = { id: newId(), title: `${this.chat?.title ?? "Chat"} (branch)`, created: now, updated: now, leaf: null };
    for (const old of pathTo(this.messages, message.id)) {
      const copy: Message = { ...structuredClone(old), id: newId(), chat: chat.id, parent: chat.leaf };
      if (copy.state === "running") copy.state = "stopped";
      await this.store.putMessage(copy);
      chat.leaf = copy.id;
    }
    await this.store.putChat(chat);
    await this.refreshChats();
    await this.open(chat.id);
  }
  async rename(chat: Chat, title: string): Promise<void> {
    chat.title = title;
    await this.store.putChat(chat);
    await this.refreshChats();
    if (this.chat?.id === chat.id) {
      this.chat.title = title;
      this.listener.settings();
    }
  }
  async remove(chat: Chat): Promise<void> {
    for (const generation of this.running.values()) if (generation.message.chat === chat.id) generation.stop();
    await this.store.removeChat(chat.id);
    if (this.chat?.id === chat.id) await this.open(null);
    await this.refreshChats();
  }
  async removeAll(): Promise<void> {
    for (const generation of this.running.values()) generation.stop();
    await this.store.clear();
    await this.open(null);
    await this.refreshChats();
  }
  stop(): void {
    this.generation?.stop();
  }

  // Chats whose title or messages hold all of the words, by id, with a place in the messages.
  async search(asked: string): Promise<Map<string, Excerpt | null>> {
    const words = wordsOf(asked);
    const titles = new Map(this.chats.map((chat) => [chat.id, chat.title]));
    const texts = new Map<string, string[]>();
    const messages = (await this.store.allMessages()).sort((a, b) => a.created - b.created);
    for (const { chat, text, attachments } of messages) {
      texts.set(chat, [...(texts.get(chat) ?? []), text, ...attachments.map((a) => a.name)]);
    }
    const found = new Map<string, Excerpt | null>();
    for (const [id, title] of titles) {
      const parts = texts.get(id) ?? [];
      const lower = [title, ...parts].join("\n").toLowerCase();
      if (words.every((word) => lower.includes(word))) found.set(id, excerptOf(parts, words));
    }
    return found;
  }

  // How many tokens a chat with this draft would have; null where there is nothing to count.
  async cost(draft: Draft, parent: string | null, signal: AbortSignal): Promise<{ count: number; limit: number | null } | null> {
    const turns: Turn[] = pathTo(this.messages, parent);
    if (draft.text.trim() || draft.attachments.length) turns.push({ role: "user", ...draft });
    if (!turns.length || !this.model) return null;
    const reply = await this.withMedia(turns, (messages) => this.client.tokenize({ model: this.model?.id, messages }, signal));
    const limit = this.model.max_model_len ?? reply["max_model_len"];
    return typeof reply["count"] === "number" ? { count: reply["count"], limit: typeof limit === "number" ? limit : null } : null;
  }

  private async ask(draft: Draft, parent: string | null): Promise<void> {
    const now = Date.now();
    const message: Message = { id: newId(), chat: this.chat?.id ?? newId(), parent, role: "user", created: now, state: "done", ...draft };
    if (!this.chat) {
      this.chat = { id: message.chat, title: titleOf(message), created: now, updated: now, leaf: null };
      this.messages = new Map();
    }
    this.messages.set(message.id, message);
    this.chat.leaf = message.id;
    // Shown before it is stored: large clips take a moment.
    const answered = this.answer(message.id);
    await this.kept(this.blobs.keep(draft.attachments));
    await this.kept(this.store.putMessage(message));
    await answered;
  }

  private async answer(parent: string): Promise<void> {
    const chat = this.chat!;
    const question = this.messages.get(parent)!;
    const created = Math.max(Date.now(), question.created + 1);
    const message: Message = { id: newId(), chat: chat.id, parent, role: "assistant", text: "", attachments: [], created, state: "running" };
    this.messages.set(message.id, message);
    chat.leaf = message.id;
    chat.updated = Date.now();
    await this.generate(chat, message, false);
  }
  // More of an answer that was stopped, cut off or broken.
  async goOn(message: Message): Promise<void> {
    if (!this.chat || this.chat.leaf !== message.id || this.running.has(message.id) || !message.text) return;
    delete message.error;
    delete message.finish;
    message.state = "running";
    await this.generate(this.chat, message, true);
  }

  private async generate(chat: Chat, message: Message, goesOn: boolean): Promise<void> {
    const settings = this.settings;
    const turns: Turn[] = pathTo(this.messages, goesOn ? message.id : message.parent).map(({ role, text, attachments }) => ({ role, text, attachments }));
    let saved = performance.now();
    const generation = new Generation(message, () => {
      this.listener.message(message);
      if (performance.now() - saved > SAVE_EVERY_MS && generation.phase !== "over" && !this.gone.has(message.id)) {
        saved = performance.now();
        void this.kept(this.store.putMessage(message));
      }
    });
    this.running.set(message.id, generation);
    this.listener.chat();
    const body = async (whole: boolean) => ({
      model: this.model?.id,
      messages: await wireMessages(turns, settings, (a) => !whole && this.sent.has(a.id), (a) => this.blobs.data(a)),
      stream: true,
      stream_options: { include_usage: true },
      return_progress: true,
      media_report: true,
      ...(goesOn ? { continue_final_message: true } : {}),
      ...answerFields(settings),
    });
    const sent = () => turns.forEach((turn) => turn.attachments.forEach((a) => this.sent.add(a.id)));
    await this.kept(Promise.all([this.store.putChat(chat), this.store.putMessage(message)]));
    void this.refreshChats();
    await generation.run(this.client, body, sent);
    this.running.delete(message.id);
    // Not where it was deleted meanwhile.
    if (!this.gone.delete(message.id) && (await this.store.chats()).some((other) => other.id === chat.id)) await this.kept(this.store.putMessage(message));
    this.listener.message(message);
    this.listener.over(message);
  }

  // A full disk must not keep a question from being answered.
  private async kept(work: Promise<unknown>): Promise<void> {
    await work.catch((error: unknown) => this.listener.unkept(error instanceof Error ? error.message : String(error)));
  }

  // A call with these messages, the bytes of media only where the server may not have them.
  private async withMedia<T>(turns: Turn[], call: (messages: object[]) => Promise<T>): Promise<T> {
    const known = (a: Attachment) => this.sent.has(a.id);
    const url = (a: Attachment) => this.blobs.data(a);
    let result: T;
    try {
      result = await call(await wireMessages(turns, this.settings, known, url));
    } catch (error) {
      if ((error as { code?: string }).code !== "unknown_uuid") throw error;
      this.sent.clear();
      result = await call(await wireMessages(turns, this.settings, known, url));
    }
    turns.forEach((turn) => turn.attachments.forEach((a) => this.sent.add(a.id)));
    return result;
  }
}
