// What the server says about the pictures and clips of a request (`media_report: true`): which frames it
// took, and which of their tokens it kept. Read leniently: a map that is missing or does not fit leaves
// counts alone.

export interface Frame {
  // seconds from the clip's beginning; null for pictures
  time: number | null;
  kept: number;
  tokens: number;
  // one digit per token, rows after one another: "1" was kept; empty: not told
  map: string;
}

export interface Medium {
  kind: "image" | "video";
  rows: number;
  columns: number;
  tokens: number;
  kept: number;
  frames: Frame[];
  notes: string[];
}

type Json = Record<string, unknown>;
const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const isCount = (value: unknown): value is number => typeof value === "number" && value >= 0 && value < 1e9;

const count = (map: string): number => map.split("1").length - 1;

// Pictures first, then clips, each in the order of the messages.
export function readReport(value: unknown): Medium[] {
  if (!isJson(value)) return [];
  return [...list(value["images"]).filter(isJson).map(readPicture), ...list(value["videos"]).filter(isJson).map(readClip)];
}

function grid(from: Json): [rows: number, columns: number] {
  const [rows, columns] = list(from["grid"]);
  return isCount(rows) && isCount(columns) ? [rows, columns] : [0, 0];
}

function readPicture(from: Json): Medium {
  const [rows, columns] = grid(from);
  const tokens = isCount(from["tokens"]) ? from["tokens"] : rows * columns;
  return { kind: "image", rows, columns, tokens, kept: tokens, frames: [{ time: null, kept: tokens, tokens, map: "" }], notes: notes(from) };
}

function readClip(from: Json): Medium {
  const [rows, columns] = grid(from);
  const [masks, kepts] = [list(from["masks"]), list(from["kept"])];
  const tokens = isCount(from["tokens_per_frame"]) ? from["tokens_per_frame"] : rows * columns;
  const frames = list(from["timestamps"]).map((time, i): Frame => {
    const mask = masks[i];
    const map = typeof mask === "string" && /^[01]+$/.test(mask) && mask.length === rows * columns ? mask : "";
    const kept = kepts[i];
    return { time: isCount(time) ? time : 0, kept: map ? count(map) : isCount(kept) ? kept : tokens, tokens, map };
  });
  const kept = frames.reduce((sum, frame) => sum + frame.kept, 0);
  return { kind: "video", rows, columns, tokens: tokens * frames.length, kept, frames, notes: notes(from) };
}

const notes = (from: Json): string[] => list(from["notes"]).filter((note): note is string => typeof note === "string");
