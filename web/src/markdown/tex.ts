// Formulas of TeX as a tree of MathML, which browsers draw themselves. The part of TeX that answers use:
// fractions, roots, scripts, big operators, accents, brackets that grow, matrices, alphabets. Throws on what
// it does not know: the formula then stays text.

// An element: its name, its attributes, and what is in it.
export interface Maths {
  tag: string;
  props?: Record<string, string>;
  within: Maths[] | string;
}

const MAX_LENGTH = 4000;
const MAX_DEPTH = 60;

const pairs = (text: string): Map<string, string> => new Map(text.trim().split(/\s+/).map((pair) => pair.split("=") as [string, string]));

const LETTERS = pairs(`alpha=α beta=β gamma=γ delta=δ epsilon=ϵ varepsilon=ε zeta=ζ eta=η theta=θ vartheta=ϑ iota=ι kappa=κ
  lambda=λ mu=μ nu=ν xi=ξ pi=π varpi=ϖ rho=ρ varrho=ϱ sigma=σ varsigma=ς tau=τ upsilon=υ phi=ϕ varphi=φ chi=χ psi=ψ omega=ω
  Gamma=Γ Delta=Δ Theta=Θ Lambda=Λ Xi=Ξ Pi=Π Sigma=Σ Upsilon=Υ Phi=Φ Psi=Ψ Omega=Ω infty=∞ partial=∂ nabla=∇ hbar=ℏ ell=ℓ
  Re=ℜ Im=ℑ aleph=ℵ emptyset=∅ varnothing=∅ forall=∀ exists=∃ nexists=∄ top=⊤ bot=⊥ angle=∠ degree=° dots=… ldots=… cdots=⋯
  vdots=⋮ ddots=⋱ prime=′ square=□ triangle=△ checkmark=✓`);
const SIGNS = pairs(`times=× cdot=· pm=± mp=∓ div=÷ ast=∗ star=⋆ circ=∘ bullet=∙ oplus=⊕ ominus=⊖ otimes=⊗ odot=⊙ le=≤ leq=≤ ge=≥ geq=≥
  leqslant=⩽ geqslant=⩾ ne=≠ neq=≠ approx=≈ equiv=≡ sim=∼ simeq=≃ cong=≅ propto=∝ ll=≪ gg=≫ prec=≺ succ=≻ in=∈ notin=∉ ni=∋
  subset=⊂ subseteq=⊆ supset=⊃ supseteq=⊇ cup=∪ cap=∩ setminus=∖ to=→ rightarrow=→ leftarrow=← gets=← leftrightarrow=↔
  longrightarrow=⟶ Rightarrow=⇒ Leftarrow=⇐ Leftrightarrow=⇔ implies=⟹ iff=⟺ mapsto=↦ uparrow=↑ downarrow=↓ neg=¬ lnot=¬
  land=∧ wedge=∧ lor=∨ vee=∨ mid=∣ nmid=∤ parallel=∥ perp=⊥ therefore=∴ because=∵ models=⊨ vdash=⊢ colon=: coloneqq=≔ lt=< gt=>`);
const BRACKETS = pairs(`langle=⟨ rangle=⟩ lfloor=⌊ rfloor=⌋ lceil=⌈ rceil=⌉ lbrace={ rbrace=} lbrack=[ rbrack=] vert=| Vert=‖ lvert=| rvert=|
  lVert=‖ rVert=‖ backslash=\\`);
// Limits stand below and above these where there is room, which browsers decide.
const BIG = pairs(`sum=∑ prod=∏ coprod=∐ bigcup=⋃ bigcap=⋂ bigvee=⋁ bigwedge=⋀ bigoplus=⨁ bigotimes=⨂`);
const INTEGRALS = pairs(`int=∫ iint=∬ iiint=∭ oint=∮`);
const LIMITS = new Set("lim max min sup inf limsup liminf argmax argmin Pr det gcd".split(" "));
const FUNCTIONS = new Set("sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan log ln lg exp dim ker deg arg hom".split(" "));
const ACCENTS = pairs(`hat=^ widehat=^ tilde=~ widetilde=~ bar=¯ overline=¯ vec=→ overrightarrow=→ dot=˙ ddot=¨ check=ˇ overbrace=⏞`);
const BELOW = pairs(`underline=_ underbrace=⏟`);
const SPACES = new Map([[",", "0.17em"], [":", "0.22em"], [">", "0.22em"], [";", "0.28em"], ["!", "-0.17em"], [" ", "0.3em"], ["quad", "1em"], ["qquad", "2em"], ["thinspace", "0.17em"]]);
// Where the capital letters, the small ones and the digits of an alphabet begin.
const ALPHABETS: Record<string, [upper: number, lower: number, digits?: number]> = {
  mathbf: [0x1d400, 0x1d41a, 0x1d7ce], boldsymbol: [0x1d468, 0x1d482, 0x1d7ce], bm: [0x1d468, 0x1d482, 0x1d7ce], mathit: [0x1d434, 0x1d44e],
  mathcal: [0x1d4d0, 0x1d4ea], mathscr: [0x1d4d0, 0x1d4ea], mathfrak: [0x1d56c, 0x1d586], mathbb: [0x1d538, 0x1d552, 0x1d7d8], mathsf: [0x1d5a0, 0x1d5ba, 0x1d7e2], mathtt: [0x1d670, 0x1d68a, 0x1d7f6],
};
const TWICE = pairs("C=ℂ H=ℍ N=ℕ P=ℙ Q=ℚ R=ℝ Z=ℤ");
const TEXTS = new Set(["text", "textrm", "textit", "textbf", "textsf", "texttt", "mbox", "mathrm", "operatorname"]);
const FENCES: Record<string, [string, string]> = { matrix: ["", ""], pmatrix: ["(", ")"], bmatrix: ["[", "]"], Bmatrix: ["{", "}"], vmatrix: ["|", "|"], Vmatrix: ["‖", "‖"], smallmatrix: ["", ""], array: ["", ""], cases: ["{", ""] };
const LINES = new Set(["aligned", "align", "align*", "split", "gathered", "gather", "gather*", "equation", "equation*", "alignedat"]);
const IGNORED = new Set(["displaystyle", "textstyle", "scriptstyle", "limits", "nolimits", "nonumber", "notag", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl", "biggr", "Biggl", "Biggr", "middle", "allowbreak"]);

const row = (within: Maths[]): Maths => (within.length === 1 ? within[0]! : { tag: "mrow", within });
const sign = (text: string, props?: Record<string, string>): Maths => (props ? { tag: "mo", props, within: text } : { tag: "mo", within: text });
const name = (text: string): Maths => ({ tag: "mi", within: text });
const fence = (text: string): Maths[] => (text ? [sign(text, { stretchy: "true", fence: "true" })] : []);

class Reader {
  private at = 0;
  private depth = 0;
  private readonly tokens: string[];

  constructor(text: string) {
    if (text.length > MAX_LENGTH) throw new Error("long");
    this.tokens = text.match(/\\[A-Za-z]+|\\[^]|\s+|\d+(?:\.\d+)?|[^]/gu) ?? [];
  }

  all(): Maths[] {
    const rows = this.rows(() => this.at >= this.tokens.length);
    return rows.length === 1 && rows[0]!.length === 1 ? rows[0]![0]!.within as Maths[] : [tableOf(rows, "lines")];
  }

  private peek(): string {
    while (/^\s/.test(this.tokens[this.at] ?? "")) ++this.at;
    return this.tokens[this.at] ?? "";
  }
  private next(): string {
    const token = this.peek();
    if (!token) throw new Error("ends");
    ++this.at;
    return token;
  }
  private expect(token: string): void {
    if (this.next() !== token) throw new Error(`no ${token}`);
  }

  // Rows of cells, each an mrow.
  private rows(ends: () => boolean): Maths[][] {
    const rows: Maths[][] = [[]];
    for (;;) {
      rows.at(-1)!.push({ tag: "mrow", within: this.some(() => ends() || this.peek() === "&" || this.peek() === "\\\\") });
      if (this.peek() === "&") this.next();
      else if (this.peek() === "\\\\") {
        this.next();
        if (this.peek() === "[") this.optional();
        if (ends()) return rows;
        rows.push([]);
      } else return rows;
    }
  }
  private some(ends: () => boolean): Maths[] {
    const out: Maths[] = [];
    while (this.peek() && !ends()) {
      if (this.peek() === "}") throw new Error("}");
      out.push(...this.scripted());
    }
    return out;
  }

  // An atom with what is written below and above it.
  private scripted(): Maths[] {
    const first = "^_'".includes(this.peek()) ? [row([])] : this.atom();
    if (first.length !== 1) return first;
    let below: Maths | null = null;
    let above: Maths | null = null;
    let primes = "";
    for (;;) {
      while (this.peek() === "\\limits" || this.peek() === "\\nolimits") this.next();
      const token = this.peek();
      if (token === "'") primes += "′";
      else if (token !== "^" && token !== "_") break;
      this.next();
      if (token === "^" && !above) above = this.argument();
      else if (token === "_" && !below) below = this.argument();
      else if (token !== "'") throw new Error("twice");
    }
    if (primes) above = above ? row([sign(primes), above]) : sign(primes);
    if (!below && !above) return first;
    const [base] = first as [Maths];
    const limits = base.props?.["movablelimits"] === "true" || base.props?.["class"] === "brace";
    const [under, over, both] = limits ? ["munder", "mover", "munderover"] : ["msub", "msup", "msubsup"];
    if (below && above) return [{ tag: both!, within: [base, below, above] }];
    return [below ? { tag: under!, within: [base, below] } : { tag: over!, within: [base, above!] }];
  }

  // One token or a group.
  private argument(): Maths {
    if (this.peek() === "{") return this.group();
    const token = this.peek();
    // "x^10" is x¹0.
    if (/^\d{2}/.test(token)) {
      this.tokens.splice(this.at, 1, token[0]!, token.slice(1));
    }
    return row(this.atom());
  }
  private group(): Maths {
    this.expect("{");
    if (++this.depth > MAX_DEPTH) throw new Error("deep");
    const within = this.some(() => this.peek() === "}");
    this.expect("}");
    --this.depth;
    return row(within);
  }
  // Text up to the bracket that closes; as it was written.
  private raw(): string {
    this.expect("{");
    let text = "";
    for (let open = 1; ; ) {
      const token = this.tokens[this.at++];
      if (token === undefined) throw new Error("ends");
      if (token === "{") ++open;
      if (token === "}" && --open === 0) return text;
      text += token.replace(/^\\([^A-Za-z])$/, "$1");
    }
  }
  private optional(): Maths | null {
    if (this.peek() !== "[") return null;
    this.next();
    const within = this.some(() => this.peek() === "]");
    this.expect("]");
    return row(within);
  }

  private atom(): Maths[] {
    const token = this.peek();
    if (token === "{") return [this.group()];
    this.next();
    if (token === "~") return [space("0.3em")];
    if (token[0] === "\\") return this.command(token.slice(1));
    if (/^\d/.test(token)) return [{ tag: "mn", within: token }];
    if (/^\p{L}/u.test(token)) return [name(token)];
    if (token === "-") return [sign("−")];
    if ("([|)]".includes(token)) return [sign(token, { stretchy: "false" })];
    if ("&^_#$%}".includes(token)) throw new Error(token);
    return [sign(token)];
  }

  private command(word: string): Maths[] {
    const letter = LETTERS.get(word);
    if (letter) return [name(letter)];
    const known = SIGNS.get(word);
    if (known) return [sign(known)];
    const bracket = BRACKETS.get(word) ?? (/^[{}|]$/.test(word) ? word.replace("|", "‖") : undefined);
    if (bracket) return [sign(bracket, { stretchy: "false" })];
    if (/^[%$#&_]$/.test(word)) return [sign(word)];
    const wide = SPACES.get(word);
    if (wide) return [space(wide)];
    const big = BIG.get(word);
    if (big) return [sign(big, { movablelimits: "true" })];
    const integral = INTEGRALS.get(word);
    if (integral) return [sign(integral)];
    if (LIMITS.has(word)) return [sign(word.replace(/^(lim|arg)(?=.)/, "$1 "), { movablelimits: "true", lspace: "0", rspace: "0.17em" })];
    if (FUNCTIONS.has(word)) return [sign(word, { lspace: "0", rspace: "0.17em" })];
    if (IGNORED.has(word)) return [];
    if (TEXTS.has(word)) {
      if (word === "operatorname" && this.peek() === "*") this.next();
      return [text(word, this.raw())];
    }
    const alphabet = ALPHABETS[word];
    if (alphabet) return [inAlphabet(this.argument(), word, alphabet)];
    return [this.made(word)];
  }

  private made(word: string): Maths {
    const accent = ACCENTS.get(word);
    if (accent) return { tag: "mover", props: word === "overbrace" ? { class: "brace" } : { accent: "true" }, within: [this.argument(), sign(accent, { stretchy: String(/over|wide/.test(word)) })] };
    const below = BELOW.get(word);
    if (below) return { tag: "munder", props: { class: "brace" }, within: [this.argument(), sign(below, { stretchy: "true" })] };
    switch (word) {
      case "frac":
      case "dfrac":
      case "tfrac":
      case "cfrac":
        return { tag: "mfrac", within: [this.argument(), this.argument()] };
      case "binom":
        return row([...fence("("), { tag: "mfrac", props: { linethickness: "0" }, within: [this.argument(), this.argument()] }, ...fence(")")]);
      case "sqrt": {
        const root = this.optional();
        return root ? { tag: "mroot", within: [this.argument(), root] } : { tag: "msqrt", within: [this.argument()] };
      }
      case "overset":
      case "stackrel": {
        const above = this.argument();
        return { tag: "mover", within: [this.argument(), above] };
      }
      case "underset": {
        const under = this.argument();
        return { tag: "munder", within: [this.argument(), under] };
      }
      case "boxed":
        return { tag: "mrow", props: { class: "boxed" }, within: [this.argument()] };
      case "left": {
        const open = this.bracket();
        const within = this.some(() => this.peek() === "\\right");
        this.expect("\\right");
        return { tag: "mrow", within: [...fence(open), ...within, ...fence(this.bracket())] };
      }
      case "begin":
        return this.environment();
      default:
        throw new Error(word);
    }
  }
  private bracket(): string {
    const token = this.next();
    if (token === ".") return "";
    if (token[0] !== "\\") return token;
    const known = BRACKETS.get(token.slice(1)) ?? (/^\\[{}|]$/.test(token) ? token[1]!.replace("|", "‖") : undefined);
    if (!known) throw new Error(token);
    return known;
  }
  private environment(): Maths {
    const kind = this.raw();
    const around = FENCES[kind];
    if (!around && !LINES.has(kind)) throw new Error(kind);
    if (kind === "array" || kind === "alignedat") this.raw();
    if (++this.depth > MAX_DEPTH) throw new Error("deep");
    const rows = this.rows(() => this.peek() === "\\end");
    --this.depth;
    this.expect("\\end");
    if (this.raw() !== kind) throw new Error("end");
    const table = tableOf(rows, around ? kind : "lines");
    return around ? row([...fence(around[0]), table, ...fence(around[1])]) : table;
  }
}

const space = (width: string): Maths => ({ tag: "mspace", props: { width }, within: [] });

function text(word: string, written: string): Maths {
  if (word === "operatorname") return sign(written, { lspace: "0", rspace: "0.17em" });
  if (word === "mathrm") return { tag: "mi", props: { mathvariant: "normal" }, within: written };
  // Blanks at its ends are meant.
  return { tag: "mtext", within: written.replace(/^\s+|\s+$/g, "\u00a0") };
}

function tableOf(rows: Maths[][], kind: string): Maths {
  const cells = (cells: Maths[]) => cells.map((cell): Maths => ({ tag: "mtd", within: [cell] }));
  return { tag: "mtable", props: { class: kind.replace("*", "") === "lines" ? "lines" : kind === "cases" ? "cases" : "matrix", ...(kind === "lines" ? { displaystyle: "true" } : {}) }, within: rows.map((row) => ({ tag: "mtr", within: cells(row) })) };
}

function inAlphabet(of: Maths, word: string, [upper, lower, digits]: [number, number, number?]): Maths {
  if (typeof of.within !== "string") return { ...of, within: of.within.map((part) => inAlphabet(part, word, [upper, lower, digits])) };
  if (of.tag === "mo") return of;
  const within = of.within.replace(/[A-Za-z0-9]/g, (c) => {
    if (word === "mathbb" && TWICE.has(c)) return TWICE.get(c)!;
    const code = c.charCodeAt(0);
    if (code >= 97) return c === "h" && word === "mathit" ? "ℎ" : String.fromCodePoint(lower + code - 97);
    if (code >= 65) return String.fromCodePoint(upper + code - 65);
    return digits === undefined ? c : String.fromCodePoint(digits + code - 48);
  });
  return { ...of, within };
}

// What <math> holds, or null where it is not understood.
export function maths(tex: string): Maths[] | null {
  try {
    return new Reader(tex.trim()).all();
  } catch {
    return null;
  }
}
