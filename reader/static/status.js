// Shows the three ticks and the last event, and asks again as soon as they change.

const LINES = {
  program: {
    yes: ["已偵測到健保卡讀取程式", "Card reader program found"],
    no: ["未偵測到健保卡讀取程式", "Card reader program not found"],
  },
  reader: {
    yes: ["已偵測到讀卡機", "Card reader found"],
    no: ["未偵測到讀卡機", "Card reader not found"],
  },
  card: {
    yes: ["已插入健保卡", "Health-insurance card inserted"],
    no: ["未插入健保卡或卡片方向錯誤", "No card, or the wrong way round"],
    "card-mute": ["卡片沒有回應", "The card does not answer"],
    "not-a-health-card": ["插入的不是健保卡", "This is no health-insurance card"],
    "card-in-use": ["卡片正被其他程式使用", "Another program holds the card"],
    timeout: ["讀卡逾時", "The card took too long"],
  },
};
const STOPPED = {
  ok: false,
  zh: "程式已停止。請重新啟動健保卡讀取程式。",
  en: "The program has stopped. Start it again.",
};
const PAUSE = 1000; // milliseconds before a stopped program is asked again

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  return made;
}

function line(name, tick) {
  const labels = LINES[name];
  const [zh, en] = tick.ok ? labels.yes : labels[tick.reason] ?? labels.no;
  const item = element("li", "", { class: tick.ok ? "yes" : "no", id: name });
  item.append(element("strong", zh), " ", element("span", en, { lang: "en" }));
  if (tick.zh) {
    item.append(element("p", tick.zh), element("p", tick.en, { lang: "en" }));
  }
  return item;
}

function show(state) {
  const ticks = Object.keys(LINES).map((name) => line(name, state[name]));
  document.querySelector("#ticks").replaceChildren(...ticks);
  document.querySelector("#practice").hidden = state.source !== "replay";
  const last = state.last ?? {};
  if (last.at) {
    document.querySelector("#last").replaceChildren(
      `${last.at} ${last.origin} ${last.zh}`,
      " ",
      element("span", last.en, { lang: "en" }),
    );
  }
}

async function ask(number) {
  const answer = await fetch(`/status?after=${number}`, {
    headers: { "x-jiepin-reader": "1" },
  });
  if (!answer.ok) {
    throw new Error(String(answer.status));
  }
  return answer.json();
}

async function follow(state) {
  for (;;) {
    show(state);
    try {
      state = await ask(state.state);
    } catch {
      state = { program: STOPPED, reader: { ok: false }, card: { ok: false }, state: "" };
      show(state);
      await new Promise((resume) => setTimeout(resume, PAUSE));
    }
  }
}

follow(JSON.parse(document.body.dataset.state));
