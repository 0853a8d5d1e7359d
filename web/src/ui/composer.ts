// The question at the foot of the page, and files that are dropped anywhere on it.
import type { Draft, Session } from "../chat/session.js";
import { byId, h, icon } from "./dom.js";
import { DraftEditor } from "./draft.js";

export class Composer {
  readonly editor: DraftEditor;
  private readonly go = h("button", { type: "submit", class: "send", "aria-label": "Send" });

  constructor(
    private readonly session: Session,
    private readonly sent: () => void,
  ) {
    this.editor = new DraftEditor(session, {
      label: "Your question",
      id: "composer-text",
      placeholder: "Ask about pictures and clips…",
      used: () => session.used,
      parent: () => session.chat?.leaf ?? null,
      send: (draft) => this.send(draft),
    });
    const { tiles, text, tools, meter } = this.editor;
    const form = byId<HTMLFormElement>("composer");
    form.append(h("div", { class: "composer-card" }, tiles, text, h("div", { class: "row" }, tools, meter, h("span", { class: "grow" }), this.go)));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.session.generation) this.session.stop();
      else this.send(this.editor.draft);
    });
    this.editor.onchange = () => this.update();
    this.takeDrops();
    this.update();
  }

  update(): void {
    const stops = this.session.generation !== undefined;
    const name = stops ? "Stop" : "Send";
    if (this.go.getAttribute("aria-label") !== name || !this.go.firstChild) {
      this.go.setAttribute("aria-label", name);
      this.go.title = stops ? "Stop (Esc)" : "Send (Enter)";
      this.go.replaceChildren(icon(stops ? "stop" : "send"));
    }
    this.go.classList.toggle("stops", stops);
    this.go.disabled = !stops && (this.editor.isEmpty || this.editor.isBusy);
  }

  private send(draft: Draft): void {
    if (this.editor.isEmpty || this.editor.isBusy || this.session.generation) return;
    this.editor.set({ text: "", attachments: [] });
    this.sent();
    void this.session.send(draft);
  }

  private takeDrops(): void {
    let depth = 0;
    const over = (on: boolean) => document.body.classList.toggle("dropping", on);
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    addEventListener("dragenter", (event) => hasFiles(event) && (++depth, over(true)));
    addEventListener("dragleave", (event) => hasFiles(event) && --depth <= 0 && ((depth = 0), over(false)));
    addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      depth = 0;
      over(false);
      if (!hasFiles(event)) return;
      event.preventDefault();
      if (document.querySelector("dialog[open]")) return;
      void this.editor.add([...(event.dataTransfer?.files ?? [])]);
      this.editor.text.focus();
    });
  }
}
