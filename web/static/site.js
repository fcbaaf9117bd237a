// What every page has: the clock that goes on, the warning before unsaved changes are
// left, the dialog 系統訊息. Pages work without it.

const SECOND = 1000;
const AGAIN_AFTER = 10 * SECOND;

// Ask 系統訊息; true for 確定.
export function ask(text) {
  const dialog = document.getElementById("message");
  document.getElementById("message-text").textContent = text;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), {
      once: true,
    });
  });
}

function runClock() {
  const times = document.getElementById("times");
  if (!times) {
    return;
  }
  const ahead = Number(times.dataset.now) - Date.now();
  const closes = Number(times.dataset.closes);
  const clock = document.getElementById("clock");
  const left = document.getElementById("left");
  const day = clock.textContent.replace(/\d+:\d+:\d+$/, "");
  const today = taipei(Number(times.dataset.now)).slice(0, 10);
  const tick = () => {
    const now = Date.now() + ahead;
    if (taipei(now).slice(0, 10) === today) {
      clock.textContent = day + taipei(now).slice(11, 19);
    }
    if (left) {
      left.textContent = leftText(closes - now, left.dataset.units.split(","));
    }
  };
  setInterval(tick, SECOND);
}

// Taiwan keeps UTC+8 all year round.
function taipei(ms) {
  return new Date(ms + 8 * 3600 * SECOND).toISOString();
}

function leftText(ms, units) {
  const seconds = Math.max(Math.floor(ms / SECOND), 0);
  const numbers = [
    Math.floor(seconds / 86400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
    seconds % 60,
  ];
  const first = numbers.findIndex((number, at) => number > 0 || at === 3);
  return numbers
    .map((number, at) => `${number} ${units[at]}`)
    .slice(first, first + 2)
    .join(" ");
}

function guardForms() {
  const changed = new Set();
  for (const form of document.querySelectorAll("form[data-guarded]")) {
    form.addEventListener("input", () => changed.add(form));
    form.addEventListener("submit", () => changed.clear());
  }
  addEventListener("beforeunload", (event) => {
    if (changed.size) {
      event.preventDefault();
    }
  });
}

// A form that is on its way is not sent again by a second click.
function sendOnce() {
  const sent = new Set();
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") {
      return;
    }
    if (sent.has(form)) {
      event.preventDefault();
      return;
    }
    sent.add(form);
    setTimeout(() => sent.delete(form), AGAIN_AFTER); // a download leaves the page here
  });
  addEventListener("pageshow", () => sent.clear());
}

function showSummary() {
  document.getElementById("summary")?.focus();
}

runClock();
guardForms();
sendOnce();
showSummary();
