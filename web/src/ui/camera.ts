// A picture or a clip from the camera.
import { openDialog } from "./dialogs.js";
import { button, clock, h } from "./dom.js";

const CLIPS = ["video/mp4;codecs=avc1.42E01E", "video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];
const MAX_CLIP_S = 120;

export function openCamera(take: (file: File) => void): void {
  let stream: MediaStream | null = null;
  let recorder: MediaRecorder | null = null;
  let timer = 0;
  let open = true;
  let facing: "environment" | "user" = "environment";
  const release = () => stream?.getTracks().forEach((track) => track.stop());
  const { body, close } = openDialog("Camera", { class: "wide" }, () => {
    open = false;
    clearInterval(timer);
    if (recorder?.state === "recording") recorder.onstop = null;
    release();
  });
  const video = h("video", { class: "large", autoplay: true, muted: true, playsinline: true, "aria-label": "What the camera sees" });
  const words = h("p", { class: "hint", role: "status" }, "Waiting for the camera…");
  const picture = h("button", { type: "button", class: "primary", disabled: true, onclick: () => snap() }, "Take a picture");
  const record = h("button", { type: "button", disabled: true, onclick: () => (recorder ? recorder.stop() : start()) }, "Record a clip");
  const turn = button("Other camera", "retry", () => {
    facing = facing === "user" ? "environment" : "user";
    release();
    void begin();
  });
  body.append(video, words, h("div", { class: "row end" }, turn, record, picture));

  async function begin(): Promise<void> {
    if (!navigator.mediaDevices) {
      words.textContent = "Browsers give the camera to pages from https:// and localhost only.";
      return;
    }
    try {
      const got = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, width: { ideal: 1280 } }, audio: false });
      if (!open) return got.getTracks().forEach((track) => track.stop());
      stream = got;
      video.srcObject = stream;
      video.muted = true;
      await video.play();
      words.textContent = "";
      picture.disabled = false;
      record.disabled = typeof MediaRecorder === "undefined";
    } catch (error) {
      const name = error instanceof Error ? error.name : "";
      words.textContent = name === "NotAllowedError" ? "The browser was not allowed to use the camera." : name === "NotFoundError" ? "There is no camera." : `The camera does not start (${name}).`;
    }
  }

  const stamp = () => new Date().toISOString().slice(0, 19).replace("T", " ").replaceAll(":", ".");

  function snap(): void {
    const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d")!.drawImage(video, 0, 0);
    canvas.toBlob(
      (blob) => {
        if (blob) take(new File([blob], `camera ${stamp()}.jpg`, { type: "image/jpeg" }));
        close();
      },
      "image/jpeg",
      0.92,
    );
  }

  function start(): void {
    const type = CLIPS.find((name) => MediaRecorder.isTypeSupported(name)) ?? "";
    const parts: Blob[] = [];
    const began = performance.now();
    recorder = new MediaRecorder(stream!, type ? { mimeType: type } : {});
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = () => {
      const plain = (recorder?.mimeType || type).split(";")[0]!;
      const name = `camera ${stamp()}.${plain.includes("mp4") ? "mp4" : "webm"}`;
      take(new File(parts, name, { type: plain }));
      close();
    };
    recorder.start(1000);
    record.textContent = "Stop recording";
    record.classList.add("danger");
    picture.disabled = turn.disabled = true;
    timer = window.setInterval(() => {
      const seconds = (performance.now() - began) / 1000;
      words.textContent = `Recording, ${clock(seconds, 0)}`;
      if (seconds >= MAX_CLIP_S && recorder?.state === "recording") recorder.stop();
    }, 250);
  }

  void begin();
}
