// What is found in chats: where all of the words are, with the place in the text that shows it.

export interface Excerpt {
  before: string;
  match: string;
  after: string;
}

const AROUND = 28;

// The first place of a word in these texts, with a little of what is around it; null where there is none.
export function excerptOf(texts: string[], words: string[]): Excerpt | null {
  for (const text of texts) {
    const found = placeIn(text, words);
    if (found) return found;
  }
  return null;
}

function placeIn(text: string, words: string[]): Excerpt | null {
  const plain = text.replace(/\s+/g, " ");
  // Letters that change their length in small ones would move what follows.
  const lower = plain.toLowerCase();
  if (lower.length !== plain.length) return null;
  const word = words.find((w) => lower.includes(w));
  if (word === undefined) return null;
  const at = lower.indexOf(word);
  const near = at - AROUND;
  const blank = near > 0 ? plain.indexOf(" ", near) : -1;
  const begin = near <= 0 ? 0 : blank >= 0 && blank < at ? blank + 1 : near;
  const end = at + word.length;
  return { before: (begin > 0 ? "…" : "") + plain.slice(begin, at), match: plain.slice(at, end), after: plain.slice(end, end + 2 * AROUND) };
}

export const wordsOf = (asked: string): string[] => asked.toLowerCase().split(/\s+/).filter(Boolean);
