// Markdown of answers as elements. marked finds the structure (its lexer alone); what becomes of it is
// decided here, element by element: HTML stays visible text, pictures and links to elsewhere are links that
// a person must click, and links have the schemes below only. Nothing is parsed as HTML.
import { lexer, type Token, type Tokens } from "marked";
import { splitTimes } from "./times.js";
import { button, copyText, h, icon } from "../ui/dom.js";

const SCHEMES = new Set(["http:", "https:", "mailto:"]);
// Deeper nesting than any answer has; what is below stays text.
const MAX_DEPTH = 40;

// Brings `into` to what `text` says. Blocks that did not change keep their elements, so that selections and
// the places of scrolled code last while more text comes. What a click on a time does; undefined where it
// is no time of anything that is here.
export type OnTime = (seconds: number) => (() => void) | undefined;

export class MarkdownView {
  private shown: { raw: string; element: Node }[] = [];

  // Times in the text become buttons where `onTime` says what they do.
  constructor(
    private readonly into: HTMLElement,
    private readonly onTime?: OnTime,
  ) {}

  update(text: string): void {
    const blocks = lexer(text, { gfm: true, breaks: true }).filter((token) => token.type !== "space" && token.type !== "def");
    let same = 0;
    while (same < blocks.length && same < this.shown.length && blocks[same]!.raw === this.shown[same]!.raw) ++same;
    for (const { element } of this.shown.splice(same)) this.into.removeChild(element);
    for (const token of blocks.slice(same)) {
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
      return code(token as Tokens.Code);
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

function code(token: Tokens.Code): Node {
  const language = /^[\w+#.-]{1,20}/.exec(token.lang ?? "")?.[0] ?? "";
  const copy = button("Copy code", "copy", async () => {
    const copied = await copyText(token.text);
    copy.replaceChildren(icon(copied ? "check" : "warn"));
    setTimeout(() => copy.replaceChildren(icon("copy")), 1500);
  });
  return h(
    "div",
    { class: "code" },
    h("div", { class: "code-head" }, h("span", {}, language || "text"), copy),
    h("pre", { tabindex: 0, role: "region", "aria-label": language ? `Code, ${language}` : "Code" }, h("code", {}, token.text)),
  );
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
    else if (!(node instanceof Element && node.matches("code, pre, a, button"))) node.childNodes.forEach(walk);
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
