// The history: chats by day, search, rename, delete, export and import.
import type { Session } from "../chat/session.js";
import { exportChats, importChats } from "../store/archive.js";
import type { Excerpt } from "../store/search.js";
import type { Chat } from "../store/types.js";
import { confirmDialog, shortcutsDialog, textDialog, toast } from "./dialogs.js";
import { byId, button, debounce, h, icon, keysHint } from "./dom.js";

export class Sidebar {
  private readonly search = byId<HTMLInputElement>("search");
  private readonly list = byId("chats");
  private found: Map<string, Excerpt | null> | null = null;
  private readonly file = h("input", { type: "file", accept: ".zip,application/zip", class: "hidden", tabindex: -1, "aria-label": "File to import" });

  constructor(
    private readonly session: Session,
    // called with a chat to open, or null for a new one
    private readonly open: (id: string | null) => void,
  ) {
    byId("new-chat").prepend(icon("plus"));
    byId("new-chat").append(keysHint("Ctrl + Shift + O"));
    this.search.after(keysHint("Ctrl + K"));
    byId("new-chat").addEventListener("click", () => open(null));
    this.search.addEventListener("input", debounce(120, () => void this.find()));
    this.file.addEventListener("change", () => void this.import());
    byId("sidebar-foot").append(
      labelled("Export all chats", "Export", "download", () => void this.export(this.session.chats, "videollama3 chats")),
      labelled("Import chats", "Import", "upload", () => this.file.click()),
      labelled("Keys: what the keyboard does", "Keys", "keyboard", shortcutsDialog),
      this.file,
    );
  }

  focusSearch(): void {
    this.search.focus();
    this.search.select();
  }

  async find(): Promise<void> {
    const words = this.search.value.trim();
    this.found = words ? await this.session.search(words) : null;
    this.draw();
  }

  draw(): void {
    const shown = this.session.chats.filter((chat) => !this.found || this.found.has(chat.id));
    if (!shown.length) {
      this.list.replaceChildren(h("p", { class: "hint" }, this.found ? "Nothing found." : "Chats are kept here, in this browser."));
      return;
    }
    const groups = new Map<string, HTMLElement[]>();
    for (const chat of shown) {
      const day = dayOf(chat.updated);
      groups.set(day, [...(groups.get(day) ?? []), this.row(chat)]);
    }
    this.list.replaceChildren(...[...groups].flatMap(([day, rows]) => [h("h2", {}, day), h("ul", {}, ...rows)]));
  }

  private row(chat: Chat): HTMLElement {
    const here = this.session.chat?.id === chat.id;
    const running = [...this.session.running.values()].some((generation) => generation.message.chat === chat.id);
    const excerpt = this.found?.get(chat.id);
    const name = h("button", { type: "button", class: "chat-name", "aria-current": here ? "page" : null, title: chat.title, onclick: () => this.open(chat.id) }, h("span", {}, chat.title), excerpt && h("small", { class: "excerpt" }, excerpt.before, h("mark", {}, excerpt.match), excerpt.after), running && h("i", { class: "dot", role: "img", "aria-label": "being answered" }));
    return h(
      "li",
      { class: here ? "here" : null },
      name,
      h(
        "span",
        { class: "chat-tools" },
        button(`Rename ${chat.title}`, "edit", () => void this.rename(chat)),
        button(`Export ${chat.title}`, "download", () => void this.export([chat], chat.title)),
        button(`Delete ${chat.title}`, "trash", () => void this.remove(chat)),
      ),
    );
  }

  private async rename(chat: Chat): Promise<void> {
    const title = await textDialog("Rename", "Name", chat.title, "Rename");
    if (title) await this.session.rename(chat, title);
  }
  private async remove(chat: Chat): Promise<void> {
    if (await confirmDialog("Delete this chat?", `“${chat.title}” and its attachments will be removed from this browser.`, "Delete")) await this.session.remove(chat);
  }

  private async export(chats: Chat[], name: string): Promise<void> {
    if (!chats.length) return toast("There is no chat to export.");
    try {
      const url = URL.createObjectURL(await exportChats(this.session.store, chats));
      const safe = name.replace(/[^\p{L}\p{N} ._-]/gu, "").trim().slice(0, 60) || "chat";
      h("a", { href: url, download: `${safe}.zip` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      toast(`Exporting failed: ${(error as Error).message}`, "problem");
    }
  }
  private async import(): Promise<void> {
    const file = this.file.files?.[0];
    this.file.value = "";
    if (!file) return;
    try {
      const { added, known, missing } = await importChats(this.session.store, file);
      await this.session.refreshChats();
      const words = [`${added} chat${added === 1 ? "" : "s"} added`];
      if (known) words.push(`${known} already here`);
      if (missing) words.push(`${missing} attachment${missing === 1 ? "" : "s"} not in the file`);
      toast(`${words.join(", ")}.`, missing ? "problem" : "info");
    } catch (error) {
      toast((error as Error).message, "problem");
    }
  }
}

const labelled = (name: string, text: string, picture: string, onclick: () => void): HTMLElement =>
  h("button", { type: "button", class: "quiet", "aria-label": name, title: name, onclick }, icon(picture), text);

function dayOf(time: number): string {
  const start = new Date();
  start.setHours(0, 0, 0, 0);
  const days = Math.ceil((start.getTime() - time) / 86_400_000);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days <= 7) return "Last 7 days";
  return new Date(time).toLocaleDateString(undefined, { year: "numeric", month: "long" });
}
