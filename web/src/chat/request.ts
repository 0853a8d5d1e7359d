// Messages of a chat as the API has them.
import type { MediaPart, Part, WireMessage } from "../api/types.js";
import type { Attachment, Message } from "../store/types.js";
import type { Settings } from "./settings.js";

export type Turn = Pick<Message, "role" | "text" | "attachments">;

// Attachments that the server has been sent already are named only; `url` gives the bytes of the others.
export async function wireMessages(
  turns: Turn[],
  settings: Settings,
  isSent: (attachment: Attachment) => boolean,
  url: (attachment: Attachment) => Promise<string>,
): Promise<WireMessage[]> {
  const out: WireMessage[] = [];
  if (settings.system.trim()) out.push({ role: "system", content: settings.system });
  for (const turn of turns) {
    if (!turn.attachments.length) {
      out.push({ role: turn.role, content: turn.text });
      continue;
    }
    const parts: Part[] = [];
    for (const attachment of turn.attachments) {
      parts.push(mediaPart(attachment, settings, isSent(attachment) ? null : await url(attachment)));
    }
    if (turn.text) parts.push({ type: "text", text: turn.text });
    out.push({ role: turn.role, content: parts });
  }
  return out;
}

export function mediaPart(attachment: Attachment, settings: Settings, url: string | null): MediaPart {
  const tokens = settings.max_tokens === undefined ? {} : { max_tokens: settings.max_tokens };
  if (attachment.kind === "image") return { type: "image_url", image_url: url === null ? null : { url }, uuid: attachment.id, ...tokens };
  const part: MediaPart = { type: "video_url", video_url: url === null ? null : { url }, uuid: attachment.id, ...tokens };
  const fps = attachment.fps ?? settings.fps;
  const frames = attachment.maxFrames ?? settings.max_frames;
  if (fps !== undefined) part.fps = fps;
  if (frames !== undefined) part.max_frames = frames;
  if (attachment.start !== undefined) part.start_time = attachment.start;
  if (attachment.end !== undefined) part.end_time = attachment.end;
  return part;
}
