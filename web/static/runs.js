// Follows a run until it ends, then loads its page as it is then.
const EVERY = 1000;

const box = document.getElementById("following");
const bar = document.getElementById("bar");
const stage = document.getElementById("stage");
const phase = document.getElementById("phase");
const waiting = stage.textContent;

function show(found) {
  // said aloud by screen readers, so only when it is another one
  if (phase.textContent !== found.phase) phase.textContent = found.phase;
  stage.textContent = found.stage || waiting;
  if (found.total) {
    bar.max = found.total;
    bar.value = found.done;
  } else {
    bar.removeAttribute("value");
  }
}

async function look() {
  if (document.hidden) return;
  const answer = await fetch(box.dataset.url);
  if (answer.redirected || !answer.ok) return location.reload();
  const found = await answer.json();
  if (!found.under_way) return location.reload();
  show(found);
}

setInterval(() => look().catch(() => {}), EVERY);
