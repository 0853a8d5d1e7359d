// How answers are sampled and media read, the key, and what this browser keeps.
import type { Session } from "../chat/session.js";
import { DEFAULTS, FIELDS, formatProblem, type NumberField, type Settings } from "../chat/settings.js";
import { confirmDialog, openDialog, toast } from "./dialogs.js";
import { bytes, h } from "./dom.js";

const FORMATS: [Settings["format"], string][] = [
  ["text", "Free text"],
  ["json_object", "JSON"],
  ["json_schema", "JSON of a schema"],
  ["regex", "A regular expression"],
  ["choice", "One of some choices"],
];

export function settingsDialog(session: Session): void {
  const { body, close } = openDialog("Settings", { class: "wide", id: "settings-dialog" }, () => {});
  const settings = session.settings;
  const inputs = new Map<NumberField, HTMLInputElement>();
  const number = (field: NumberField) => {
    const { name, label, hint, min, max } = field;
    const input = h("input", { type: "number", min, max, step: field.step === 1 ? 1 : "any", inputmode: "decimal", value: settings[name] ?? "", placeholder: "default", name });
    inputs.set(field, input);
    return h("label", { class: "field" }, h("span", {}, label), input, h("small", {}, hint));
  };
  const fields = (group: NumberField["group"], rare: boolean) => h("div", { class: "fields" }, ...FIELDS.filter((f) => f.group === group && Boolean(f.rare) === rare).map(number));
  const system = h("textarea", { rows: 3, value: settings.system, placeholder: "None" });
  const stop = h("textarea", { rows: 2, value: settings.stop, placeholder: "None" });
  const eos = h("input", { type: "checkbox", checked: settings.ignore_eos });
  const format = h("select", {}, ...FORMATS.map(([value, label]) => h("option", { value, selected: settings.format === value }, label)));
  const formatText = h("textarea", { rows: 4, class: "mono", value: settings.formatText, spellcheck: "false" });
  const formatField = h("label", { class: "field" }, h("span", {}, "Schema, expression or choices (one a line)"), formatText);
  const problem = h("p", { class: "problem", role: "alert" });
  const showFormat = () => (formatField.hidden = !["json_schema", "regex", "choice"].includes(format.value));
  format.addEventListener("change", showFormat);
  showFormat();

  const onsubmit = (event: Event) => {
    event.preventDefault();
    const changed: Settings = { ...DEFAULTS, model: session.settings.model };
    for (const [field, input] of inputs) {
      if (!input.checkValidity()) {
        input.closest("details")?.setAttribute("open", "");
        input.reportValidity();
        return;
      }
      changed[field.name] = input.value === "" ? undefined : Number(input.value);
    }
    Object.assign(changed, { system: system.value, stop: stop.value, ignore_eos: eos.checked, format: format.value, formatText: formatText.value });
    problem.textContent = formatProblem(changed);
    if (problem.textContent) {
      formatText.closest("details")?.setAttribute("open", "");
      formatText.focus();
      return;
    }
    session.change(changed);
    close();
  };
  const reset = () => {
    session.change({ ...Object.fromEntries(FIELDS.map(({ name }) => [name, undefined])), ...DEFAULTS, model: session.settings.model });
    close();
    toast("All settings are the server's again.");
  };
  body.append(
    h(
      "form",
      { onsubmit, novalidate: true },
      h("label", { class: "field" }, h("span", {}, "System prompt"), system),
      h("h3", {}, "Answers"),
      fields("answer", false),
      h(
        "details",
        {},
        h("summary", {}, "More of sampling, and the answer's form"),
        fields("answer", true),
        h("label", { class: "field" }, h("span", {}, "Stop at"), stop, h("small", {}, "One text a line; \\n is a new line")),
        h("label", { class: "check" }, eos, "Go on after the end of the answer (for tests)"),
        h("label", { class: "field" }, h("span", {}, "Form of the answer"), format),
        formatField,
        problem,
      ),
      h("h3", {}, "Pictures and clips"),
      fields("media", false),
      storage(session, close),
      h("div", { class: "row between dialog-foot" }, h("button", { type: "button", onclick: reset }, "Reset all"), h("button", { type: "submit", class: "primary" }, "Save")),
    ),
  );
}

function storage(session: Session, close: () => void): HTMLElement {
  const words = h("p", { class: "hint" }, session.store.kept ? "Chats, attachments and settings are kept in this browser only." : "This browser keeps no history: chats are gone when the page is closed.");
  void navigator.storage?.estimate?.().then(({ usage }) => usage && words.append(` They take ${bytes(usage)}.`));
  const forget = () => {
    session.client.keys.forget();
    close();
    toast("The key is forgotten.");
  };
  const clear = async () => {
    if (!(await confirmDialog("Delete all chats?", "All chats and attachments will be removed from this browser. Export them first to keep them.", "Delete all"))) return;
    close();
    await session.removeAll();
  };
  const hasKey = session.client.keys.get() !== "";
  return h("section", { class: "storage" }, h("h3", {}, "This browser"), words, h("div", { class: "row wrap" }, hasKey && h("button", { type: "button", onclick: forget }, "Forget the key"), h("button", { type: "button", class: "danger", onclick: () => void clear() }, "Delete all chats")));
}
