// Code in pieces of a kind: comments, strings, numbers, words of the language, names that are called. One
// pass over the text with one expression per family of languages; what it does not know stays plain. Together
// the pieces are the text.

export type Kind = "" | "comment" | "string" | "number" | "word" | "name";
export interface Piece {
  kind: Kind;
  text: string;
}

// Longer code stays plain: an answer is drawn again with every frame while it is written.
const MAX_LENGTH = 40_000;

const C_WORDS =
  "abstract as async await auto bool boolean break case catch char class const constexpr continue crate def default defer delete do double dyn else enum explicit export extends extern false final finally float fn for foreach friend from func function go goto if impl implements import in inline instanceof int interface internal is let long loop match mod move mut namespace new nil noexcept null nullptr of operator override package private protected pub public readonly ref return self short signed sizeof static static_cast struct super switch template this throw throws trait true try type typedef typename typeof undefined union unsafe unsigned use using val var virtual void volatile when where while with yield";
const SCRIPT_WORDS =
  "False None True and as assert async await begin break case class continue def del do done elif else elsif end ensure esac except export false fi finally for from function global if import in is lambda local match module nil nonlocal not null or pass raise require rescue return self set source then true try unless until while with yield";
const SQL_WORDS =
  "add all alter and as asc begin between by case cast check column commit constraint create cross default delete desc distinct drop else end exists false foreign from full group having if in index inner insert into is join key left like limit not null on or order outer over primary references right rollback select set table then true union unique update using values view when where with";

const NUMBER = /(?<number>(?<![\w.])(?:0[xXbBoO][\da-fA-F_']+|\d[\d_']*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?)\w*)/;
const WORD = /(?<word>[A-Za-z_$][\w$]*)/;
const QUOTED = /"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?/;
const BLOCK_COMMENT = /\/\*[^]*?(?:\*\/|(?![^]))/;
const C_COMMENT = new RegExp(`//.*|${BLOCK_COMMENT.source}|${/^[ \t]*#(?:include|define|undef|if|ifdef|ifndef|else|elif|endif|pragma)\b.*/.source}`);

interface Family {
  scan: RegExp;
  words: Set<string>;
  // words whatever their case
  anyCase?: boolean;
}
const family = (comment: RegExp, string: RegExp, words: string, anyCase = false): Family => ({
  scan: new RegExp([`(?<comment>${comment.source})`, `(?<string>${string.source})`, NUMBER.source, WORD.source].join("|"), "gm"),
  words: new Set(words.split(" ")),
  anyCase,
});

const FAMILIES: Record<string, Family> = {
  c: family(C_COMMENT, new RegExp(`${QUOTED.source}|${/`(?:\\.|[^`\\])*`?/.source}`), C_WORDS),
  // An apostrophe may begin a lifetime.
  rust: family(C_COMMENT, /"(?:\\.|[^"\\])*"?|'(?:\\[^'\n]{1,8}|[^'\\\n])'/, C_WORDS),
  script: family(/(?<![^\s;)\]}])#.*/, new RegExp(`${/"""[^]*?(?:"""|(?![^]))|'''[^]*?(?:'''|(?![^]))/.source}|${QUOTED.source}`), SCRIPT_WORDS),
  sql: family(new RegExp(`--.*|${BLOCK_COMMENT.source}`), QUOTED, SQL_WORDS, true),
  markup: { scan: /(?<comment><!--[^]*?(?:-->|(?![^])))|(?<word><\/?[A-Za-z][\w:.-]*|\/?>)|(?<string>(?<==)(?:"[^"]*"?|'[^']*'?))/g, words: new Set() },
  json: { scan: new RegExp(`${/(?<name>"(?:\\.|[^"\\\n])*"(?=\s*:))|(?<string>"(?:\\.|[^"\\\n])*"?)/.source}|${NUMBER.source}|${WORD.source}`, "g"), words: new Set(["true", "false", "null"]) },
};

const LANGUAGES: Record<string, string[]> = {
  c: ["c", "h", "cc", "cpp", "cxx", "hpp", "c++", "cuda", "cu", "objc", "cs", "csharp", "c#", "java", "kotlin", "kt", "scala", "swift", "go", "golang", "js", "javascript", "jsx", "mjs", "ts", "typescript", "tsx", "php", "dart", "zig", "glsl", "wgsl", "css", "scss"],
  rust: ["rust", "rs"],
  script: ["python", "py", "python3", "ruby", "rb", "sh", "bash", "shell", "zsh", "console", "yaml", "yml", "toml", "ini", "r", "julia", "jl", "perl", "pl", "cmake", "make", "makefile", "dockerfile", "nix", "elixir"],
  sql: ["sql", "sqlite", "mysql", "postgresql", "postgres"],
  markup: ["html", "xml", "svg", "xhtml", "vue", "svelte"],
  json: ["json", "jsonc", "json5", "jsonl"],
};
const FAMILY_OF = new Map(Object.entries(LANGUAGES).flatMap(([name, all]) => all.map((language) => [language, name] as const)));

export function highlight(text: string, language: string): Piece[] {
  const of = FAMILIES[FAMILY_OF.get(language.toLowerCase()) ?? ""];
  if (!of || text.length > MAX_LENGTH) return [{ kind: "", text }];
  const pieces: Piece[] = [];
  const add = (kind: Kind, part: string) => {
    const last = pieces.at(-1);
    if (last?.kind === kind) last.text += part;
    else if (part) pieces.push({ kind, text: part });
  };
  let done = 0;
  for (const { 0: found, index, groups } of text.matchAll(of.scan)) {
    add("", text.slice(done, index));
    done = index + found.length;
    let kind = (Object.entries(groups ?? {}).find(([, part]) => part !== undefined)?.[0] ?? "") as Kind;
    if (kind === "word" && of.words.size && !of.words.has(of.anyCase ? found.toLowerCase() : found)) kind = /^\s*\(/.test(text.slice(done, done + 20)) ? "name" : "";
    add(kind, found);
  }
  add("", text.slice(done));
  return pieces;
}
