// The parts of the API's JSON that the page reads and writes. docs/api.md of the project is the whole of it.

export interface ModelCard {
  id: string;
  max_model_len?: number;
  architecture?: { input_modalities?: string[] };
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number; image_tokens?: number; video_tokens?: number } | null;
}

export interface Progress {
  // "decode" counts frames, "encode" patches, "prefill" tokens
  stage?: string;
  total: number;
  processed: number;
}

export interface Chunk {
  error?: unknown;
  model?: string;
  choices?: { index: number; delta?: { content?: string | null }; finish_reason?: string | null }[];
  usage?: Usage | null;
  prompt_progress?: Progress;
  media_report?: unknown;
}

export type MediaPart = {
  type: "image_url" | "video_url";
  image_url?: { url: string; detail?: string } | null;
  video_url?: { url: string } | null;
  uuid: string;
  fps?: number;
  max_frames?: number;
  start_time?: number;
  end_time?: number;
  max_tokens?: number;
};
export type Part = { type: "text"; text: string } | MediaPart;

export interface WireMessage {
  role: "system" | "user" | "assistant";
  content: string | Part[];
}
