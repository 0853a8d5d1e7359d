// What went wrong with a request, and how it is told to a person.

export class ApiFailure extends Error {
  // status 0: no answer came (the message says why); retryAfter in seconds
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly param = "",
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

// What a message keeps of a failure.
export interface Told {
  title: string;
  detail: string;
  code: string;
  status: number;
  // when it may be tried again, in milliseconds since 1970; null: at once
  retryAt: number | null;
}

const TITLES: Record<string, string> = {
  context_length_exceeded: "This is longer than the model can read",
  invalid_api_key: "The key was not accepted",
  model_not_found: "This model is not being served",
  media_fetch_failed: "The media could not be read",
  too_large: "This is too large to send",
  unknown_uuid: "The server no longer has this attachment",
};

const OF_STATUS: Record<number, string> = {
  0: "The server cannot be reached",
  400: "The server did not accept this request",
  401: "A key is needed",
  403: "This is not allowed here",
  404: "This address is not there",
  408: "Sending took too long",
  413: "This is too large for the server",
  415: "The server does not take this kind of data",
  422: "The server could not use this attachment",
  429: "The server is busy",
  500: "The server failed",
  502: "What the server asked did not answer",
  503: "The server is not ready",
  504: "What the server asked took too long",
};

export function tell(error: unknown, now = Date.now()): Told {
  if (!(error instanceof ApiFailure)) {
    const detail = error instanceof Error ? error.message : String(error);
    return { title: "The page failed", detail, code: "", status: -1, retryAt: null };
  }
  const title = TITLES[error.code] ?? OF_STATUS[error.status] ?? OF_STATUS[error.status >= 500 ? 500 : 400]!;
  const retryAt = error.retryAfter === null ? null : now + error.retryAfter * 1000;
  return { title, detail: error.message, code: error.code, status: error.status, retryAt };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// Out of {"error": {...}} or what stands in its place; `retry` is the header Retry-After.
export function failureOf(status: number, body: unknown, retry: string | null = null): ApiFailure {
  const outer = isRecord(body) ? (body["error"] ?? body) : body;
  const text = (key: string) => {
    const value = isRecord(outer) ? outer[key] : undefined;
    return typeof value === "string" || typeof value === "number" ? String(value) : "";
  };
  const message = (typeof outer === "string" ? outer : text("message")) || `HTTP status ${status}`;
  return new ApiFailure(status, text("code"), message, text("param"), retrySeconds(retry));
}

// Seconds from now, from either form that the header may have.
export function retrySeconds(header: string | null, now = Date.now()): number | null {
  if (!header) return null;
  if (/^\s*\d+\s*$/.test(header)) return Math.min(Number(header), 3600);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.min(Math.max(0, Math.ceil((at - now) / 1000)), 3600);
}
