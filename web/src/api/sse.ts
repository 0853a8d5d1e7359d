// Server-sent events out of pieces of text that end anywhere. Comments (": ping") and other fields than
// data are left out; the data lines of one event are joined with "\n".

export class SseParser {
  private rest = "";
  private lines: string[] = [];

  // The data of all events that `text` completes.
  push(text: string): string[] {
    const events: string[] = [];
    this.rest += text;
    for (;;) {
      const end = this.rest.search(/[\r\n]/);
      if (end < 0) break;
      // A "\r" at the very end may be half of "\r\n".
      if (this.rest[end] === "\r" && end + 1 === this.rest.length) break;
      const line = this.rest.slice(0, end);
      this.rest = this.rest.slice(end + (this.rest.startsWith("\r\n", end) ? 2 : 1));
      if (line === "") {
        if (this.lines.length) events.push(this.lines.join("\n"));
        this.lines = [];
      } else if (line === "data" || line.startsWith("data:")) {
        this.lines.push(line.slice(5).replace(/^ /, ""));
      }
    }
    return events;
  }
}
