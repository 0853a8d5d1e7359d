// Attachments as tiles: of a draft with buttons, of a message to look at.
import type { Blobs } from "../chat/blobs.js";
import type { Attachment } from "../store/types.js";
import { button, bytes, clock, h, icon } from "./dom.js";
import { openDialog } from "./dialogs.js";

export function preview(attachment: Attachment, url: string | undefined): HTMLElement {
  if (!url || !attachment.shown) {
    const why = url ? "no preview in this browser" : "no longer here";
    return h("span", { class: "no-preview", title: why }, icon(attachment.kind === "image" ? "picture" : "clip"));
  }
  if (attachment.kind === "image") return h("img", { src: url, alt: attachment.name, draggable: "false", decoding: "async" });
  const at = (attachment.start ?? 0) + 0.01;
  return h("video", { src: `${url}#t=${at}`, muted: true, playsinline: true, preload: "metadata", tabindex: -1, "aria-label": attachment.name });
}

// "0:02.0 – 0:05.5 · 2 fps", or how long it is
export function clipWords(attachment: Attachment): string {
  const { start, end, duration, fps } = attachment;
  const words: string[] = [];
  if (start !== undefined || end !== undefined) {
    words.push(`${clock(start ?? 0)} – ${end !== undefined ? clock(end) : duration !== undefined ? clock(duration) : "end"}`);
  } else if (duration !== undefined) {
    words.push(clock(duration));
  }
  if (fps !== undefined) words.push(`${fps} fps`);
  if (attachment.maxFrames !== undefined) words.push(`≤ ${attachment.maxFrames} frames`);
  return words.join(" · ");
}

export function factsOf(attachment: Attachment): string {
  const size = attachment.width ? `${attachment.width} × ${attachment.height}` : bytes(attachment.size);
  return attachment.kind === "image" ? size : clipWords(attachment) || size;
}

export function draftTile(attachment: Attachment, url: string | undefined, open: () => void, remove: () => void): HTMLElement {
  const { name, kind } = attachment;
  const view = preview(attachment, url);
  return h(
    "li",
    { class: `tile ${kind}` },
    kind === "video"
      ? h("button", { type: "button", class: "tile-view", "aria-label": `Trim ${name}`, title: "Trim, and choose frames per second", onclick: open }, view, h("span", { class: "tile-badge" }, icon("cut")))
      : h("button", { type: "button", class: "tile-view", "aria-label": `Show ${name}`, onclick: open }, view),
    h("span", { class: "tile-text" }, h("span", { class: "tile-name", title: name }, name), h("span", { class: "tile-facts" }, factsOf(attachment))),
    button(`Remove ${name}`, "close", remove, { class: "icon tile-remove" }),
  );
}

export function messageTile(attachment: Attachment, blobs: Blobs): HTMLElement {
  const { name, kind } = attachment;
  const view = h("button", { type: "button", class: "tile-view", "aria-label": `Show ${name}`, onclick: () => void showMedium(attachment, blobs) });
  void blobs.url(attachment.id).then((url) => view.replaceChildren(preview(attachment, url), kind === "video" && url ? h("span", { class: "tile-badge" }, icon("clip")) : ""));
  return h("li", { class: `tile sent ${kind}` }, view, h("span", { class: "tile-facts" }, kind === "video" ? clipWords(attachment) : ""));
}

// Larger, in a dialog; a clip from `at` (s) on.
export async function showMedium(attachment: Attachment, blobs: Blobs, at?: number): Promise<void> {
  const url = await blobs.url(attachment.id);
  const { body } = openDialog(attachment.name, { class: "wide" }, () => {});
  if (!url || !attachment.shown) {
    body.append(h("p", {}, url ? "This browser cannot show it." : "Its bytes are no longer in this browser."));
  } else if (attachment.kind === "image") {
    body.append(h("img", { class: "large", src: url, alt: attachment.name }));
  } else {
    const end = attachment.end === undefined || at !== undefined ? "" : `,${attachment.end}`;
    const range = `#t=${at ?? attachment.start ?? 0}${end}`;
    body.append(h("video", { class: "large", src: url + range, controls: true, playsinline: true, "aria-label": attachment.name }));
  }
  const facts = [attachment.type, bytes(attachment.size), attachment.width ? `${attachment.width} × ${attachment.height}` : "", clipWords(attachment)];
  body.append(h("p", { class: "hint" }, facts.filter(Boolean).join(" · ")));
}
