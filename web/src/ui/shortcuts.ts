// Keys that work anywhere on the page; ui/dialogs.ts lists them for people.
import type { Session } from "../chat/session.js";
import type { Composer } from "./composer.js";
import { shortcutsDialog } from "./dialogs.js";
import type { MessageList } from "./message_list.js";
import type { Sidebar } from "./sidebar.js";

export interface Reach {
  session: Session;
  messages: MessageList;
  sidebar: Sidebar;
  composer: Composer;
  open: (id: string | null) => void;
  settings: () => void;
  showSidebar: () => void;
  hideSidebar: () => void;
}

export function takeShortcuts(reach: Reach): void {
  addEventListener("keydown", (event) => {
    // Dialogs have keys of their own.
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const run = actionOf(event, reach);
    if (!run) return;
    event.preventDefault();
    run();
  });
}

function actionOf(event: KeyboardEvent, reach: Reach): (() => unknown) | null {
  const { session, messages, sidebar, composer } = reach;
  const key = event.key.toLowerCase();
  const control = event.ctrlKey || event.metaKey;
  if (key === "escape") {
    if (document.body.classList.contains("sidebar-open")) return reach.hideSidebar;
    return session.generation ? () => session.stop() : null;
  }
  if (control && event.shiftKey && key === "o") return () => reach.open(null);
  if (control && !event.shiftKey && !event.altKey) {
    if (key === "k") return () => (reach.showSidebar(), sidebar.focusSearch());
    if (key === "u") return () => composer.editor.pick();
    if (key === ",") return reach.settings;
    if (key === "/") return shortcutsDialog;
  }
  if (!event.altKey || control || event.shiftKey) return null;
  const answer = messages.lastOf("assistant");
  if (key === "arrowup") return () => messages.lastOf("user")?.edit();
  if (!answer || session.generation) return null;
  // By its place: with Alt some keyboards write another letter.
  if (event.code === "KeyR") return () => session.retry(answer.message);
  // These move by words where there are words.
  if ((key !== "arrowleft" && key !== "arrowright") || writing()) return null;
  const all = session.siblings(answer.message);
  const other = all[all.indexOf(answer.message) + (key === "arrowleft" ? -1 : 1)];
  return other ? () => session.show(other) : null;
}

function writing(): boolean {
  const at = document.activeElement;
  return (at instanceof HTMLTextAreaElement || at instanceof HTMLInputElement) && at.value !== "";
}
