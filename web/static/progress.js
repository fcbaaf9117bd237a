// The progress board looks again by itself: numbers, bars and what does not fit. It
// rests while nobody sees the page, and once nobody has touched it for a while, so that
// an unattended desk is signed out as any other.

const SECOND = 1000;
const RESTS_AFTER = 20 * 60 * SECOND;

const board = document.getElementById("progress");
const waits = document.getElementById("waits");
let touched = Date.now();

function put(found) {
  const texts = { ...found.texts, as_of: found.as_of };
  for (const place of document.querySelectorAll("[data-key]")) {
    place.textContent = texts[place.dataset.key] ?? place.textContent;
  }
  for (const meter of document.querySelectorAll("[data-meter]")) {
    const [value, max] = found.meters[meter.dataset.meter] ?? [meter.value, meter.max];
    meter.max = max;
    meter.value = value;
  }
  for (const part of document.querySelectorAll("[data-bar]")) {
    const [x, width] = found.bars[part.dataset.bar] ?? [0, 0];
    part.setAttribute("x", `${x}%`);
    part.setAttribute("width", `${width}%`);
  }
  putDoubts(found.doubts);
}

function putDoubts(doubts) {
  const items = doubts.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  });
  document.getElementById("doubts").replaceChildren(...items);
  document.getElementById("no-doubts").hidden = doubts.length > 0;
}

async function look() {
  const answer = await fetch(board.dataset.url, { redirect: "error" });
  const found = await answer.json();
  // other rows, or another way to the freeze: the page as a whole is made anew
  if (found.obstacles !== Number(board.dataset.obstacles)) {
    location.reload();
    return;
  }
  put(found);
}

async function again() {
  if (document.hidden) {
    return;
  }
  if (Date.now() - touched > RESTS_AFTER) {
    waits.textContent = waits.dataset.paused;
    return;
  }
  try {
    await look();
    waits.textContent = waits.dataset.auto;
  } catch {
    waits.textContent = waits.dataset.lost;
  }
}

for (const sign of ["pointerdown", "keydown", "scroll"]) {
  addEventListener(sign, () => (touched = Date.now()), { passive: true });
}
document.addEventListener("visibilitychange", again);
setInterval(again, Number(board.dataset.every) * SECOND);
waits.textContent = waits.dataset.auto;
