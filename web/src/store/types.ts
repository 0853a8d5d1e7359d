import type { Told } from "../api/failure.js";
import type { Usage } from "../api/types.js";
import type { Medium } from "../media/report.js";

// A picture or a clip of a message. Its bytes are a blob of the store under `id`, which also names it to
// the server (uuid), so that it is sent once.
export interface Attachment {
  id: string;
  kind: "image" | "video";
  name: string;
  type: string;
  size: number;
  width?: number;
  height?: number;
  duration?: number;
  start?: number;
  end?: number;
  fps?: number;
  maxFrames?: number;
  // false: this browser cannot show it; the server may still read it
  shown: boolean;
}

export interface Timing {
  // from sending to the first token, and from the first to the last, in ms
  first: number;
  rest: number;
  tokens: number;
}

export interface Message {
  id: string;
  chat: string;
  parent: string | null;
  role: "user" | "assistant";
  text: string;
  attachments: Attachment[];
  created: number;
  // running: being written; found in the store after a reload it was cut off
  state: "done" | "running" | "stopped" | "failed";
  finish?: string;
  model?: string;
  error?: Told;
  usage?: Usage;
  timing?: Timing;
  report?: Medium[];
}

export interface Chat {
  id: string;
  title: string;
  created: number;
  updated: number;
  // the message that the shown branch ends with
  leaf: string | null;
  // of imported chats: what they were called where they come from
  origin?: string;
}

export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
