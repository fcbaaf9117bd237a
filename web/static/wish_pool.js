// The schools one may choose from: one part of the page per county, filtered by showing
// and hiding what is there. The parts come ready-made from the server and are cached by
// the browser for good, since their address changes with their content.

const EVERYWHERE = "*"; // 不分區

export class Pool {
  #parts = new Map(); // county -> { chips, results, townships }
  #buttons = new Map(); // school -> its button
  #marked = new Map(); // school -> the words at its button
  #chips; // where the township chips of the open county stand
  #results;
  county;
  township = EVERYWHERE;
  keyword = "";

  constructor(chips, results, county) {
    this.#chips = chips;
    this.#results = results;
    this.county = county;
  }

  // Fetch the part of a county; true when it is there.
  async load(county, address) {
    const answer = await fetch(address, { credentials: "same-origin" });
    if (!answer.ok) {
      throw new Error(`pool of ${county}: ${answer.status}`);
    }
    // markup of our own site, escaped there; a parsed document runs no script
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    this.#take(county, page);
  }

  has(county) {
    return this.#parts.has(county);
  }

  button(school) {
    return this.#buttons.get(school);
  }

  // Show what matches; gives the number of schools shown.
  show({ county = this.county, township = this.township, keyword = this.keyword }) {
    Object.assign(this, { county, township, keyword });
    for (const [code, part] of this.#parts) {
      part.chips.hidden = part.results.hidden = code !== county;
    }
    const part = this.#parts.get(county);
    for (const chip of part.chips.children) {
      chip.setAttribute("aria-pressed", String(chip.value === township));
    }
    return filter(part.townships, township, plain(keyword));
  }

  // Tell at each school whether it is chosen: `words(n)` says so for choice n.
  mark(list, words) {
    const wanted = new Map(list.map((school, at) => [school, words(at + 1)]));
    for (const school of this.#marked.keys()) {
      if (!wanted.has(school)) {
        this.#say(school, "");
      }
    }
    for (const [school, text] of wanted) {
      if (this.#marked.get(school) !== text) {
        this.#say(school, text);
      }
    }
  }

  #say(school, text) {
    const button = this.#buttons.get(school);
    if (!button) {
      return;
    }
    button.querySelector(".chosen-as")?.remove();
    if (text) {
      const note = document.createElement("span");
      note.className = "chosen-as";
      note.textContent = text;
      button.append(" ", note);
      this.#marked.set(school, text);
    } else {
      this.#marked.delete(school);
    }
  }

  #take(county, page) {
    const chips = document.adoptNode(page.querySelector(".townships"));
    const results = document.adoptNode(page.querySelector(".results"));
    if (this.#parts.size === 0) {
      this.#chips.replaceChildren();
      this.#results.replaceChildren();
    }
    chips.hidden = results.hidden = true;
    this.#chips.append(chips);
    this.#results.append(results);
    const townships = [...results.children].map((node) => this.#township(node));
    this.#parts.set(county, { chips, results, townships });
  }

  #township(node) {
    const buttons = [...node.querySelectorAll("button")];
    for (const button of buttons) {
      this.#buttons.set(button.value, button);
    }
    const schools = buttons.map((button) => ({
      node: button.parentElement,
      text: plain(button.firstElementChild.textContent),
      shown: true,
    }));
    return { node, name: node.dataset.township, schools, shown: true };
  }
}

// Write a name as it is compared: 台 as 臺, full-width letters as half-width ones.
export function plain(text) {
  return text.normalize("NFKC").replace(/\s+/g, "").replaceAll("台", "臺").toLowerCase();
}

function filter(townships, township, word) {
  let found = 0;
  for (const place of townships) {
    const here = township === EVERYWHERE || township === place.name;
    let inside = 0;
    for (const school of here ? place.schools : []) {
      const hit = school.text.includes(word);
      inside += hit;
      toggle(school, hit);
    }
    toggle(place, inside > 0);
    found += inside;
  }
  return found;
}

// Touch the page only where something changes.
function toggle(item, shown) {
  if (item.shown !== shown) {
    item.shown = shown;
    item.node.hidden = !shown;
  }
}
