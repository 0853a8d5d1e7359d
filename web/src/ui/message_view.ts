// A message: a question with its attachments, or an answer as it is written. update() brings it to what the
// message says now.
import type { Progress } from "../api/types.js";
import type { Draft, Session } from "../chat/session.js";
import type { Generation } from "../chat/generation.js";
import { MarkdownView } from "../markdown/markdown.js";
import { pathTo } from "../store/tree.js";
import type { Message } from "../store/types.js";
import { copyButton } from "./copy.js";
import { confirmDialog } from "./dialogs.js";
import { DraftEditor } from "./draft.js";
import { button, counted, h, icon } from "./dom.js";
import { reportView, reportWords } from "./frames_view.js";
import { messageTile, showMedium } from "./tiles.js";

const STAGES: Record<string, [doing: string, what: string]> = {
  decode: ["Decoding", "frames"],
  encode: ["Looking at", "patches"],
  prefill: ["Reading", "tokens"],
};

const LONG_TEXT = 1500;
const LONG_LINES = 18;

export class MessageView {
  readonly element: HTMLLIElement;
  private readonly text = h("div", { class: "text" });
  private readonly status = h("div", { class: "status" });
  private readonly error = h("div", { class: "error", hidden: true });
  private readonly extra = h("div", { class: "extra" });
  private readonly foot = h("div", { class: "foot" });
  private readonly markdown = new MarkdownView(this.text, (seconds) => this.momentOf(seconds));
  private reported = false;
  private clockTimer = 0;
  private retryTimer = 0;

  constructor(
    private readonly session: Session,
    readonly message: Message,
  ) {
    const who = message.role === "user" ? "You" : "VideoLLaMA3";
    this.element = h("li", { class: `message ${message.role}` });
    this.element.dataset["id"] = message.id;
    this.element.append(h("h3", { class: "hidden" }, who), ...this.parts());
    if (message.role === "user") this.text.textContent = message.text;
    this.update();
  }

  private parts(): Node[] {
    if (this.message.role === "assistant") return [this.text, this.status, this.error, this.extra, this.foot];
    const { attachments } = this.message;
    const tiles = attachments.length ? h("ul", { class: "tiles", "aria-label": "Attachments" }, ...attachments.map((a) => messageTile(a, this.session.blobs))) : "";
    return [...(tiles ? [tiles] : []), ...(this.message.text ? [this.text, ...this.unfold()] : []), this.foot];
  }

  // Long questions are shown in part.
  private unfold(): Node[] {
    const { text } = this.message;
    if (text.length < LONG_TEXT && text.split("\n").length <= LONG_LINES) return [];
    this.text.classList.add("long");
    const more = h("button", { type: "button", class: "unfold", "aria-expanded": "false", onclick: () => show(!this.text.classList.contains("open")) });
    const show = (open: boolean) => {
      this.text.classList.toggle("open", open);
      more.setAttribute("aria-expanded", String(open));
      more.textContent = open ? "Show less" : "Show all";
    };
    show(false);
    return [more];
  }

  gone(): void {
    clearInterval(this.clockTimer);
    clearInterval(this.retryTimer);
  }

  update(): void {
    const { message } = this;
    if (message.role === "assistant") {
      const generation = this.session.running.get(message.id);
      const busy = message.state === "running" && generation !== undefined;
      this.element.setAttribute("aria-busy", String(busy));
      this.element.classList.toggle("busy", busy);
      this.markdown.update(message.text);
      this.showProgress(busy ? generation : undefined);
      this.showError();
      this.showReport();
      if (busy) {
        this.foot.replaceChildren(this.counters(generation));
        return;
      }
    }
    this.foot.replaceChildren(...this.actions());
  }

  // Opens the last clip before the answer at a time, where it is that long.
  private momentOf(seconds: number): (() => void) | undefined {
    const clips = pathTo(this.session.messages, this.message.parent).flatMap((m) => m.attachments.filter((a) => a.kind === "video" && a.shown));
    const clip = clips.at(-1);
    if (!clip?.duration || seconds > clip.duration) return undefined;
    return () => void showMedium(clip, this.session.blobs, seconds);
  }

  private showProgress(generation: Generation | undefined): void {
    clearInterval(this.clockTimer);
    if (!generation || generation.phase === "answering" || generation.phase === "over") {
      this.status.replaceChildren();
      return;
    }
    const words = h("span");
    const bar = h("progress", { max: 1, "aria-label": "Reading the question" });
    const tick = () => {
      const { progress, phase, seconds } = generation;
      const share = progress && progress.total > 0 ? Math.min(1, progress.processed / progress.total) : null;
      if (share === null) bar.removeAttribute("value");
      else bar.value = share;
      const what = phase === "sending" ? "Waiting for the server" : progress ? progressWords(progress) : "Waiting";
      words.textContent = `${what} · ${seconds.toFixed(1)} s`;
    };
    tick();
    this.clockTimer = window.setInterval(tick, 200);
    this.status.replaceChildren(bar, words);
  }

  private showError(): void {
    const { error, state } = this.message;
    clearInterval(this.retryTimer);
    this.error.hidden = state !== "failed" || !error;
    if (this.error.hidden || !error) return this.error.replaceChildren();
    const again = h("button", { type: "button", onclick: () => void this.session.retry(this.message) });
    const tick = () => {
      const wait = error.retryAt === null ? 0 : Math.ceil((error.retryAt - Date.now()) / 1000);
      again.disabled = wait > 0;
      again.textContent = wait > 0 ? `Try again in ${wait} s` : "Try again";
      if (wait <= 0) clearInterval(this.retryTimer);
    };
    this.retryTimer = window.setInterval(tick, 500);
    tick();
    const code = [error.status > 0 ? `HTTP ${error.status}` : "", error.code].filter(Boolean).join(" · ");
    const detail = error.detail.replace(/\.$/, "") !== error.title && error.detail;
    this.error.replaceChildren(icon("warn"), h("div", {}, h("b", {}, error.title), detail && h("p", {}, detail), code && h("code", {}, code)), again);
  }

  private showReport(): void {
    const { report } = this.message;
    if (this.reported || !report?.length) return;
    this.reported = true;
    const details = h("details", { class: "saw" }, h("summary", {}, icon("grid"), `What the model saw: ${reportWords(report)}`));
    details.addEventListener("toggle", () => {
      if (!details.open || details.childElementCount > 1) return;
      const path = pathTo(this.session.messages, this.message.parent);
      details.append(reportView(report, path.flatMap((m) => m.attachments), this.session.blobs));
    });
    this.extra.replaceChildren(details);
  }

  private counters(generation: Generation): HTMLElement {
    const rate = generation.rate;
    return h("span", { class: "facts" }, rate ? `${counted(generation.tokens)} tokens · ${rate.toFixed(1)} tokens/s · ${generation.seconds.toFixed(1)} s` : "");
  }

  private get goesOn(): boolean {
    const { state, finish, text, id } = this.message;
    return text !== "" && this.session.chat?.leaf === id && (state === "stopped" || state === "failed" || finish === "length");
  }
  private actions(): Node[] {
    const { message, session } = this;
    const out: Node[] = [];
    const all = session.siblings(message);
    if (all.length > 1) {
      const at = all.indexOf(message);
      const step = (name: string, picture: string, to: number) => button(name, picture, () => void session.show(all[to]!), { disabled: to < 0 || to >= all.length });
      out.push(h("span", { class: "branches", role: "group", "aria-label": "Branches" }, step("Branch before", "left", at - 1), h("span", {}, `${at + 1} / ${all.length}`), step("Next branch", "right", at + 1)));
    }
    if (message.text) out.push(copyButton("Copy", () => message.text));
    if (message.role === "user") {
      out.push(button("Edit", "edit", () => this.edit(), { class: "icon edit" }));
      out.push(button("Delete", "trash", () => void this.remove(), { class: "icon delete" }));
      return out;
    }
    if (this.goesOn) out.push(h("button", { type: "button", class: "quiet go-on", title: "Let the answer go on from where it ends", onclick: () => void session.goOn(message) }, icon("on"), "Go on"));
    // The words of a failure have their own button.
    if (message.state !== "failed") out.push(button("Try again", "retry", () => void session.retry(message), { class: "icon retry" }));
    if (message.text) out.push(button("Go on in a new chat from here", "branch", () => void session.fork(message)));
    // The only answer goes with its question.
    if (all.length > 1) out.push(button("Delete", "trash", () => void this.remove(), { class: "icon delete" }));
    const facts = factsOf(message);
    if (facts.length) out.push(h("span", { class: "facts" }, facts.join(" · ")));
    return out;
  }

  private async remove(): Promise<void> {
    const what = this.message.role === "user" ? "question" : "answer";
    if (await confirmDialog(`Delete this ${what}?`, `The ${what} and all that comes after it will be removed from this browser.`, "Delete")) await this.session.removeMessage(this.message);
  }

  // Puts an editor in the place of the question; sending makes a branch.
  edit(): void {
    const { session, message } = this;
    const close = () => {
      form.replaceWith(...kept);
      this.element.classList.remove("editing");
      this.element.querySelector<HTMLElement>(".edit")?.focus();
    };
    const send = (draft: Draft) => {
      if (!editor.isEmpty && !editor.isBusy) void session.edit(message, draft);
    };
    const editor = new DraftEditor(session, { label: "Edit your question", id: `edit-${message.id}`, placeholder: "", parent: () => message.parent, send });
    const onsubmit = (event: Event) => {
      event.preventDefault();
      send(editor.draft);
    };
    const form = h(
      "form",
      { class: "editor", "aria-label": "Edit your question", onsubmit },
      editor.tiles,
      editor.text,
      h("div", { class: "row" }, editor.tools, editor.meter, h("span", { class: "grow" }), h("button", { type: "button", onclick: close }, "Cancel"), h("button", { type: "submit", class: "primary" }, "Send")),
    );
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
    });
    const kept = [...this.element.childNodes];
    this.element.classList.add("editing");
    this.element.replaceChildren(form);
    editor.set({ text: message.text, attachments: message.attachments });
    editor.text.focus();
  }
}

function progressWords({ stage, total, processed }: Progress): string {
  const words = STAGES[stage ?? ""] ?? STAGES["prefill"]!;
  return total > 0 ? `${words[0]} ${counted(processed)} of ${counted(total)} ${words[1]}` : words[0];
}

// How it ended, how many tokens, how fast.
function factsOf(message: Message): string[] {
  const facts: string[] = [];
  if (message.state === "stopped") facts.push("stopped");
  if (message.finish === "length") facts.push("cut off at the longest answer");
  const { usage, timing } = message;
  if (usage) {
    const cached = usage.prompt_tokens_details?.cached_tokens;
    facts.push(`${counted(usage.prompt_tokens)}${cached ? ` (${counted(cached)} cached)` : ""} + ${counted(usage.completion_tokens)} tokens`);
  }
  if (timing) {
    facts.push(`first after ${(timing.first / 1000).toFixed(2)} s`);
    if (timing.rest > 0 && timing.tokens > 1) facts.push(`${(((timing.tokens - 1) * 1000) / timing.rest).toFixed(1)} tokens/s`);
  }
  return facts;
}
