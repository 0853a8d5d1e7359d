// Where a question is written: text, attachments, what it will cost. The composer is one; another opens in
// the place of a question that is edited.
import type { Draft, Session } from "../chat/session.js";
import { ApiFailure } from "../api/failure.js";
import { describe, kindOf } from "../media/files.js";
import type { Attachment } from "../store/types.js";
import { openCamera } from "./camera.js";
import { toast } from "./dialogs.js";
import { button, counted, debounce, h } from "./dom.js";
import { draftTile, showMedium } from "./tiles.js";
import { trimDialog } from "./trim.js";

const MAX_ATTACHMENTS = 32;
const ACCEPT = "image/*,video/*,.mkv,.avi,.mov,.m4v,.ts,.mts,.flv,.wmv,.heic";

export interface DraftOptions {
  label: string;
  id: string;
  placeholder: string;
  // tokens of the chat before it, where they are known: shown while there is nothing to count
  used?: () => { count: number; limit: number | null } | null;
  // the message that it comes after
  parent: () => string | null;
  send: (draft: Draft) => void;
}

export class DraftEditor {
  readonly text: HTMLTextAreaElement;
  readonly tiles = h("ul", { class: "tiles", "aria-label": "Attachments" });
  readonly meter = h("output", { class: "meter", "aria-live": "off" });
  readonly tools: HTMLElement;
  attachments: Attachment[] = [];
  onchange: () => void = () => {};
  private readonly file = h("input", { type: "file", multiple: true, accept: ACCEPT, class: "hidden", tabindex: -1, "aria-label": "Files to attach" });
  private counting: AbortController | null = null;
  private readonly countSoon = debounce(450, () => void this.count());
  private adding = 0;

  constructor(
    private readonly session: Session,
    private readonly options: DraftOptions,
  ) {
    this.text = h("textarea", { id: options.id, rows: 1, placeholder: options.placeholder, "aria-label": options.label, "aria-keyshortcuts": "Enter" });
    this.text.addEventListener("input", () => this.changed());
    this.text.addEventListener("keydown", (event) => this.onkey(event));
    this.text.addEventListener("paste", (event) => this.onpaste(event));
    this.file.addEventListener("change", () => {
      void this.add([...(this.file.files ?? [])]);
      this.file.value = "";
    });
    this.tools = h(
      "div",
      { class: "draft-tools" },
      button("Attach pictures and clips", "plus", () => this.pick(), { "aria-keyshortcuts": "Control+U" }),
      button("Camera", "camera", () => openCamera((file) => void this.add([file]))),
      this.file,
    );
  }

  get draft(): Draft {
    return { text: this.text.value.trim(), attachments: this.attachments };
  }
  get isEmpty(): boolean {
    return this.draft.text === "" && !this.attachments.length;
  }
  // Files are still being looked at.
  get isBusy(): boolean {
    return this.adding > 0;
  }
  set(draft: Draft): void {
    this.text.value = draft.text;
    this.attachments = [...draft.attachments];
    this.changed(true);
  }
  pick(): void {
    this.file.click();
  }

  // Files that are neither pictures nor clips are refused by name.
  async add(files: File[]): Promise<void> {
    for (const file of files) {
      const kind = kindOf(file.name, file.type);
      if (!kind) {
        toast(`${file.name || "This file"} is neither a picture nor a clip.`, "problem");
        continue;
      }
      if (!file.size) {
        toast(`${file.name} is empty.`, "problem");
        continue;
      }
      if (this.attachments.length >= MAX_ATTACHMENTS) {
        toast(`A question takes ${MAX_ATTACHMENTS} attachments at most.`, "problem");
        break;
      }
      ++this.adding;
      this.onchange();
      const url = URL.createObjectURL(file);
      const attachment = await describe(file, kind, url).finally(() => --this.adding);
      URL.revokeObjectURL(url);
      this.session.blobs.add(attachment.id, file);
      this.attachments.push(attachment);
      this.changed(true);
    }
  }

  // Asks the server what a chat with this draft costs, a moment after the last change.
  changed(tilesToo = false): void {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(this.text.scrollHeight, Math.round(innerHeight * 0.4))}px`;
    if (tilesToo) this.drawTiles();
    this.onchange();
    this.recount();
  }
  recount(): void {
    this.counting?.abort();
    if (this.isEmpty) {
      const used = this.options.used?.();
      this.meter.classList.remove("stale");
      this.meter.replaceChildren(...(used ? costWords(used.count, used.limit) : []));
      return;
    }
    this.meter.classList.add("stale");
    this.countSoon();
  }

  private async count(): Promise<void> {
    this.counting?.abort();
    if (this.isEmpty || this.isBusy) return;
    const counting = (this.counting = new AbortController());
    if (this.attachments.length) this.meter.replaceChildren("counting tokens…");
    try {
      const cost = await this.session.cost(this.draft, this.options.parent(), counting.signal);
      if (counting.signal.aborted) return;
      this.meter.classList.remove("stale");
      this.meter.replaceChildren(...(cost ? costWords(cost.count, cost.limit) : []));
    } catch (error) {
      if (counting.signal.aborted) return;
      this.meter.classList.remove("stale");
      this.meter.replaceChildren(...costProblem(error));
    }
  }

  private drawTiles(): void {
    const tiles = this.attachments.map((attachment, i) => {
      const item = h("li", { class: "tile" });
      void this.session.blobs.url(attachment.id).then((url) => {
        const trim = () => trimDialog(attachment, url, (changed) => (this.attachments.splice(i, 1, changed), this.changed(true)));
        const remove = () => {
          this.attachments = this.attachments.filter((other) => other !== attachment);
          this.session.blobs.drop(attachment.id);
          this.changed(true);
          this.text.focus();
        };
        const show = () => void showMedium(attachment, this.session.blobs);
        item.replaceWith(draftTile(attachment, url, attachment.kind === "video" ? trim : show, remove));
      });
      return item;
    });
    this.tiles.replaceChildren(...tiles);
  }

  private onkey(event: KeyboardEvent): void {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    // Keyboards on glass have no other key for a new line.
    if (matchMedia("(pointer: coarse)").matches && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.options.send(this.draft);
  }
  private onpaste(event: ClipboardEvent): void {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    void this.add(files);
  }
}

function costWords(count: number, limit: number | null): Node[] {
  const words = limit === null ? `${counted(count)} tokens` : `${counted(count)} of ${counted(limit)} tokens`;
  const text = h("span", { class: limit !== null && count > limit ? "over" : null }, words);
  if (limit === null) return [text];
  const bar = h("span", { class: "meter-bar", "aria-hidden": "true" }, h("span", {}));
  (bar.firstChild as HTMLElement).style.width = `${Math.min(100, (100 * count) / limit)}%`;
  bar.classList.toggle("over", count > limit);
  return [bar, text];
}

function costProblem(error: unknown): Node[] {
  const known = error instanceof ApiFailure && error.status >= 400 && error.status < 500 && ![401, 404, 429].includes(error.status);
  const words = known ? error.message : "the cost is not known";
  return [h("span", { class: known ? "over" : null, title: error instanceof Error ? error.message : "" }, words)];
}
