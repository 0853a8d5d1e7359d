// Times in the text of an answer: "1:23", "0:02.5", "12.5 s", "12.5s", "at 3 seconds".

const TIME = /(?<![\w:.,/-])(?:(\d{1,2}):)?(\d{1,3}):(\d{2}(?:\.\d+)?)(?![\w:/-])|(?<![\w:.,/-])(\d{1,5}(?:\.\d+)?)(?:\s?s|\s(?:sec|secs|second|seconds))(?![\w/])/g;

export interface Time {
  text: string;
  seconds: number;
}

// The text in pieces; together they are the text.
export function splitTimes(text: string): (string | Time)[] {
  const pieces: (string | Time)[] = [];
  let done = 0;
  for (const match of text.matchAll(TIME)) {
    const [all, hours, minutes, rest, plain] = match;
    const seconds = plain !== undefined ? Number(plain) : Number(hours ?? 0) * 3600 + Number(minutes) * 60 + Number(rest);
    if (plain === undefined && Number(rest) >= 60) continue;
    if (match.index > done) pieces.push(text.slice(done, match.index));
    pieces.push({ text: all, seconds });
    done = match.index + all.length;
  }
  if (done < text.length) pieces.push(text.slice(done));
  return pieces;
}
