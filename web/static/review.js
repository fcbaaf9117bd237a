// The review desk: totals that follow what is typed, and who else has the record open.
// The server counts again whatever this shows.

const SHARED = ["appraisal", "service", "awards", "special", "studies"];
const ASK_EVERY = 20000;
const RESTS_AFTER = 20 * 60 * 1000;

let touched = Date.now();

// Hundredths of a point, as the server reads them; null for what is no number.
export function hundredths(text) {
  const plain = text.normalize("NFKC").trim();
  if (!plain) {
    return 0;
  }
  const found = /^([0-9]{1,3})(?:\.([0-9]{1,2}))?$/.exec(plain);
  return found && Number(found[1]) * 100 + Number((found[2] ?? "").padEnd(2, "0"));
}

export function pointsText(value) {
  const text = `${Math.floor(value / 100)}.${String(value % 100).padStart(2, "0")}`;
  return text.endsWith("0") ? text.slice(0, -1) : text;
}

function typed(item) {
  const field = document.getElementById(item);
  return field ? hundredths(field.value) : 0;
}

function addUp() {
  const shared = SHARED.map(typed);
  for (const total of document.querySelectorAll("[data-total]")) {
    const all = [...shared, typed(`reason${total.dataset.total}`)];
    total.textContent = all.includes(null)
      ? "—"
      : pointsText(all.reduce((sum, one) => sum + one, 0));
  }
}

// Every question keeps the session: none once nobody has touched the page for a while,
// so that an unattended desk is signed out as any other.
async function askWhoElse(box) {
  if (document.hidden || Date.now() - touched > RESTS_AFTER) {
    return;
  }
  try {
    const answer = await fetch(box.dataset.url, { redirect: "error" });
    if (answer.ok) {
      show(box, await answer.json());
    }
  } catch {
    // the next question is soon enough
  }
}

function show(box, others) {
  const text = others.length ? box.dataset.text + others.join("、") : "";
  if (box.textContent.trim() === text) {
    return;
  }
  const note = document.createElement("p");
  note.className = "present";
  note.textContent = text;
  box.replaceChildren(...(text ? [note] : []));
}

for (const sign of ["pointerdown", "keydown", "scroll"]) {
  addEventListener(sign, () => (touched = Date.now()), { passive: true });
}
document.getElementById("review").addEventListener("input", addUp);
const box = document.getElementById("others");
setInterval(() => askWhoElse(box), ASK_EVERY);
