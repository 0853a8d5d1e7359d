// Chats, messages and the bytes of attachments, in the browser's IndexedDB; in memory where it has none
// (private windows of some browsers), which `kept` tells.
import type { Chat, Message } from "./types.js";

const STORES = ["chats", "messages", "blobs"] as const;
type StoreName = (typeof STORES)[number];

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("The browser's storage failed."));
  });
}

function open(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore("chats", { keyPath: "id" });
      db.createObjectStore("messages", { keyPath: "id" }).createIndex("chat", "chat");
      db.createObjectStore("blobs");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("Another tab holds an older version of the history."));
  });
}

export class Store {
  private readonly memory = { messages: new Map<string, Message>(), chats: new Map<string, Chat>(), blobs: new Map<string, Blob>() };
  private constructor(private readonly db: IDBDatabase | null) {
    if (db) db.onversionchange = () => db.close();
  }

  static async open(name = "videollama3"): Promise<Store> {
    try {
      return new Store(await open(name));
    } catch {
      return new Store(null);
    }
  }

  get kept(): boolean {
    return this.db !== null;
  }

  async chats(): Promise<Chat[]> {
    const all = this.db ? ((await done(this.at("chats").getAll())) as Chat[]) : [...this.memory.chats.values()];
    return all.sort((a, b) => b.updated - a.updated);
  }
  async messages(chat: string): Promise<Message[]> {
    if (this.db) return (await done(this.at("messages").index("chat").getAll(chat))) as Message[];
    return [...this.memory.messages.values()].filter((m) => m.chat === chat);
  }
  async allMessages(): Promise<Message[]> {
    return this.db ? ((await done(this.at("messages").getAll())) as Message[]) : [...this.memory.messages.values()];
  }
  async blob(id: string): Promise<Blob | undefined> {
    return this.db ? ((await done(this.at("blobs").get(id))) as Blob | undefined) : this.memory.blobs.get(id);
  }

  async putChat(chat: Chat): Promise<void> {
    if (this.db) await done(this.at("chats", true).put(chat));
    else this.memory.chats.set(chat.id, chat);
  }
  async putMessage(message: Message): Promise<void> {
    if (this.db) await done(this.at("messages", true).put(message));
    else this.memory.messages.set(message.id, message);
  }
  async putBlob(id: string, blob: Blob): Promise<void> {
    if (this.db) await done(this.at("blobs", true).put(blob, id));
    else this.memory.blobs.set(id, blob);
  }

  // With its messages, and with the blobs that no other chat's messages name.
  async removeChat(id: string): Promise<void> {
    const gone = await this.messages(id);
    await this.remove("chats", [id]);
    await this.removeMessages(gone);
  }
  async removeMessages(gone: Message[]): Promise<void> {
    await this.remove("messages", gone.map((m) => m.id));
    await this.sweep(gone.flatMap((m) => m.attachments.map((a) => a.id)));
  }
  // Removes those of the blobs that no message names.
  async sweep(candidates: string[]): Promise<void> {
    if (!candidates.length) return;
    const named = new Set((await this.allMessages()).flatMap((m) => m.attachments.map((a) => a.id)));
    await this.remove("blobs", candidates.filter((id) => !named.has(id)));
  }
  async clear(): Promise<void> {
    for (const name of STORES) {
      if (this.db) await done(this.at(name, true).clear());
      else this.memory[name].clear();
    }
  }

  private async remove(name: StoreName, ids: string[]): Promise<void> {
    if (!this.db) ids.forEach((id) => this.memory[name].delete(id));
    else if (ids.length) {
      const store = this.at(name, true);
      await Promise.all(ids.map((id) => done(store.delete(id))));
    }
  }
  private at(name: StoreName, write = false): IDBObjectStore {
    return this.db!.transaction(name, write ? "readwrite" : "readonly").objectStore(name);
  }
}
