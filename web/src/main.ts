// Puts the page together.
import { Client, KeyStore } from "./api/client.js";
import { ApiFailure, tell } from "./api/failure.js";
import { Blobs } from "./chat/blobs.js";
import { Session } from "./chat/session.js";
import { isChanged } from "./chat/settings.js";
import { Store } from "./store/store.js";
import { Announcer } from "./ui/announcer.js";
import { Composer } from "./ui/composer.js";
import { keyDialog, toast } from "./ui/dialogs.js";
import { byId, button, h } from "./ui/dom.js";
import { MessageList } from "./ui/message_list.js";
import { settingsDialog } from "./ui/settings_dialog.js";
import { takeShortcuts } from "./ui/shortcuts.js";
import { Sidebar } from "./ui/sidebar.js";
import { fillStart } from "./ui/start.js";
import { themeButton } from "./ui/theme.js";

async function main(): Promise<void> {
  const theme = themeButton();
  const keys = new KeyStore();
  // Addresses are relative, so that the page works below a path too.
  const client = new Client(new URL(".", document.baseURI).href, keys);
  client.askKey = (hadOne) => keyDialog(hadOne, (key, keep) => keys.set(key, keep));
  const store = await Store.open();
  const session = new Session(client, store, new Blobs(store));
  const announcer = new Announcer();
  const messages = new MessageList(session);
  const title = byId("chat-title");
  let unkept = false;

  const showSidebar = (open: boolean) => {
    document.body.classList.toggle("sidebar-open", open);
    byId("veil").hidden = !open;
    menu.setAttribute("aria-expanded", String(open));
  };
  const narrow = () => matchMedia("(max-width: 860px)").matches;
  const menu = button("Chats", "menu", () => {
    if (narrow()) showSidebar(!document.body.classList.contains("sidebar-open"));
    else menu.setAttribute("aria-expanded", String(!document.body.classList.toggle("sidebar-closed")));
  }, { "aria-controls": "sidebar", "aria-expanded": String(!narrow()) });
  byId("veil").addEventListener("click", () => showSidebar(false));

  const open = async (id: string | null) => {
    await session.open(id);
    history.replaceState(null, "", id === null ? location.pathname + location.search : `#${id}`);
    showSidebar(false);
    if (!matchMedia("(pointer: coarse)").matches) composer.editor.text.focus();
    else title.focus({ preventScroll: true });
  };
  const settings = button("Settings", "sliders", () => settingsDialog(session), { "aria-keyshortcuts": "Control+Comma" });
  const model: HTMLSelectElement = h("select", { id: "model", "aria-label": "Model", hidden: true, onchange: (): void => session.change({ model: model.value }) });
  // Where the sidebar, which has one too, is not shown.
  const fresh = button("New chat", "plus", () => void open(null), { class: "icon fresh" });
  byId("bar-left").append(menu, fresh);
  byId("bar-right").append(model, theme, settings);

  const composer = new Composer(session, () => announcer.begin());
  const sidebar = new Sidebar(session, (id) => void open(id));
  fillStart(composer.editor);

  const showTitle = () => {
    const name = session.chat?.title ?? "New chat";
    title.textContent = name;
    document.title = session.chat ? `${name} · VideoLLaMA3` : "VideoLLaMA3";
    settings.classList.toggle("changed", isChanged(session.settings));
  };
  session.listener = {
    chat() {
      messages.show();
      byId("empty").hidden = session.path.length > 0;
      if (session.chat && location.hash !== `#${session.chat.id}`) history.replaceState(null, "", `#${session.chat.id}`);
      showTitle();
      sidebar.draw();
      composer.update();
      composer.editor.recount();
    },
    message(message) {
      messages.update(message);
      if (message.chat === session.chat?.id && message.state === "running") announcer.grow(message.text);
    },
    chats: () => void sidebar.find(),
    settings() {
      showTitle();
      composer.editor.recount();
    },
    unkept(why) {
      // Once: it will not get better by itself.
      if (!unkept) toast(`This browser could not keep the chat: ${why}`, "problem");
      unkept = true;
    },
    over(message) {
      sidebar.draw();
      if (message.chat !== session.chat?.id) return;
      messages.update(message);
      composer.update();
      composer.editor.recount();
      if (message.state === "failed") announcer.problem(`${message.error?.title}. ${message.error?.detail}`);
      else announcer.end(message.text, message.state === "stopped" ? "Stopped." : "The answer is complete.");
    },
  };

  takeShortcuts({ session, messages, sidebar, composer, open: (id) => void open(id), settings: () => settingsDialog(session), showSidebar: () => (narrow() ? showSidebar(true) : document.body.classList.remove("sidebar-closed")), hideSidebar: () => showSidebar(false) });
  // Another tab may have added some.
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && void session.refreshChats());
  await session.refreshChats();
  await session.open(location.hash.slice(1) || null);
  if (!store.kept) toast("This browser keeps no history here: chats are gone when the page is closed.", "problem");
  if (!matchMedia("(pointer: coarse)").matches) composer.editor.text.focus();
  await connect(session, model, () => composer.editor.recount());
}

// Asks for the models until the server answers; a server that is still loading its model says 503.
async function connect(session: Session, select: HTMLSelectElement, ready: () => void): Promise<void> {
  const notice = byId("notice");
  for (let wait = 1; ; wait = Math.min(2 * wait, 15)) {
    try {
      session.models = await session.client.models();
      notice.hidden = true;
      break;
    } catch (error) {
      const told = tell(error);
      const mayPass = error instanceof ApiFailure && (error.status === 0 || error.status === 429 || error.status >= 500);
      notice.hidden = false;
      notice.replaceChildren(h("b", {}, told.title), ` ${told.detail}`);
      if (!mayPass) {
        const again = h("button", { type: "button" }, error instanceof ApiFailure && error.status === 401 ? "Give the key" : "Try again");
        notice.append(again);
        await new Promise((resolve) => again.addEventListener("click", resolve, { once: true }));
        wait = 0.5;
      } else {
        await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
      }
    }
  }
  select.replaceChildren(...session.models.map(({ id }) => h("option", { value: id, selected: id === session.model?.id }, id)));
  select.hidden = !session.models.length;
  select.disabled = session.models.length < 2;
  ready();
}

void main();
