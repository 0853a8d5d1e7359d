// Where formulas are in Markdown: $…$ and \(…\) in a line, $$…$$ and \[…\] on lines of their own. Prices and
// names of variables of a shell are no formulas.
import type { TokenizerAndRendererExtension, Tokens } from "marked";

export interface Formula extends Tokens.Generic {
  type: "formula";
  raw: string;
  tex: string;
  display: boolean;
}

const BLOCK = /^ {0,3}(?:\$\$([^$]+)\$\$|\\\[([^]+?)\\\])[ \t]*(?:\n+|$)/;
const WIDE = /^(?:\$\$([^$\n]+)\$\$|\\\[([^\n]+?)\\\])/;
const INLINE = /^(?:\$(?![\s$])((?:\\[^\n]|[^\\$\n])+?)(?<!\s)\$(?!\w)|\\\(([^\n]+?)\\\))/;

const found = (match: RegExpExecArray | null, display: boolean): Formula | undefined => match ? { type: "formula", raw: match[0], tex: match[1] ?? match[2] ?? "", display } : undefined;

export const FORMULAS: TokenizerAndRendererExtension[] = [
  {
    name: "formula",
    level: "block",
    start: (text) => /\n {0,3}(?:\$\$|\\\[)/.exec(text)?.index,
    tokenizer: (text) => found(BLOCK.exec(text), true),
  },
  {
    name: "formula",
    level: "inline",
    start: (text) => /\$|\\[([]/.exec(text)?.index,
    tokenizer: (text) => found(WIDE.exec(text), true) ?? found(INLINE.exec(text), false),
  },
];
