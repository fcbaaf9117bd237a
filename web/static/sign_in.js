// The three ticks, and the way of a card's answer into the form.

import { CardReader } from "./reader.js";
import { ask } from "./site.js";

const door = document.getElementById("door");
const enter = document.getElementById("enter");
const practice = document.getElementById("practice");
const level = document.getElementById("level");
const forgot = document.getElementById("forgot");
const reading = document.getElementById("reading");
const reader = new CardReader();
let sending = false;

function showTicks() {
  for (const line of document.querySelectorAll("#ticks li")) {
    const { ok, reason } = reader.state[line.dataset.part];
    line.classList.toggle("ok", ok);
    line.querySelector(".sign").textContent = ok ? "✓" : "!";
    line.querySelector(".text").textContent = textOf(line, ok, reason);
  }
  showButtons();
}

function textOf(line, ok, reason) {
  if (ok) {
    return line.dataset.good;
  }
  if (reason === "browser-asks") {
    return line.dataset.asks;
  }
  return reason === "browser-blocked" ? line.dataset.blocked : line.dataset.bad;
}

// Without the three ticks there is no signing in (L07), but with a practice card.
function showButtons() {
  const card = Boolean(practice?.value);
  enter.disabled = !card && !reader.state.card.ok;
  document.getElementById("ticks").hidden = card;
  const { reason } = reader.state.program;
  document.getElementById("allow").hidden = card || !reason?.startsWith("browser-");
}

function chooseLevel() {
  const chosen = practice?.selectedOptions[0]?.dataset.level;
  if (chosen && level) {
    level.value = chosen;
  }
}

async function submit(event) {
  const asksReset = event.submitter === forgot;
  if (asksReset && !level.value) {
    return; // the server says that the level is missing
  }
  event.preventDefault();
  if (asksReset && !(await ask(forgot.dataset.ask))) {
    return;
  }
  if (sending) {
    return; // a second click, while the card is read for the first
  }
  sending = true;
  try {
    if (!practice?.value) {
      await readCard();
    }
  } catch (error) {
    sending = false;
    reading.textContent = sentence(error);
    reading.hidden = false;
    return;
  }
  if (asksReset) {
    door.action = forgot.formAction;
    add("confirmed", "yes");
  }
  door.submit();
}

async function readCard() {
  const end = location.pathname.split("/")[1];
  const asked = await fetch(`/${end}/challenge`, { method: "POST" });
  if (!asked.ok) {
    throw await asked.json(); // too many: the server says from when on
  }
  const answer = await reader.read(await asked.json());
  door.elements.sealed.value = answer.sealed;
  door.elements.signature.value = answer.signature;
}

function sentence(error) {
  const spoken = document.documentElement.lang === "en" ? error.en : error.zh;
  return error.problem ?? spoken ?? reading.dataset.failed;
}

function add(name, value) {
  const field = document.createElement("input");
  Object.assign(field, { type: "hidden", name, value });
  door.append(field);
}

reader.addEventListener("change", showTicks);
practice?.addEventListener("change", () => {
  chooseLevel();
  showButtons();
});
door.addEventListener("submit", submit);
if (level && !level.value) {
  chooseLevel();
}
showTicks();
reader.start();
