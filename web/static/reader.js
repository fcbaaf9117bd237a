// Finds the card reader service on this computer, follows its three ticks, and asks it
// for one reading. The sign-in pages show what this tells.
//
// Each of program, reader and card is {ok, reason}. Besides the reasons of the service,
// the program has three that only the page can know:
//   "no-program"       nothing answers
//   "browser-asks"     the browser is waiting for the person to allow it
//   "browser-blocked"  the browser has been told not to allow it

const HEADERS = { "x-jiepin-reader": "1" };
const PAUSE = 700; // milliseconds before a program that did not answer is asked again
const PATIENCE = 30_000; // milliseconds; the service answers after 20 s at the latest
const READING = 15_000; // milliseconds for one reading
// the newer name first: browsers refuse to tell of a permission they do not know
const PERMISSIONS = ["loopback-network", "local-network-access"];

export class CardReader extends EventTarget {
  #url;
  #run = 0; // counts the calls of start and stop: an earlier loop ends by it
  state = missing("no-program");

  constructor(url = "https://localhost:8080") {
    super();
    this.#url = url;
  }

  // Follow the service until stop(); each change is told by a "change" event.
  async start() {
    const run = ++this.#run;
    let number = "";
    if ((await permission()) === "prompt") {
      this.#tell(missing("browser-asks"));
    }
    while (this.#run === run) {
      try {
        const state = await this.#ask(`/status?after=${number}`, {}, PATIENCE);
        number = state.state;
        this.#tell(state);
      } catch {
        number = "";
        this.#tell(missing(await whyNot()));
        await new Promise((resume) => setTimeout(resume, PAUSE));
      }
    }
  }

  stop() {
    this.#run += 1;
  }

  // Hand over a signed challenge; gives {sealed, signature} or throws a ReadingError.
  async read({ challenge, signature }) {
    const request = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ challenge, signature }),
    };
    return this.#ask("/read", request, READING);
  }

  async #ask(path, request, patience) {
    const answer = await fetch(this.#url + path, {
      ...request,
      headers: { ...HEADERS, ...request.headers },
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(patience),
    });
    const table = await answer.json();
    if (!answer.ok) {
      throw new ReadingError(table);
    }
    return table;
  }

  #tell(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}

// Why a card was not read: `code` as in docs/reader.md, `zh` and `en` for people.
export class ReadingError extends Error {
  constructor({ error, zh, en }) {
    super(error);
    Object.assign(this, { code: error, zh, en });
  }
}

function missing(reason) {
  const behind = { ok: false, reason: null };
  return { program: { ok: false, reason }, reader: behind, card: behind };
}

async function whyNot() {
  switch (await permission()) {
    case "denied":
      return "browser-blocked";
    case "prompt":
      return "browser-asks";
    default:
      return "no-program";
  }
}

async function permission() {
  if (["localhost", "127.0.0.1"].includes(location.hostname)) {
    return "granted"; // a page of this computer needs none
  }
  for (const name of PERMISSIONS) {
    try {
      return (await navigator.permissions.query({ name })).state;
    } catch {
      continue;
    }
  }
  return "granted"; // a browser that does not ask
}
