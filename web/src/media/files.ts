// What files are, how large and how long, as far as this browser can say.
import type { Attachment } from "../store/types.js";
import { newId } from "../store/types.js";

const IMAGES = /\.(png|jpe?g|webp|gif|bmp|avif|heic|heif|tiff?|jxl)$/i;
const CLIPS = /\.(mp4|m4v|mov|webm|mkv|avi|mpe?g|ts|mts|m2ts|ogv|flv|wmv|3gp)$/i;

export function kindOf(name: string, type: string): "image" | "video" | null {
  // A drawing is no picture to the server, and could hold scripts.
  if (type === "image/svg+xml" || /\.svgz?$/i.test(name)) return null;
  if (type.startsWith("image/")) return "image";
  if (type.startsWith("video/")) return "video";
  return IMAGES.test(name) ? "image" : CLIPS.test(name) ? "video" : null;
}

// So long a busy machine may take to open a medium.
const PATIENCE_MS = 30_000;

// Rejects after a while, for containers that a browser opens and never ends reading.
function within<T>(ms: number, start: (resolve: (value: T) => void, reject: () => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("timeout")), ms);
    start(
      (value) => (clearTimeout(timer), resolve(value)),
      () => (clearTimeout(timer), reject(new Error("unreadable"))),
    );
  });
}

async function pictureSize(url: string): Promise<Partial<Attachment>> {
  const image = new Image();
  await within<void>(PATIENCE_MS, (resolve, reject) => {
    image.onload = () => resolve();
    image.onerror = reject;
    image.src = url;
  });
  return { width: image.naturalWidth, height: image.naturalHeight };
}

export async function openClip(url: string): Promise<HTMLVideoElement> {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.preload = "auto";
  await within<void>(PATIENCE_MS, (resolve, reject) => {
    video.onloadeddata = () => resolve();
    video.onerror = reject;
    video.src = url;
  });
  // Recorded clips do not say how long they are until their end was looked for.
  if (!Number.isFinite(video.duration)) {
    await within<void>(PATIENCE_MS, (resolve, reject) => {
      video.ondurationchange = () => Number.isFinite(video.duration) && resolve();
      video.onerror = reject;
      video.currentTime = 1e9;
    });
    video.currentTime = 0;
  }
  return video;
}

async function clipSize(url: string): Promise<Partial<Attachment>> {
  const video = await openClip(url);
  const { videoWidth: width, videoHeight: height, duration } = video;
  video.removeAttribute("src");
  video.load();
  if (!width || !height) throw new Error("no picture");
  return { width, height, duration };
}

export async function describe(file: File, kind: "image" | "video", url: string): Promise<Attachment> {
  const name = file.name || (kind === "image" ? "picture" : "clip");
  const plain = { id: newId(), kind, name, type: file.type, size: file.size };
  try {
    return { ...plain, ...(await (kind === "image" ? pictureSize(url) : clipSize(url))), shown: true };
  } catch {
    return { ...plain, shown: false };
  }
}

export function dataUrl(blob: Blob, type: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^data:[^,]*,/, `data:${type};base64,`));
    reader.onerror = () => reject(reader.error ?? new Error("The file cannot be read any more."));
    reader.readAsDataURL(blob);
  });
}
