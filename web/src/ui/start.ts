// What an empty chat shows: where to put pictures and clips, and what might be asked.
import { openCamera } from "./camera.js";
import { byId, h, icon } from "./dom.js";
import type { DraftEditor } from "./draft.js";

const EXAMPLES: [title: string, text: string][] = [
  ["What is in this picture?", "Describe this picture: what is in it, where, and which colours."],
  ["What happens in this clip?", "What happens in this clip? List the events in order, with their times in seconds."],
  ["Read the text", "Write down all text that can be read here, as a list."],
];

export function fillStart(editor: DraftEditor): void {
  const ask = (text: string) => {
    editor.set({ text, attachments: editor.attachments });
    editor.text.focus();
    if (!editor.attachments.length) editor.pick();
  };
  const touch = matchMedia("(pointer: coarse)").matches;
  const drop = h(
    "button",
    { type: "button", class: "drop", onclick: () => editor.pick() },
    h("span", { class: "drop-icons", "aria-hidden": "true" }, icon("picture"), icon("clip")),
    // Nothing is dropped on glass.
    h("b", {}, touch ? "Add pictures and clips" : "Drop pictures and clips here"),
    h("span", {}, touch ? "from this device" : "or paste them, or click to choose files"),
  );
  byId("empty").append(
    h("p", { class: "hello" }, "Ask about what you see"),
    drop,
    h("button", { type: "button", class: "quiet", onclick: () => openCamera((file) => void editor.add([file])) }, icon("camera"), "Use the camera"),
    h("ul", { class: "examples", "aria-label": "Examples" }, ...EXAMPLES.map(([title, text]) => h("li", {}, h("button", { type: "button", onclick: () => ask(text) }, h("b", {}, title), h("span", {}, text))))),
  );
}
