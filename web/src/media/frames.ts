// Frames of a clip as small pictures, drawn here from the clip itself: one seek after the other.
import { openClip } from "./files.js";

export class FrameGrabber {
  private readonly video: Promise<HTMLVideoElement>;
  private last: Promise<unknown> = Promise.resolve();
  private closed = false;

  constructor(url: string) {
    this.video = openClip(url);
    this.video.catch(() => {});
  }

  // Draws the frame at `time` (s) on the canvas, at most `width` pixels wide; false where it cannot.
  draw(canvas: HTMLCanvasElement, time: number, width: number): Promise<boolean> {
    const drawn = this.last.then(() => this.seekAndDraw(canvas, time, width)).catch(() => false);
    this.last = drawn;
    return drawn;
  }

  close(): void {
    this.closed = true;
    void this.last.then(() => this.video).then((video) => {
      video.removeAttribute("src");
      video.load();
    }, () => {});
  }

  private async seekAndDraw(canvas: HTMLCanvasElement, time: number, width: number): Promise<boolean> {
    if (this.closed) return false;
    const video = await this.video;
    // A hair inside the frame: times that are rounded down would show the one before.
    const at = Math.min(Math.max(0, time + 0.004), Math.max(0, video.duration - 0.001));
    if (Math.abs(video.currentTime - at) > 1e-4) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(reject, 20_000);
        video.onseeked = () => (clearTimeout(timer), resolve());
        video.onerror = () => (clearTimeout(timer), reject());
        video.currentTime = at;
      });
    }
    const scale = Math.min(1, width / video.videoWidth);
    canvas.width = Math.max(1, Math.round(video.videoWidth * scale));
    canvas.height = Math.max(1, Math.round(video.videoHeight * scale));
    canvas.getContext("2d")!.drawImage(video, 0, 0, canvas.width, canvas.height);
    return true;
  }
}
