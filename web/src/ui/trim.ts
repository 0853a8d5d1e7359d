// A clip's preview: which part of it is asked about, and how many frames of it.
import { FrameGrabber } from "../media/frames.js";
import type { Attachment } from "../store/types.js";
import { openDialog } from "./dialogs.js";
import { clock, h } from "./dom.js";

const STRIP = 10;

export function trimDialog(attachment: Attachment, url: string | undefined, done: (changed: Attachment) => void): void {
  const duration = attachment.duration ?? 0;
  let grabber: FrameGrabber | null = null;
  const { body, close } = openDialog(`Trim ${attachment.name}`, { class: "wide", id: "trim-dialog" }, () => grabber?.close());
  const shown = attachment.shown && url !== undefined && duration > 0;

  const number = (label: string, value: number | undefined, step: number, max: number | null, hint: string) => {
    const input = h("input", { type: "number", min: 0, max, step: "any", inputmode: "decimal", value: value ?? "", placeholder: hint });
    input.dataset["step"] = String(step);
    return { input, field: h("label", { class: "field" }, h("span", {}, label), input) };
  };
  const most = shown ? Math.ceil(duration * 10) / 10 : null;
  const start = number("Start (s)", attachment.start, 0.1, most, "0");
  const end = number("End (s)", attachment.end, 0.1, most, shown ? duration.toFixed(1) : "end");
  const fps = number("Frames per second", attachment.fps, 0.5, 60, "as set");
  const frames = number("Most frames", attachment.maxFrames, 1, 100_000, "as set");
  const words = h("p", { class: "hint", "aria-live": "polite" });
  const problem = h("p", { class: "problem", role: "alert" });

  const value = (input: HTMLInputElement) => (input.value === "" ? undefined : Number(input.value));
  const from = () => value(start.input) ?? 0;
  const to = () => value(end.input) ?? duration;

  const wrong = (): string => {
    for (const { input } of [start, end, fps, frames]) if (!input.checkValidity()) return input.validationMessage;
    if ((shown || value(end.input) !== undefined) && from() >= to()) return "The end must come after the start.";
    if (value(fps.input) === 0) return "Frames per second must be above 0.";
    if (value(frames.input) !== undefined && !(Number.isInteger(value(frames.input)) && value(frames.input)! > 0)) return "The most frames must be a whole number above 0.";
    return "";
  };

  let refresh = () => {};
  const update = () => {
    problem.textContent = wrong();
    const seconds = to() - from();
    const rate = value(fps.input);
    const count = rate ? Math.min(Math.max(1, Math.round(seconds * rate)), value(frames.input) ?? Infinity) : null;
    words.textContent = wrong() || (!shown && value(end.input) === undefined) ? "" : `${clock(seconds)} chosen${count === null ? "" : `, about ${count} frame${count === 1 ? "" : "s"}`}.`;
    refresh();
  };
  for (const { input } of [start, end, fps, frames]) input.addEventListener("input", update);

  if (shown) {
    const video = h("video", { class: "large", src: url, controls: true, muted: true, playsinline: true, "aria-label": attachment.name });
    const strip = h("div", { class: "strip", "aria-hidden": "true" });
    const shade = [h("span", { class: "shade" }), h("span", { class: "shade to" })];
    // A round number near a thousandth: what an arrow key moves by.
    const step = Math.max(0.01, 10 ** Math.ceil(Math.log10(duration / 1000)));
    const slider = (label: string, input: HTMLInputElement, first: boolean) => {
      const range = h("input", { type: "range", min: 0, max: duration, step, value: first ? from() : to(), "aria-label": label });
      range.addEventListener("input", () => {
        const at = Number(range.value);
        const edge = first ? at <= 0 : at > duration - step;
        input.value = edge ? "" : at.toFixed(2);
        video.currentTime = at;
        update();
      });
      return range;
    };
    const [low, high] = [slider("Start of the part", start.input, true), slider("End of the part", end.input, false)];
    refresh = () => {
      low.value = String(from());
      high.value = String(to());
      low.setAttribute("aria-valuetext", clock(from()));
      high.setAttribute("aria-valuetext", clock(to()));
      shade[0]!.style.width = `${(100 * Math.min(from(), duration)) / duration}%`;
      shade[1]!.style.width = `${(100 * Math.max(0, duration - to())) / duration}%`;
    };
    const here = (input: HTMLInputElement) => ((input.value = video.currentTime.toFixed(2)), update());
    const play = () => {
      video.currentTime = from();
      void video.play();
    };
    video.addEventListener("timeupdate", () => !video.paused && video.currentTime >= to() && video.pause());
    grabber = new FrameGrabber(url);
    for (let i = 0; i < STRIP; ++i) {
      const canvas = h("canvas", { width: 16, height: 9 });
      strip.append(canvas);
      void grabber.draw(canvas, ((i + 0.5) * duration) / STRIP, 120);
    }
    body.append(
      video,
      h("div", { class: "range" }, strip, ...shade, low, high),
      h(
        "div",
        { class: "row wrap" },
        h("button", { type: "button", onclick: () => here(start.input) }, "Start here"),
        h("button", { type: "button", onclick: () => here(end.input) }, "End here"),
        h("button", { type: "button", onclick: play }, "Play the part"),
      ),
    );
  } else {
    body.append(h("p", { class: "hint" }, "This browser cannot show the clip; the server may still read it."));
  }

  const reset = () => {
    for (const { input } of [start, end, fps, frames]) input.value = "";
    update();
  };
  const apply = (event: Event) => {
    event.preventDefault();
    update();
    if (wrong()) return;
    const { start: _s, end: _e, fps: _f, maxFrames: _m, ...rest } = attachment;
    const changed: Attachment = { ...rest };
    const set = (name: "start" | "end" | "fps" | "maxFrames", v: number | undefined) => v !== undefined && (changed[name] = v);
    set("start", value(start.input) || undefined);
    set("end", value(end.input));
    set("fps", value(fps.input));
    set("maxFrames", value(frames.input));
    close();
    done(changed);
  };
  body.append(
    h(
      "form",
      { onsubmit: apply, novalidate: true },
      h("div", { class: "fields four" }, start.field, end.field, fps.field, frames.field),
      words,
      problem,
      h("div", { class: "row end" }, h("button", { type: "button", onclick: reset }, "Whole clip"), h("button", { type: "submit", class: "primary" }, "Apply")),
    ),
  );
  update();
  problem.textContent = "";
}
