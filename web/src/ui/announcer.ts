// What a screen reader is told of an answer: that it began, whole paragraphs now and then, how it ended.
// Never every token.
import { byId } from "./dom.js";

const EVERY_MS = 4000;

export class Announcer {
  private readonly polite = byId("live");
  private readonly urgent = byId("live-now");
  private said = 0;
  private last = 0;

  begin(): void {
    this.said = 0;
    this.last = performance.now();
    this.polite.textContent = "The question is sent.";
  }
  // `text`: the answer so far
  grow(text: string): void {
    const now = performance.now();
    if (now - this.last < EVERY_MS) return;
    const rest = text.slice(this.said);
    const end = Math.max(rest.lastIndexOf(". "), rest.lastIndexOf("\n"), rest.lastIndexOf("! "), rest.lastIndexOf("? "));
    if (end <= 0) return;
    this.last = now;
    this.polite.textContent = rest.slice(0, end + 1).trim();
    this.said += end + 1;
  }
  end(text: string, how: string): void {
    this.polite.textContent = `${text.slice(this.said).trim()} ${how}`.trim();
    this.said = 0;
  }
  problem(text: string): void {
    this.urgent.textContent = text;
  }
}
