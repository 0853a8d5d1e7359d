// The bytes of attachments: those of drafts are here until they are sent, those of messages in the store.
import { ApiFailure } from "../api/failure.js";
import { dataUrl } from "../media/files.js";
import { bytes } from "../ui/dom.js";
import type { Store } from "../store/store.js";
import type { Attachment } from "../store/types.js";

// What base64 makes of it must fit into the longest text of browsers.
const MAX_BYTES = 380_000_000;

export class Blobs {
  private readonly drafts = new Map<string, Blob>();
  private readonly urls = new Map<string, string>();

  constructor(private readonly store: Store) {}

  // A draft's attachment; the address is good until `release`.
  add(id: string, blob: Blob): string {
    this.drafts.set(id, blob);
    return this.urlOf(id, blob);
  }
  async keep(attachments: Attachment[]): Promise<void> {
    for (const { id } of attachments) {
      const blob = this.drafts.get(id);
      if (!blob) continue;
      await this.store.putBlob(id, blob);
      this.drafts.delete(id);
    }
  }
  async get(id: string): Promise<Blob | undefined> {
    return this.drafts.get(id) ?? (await this.store.blob(id));
  }
  // Something that <img> and <video> can show; undefined where the bytes are gone.
  async url(id: string): Promise<string | undefined> {
    const known = this.urls.get(id);
    if (known) return known;
    const blob = await this.get(id);
    return blob && (this.urls.get(id) ?? this.urlOf(id, blob));
  }
  async data(attachment: Attachment): Promise<string> {
    const blob = await this.get(attachment.id);
    if (!blob) throw new Error(`${attachment.name} is no longer in this browser.`);
    if (blob.size > MAX_BYTES) throw new ApiFailure(0, "too_large", `${attachment.name} has ${bytes(blob.size)}; the page can send ${bytes(MAX_BYTES)}. Trimming does not make it smaller: the whole file is sent.`);
    const plain = attachment.kind === "image" ? "image/png" : "video/mp4";
    // The server looks at the bytes, not at this name.
    return dataUrl(blob, /^(image|video)\/[\w.+-]+$/.test(attachment.type) ? attachment.type : plain);
  }
  // Forgets the addresses of what is not shown any more.
  release(shown: Set<string>): void {
    for (const [id, url] of this.urls) {
      if (shown.has(id) || this.drafts.has(id)) continue;
      URL.revokeObjectURL(url);
      this.urls.delete(id);
    }
  }
  drop(id: string): void {
    this.drafts.delete(id);
  }

  private urlOf(id: string, blob: Blob): string {
    const url = URL.createObjectURL(blob);
    this.urls.set(id, url);
    return url;
  }
}
