// One answer while it is written: it fills the message as chunks come, keeps times, and tells who listens.
import { ApiFailure, tell } from "../api/failure.js";
import type { Client } from "../api/client.js";
import type { Progress } from "../api/types.js";
import { readReport } from "../media/report.js";
import type { Message } from "../store/types.js";

export class Generation {
  phase: "sending" | "reading" | "answering" | "over" = "sending";
  progress: Progress | null = null;
  readonly started = performance.now();
  private firstAt = 0;
  private lastAt = 0;
  private pieces = 0;
  private readonly abort = new AbortController();

  constructor(
    readonly message: Message,
    private readonly changed: () => void,
  ) {}

  stop(): void {
    this.abort.abort();
  }

  get seconds(): number {
    return (performance.now() - this.started) / 1000;
  }
  get tokens(): number {
    return this.pieces;
  }
  // Tokens per second so far; 0 before there are two.
  get rate(): number {
    return this.pieces > 1 ? (this.pieces - 1) / ((this.lastAt - this.firstAt) / 1000 || Infinity) : 0;
  }

  // Runs to the end, whatever that is; never throws. `body` is asked again, with all bytes, where the
  // server has forgotten an attachment that was only named.
  async run(client: Client, body: (whole: boolean) => Promise<object>, sent: () => void): Promise<void> {
    const message = this.message;
    try {
      try {
        await this.read(client, await body(false), sent);
      } catch (error) {
        if (!(error instanceof ApiFailure) || error.code !== "unknown_uuid" || this.pieces) throw error;
        await this.read(client, await body(true), sent);
      }
      message.state = "done";
    } catch (error) {
      if (this.abort.signal.aborted) {
        message.state = "stopped";
      } else {
        message.state = "failed";
        message.error = tell(error);
      }
    }
    if (this.firstAt) {
      message.timing = {
        first: this.firstAt - this.started,
        rest: this.lastAt - this.firstAt,
        tokens: message.usage?.completion_tokens ?? this.pieces,
      };
    }
    this.phase = "over";
    this.changed();
  }

  private async read(client: Client, body: object, sent: () => void): Promise<void> {
    const message = this.message;
    this.abort.signal.throwIfAborted();
    for await (const chunk of client.chat(body, this.abort.signal)) {
      if (this.phase === "sending") {
        this.phase = "reading";
        sent();
      }
      if (chunk.model) message.model = chunk.model;
      if (chunk.prompt_progress) this.progress = chunk.prompt_progress;
      if (chunk.media_report !== undefined && chunk.media_report !== null) message.report = readReport(chunk.media_report);
      if (chunk.usage) message.usage = chunk.usage;
      const choice = chunk.choices?.[0];
      const text = choice?.delta?.content;
      if (text) {
        this.lastAt = performance.now();
        this.firstAt ||= this.lastAt;
        ++this.pieces;
        this.phase = "answering";
        message.text += text;
      }
      if (choice?.finish_reason) message.finish = choice.finish_reason;
      this.changed();
    }
  }
}
