// Dialogs of a question or two. The browser's <dialog> keeps the focus inside and gives it back.
import { button, h, keyCaps, type Props } from "./dom.js";

export interface Opened {
  dialog: HTMLDialogElement;
  body: HTMLElement;
  close: () => void;
}

export function openDialog(title: string, props: Props, onclose: () => void): Opened {
  const head = h("h2", {}, title);
  head.id = `dialog-${Math.random().toString(36).slice(2)}`;
  const body = h("div", { class: "dialog-body" });
  const close = (): void => dialog.close();
  const dialog: HTMLDialogElement = h(
    "dialog",
    { "aria-labelledby": head.id, ...props },
    h("div", { class: "dialog-head" }, head, button("Close", "close", close)),
    body,
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    onclose();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, body, close };
}

export function confirmDialog(title: string, text: string, yes: string): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = false;
    const { body, close } = openDialog(title, { class: "small" }, () => resolve(answer));
    const go = h("button", { type: "button", class: "danger", onclick: () => ((answer = true), close()) }, yes);
    body.append(h("p", {}, text), h("div", { class: "row end" }, h("button", { type: "button", onclick: close }, "Cancel"), go));
    go.focus();
  });
}

export function textDialog(title: string, label: string, value: string, yes: string): Promise<string | null> {
  return new Promise((resolve) => {
    let answer: string | null = null;
    const { body, close } = openDialog(title, { class: "small" }, () => resolve(answer));
    const input = h("input", { type: "text", value, maxlength: 200, required: true });
    const onsubmit = (event: Event) => {
      event.preventDefault();
      answer = input.value.trim() || null;
      close();
    };
    body.append(h("form", { onsubmit }, h("label", { class: "field" }, h("span", {}, label), input), h("div", { class: "row end" }, h("button", { type: "submit", class: "primary" }, yes))));
    input.select();
  });
}

export function keyDialog(hadOne: boolean, save: (key: string, keep: boolean) => void): Promise<boolean> {
  return new Promise((resolve) => {
    let given = false;
    const { body, close } = openDialog("A key is needed", { class: "small", id: "key-dialog" }, () => resolve(given));
    const key = h("input", { type: "password", autocomplete: "current-password", required: true, spellcheck: "false", "aria-describedby": "key-hint" });
    const keep = h("input", { type: "checkbox" });
    const onsubmit = (event: Event) => {
      event.preventDefault();
      if (!/^[\x21-\x7e]+$/.test(key.value.trim())) return key.setCustomValidity("A key has letters, digits and signs, and no spaces."), key.reportValidity();
      save(key.value.trim(), keep.checked);
      given = true;
      return close();
    };
    key.addEventListener("input", () => key.setCustomValidity(""));
    body.append(
      h(
        "form",
        { onsubmit },
        hadOne && h("p", { class: "problem", role: "alert" }, "The key that this browser had was not accepted."),
        h("label", { class: "field" }, h("span", {}, "Key"), key),
        h("label", { class: "check" }, keep, "Keep it in this browser"),
        h("p", { class: "hint", id: "key-hint" }, "Without the tick it is forgotten when this tab is closed. It is sent to this server and nobody else."),
        h("div", { class: "row end" }, h("button", { type: "submit", class: "primary" }, "Use this key")),
      ),
    );
    key.focus();
  });
}

const SHORTCUTS: [keys: string, what: string][] = [
  ["Enter", "Send"],
  ["Shift + Enter", "New line"],
  ["Esc", "Stop the answer; close a dialog"],
  ["Ctrl + Shift + O", "New chat"],
  ["Ctrl + K", "Search chats"],
  ["Ctrl + U", "Attach pictures and clips"],
  ["Ctrl + ,", "Settings"],
  ["Alt + ↑", "Edit the last question"],
  ["Alt + R", "Try the last answer again"],
  ["Alt + ← / →", "Other branch of the last answer"],
  ["Ctrl + /", "These shortcuts"],
];

export function shortcutsDialog(): void {
  const { body } = openDialog("Keyboard", { class: "small" }, () => {});
  const rows = SHORTCUTS.map(([keys, what]) => h("tr", {}, h("td", {}, what), h("td", {}, ...keyCaps(keys).flatMap((cap, i) => [i ? " " : "", cap]))));
  body.append(h("table", { class: "keys" }, h("tbody", {}, ...rows)));
}

export function toast(text: string, kind: "info" | "problem" = "info"): void {
  const note = h("div", { class: `toast ${kind}`, role: kind === "problem" ? "alert" : "status" }, h("span", {}, text));
  note.append(button("Dismiss", "close", () => note.remove()));
  document.getElementById("toasts")!.append(note);
  setTimeout(() => note.remove(), kind === "problem" ? 12_000 : 5_000);
}
