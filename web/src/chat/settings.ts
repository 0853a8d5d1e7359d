// How answers are sampled and media read. Fields that are empty are left to the server. Kept in localStorage.

export interface NumberField {
  name: keyof Numbers;
  label: string;
  hint: string;
  min: number;
  max: number;
  step: number;
  group: "answer" | "media";
  rare?: boolean;
}

export interface Numbers {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  max_completion_tokens?: number;
  min_tokens?: number;
  seed?: number;
  repetition_penalty?: number;
  presence_penalty?: number;
  frequency_penalty?: number;
  fps?: number;
  max_frames?: number;
  max_tokens?: number;
}

export interface Settings extends Numbers {
  system: string;
  stop: string;
  format: "text" | "json_object" | "json_schema" | "regex" | "choice";
  // the schema, the expression or the choices (one a line)
  formatText: string;
  ignore_eos: boolean;
  model: string;
}

export const DEFAULTS: Settings = { system: "", stop: "", format: "text", formatText: "", ignore_eos: false, model: "" };

export const FIELDS: NumberField[] = [
  { name: "temperature", label: "Temperature", hint: "0 takes the likeliest token each time", min: 0, max: 2, step: 0.05, group: "answer" },
  { name: "top_p", label: "Top p", hint: "Samples from the likeliest tokens that make up this share", min: 0.01, max: 1, step: 0.01, group: "answer" },
  { name: "max_completion_tokens", label: "Longest answer", hint: "Tokens", min: 1, max: 1_000_000, step: 1, group: "answer" },
  { name: "seed", label: "Seed", hint: "The same seed gives the same answer", min: 0, max: 4_294_967_295, step: 1, group: "answer" },
  { name: "top_k", label: "Top k", hint: "Samples from this many tokens; 0 from all", min: 0, max: 1_000_000, step: 1, group: "answer", rare: true },
  { name: "min_p", label: "Min p", hint: "Least share of the likeliest token's probability", min: 0, max: 1, step: 0.01, group: "answer", rare: true },
  { name: "repetition_penalty", label: "Repetition penalty", hint: "1 is none", min: 0.01, max: 10, step: 0.01, group: "answer", rare: true },
  { name: "presence_penalty", label: "Presence penalty", hint: "Against what was said at all", min: -2, max: 2, step: 0.05, group: "answer", rare: true },
  { name: "frequency_penalty", label: "Frequency penalty", hint: "Against what was said often", min: -2, max: 2, step: 0.05, group: "answer", rare: true },
  { name: "min_tokens", label: "Shortest answer", hint: "Tokens", min: 0, max: 1_000_000, step: 1, group: "answer", rare: true },
  { name: "fps", label: "Frames per second", hint: "How often clips are looked at", min: 0.01, max: 60, step: 0.1, group: "media" },
  { name: "max_frames", label: "Most frames", hint: "Of one clip", min: 1, max: 100_000, step: 1, group: "media" },
  { name: "max_tokens", label: "Visual tokens", hint: "Most for one picture or clip", min: 1, max: 1_000_000, step: 1, group: "media" },
];

const NAME = "vl3.settings";

export function loadSettings(): Settings {
  const settings = { ...DEFAULTS };
  try {
    const kept = JSON.parse(localStorage.getItem(NAME) ?? "{}") as Record<string, unknown>;
    for (const { name, min, max } of FIELDS) {
      const value = kept[name];
      if (typeof value === "number" && value >= min && value <= max) settings[name] = value;
    }
    for (const name of ["system", "stop", "formatText", "model"] as const) if (typeof kept[name] === "string") settings[name] = kept[name];
    settings.ignore_eos = kept["ignore_eos"] === true;
    const formats: Settings["format"][] = ["text", "json_object", "json_schema", "regex", "choice"];
    settings.format = formats.find((format) => format === kept["format"]) ?? "text";
  } catch {
    // What cannot be read is as good as nothing kept.
  }
  return settings;
}

export function saveSettings(settings: Settings): void {
  localStorage.setItem(NAME, JSON.stringify(settings));
}

export function isChanged(settings: Settings): boolean {
  const { model: _, ...rest } = settings;
  const { model: __, ...defaults } = DEFAULTS;
  return Object.entries(rest).some(([name, value]) => value !== undefined && value !== (defaults as Record<string, unknown>)[name]);
}

// What is wrong with the format's text, in words; "" where nothing is.
export function formatProblem(settings: Pick<Settings, "format" | "formatText">): string {
  if (settings.format === "json_schema") {
    try {
      const schema: unknown = JSON.parse(settings.formatText);
      if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return "A schema is a JSON object.";
    } catch (error) {
      return `This is not JSON: ${(error as Error).message}`;
    }
  }
  if (settings.format === "regex" && !settings.formatText) return "The expression is empty.";
  if (settings.format === "choice" && !choices(settings.formatText).length) return "There is no choice: write one a line.";
  return "";
}

const choices = (text: string): string[] => text.split("\n").map((line) => line.trim()).filter(Boolean);

// The fields of a request that say how to answer.
export function answerFields(settings: Settings): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const { name, group } of FIELDS) if (group === "answer" && settings[name] !== undefined) out[name] = settings[name];
  const stop = settings.stop.split("\n").filter(Boolean);
  if (stop.length) out["stop"] = stop.map((line) => line.replaceAll("\\n", "\n"));
  if (settings.ignore_eos) out["ignore_eos"] = true;
  if (settings.format === "json_object") out["response_format"] = { type: "json_object" };
  if (settings.format === "json_schema") {
    out["response_format"] = { type: "json_schema", json_schema: { name: "answer", strict: true, schema: JSON.parse(settings.formatText) } };
  }
  if (settings.format === "regex") out["structured_outputs"] = { regex: settings.formatText };
  if (settings.format === "choice") out["structured_outputs"] = { choice: choices(settings.formatText) };
  return out;
}
