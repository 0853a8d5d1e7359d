// The open branch, and where it is scrolled to: at its end while an answer grows, unless the reader went up.
import type { Session } from "../chat/session.js";
import type { Message } from "../store/types.js";
import { byId, button } from "./dom.js";
import { MessageView } from "./message_view.js";

const NEAR_PX = 80;

export class MessageList {
  private readonly list = byId<HTMLOListElement>("messages");
  private readonly scroll = byId("scroll");
  private views = new Map<string, MessageView>();
  private atEnd = true;
  private waiting = new Set<string>();
  private readonly down = button("To the end", "down", () => this.toEnd(), { class: "icon to-end", hidden: true });

  constructor(private readonly session: Session) {
    byId("composer").before(this.down);
    this.scroll.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe(this.list);
  }

  // Brings the list to the session's path; views of messages that stay are kept.
  show(): void {
    const path = this.session.path;
    const next = new Map<string, MessageView>();
    for (const message of path) {
      const old = this.views.get(message.id);
      // An editor that was open has been sent or left.
      const keep = old?.message === message && !old.element.classList.contains("editing");
      next.set(message.id, keep ? old : new MessageView(this.session, message));
      if (keep) old.update();
    }
    for (const [id, view] of this.views) if (next.get(id) !== view) view.gone();
    this.views = next;
    const elements = [...next.values()].map((view) => view.element);
    elements.forEach((element, i) => {
      if (this.list.children[i] !== element) this.list.insertBefore(element, this.list.children[i] ?? null);
    });
    while (this.list.children.length > elements.length) this.list.lastElementChild!.remove();
    this.toEnd();
  }

  // At most once a frame, however fast chunks come.
  update(message: Message): void {
    if (!this.views.has(message.id)) return;
    if (!this.waiting.size) requestAnimationFrame(() => this.flush());
    this.waiting.add(message.id);
  }
  lastOf(role: Message["role"]): MessageView | undefined {
    return [...this.views.values()].reverse().find((view) => view.message.role === role);
  }
  toEnd(): void {
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.atEnd = true;
    this.down.hidden = true;
  }

  private flush(): void {
    const ids = [...this.waiting];
    this.waiting.clear();
    for (const id of ids) this.views.get(id)?.update();
  }
  private scrolled(): void {
    this.atEnd = this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < NEAR_PX;
    this.down.hidden = this.atEnd;
  }
}
