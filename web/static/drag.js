// One drag of a row within its list, by mouse, pen or finger. The places of the rows are
// read once, before anything moves; after that only transforms change, and the list
// itself when the row is let go.

const EDGE = 72; // pixels from the edge of what is seen where the list begins to scroll
const FASTEST = 14; // pixels per frame

export class Drag {
  #row;
  #rows;
  #tops;
  #heights;
  #from;
  #to;
  #shifts;
  #scroller;
  #start; // of the pointer and of the scroll
  #pointer; // where the pointer is in the window
  #done;
  #stop = new AbortController();

  // `done(n)` is called when the row is let go at another place, 1 for the first.
  constructor(row, event, done) {
    this.#row = row;
    this.#rows = [...row.parentElement.children];
    this.#tops = this.#rows.map((other) => other.offsetTop);
    this.#heights = this.#rows.map((other) => other.offsetHeight);
    this.#shifts = this.#rows.map(() => 0);
    this.#from = this.#to = this.#rows.indexOf(row);
    this.#scroller = scrollerOf(row);
    this.#start = event.clientY + this.#scroller.scrollTop;
    this.#pointer = event.clientY;
    this.#done = done;
    this.#listen(event.target, event.pointerId);
    row.classList.add("dragged");
    requestAnimationFrame(() => this.#frame());
  }

  #listen(handle, pointer) {
    const { signal } = this.#stop;
    handle.setPointerCapture(pointer);
    const move = (event) => (this.#pointer = event.clientY);
    handle.addEventListener("pointermove", move, { signal });
    handle.addEventListener("pointerup", () => this.#end(this.#to), { signal });
    const cancel = () => this.#end(this.#from);
    handle.addEventListener("pointercancel", cancel, { signal });
    const escape = (event) => event.key === "Escape" && cancel();
    document.addEventListener("keydown", escape, { signal });
  }

  #frame() {
    if (this.#stop.signal.aborted) {
      return;
    }
    this.#scroll();
    this.#follow();
    requestAnimationFrame(() => this.#frame());
  }

  #scroll() {
    const { top, bottom } = seen(this.#scroller);
    const above = top + EDGE - this.#pointer;
    const below = this.#pointer - (bottom - EDGE);
    if (above > 0) {
      this.#scroller.scrollTop -= Math.min(above / 4, FASTEST);
    } else if (below > 0) {
      this.#scroller.scrollTop += Math.min(below / 4, FASTEST);
    }
  }

  #follow() {
    const way = this.#within(this.#pointer + this.#scroller.scrollTop - this.#start);
    this.#row.style.transform = `translateY(${way}px)`;
    const top = this.#tops[this.#from] + way;
    const bottom = top + this.#heights[this.#from];
    const before = (at) => this.#middle(at) < (at < this.#from ? top : bottom);
    this.#to = this.#tops.filter((_, at) => at !== this.#from && before(at)).length;
    this.#makeRoom();
  }

  // Keep the row inside its list.
  #within(way) {
    const last = this.#tops.length - 1;
    const bottom = this.#tops[last] + this.#heights[last];
    const own = this.#tops[this.#from];
    const lowest = bottom - this.#heights[this.#from] - own;
    return Math.min(Math.max(way, this.#tops[0] - own), lowest);
  }

  #middle(at) {
    return this.#tops[at] + this.#heights[at] / 2;
  }

  #makeRoom() {
    const height = this.#heights[this.#from];
    this.#rows.forEach((other, at) => {
      let shift = 0;
      if (at > this.#from && at <= this.#to) {
        shift = -height;
      } else if (at < this.#from && at >= this.#to) {
        shift = height;
      }
      if (at !== this.#from && this.#shifts[at] !== shift) {
        this.#shifts[at] = shift;
        other.style.transform = shift ? `translateY(${shift}px)` : "";
      }
    });
  }

  #end(to) {
    this.#stop.abort();
    this.#row.classList.remove("dragged");
    for (const row of this.#rows) {
      row.style.transform = "";
    }
    if (to !== this.#from) {
      this.#done(to + 1);
    }
  }
}

// What scrolls when a row has to come into sight: the list itself or the page.
export function scrollerOf(row) {
  const own = row.closest("[data-scroller]");
  const scrolls = own && getComputedStyle(own).overflowY === "auto";
  return scrolls ? own : document.scrollingElement;
}

function seen(scroller) {
  if (scroller === document.scrollingElement) {
    return { top: 0, bottom: window.innerHeight };
  }
  return scroller.getBoundingClientRect();
}
