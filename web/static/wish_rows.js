// The chosen schools on the page: a row each, in order, to be dragged by a handle or
// moved with the arrow keys.

import { Drag, scrollerOf } from "./drag.js";

const KEYS = { ArrowUp: "forward", ArrowDown: "backward", Home: "first", End: "last" };

export class Rows {
  #list;
  #empty; // the template of a row
  #rows = new Map(); // school -> its row, also of schools taken out again
  #words;
  #move;

  // `move(school, action, n)` is called when a row is to go elsewhere.
  constructor(list, empty, words, move) {
    this.#list = list;
    this.#empty = empty;
    this.#words = words;
    this.#move = move;
    for (const row of list.children) {
      this.#adopt(row);
    }
  }

  has(school) {
    return this.#rows.has(school);
  }

  name(school) {
    return this.#rows.get(school).querySelector(".name").textContent;
  }

  row(school) {
    return this.#rows.get(school);
  }

  // Make the row of a school out of its button in the pool.
  make(school, button, place) {
    const row = this.#empty.content.firstElementChild.cloneNode(true);
    row.dataset.school = school;
    const parts = [...button.children].filter((part) => part.className !== "chosen-as");
    row.querySelector(".what").replaceChildren(...parts.map((p) => p.cloneNode(true)));
    row.querySelector(".where").textContent = place;
    const note = button.parentElement.querySelector(".notice");
    if (note) {
      row.append(note.cloneNode(true));
    }
    this.#adopt(row);
  }

  // Show these schools, all of which have a row; only rows that changed place are moved.
  show(schools) {
    const wanted = new Set(schools);
    for (const row of [...this.#list.children]) {
      if (!wanted.has(row.dataset.school)) {
        row.remove();
      }
    }
    schools.forEach((school, at) => {
      const row = this.#rows.get(school);
      const there = this.#list.children[at];
      if (there !== row && there?.nextElementSibling === row) {
        there.remove(); // it went further down: its turn comes
      } else if (there !== row) {
        this.#list.insertBefore(row, there ?? null);
      }
      row.querySelector(".wish").value = at + 1;
    });
  }

  // Tell at each row why its wish cannot succeed: `texts` by school.
  doubts(texts) {
    for (const [school, row] of this.#rows) {
      row.querySelector(".doubts")?.remove();
      if (texts[school]) {
        const list = document.createElement("ul");
        list.className = "doubts";
        list.append(...items(texts[school]));
        row.append(list);
      }
    }
  }

  // Show which row has just changed. The page itself is scrolled for a moved row alone:
  // who adds a school is further down, among the schools.
  point(school, moved) {
    const row = this.#rows.get(school);
    row.classList.remove("changed");
    requestAnimationFrame(() => row.classList.add("changed"));
    if (moved || scrollerOf(row) !== document.scrollingElement) {
      row.scrollIntoView({ block: "nearest" });
    }
  }

  #adopt(row) {
    const school = row.dataset.school;
    this.#rows.set(school, row);
    const handle = document.createElement("button");
    handle.type = "button";
    handle.className = "handle";
    handle.setAttribute("aria-describedby", "handle-help");
    handle.setAttribute("aria-label", this.#words.handle(this.name(school)));
    handle.addEventListener("keydown", (event) => this.#press(event, school));
    handle.addEventListener("pointerdown", (event) => this.#grab(event, school));
    row.prepend(handle);
  }

  #press(event, school) {
    const action = KEYS[event.key];
    if (action && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.#move(school, action);
      event.target.focus();
    }
  }

  #grab(event, school) {
    if (event.button !== 0) {
      return;
    }
    event.preventDefault();
    event.target.focus();
    const row = this.#rows.get(school);
    new Drag(row, event, (n) => this.#move(school, "place", n));
  }
}

// A list item for each text.
export function items(texts) {
  return texts.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  });
}
