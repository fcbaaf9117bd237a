// Step 5 with JavaScript: the list changes at once on the page, every change is also kept
// by the site as a draft, and nothing counts before a save. Without this file the same
// page works by its forms.

import { ask } from "./site.js";
import * as wishes from "./wish_list.js";
import { Pool } from "./wish_pool.js";
import { Rows, items } from "./wish_rows.js";

const DRAFT_AFTER = 800; // milliseconds without a further change
const root = document.querySelector("#wishes");
const at = (selector) => root.querySelector(selector);
const codes = (text) => text.split(" ").filter(Boolean);

// The texts of the page stand in its markup, so that they are translated with it.
function words(name, values = {}) {
  const text = at("#words").getAttribute(`data-${name}`);
  return text.replace(/\{(\w+)\}/g, (all, key) => values[key]);
}

class Editor {
  #list = codes(at("#save [name=schools]").value);
  #saved = codes(root.dataset.saved);
  #limit = Number(root.dataset.limit);
  #waiting = 0; // the timer of the draft
  #leaving = false;
  #saving = false;
  #unkept = false; // the site does not have what this page holds
  #told = at("#state").textContent; // what the bar says when all is well
  #sent = Promise.resolve(); // the last request: one goes after the other
  #menu = at("#menu");

  constructor() {
    const move = (school, action, n) => this.move(school, action, n);
    const handle = (school) => words("handle", { school });
    this.rows = new Rows(at("#chosen"), at("#row"), { handle }, move);
    this.pool = new Pool(at("#chips"), at("#results"), at("#find [name=county]").value);
    document.documentElement.classList.add("js");
    this.#listenToList();
    this.#listenToPool();
    this.#listenToSave();
    this.#loadPools();
    if (this.#menu.open) {
      const school = this.#menu.querySelector("[name=school]").value;
      this.#menu.close();
      this.open(school);
    }
  }

  // ---- the list

  add(school) {
    const insert = {
      mode: at(".insert [name=insert]:checked").value,
      n: at(".insert [name=n]").valueAsNumber || 1,
    };
    if (this.#limit && this.#list.length >= this.#limit) {
      this.say(words("full", { limit: this.#limit }));
      return;
    }
    if (!this.rows.has(school)) {
      const button = this.pool.button(school);
      const place = button.closest("[data-township]").dataset.place;
      this.rows.make(school, button, place);
    }
    this.#change(wishes.add(this.#list, school, insert), "added", school);
  }

  move(school, action, n) {
    this.#change(wishes.move(this.#list, school, action, n), "moved", school);
  }

  remove(school) {
    const next = this.#list[wishes.choice(this.#list, school)];
    this.#change(wishes.remove(this.#list, school), "removed", school);
    const row = next ? this.rows.row(next).querySelector(".wish") : null;
    (row ?? at("#list-title")).focus();
  }

  #change(list, word, school) {
    this.#list = list;
    this.#show();
    if (school) {
      const n = wishes.choice(list, school);
      this.say(words(word, { school: this.rows.name(school), n, of: list.length }));
      if (n) {
        this.rows.point(school, word === "moved");
      }
    } else {
      this.say(words(word));
    }
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => this.keepDraft(), DRAFT_AFTER);
  }

  #show() {
    const dirty = !wishes.same(this.#list, this.#saved);
    this.rows.show(this.#list);
    this.pool.mark(this.#list, (n) => words("choice", { n }));
    at("#save [name=schools]").value = this.#list.join(" ");
    at("#dirty").hidden = !dirty;
    at("#empty").hidden = this.#list.length > 0;
    at("#chosen").hidden = this.#list.length === 0;
    for (const count of root.querySelectorAll(".count")) {
      count.textContent = this.#list.length;
    }
    root.classList.toggle("is-dirty", dirty);
  }

  // Tell what happened, to those who hear the page as well.
  say(text) {
    const place = at("#said");
    place.textContent = "";
    requestAnimationFrame(() => (place.textContent = text));
  }

  // ---- the menu of a school, and questions

  open(school) {
    const menu = this.#menu;
    const row = this.rows.row(school);
    const where = row.querySelector(".where").textContent;
    const name = this.rows.name(school);
    const notice = row.querySelector(".notice")?.textContent ?? "";
    menu.querySelector("[name=school]").value = school;
    menu.querySelector(".title").textContent = `${where}-${name}`;
    menu.querySelector(".notice").textContent = notice;
    menu.querySelector(".map").href = mapOf(menu, where + name);
    menu.querySelector("[name=place]").max = this.#list.length;
    this.#place(school);
    menu.showModal();
  }

  #place(school) {
    const n = wishes.choice(this.#list, school);
    const text = words("now", { n, of: this.#list.length });
    this.#menu.querySelector(".now").textContent = text;
    this.#menu.querySelector("[name=place]").value = n;
  }

  #listenToList() {
    at("#list").addEventListener("submit", (event) => {
      event.preventDefault();
      const button = event.submitter;
      if (button.name === "ask") {
        this.#question(button.value);
      } else {
        this.open(button.closest("[data-school]").dataset.school);
      }
    });
    this.#menu.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#act(event.submitter.value);
    });
    this.#menu.querySelector(".close").addEventListener("click", (event) => {
      event.preventDefault();
      this.#menu.close();
    });
  }

  #act(action) {
    const school = this.#menu.querySelector("[name=school]").value;
    if (action === "remove") {
      this.#menu.close();
      this.remove(school);
      return;
    }
    const place = this.#menu.querySelector("[name=place]").valueAsNumber;
    this.move(school, action, place || 1);
    this.#place(school);
  }

  async #question(action) {
    const target = action === "clear" ? [] : this.#saved;
    if (wishes.same(this.#list, target)) {
      this.say(words("nothing"));
    } else if (await ask(words(action))) {
      this.#replace(target, action);
    }
  }

  #replace(list, action) {
    if (list.every((school) => this.rows.has(school))) {
      this.#change(list, action === "clear" ? "cleared" : "restored");
    } else {
      this.#leaving = true; // the site has the rows that this page lacks
      at("#restore [name=draft]").value = at("#save [name=draft]").value;
      at("#restore").submit();
    }
  }

  // ---- the pool

  async #loadPools() {
    const tabs = [...at("#tabs").children];
    const open = this.pool.county;
    tabs.sort((one, other) => (other.value === open) - (one.value === open));
    for (const tab of tabs) {
      try {
        await this.pool.load(tab.value, tab.dataset.pool);
      } catch {
        return; // the forms do the work then
      }
      if (tab.value === open) {
        this.#filter({ township: at("#find [name=township]").value || "*" });
      }
      this.pool.mark(this.#list, (n) => words("choice", { n }));
    }
  }

  #filter(wanted) {
    const found = this.pool.show(wanted);
    at("#found").textContent = words("found", { n: found });
    for (const tab of at("#tabs").children) {
      tab.setAttribute("aria-pressed", String(tab.value === this.pool.county));
    }
  }

  #listenToPool() {
    const keyword = at("#keyword");
    const filter = (event) => {
      if (!event.isComposing && this.pool.has(this.pool.county)) {
        this.#filter({ keyword: keyword.value });
      }
    };
    keyword.addEventListener("input", filter);
    keyword.addEventListener("compositionend", filter);
    at("#find").addEventListener("submit", (event) => this.#find(event));
    at(".insert [name=n]").addEventListener("input", () => {
      at(".insert [value=before]").checked = true;
    });
    at("#add").addEventListener("submit", (event) => this.#pick(event));
  }

  #find(event) {
    const { name, value } = event.submitter;
    const county = name === "county" ? value : this.pool.county;
    if (!this.pool.has(county)) {
      this.#byForm(event);
      return;
    }
    event.preventDefault();
    if (name === "county") {
      this.#filter({ county, township: "*" });
    } else if (name === "township") {
      this.#filter({ township: value });
    }
  }

  #pick(event) {
    const { name, value } = event.submitter;
    if (name === "add" && !this.pool.button(value)) {
      this.#byForm(event);
      return;
    }
    event.preventDefault();
    if (name !== "add") {
      return; // the mode of inserting counts as it stands
    }
    if (wishes.choice(this.#list, value)) {
      this.open(value);
    } else {
      this.add(value);
    }
  }

  // Let the form do what this page cannot, once the site has what the page holds.
  async #byForm(event) {
    if (this.#leaving) {
      return;
    }
    event.preventDefault();
    const { target, submitter } = event;
    if (!(await this.#kept())) {
      return;
    }
    this.#leaving = true;
    // not at once: a form that is being submitted is not submitted again
    setTimeout(() => target.requestSubmit(submitter));
  }

  // ---- draft and save

  // Whether the site has what this page holds, once it was sent where need be.
  async #kept() {
    return (!this.#waiting && !this.#unkept) || (await this.keepDraft());
  }

  async keepDraft() {
    const answer = await this.#post(root.dataset.draft);
    const restored = answer.ok && this.#unkept;
    this.#unkept = !answer.ok;
    if (!answer.ok) {
      const why = answer.told.text ?? words(`why-${answer.reason}`);
      this.#state(words("unkept", { why }), true);
      return false;
    }
    this.#doubts(answer.told);
    if (restored) {
      this.#state(this.#told);
    }
    return true;
  }

  // Save the list, and go on from there for 儲存，完成申請: only once it is saved.
  async save(then) {
    if (this.#saving) {
      return; // pressed twice
    }
    this.#saving = true;
    this.#state(words("saving"));
    const list = this.#list;
    const answer = await this.#post(at("#save").action, then);
    this.#saving = false;
    if (answer.ok) {
      this.#done(list, answer.told, then);
    } else {
      this.#failed(answer);
    }
  }

  #done(list, told, then) {
    this.#saved = list;
    this.#unkept = false;
    this.#told = told.text;
    this.#show();
    this.#doubts(told);
    this.#state(told.text);
    document.querySelector(".times .saved")?.replaceChildren(`✓ ${told.saved}`);
    if (then === "check" && wishes.same(list, this.#list)) {
      location.assign(told.then);
    }
  }

  #failed({ reason, told }) {
    if (reason === "changed") {
      this.#leaving = true;
      location.reload(); // the page shows both lists, and this one is kept
    } else if (reason === "refused") {
      this.#state(told.text, true);
    } else {
      const why = told.text;
      this.#state(why ? words("failed", { why }) : words(reason), true);
    }
  }

  // Send the list, after what was sent before: an older draft must not come later. What
  // the page was made from is read when its turn comes: the answer before may tell more.
  #post(address, then = "") {
    clearTimeout(this.#waiting);
    this.#waiting = 0;
    const schools = this.#list.join(" ");
    this.#sent = this.#sent.then(async () => {
      const body = new URLSearchParams(new FormData(at("#save")));
      body.set("schools", schools);
      body.set("then", then);
      const answer = await send(address, body);
      for (const name of ["version", "draft"]) {
        at(`#save [name=${name}]`).value = answer.told[name] ?? body.get(name);
      }
      return answer;
    });
    return this.#sent;
  }

  #doubts({ doubts }) {
    this.rows.doubts(doubts);
    at("#doubts").replaceChildren(...items(doubts[""] ?? []));
  }

  #state(text, wrong = false) {
    const place = at("#state");
    place.textContent = text;
    place.classList.toggle("why", wrong);
  }

  #listenToSave() {
    at("#save").addEventListener("submit", (event) => {
      event.preventDefault();
      this.save(event.submitter.value);
    });
    // the list under way goes along to the counties, so nothing is left behind
    at(".about a").addEventListener("click", async (event) => {
      event.preventDefault();
      if (await this.#kept()) {
        this.#leaving = true;
        location.assign(event.target.href);
      }
    });
    addEventListener("pageshow", () => (this.#leaving = false));
    addEventListener("pagehide", () => this.#waiting && this.keepDraft());
    addEventListener("beforeunload", (event) => {
      if (root.classList.contains("is-dirty") && !this.#leaving) {
        event.preventDefault();
      }
    });
  }
}

// Give what the site answers, and the reason when that is no success.
async function send(address, body) {
  try {
    const answer = await fetch(address, {
      method: "POST",
      body,
      headers: { accept: "application/json" },
      redirect: "manual",
      keepalive: true,
    });
    if (answer.type === "opaqueredirect") {
      return { ok: false, reason: "signed-out", told: {} };
    }
    const json = answer.headers.get("content-type")?.startsWith("application/json");
    const told = json ? await answer.json() : { text: titleOf(await answer.text()) };
    return { ok: answer.ok && json, reason: told.reason ?? "failed", told };
  } catch {
    return { ok: false, reason: "offline", told: {} };
  }
}

// What a page of the site says has happened: that it is busy, that its disk is full.
function titleOf(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const said = [...page.querySelectorAll("main h1, main p")].slice(0, 2);
  return said.map((part) => part.textContent).join(" ") || page.body.textContent;
}

function mapOf(menu, place) {
  const address = new URL(menu.querySelector(".map").href);
  address.searchParams.set("query", place);
  return address.href;
}

if (root) {
  new Editor();
}
