// The messages of a chat are a tree: editing and trying again add siblings. What is shown is the path from
// a root to the chat's leaf.
import type { Message } from "./types.js";

export type Messages = Map<string, Message>;

export function pathTo(messages: Messages, leaf: string | null): Message[] {
  const path: Message[] = [];
  const seen = new Set<string>();
  for (let at = leaf; at !== null && !seen.has(at); ) {
    const message = messages.get(at);
    if (!message) break;
    seen.add(at);
    path.push(message);
    at = message.parent;
  }
  return path.reverse();
}

// The message's siblings and itself, oldest first.
export function siblings(messages: Messages, message: Message): Message[] {
  return [...messages.values()]
    .filter((other) => other.parent === message.parent)
    .sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
}

// The newest of the messages that continue one, itself where none does: what comes after another is newer
// than it, so nothing continues the newest.
export function newestLeaf(messages: Messages, from: string): string {
  let newest = messages.get(from);
  for (const message of messages.values()) {
    if (newest && message.created < newest.created) continue;
    if (pathTo(messages, message.id).some((other) => other.id === from)) newest = message;
  }
  return newest?.id ?? from;
}

// The first words of a chat's first message.
export function titleOf(message: Message): string {
  const words = message.text.replace(/\s+/g, " ").trim();
  if (words) return words.length > 60 ? `${words.slice(0, 60).replace(/\s\S*$/, "")}…` : words;
  return message.attachments[0]?.name ?? "New chat";
}
