// What the model saw: the frames that the server took, drawn from the clip here, with their times, and
// which of their tokens it kept.
import type { Blobs } from "../chat/blobs.js";
import { FrameGrabber } from "../media/frames.js";
import type { Frame, Medium } from "../media/report.js";
import type { Attachment } from "../store/types.js";
import { openDialog } from "./dialogs.js";
import { button, clock, counted, h } from "./dom.js";

const THUMB_PX = 160;
const LARGE_PX = 1280;

// Draws a frame of an attachment on a canvas.
type Draw = (canvas: HTMLCanvasElement, frame: Frame, width: number) => Promise<boolean>;

export function reportView(report: Medium[], attachments: Attachment[], blobs: Blobs): HTMLElement {
  const used = new Set<Attachment>();
  const sections = report.map((medium) => {
    // In the order of the messages; of the same kind where something between is not known.
    const attachment = attachments.find((a) => !used.has(a) && a.kind === medium.kind);
    if (attachment) used.add(attachment);
    return mediumView(medium, attachment, blobs);
  });
  return h("div", { class: "report" }, ...sections);
}

export function reportWords(report: Medium[]): string {
  const frames = report.filter((m) => m.kind === "video").reduce((sum, m) => sum + m.frames.length, 0);
  const pictures = report.filter((m) => m.kind === "image").length;
  const kept = report.reduce((sum, m) => sum + m.kept, 0);
  const words: string[] = [];
  if (pictures) words.push(`${pictures} picture${pictures === 1 ? "" : "s"}`);
  if (frames) words.push(`${counted(frames)} frame${frames === 1 ? "" : "s"}`);
  return `${words.join(", ")} · ${counted(kept)} visual tokens`;
}

function mediumView(medium: Medium, attachment: Attachment | undefined, blobs: Blobs): HTMLElement {
  const strip = h("ol", { class: "frames", "aria-label": "Frames", tabindex: 0 });
  const draw = drawer(attachment, blobs);
  const canvases = new Map<Element, Frame>();
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      const frame = isIntersecting ? canvases.get(target) : undefined;
      if (!frame) continue;
      seen.unobserve(target);
      void draw(target as HTMLCanvasElement, frame, THUMB_PX).then((drawn) => target.classList.toggle("undrawn", !drawn));
    }
  }, { rootMargin: "200px" });
  medium.frames.forEach((frame, i) => {
    const canvas = h("canvas", { width: 16, height: 9, "aria-hidden": "true" });
    if (attachment?.width && attachment.height) canvas.height = Math.max(1, Math.round((16 * attachment.height) / attachment.width));
    canvases.set(canvas, frame);
    seen.observe(canvas);
    const name = `${frame.time === null ? "Picture" : `Frame ${i + 1} at ${clock(frame.time)}`}, ${frame.kept} of ${frame.tokens} tokens kept`;
    strip.append(
      h(
        "li",
        {},
        h("button", { type: "button", class: "frame", "aria-label": name, title: name, onclick: () => frameDialog(medium, i, draw) }, h("span", { class: "frame-view" }, canvas, keptMap(medium, frame))),
        h("span", { class: "frame-facts" }, frame.time === null ? "" : h("b", {}, clock(frame.time)), h("span", {}, `${frame.kept}/${frame.tokens}`)),
      ),
    );
  });
  const share = medium.tokens ? Math.round((100 * medium.kept) / medium.tokens) : 100;
  const what = medium.kind === "video" ? `${counted(medium.frames.length)} frames` : "Picture";
  const grid = medium.rows && medium.columns ? `, ${medium.rows} × ${medium.columns} tokens${medium.kind === "video" ? " each" : ""}` : "";
  return h(
    "section",
    {},
    h("p", { class: "report-head" }, h("b", {}, attachment?.name ?? what), ` ${what}${grid}; ${counted(medium.kept)} of ${counted(medium.tokens)} tokens kept (${share} %)`),
    ...medium.notes.map((note) => h("p", { class: "hint" }, note)),
    strip,
  );
}

function drawer(attachment: Attachment | undefined, blobs: Blobs): Draw {
  if (!attachment?.shown) return async () => false;
  const url = blobs.url(attachment.id);
  if (attachment.kind === "image") {
    return async (canvas, _frame, width) => {
      const image = new Image();
      image.src = (await url) ?? "";
      await image.decode();
      const scale = Math.min(1, width / image.naturalWidth);
      canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
      canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
      canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
      return true;
    };
  }
  let grabber: FrameGrabber | null = null;
  let idle = 0;
  return async (canvas, frame, width) => {
    const from = await url;
    if (!from) return false;
    grabber ??= new FrameGrabber(from);
    // Decoders are few: it is let go of when nothing was asked for a while.
    clearTimeout(idle);
    const drawn = await grabber.draw(canvas, frame.time ?? 0, width);
    clearTimeout(idle);
    idle = window.setTimeout(() => {
      grabber?.close();
      grabber = null;
    }, 10_000);
    return drawn;
  };
}

// One pixel a token, drawn large: what was left out is covered.
function keptMap(medium: Medium, frame: Frame): HTMLElement | null {
  if (!frame.map || !frame.map.includes("0")) return null;
  const canvas = h("canvas", { class: "map", width: medium.columns, height: medium.rows, "aria-hidden": "true" });
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(medium.columns, medium.rows);
  for (let i = 0; i < frame.map.length; ++i) if (frame.map[i] === "0") image.data.set([140, 142, 148, 190], 4 * i);
  context.putImageData(image, 0, 0);
  return canvas;
}

function frameDialog(medium: Medium, first: number, draw: Draw): void {
  let at = first;
  const { dialog, body } = openDialog("What the model saw", { class: "wide", id: "frame-dialog" }, () => {});
  const view = h("div", { class: "frame-large" });
  const words = h("p", { class: "frame-words", role: "status" });
  const cover: HTMLInputElement = h("input", { type: "checkbox", checked: true, onchange: (): boolean => view.classList.toggle("bare", !cover.checked) });
  const show = (next: number) => {
    at = Math.min(Math.max(0, next), medium.frames.length - 1);
    const frame = medium.frames[at]!;
    const canvas = h("canvas", { "aria-hidden": "true" });
    view.replaceChildren(canvas, keptMap(medium, frame) ?? "");
    void draw(canvas, frame, LARGE_PX).then((drawn) => drawn && view.style.setProperty("--ratio", String(canvas.width / canvas.height)), () => {});
    const where = frame.time === null ? "Picture" : `Frame ${at + 1} of ${medium.frames.length}, at ${clock(frame.time, 2)}`;
    words.textContent = `${where}: ${frame.kept} of ${frame.tokens} tokens kept`;
    back.disabled = at === 0;
    on.disabled = at === medium.frames.length - 1;
  };
  const back = button("Frame before", "left", () => show(at - 1));
  const on = button("Next frame", "right", () => show(at + 1));
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(at - 1);
    if (event.key === "ArrowRight") show(at + 1);
  });
  const mapped = medium.frames.some((frame) => frame.map.includes("0"));
  body.append(view, h("div", { class: "row between" }, medium.frames.length > 1 && back, words, medium.frames.length > 1 && on), mapped ? h("label", { class: "check" }, cover, "Cover what was left out") : "");
  show(at);
}
