// A button that copies, and says that it did.
import { toast } from "./dialogs.js";
import { button, byId, copyText, icon } from "./dom.js";

const SHOWN_MS = 1600;

export function copyButton(name: string, text: () => string): HTMLButtonElement {
  let timer = 0;
  const copy = button(name, "copy", async () => {
    if (!(await copyText(text()))) return toast("The browser did not allow copying.", "problem");
    const show = (done: boolean) => {
      copy.replaceChildren(icon(done ? "check" : "copy"));
      copy.classList.toggle("done", done);
      copy.title = done ? "Copied" : name;
    };
    show(true);
    byId("live").textContent = "Copied.";
    clearTimeout(timer);
    timer = window.setTimeout(() => show(false), SHOWN_MS);
  });
  return copy;
}
