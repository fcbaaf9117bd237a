// Shows the three ticks and the last event, and asks again as soon as they change.

const LINES = {
  program: ["已偵測到健保卡讀取程式", "Card reader program found"],
  reader: ["已偵測到讀卡機", "Card reader found"],
  card: ["已插入健保卡", "Health-insurance card inserted"],
};
// what is shown when this page gets no answer any more
const STOPPED = {
  program: {
    zh: "未偵測到健保卡讀取程式。請重新啟動健保卡讀取程式。",
    en: "The program has stopped. Start it again.",
  },
  reader: { zh: "未偵測到讀卡機。", en: "Card reader not found." },
  card: { zh: "未插入健保卡或卡片方向錯誤。", en: "No card is inserted." },
  state: "",
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

// What is the matter comes first in every text, what to do about it follows.
function line(name, tick) {
  const [, zh, zhDo] = /^([^。]*)。?(.*)$/.exec(tick.ok ? LINES[name][0] : tick.zh);
  const [, en, enDo] = /^([^.]*)\.?\s*(.*)$/.exec(tick.ok ? LINES[name][1] : tick.en);
  const item = element("li", "", { class: tick.ok ? "yes" : "no", id: name });
  item.append(element("strong", zh), " ", element("span", en, { lang: "en" }));
  if (zhDo) {
    item.append(element("p", zhDo), element("p", enDo, { lang: "en" }));
  }
  return item;
}

function show(state) {
  const ticks = Object.keys(LINES).map((name) => line(name, state[name]));
  document.querySelector("#ticks").replaceChildren(...ticks);
  document.querySelector("#practice").hidden = state.source !== "replay";
  tellEvent("#last", state.last);
  document.querySelector("#refused-part").hidden = !state.refused?.at;
  tellEvent("#refused", state.refused);
}

function tellEvent(place, event) {
  if (event?.at) {
    document.querySelector(place).replaceChildren(
      `${event.at} ${event.origin} ${event.zh}`,
      " ",
      element("span", event.en, { lang: "en" }),
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
      state = STOPPED;
      show(state);
      await new Promise((resume) => setTimeout(resume, PAUSE));
    }
  }
}

follow(JSON.parse(document.body.dataset.state));
