// Markdown of answers as elements. marked finds the structure (its lexer alone); what becomes of it is
// decided here, element by element: HTML stays visible text, pictures and links to elsewhere are links that
// a person must click, and links have the schemes below only. Nothing is parsed as HTML.
import { Marked, type Token, type Tokens } from "marked";
import { copyButton } from "../ui/copy.js";
import { button, h } from "../ui/dom.js";
import { highlight, type Piece } from "./highlight.js";
import { FORMULAS, type Formula } from "./formulas.js";
import { maths, type Maths } from "./tex.js";
import { splitTimes } from "./times.js";

const marked = new Marked({ gfm: true, breaks: true, extensions: FORMULAS });

const SCHEMES = new Set(["http:", "https:", "mailto:"]);
// Deeper nesting than any answer has; what is below stays text.
const MAX_DEPTH = 40;

// What a click on a time does; undefined where it is no time of anything that is here.
export type OnTime = (seconds: number) => (() => void) | undefined;

// Brings `into` to what `text` says. Blocks that did not change keep their elements, so that selections and
// the places of scrolled code last while more text comes.
export class MarkdownView {
  private shown: { raw: string; element: Node; code?: CodeView }[] = [];

  // Times in the text become buttons where `onTime` says what they do.
  constructor(
    private readonly into: HTMLElement,
    private readonly onTime?: OnTime,
  ) {}

  update(text: string): void {
    const blocks = marked.lexer(text).filter((token) => token.type !== "space" && token.type !== "def");
    let same = 0;
    while (same < blocks.length && same < this.shown.length && blocks[same]!.raw === this.shown[same]!.raw) ++same;
    // Code that grows stays the element that it is.
    const growing = this.shown[same];
    const next = blocks[same];
    if (growing?.code && next?.type === "code" && languageOf(next as Tokens.Code) === growing.code.language) {
      growing.code.update((next as Tokens.Code).text);
      growing.raw = next.raw;
      ++same;
    }
    for (const { element } of this.shown.splice(same)) this.into.removeChild(element);
    for (const token of blocks.slice(same)) {
      if (token.type === "code") {
        const code = codeView(token as Tokens.Code);
        this.into.append(code.element);
        this.shown.push({ raw: token.raw, element: code.element, code });
        continue;
      }
      const element = block(token, 0);
      if (this.onTime) linkTimes(element, this.onTime);
      this.into.append(element);
      this.shown.push({ raw: token.raw, element });
    }
  }
}

const hasTokens = (token: Token): token is Token & { tokens: Token[] } => "tokens" in token && Array.isArray(token.tokens);

function blocks(tokens: Token[] | undefined, depth: number): Node[] {
  return (tokens ?? []).filter((token) => token.type !== "space").map((token) => block(token, depth));
}

function block(token: Token, depth: number): Node {
  if (depth > MAX_DEPTH) return document.createTextNode(token.raw);
  switch (token.type) {
    case "heading": {
      // The page has its own h1 and h2.
      const level = Math.min(6, (token as Tokens.Heading).depth + 2) as 3 | 4 | 5 | 6;
      return h(`h${level}`, {}, ...inline(token.tokens, depth));
    }
    case "paragraph":
      return h("p", {}, ...inline(token.tokens, depth));
    case "code":
      return codeView(token as Tokens.Code).element;
    case "formula":
      return h("p", {}, formula(token as Formula));
    case "blockquote":
      return h("blockquote", {}, ...blocks(token.tokens, depth + 1));
    case "list":
      return list(token as Tokens.List, depth);
    case "table":
      return table(token as Tokens.Table, depth);
    case "hr":
      return h("hr");
    case "html":
      return h("p", {}, token.raw);
    default:
      return hasTokens(token) ? h("p", {}, ...inline(token.tokens, depth)) : document.createTextNode(token.raw);
  }
}

const languageOf = (token: Tokens.Code): string => /^[\w+#.-]{1,20}/.exec(token.lang ?? "")?.[0] ?? "";

class CodeView {
  readonly element: HTMLElement;
  private readonly code = h("code");
  private pieces: Piece[] = [];
  private text = "";

  constructor(readonly language: string) {
    const pre = h("pre", { tabindex: 0, role: "region", "aria-label": language ? `Code, ${language}` : "Code" }, this.code);
    const wrap = button("Wrap lines", "wrap", () => wrap.setAttribute("aria-pressed", String(pre.classList.toggle("wrapped"))), { "aria-pressed": "false" });
    const head = h("div", { class: "code-head" }, h("span", {}, language || "text"), wrap, copyButton("Copy code", () => this.text));
    this.element = h("div", { class: "code" }, head, pre);
  }

  update(text: string): void {
    this.text = text;
    const pieces = highlight(text, this.language);
    let same = 0;
    while (same < pieces.length && pieces[same]!.kind === this.pieces[same]?.kind && pieces[same]!.text === this.pieces[same]?.text) ++same;
    while (this.code.childNodes.length > same) this.code.lastChild!.remove();
    this.code.append(...pieces.slice(same).map((piece) => (piece.kind ? h("span", { class: `code-${piece.kind}` }, piece.text) : piece.text)));
    this.pieces = pieces;
  }
}

function codeView(token: Tokens.Code): CodeView {
  const view = new CodeView(languageOf(token));
  view.update(token.text);
  return view;
}

// A formula as MathML, with its TeX for who copies it; as it was written where it is not understood.
function formula({ tex, display, raw }: Formula): Node {
  const tree = maths(tex);
  if (!tree) return document.createTextNode(raw);
  const annotation: Maths = { tag: "annotation", props: { encoding: "application/x-tex" }, within: tex };
  const element = mathElement({ tag: "math", props: display ? { display: "block" } : {}, within: [{ tag: "semantics", within: [{ tag: "mrow", within: tree }, annotation] }] });
  return display ? h("span", { class: "formula", tabindex: 0, role: "group", "aria-label": "Formula" }, element) : element;
}

function mathElement({ tag, props = {}, within }: Maths): Element {
  const element = document.createElementNS("http://www.w3.org/1998/Math/MathML", tag);
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, value);
  element.append(...(typeof within === "string" ? [within] : within.map(mathElement)));
  return element;
}

function list(token: Tokens.List, depth: number): Node {
  const items = token.items.map((item) => {
    const box = item.task && h("input", { type: "checkbox", disabled: true, checked: item.checked, "aria-label": "Task" });
    return h("li", { class: item.task ? "task" : null }, box, ...blocks(item.tokens.filter((t) => t.type !== "checkbox"), depth + 1));
  });
  if (!token.ordered) return h("ul", {}, ...items);
  return h("ol", { start: token.start === "" || token.start === 1 ? null : token.start }, ...items);
}

function table(token: Tokens.Table, depth: number): Node {
  const cell = (tag: "th" | "td") => (of: Tokens.TableCell) =>
    h(tag, { class: of.align ? `to-${of.align}` : null, scope: tag === "th" ? "col" : null }, ...inline(of.tokens, depth + 1));
  return h(
    "div",
    { class: "table", tabindex: 0, role: "region", "aria-label": "Table" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...token.header.map(cell("th")))),
      h("tbody", {}, ...token.rows.map((row) => h("tr", {}, ...row.map(cell("td"))))),
    ),
  );
}

// marked escapes the text of some tokens for HTML, which this is not.
const ENTITIES: Record<string, string> = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'" };

function inline(tokens: Token[] | undefined, depth: number): Node[] {
  return (tokens ?? []).map((token) => span(token, depth + 1));
}

function span(token: Token, depth: number): Node {
  if (depth > MAX_DEPTH) return document.createTextNode(token.raw);
  const within = () => inline(hasTokens(token) ? token.tokens : [], depth);
  switch (token.type) {
    case "strong":
      return h("strong", {}, ...within());
    case "em":
      return h("em", {}, ...within());
    case "del":
      return h("del", {}, ...within());
    case "codespan":
      return h("code", {}, (token as Tokens.Codespan).text);
    case "br":
      return h("br");
    case "formula":
      return formula(token as Formula);
    case "link":
      return link((token as Tokens.Link).href, within(), token.raw);
    case "image": {
      const image = token as Tokens.Image;
      return link(image.href, [document.createTextNode(image.text || image.href)], token.raw);
    }
    case "escape":
      return document.createTextNode((token as Tokens.Escape).text);
    case "text":
      if (hasTokens(token)) return h("span", {}, ...within());
      return document.createTextNode(token.raw.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity]!));
    default:
      return document.createTextNode(token.raw);
  }
}

function link(href: string, content: Node[], raw: string): Node {
  let url: URL;
  try {
    url = new URL(href);
  } catch {
    return document.createTextNode(raw);
  }
  if (!SCHEMES.has(url.protocol)) return document.createTextNode(raw);
  return h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow", title: url.href }, ...content);
}

// Not within code and links, which are what they are.
function linkTimes(root: Node, onTime: OnTime): void {
  const texts: Text[] = [];
  const walk = (node: Node) => {
    if (node instanceof Text) texts.push(node);
    else if (!(node instanceof Element && node.matches("code, pre, a, button, math"))) node.childNodes.forEach(walk);
  };
  walk(root);
  for (const text of texts) {
    const pieces = splitTimes(text.data).map((piece) => {
      const onclick = typeof piece === "string" ? undefined : onTime(piece.seconds);
      if (typeof piece === "string") return piece;
      return onclick ? h("button", { type: "button", class: "time", title: "Show this moment", onclick }, piece.text) : piece.text;
    });
    if (pieces.some((piece) => typeof piece !== "string")) text.replaceWith(...pieces);
  }
}
