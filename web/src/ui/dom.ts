// Elements without HTML: text stays text, and the policy of the page can forbid everything that is parsed.

type Child = Node | string | null | undefined | false;
type Listener = (event: never) => unknown;
export type Props = Record<string, string | number | boolean | null | undefined | Listener>;

export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value as unknown as EventListener);
    else if (name === "value") (element as unknown as HTMLInputElement).value = String(value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((c): c is Node | string => c !== null && c !== undefined && c !== false));
  return element;
}

export function byId<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`[page] no element '${id}'`);
  return found as T;
}

export function button(name: string, picture: string, onclick: () => unknown, more: Props = {}): HTMLButtonElement {
  return h("button", { type: "button", class: "icon", "aria-label": name, title: name, onclick, ...more }, icon(picture));
}

// Keys by the names that are on them: "Ctrl + K" is ⌘ K on a Mac.
export function keyCaps(keys: string): HTMLElement[] {
  const mac = /Mac|iPhone|iPad/.test(navigator.platform);
  const names: Record<string, string> = mac ? { Ctrl: "⌘", Alt: "⌥", Shift: "⇧" } : {};
  return keys.split(" + ").map((key) => h("kbd", {}, names[key] ?? key));
}
export const keysHint = (keys: string): HTMLElement => h("span", { class: "keys-hint", "aria-hidden": "true" }, ...keyCaps(keys));

// Strokes on a field of 24 × 24.
const SHAPES: Record<string, string> = {
  plus: "M12 5v14M5 12h14",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  menu: "M4 7h16M4 12h16M4 17h10",
  close: "M6 6l12 12M18 6L6 18",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M16 16l4.5 4.5",
  edit: "M4 20l1-4L16.5 4.5l3 3L8 19zM14 7l3 3",
  trash: "M5 7h14M9 7V4.5h6V7M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  wrap: "M4 6h16M4 12h12.5a3 3 0 0 1 0 6H12M14.5 15.5L12 18l2.5 2.5M4 18h4",
  on: "M5 12h13M13 7l5 5-5 5",
  check: "M5 12.5l4.5 4.5L19 7",
  retry: "M19 12a7 7 0 1 1-2-4.9M19 4v4h-4",
  left: "M14.5 6l-6 6 6 6",
  right: "M9.5 6l6 6-6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  camera: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 10.2a3.3 3.3 0 1 0 0 6.6 3.3 3.3 0 0 0 0-6.6",
  picture: "M4 5h16v14H4zM4 16l5-5 4.5 4.5L16 13l4 4M15 8.7a.8.8 0 1 0 .01 0",
  clip: "M4 6h11v12H4zM15 11l5-3v8l-5-3z",
  sliders: "M4 7h8M16 7h4M4 17h4M12 17h8M14 4.8v4.4M10 14.8v4.4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M5.6 18.4l1.1-1.1M17.3 6.7l1.1-1.1",
  moon: "M19.5 14.5A8 8 0 1 1 9.5 4.5a6.5 6.5 0 0 0 10 10z",
  auto: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  upload: "M12 16V5M7 9l5-5 5 5M5 20h14",
  keyboard: "M3 7h18v11H3zM7 11h.01M10.5 11h.01M14 11h.01M17.5 11h.01M8 14.5h8",
  branch: "M7 5v14M7 15c0-5 10-3 10-8M17 7V5M7 5.01V5M15 7l2-2 2 2",
  cut: "M6 5l12 11.5M18 5L6 16.5M5.5 16a2 2 0 1 0 .01 0M18.5 16a2 2 0 1 0 .01 0",
  warn: "M12 4l9 16H3zM12 10v4.5M12 17.2v.1",
  grid: "M4 4h16v16H4zM4 9.3h16M4 14.7h16M9.3 4v16M14.7 4v16",
  more: "M6 12h.01M12 12h.01M18 12h.01",
};

export function icon(name: string): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", SHAPES[name] ?? "");
  svg.append(path);
  return svg;
}

export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  for (; n >= 1000 && unit < 3; ++unit) n /= 1000;
  return `${n >= 100 || unit === 0 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

// 83.25 -> "1:23.3"; `digits` of the part after the point
export function clock(seconds: number, digits = 1): string {
  const tens = 10 ** digits;
  const all = Math.round(seconds * tens);
  const minutes = Math.floor(all / (60 * tens));
  const rest = ((all - minutes * 60 * tens) / tens).toFixed(digits);
  return `${minutes}:${rest.padStart(digits ? 3 + digits : 2, "0")}`;
}

export const counted = (n: number): string => n.toLocaleString("en-US").replaceAll(",", "\u202f");

export function debounce(ms: number, run: () => void): () => void {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(run, ms);
  };
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages from addresses that are not secure have no clipboard of their own.
    const area = h("textarea", { class: "hidden-copy", value: text });
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}
