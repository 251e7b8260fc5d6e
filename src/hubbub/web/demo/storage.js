// What survives a reload of this tab: the credentials, the group and the logs. It is in the tab's sessionStorage, which
// other sites cannot read and the browser forgets with the tab. "Leave" deletes it.

const KEY = 'hubbub';
const VERSION = 1;
/** Most messages of one log, and most characters of all together, that are saved. Browsers allow about 5 million. */
const MESSAGES = 200;
const CHARACTERS = 1_500_000;
/** Most characters of a text that is not sent yet. */
const DRAFT = 5000;
/** Milliseconds after a change until it is saved, together with all others until then. */
const DELAY = 500;

/** Return the logs as JSON values: the last entries of each, those used last first, while they fit. */
export function snapshot(logs) {
  let left = CHARACTERS;
  const saved = [];
  for (const log of [...logs.list('group'), ...logs.list('user')]) {
    const entries = [];
    for (const entry of log.entries.slice(-MESSAGES).reverse()) {
      left -= JSON.stringify(entry).length;
      if (left < 0) break;
      entries.unshift(entry);
    }
    saved.push({ kind: log.kind, name: log.name, position: log.position, unread: log.unread, draft: log.draft.slice(0, DRAFT), entries });
  }
  return saved.reverse();
}

/** Fill empty logs with what `snapshot` returned. Own messages that had no reply yet are waiting to be sent again. */
export function restore(logs, saved) {
  for (const { kind, name, position, unread, draft, entries } of saved) {
    const log = logs.open(kind, name);
    for (const entry of entries) log.restore(entry.status === 'sending' ? { ...entry, status: 'waiting' } : entry);
    log.position = position;
    log.unread = unread;
    log.draft = draft;
  }
}

export class Storage {
  #describe;
  #timer = 0;

  /** @param {() => object | null} describe returns what to save; null for nothing */
  constructor(describe) {
    this.#describe = describe;
    addEventListener('pagehide', () => this.saveNow());
    document.addEventListener('visibilitychange', () => document.hidden && this.saveNow());
  }

  /** Return what was saved in this tab, or null. */
  load() {
    try {
      const saved = JSON.parse(sessionStorage.getItem(KEY));
      return saved?.version === VERSION ? saved : null;
    } catch {
      return null; // the browser forbids it, or something else wrote there
    }
  }

  /** Save soon. */
  save() {
    this.#timer ||= setTimeout(() => this.saveNow(), DELAY);
  }

  saveNow() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const state = this.#describe();
    if (!state) return;
    try {
      sessionStorage.setItem(KEY, JSON.stringify({ version: VERSION, ...state }));
    } catch {
      this.clear(); // full or forbidden: the page works without, but a reload starts anew
    }
  }

  /** Forget everything. */
  clear() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    try {
      sessionStorage.removeItem(KEY);
    } catch {
      // forbidden, so nothing is there
    }
  }
}
