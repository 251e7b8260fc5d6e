// What was said and what happened: one log for each group and for each user with whom there are private messages.
// Pure: it knows neither the page nor the clock. log_view.js shows one of them, storage.js keeps them over a reload.

import { addChange, nobody } from './presence.js';

/** Most messages of one log; the oldest are dropped first. So many are also requested from the server's history. */
export const KEPT = 500;
/** Most entries of one log that are not messages; they are dropped by themselves. */
const OTHER_LINES = 300;
/** Most characters of all logs together; beyond that the oldest entries of the log that was used least recently go. */
const CHARACTERS = 8_000_000;
/** Most logs; beyond that the one that was used least recently goes. */
const LOGS = 100;

/** What an entry counts besides its text. */
const OVERHEAD = 200;

/**
 * @typedef {object} Entry
 * @property {number} id unique on this page
 * @property {'message' | 'presence' | 'note'} kind
 * @property {string} [sender] of a message, like all that follow
 * @property {unknown} [body]
 * @property {boolean} [own]
 * @property {number | null} [at] milliseconds; null for a message of the history, whose time is not known
 * @property {number} [seq] its number in the group, once it has one
 * @property {string} [ref] of an own message: what its echo is recognized by, and the key that it is posted with
 * @property {'waiting' | 'sending' | 'delivered' | 'failed'} [status] of an own message
 * @property {string} [info] what is written under an own message
 * @property {{users: [string, string, string][], more: number}} [line] of "presence": see presence.js
 * @property {string} [text] of a note
 * @property {string} [tag] of a note: the next note with the same tag replaces its text
 */

/** One conversation. */
export class Log {
  unread = 0;
  /** The text that is typed and not sent. */
  draft = '';
  /** Whether it is in use, and so must not be dropped. */
  pinned = false;
  /** @type {{epoch: string, seq: number} | null} Where to continue after other groups. */
  position = null;
  /** @type {Entry[]} Oldest first. */
  entries = [];
  characters = 0;
  #logs;
  #messages = 0;

  /** @param {Logs} logs @param {'group' | 'user'} kind @param {string} name */
  constructor(logs, kind, name) {
    this.#logs = logs;
    this.kind = kind;
    this.name = name;
  }

  get hasMessages() {
    return this.#messages > 0;
  }

  /** Add a message. @param {Partial<Entry>} message @returns {Entry} */
  addMessage(message) {
    return this.#append({ ...message, kind: 'message' });
  }

  /** Add a line; if the last entry is a note with this tag, replace it. @param {string} text */
  addNote(text, tag = '') {
    const last = this.entries.at(-1);
    if (!tag || last?.tag !== tag) return this.#append({ kind: 'note', text, tag });
    last.text = text;
    this.#logs.onChange?.(this, last, 'changed');
    return last;
  }

  /** Add a notice about a user, to the last line if that is one of joins and leaves. */
  addPresence(user, code) {
    let last = this.entries.at(-1);
    if (last?.kind !== 'presence') {
      last = { kind: 'presence', line: nobody() };
      addChange(last.line, user, code);
      this.#append(last);
      return;
    }
    const before = size(last);
    addChange(last.line, user, code);
    this.#count(size(last) - before);
    this.#logs.onChange?.(this, last, 'changed');
  }

  /** Change an entry, and tell the page. @param {Entry} entry @param {Partial<Entry>} changes */
  change(entry, changes) {
    Object.assign(entry, changes);
    this.#logs.onChange?.(this, entry, 'changed');
  }

  /** Move an own message to the end, where it is in the order of the group, and note its number. */
  confirm(entry, seq) {
    entry.seq = seq;
    if (this.entries.at(-1) === entry) return;
    const place = this.entries.lastIndexOf(entry);
    if (place < 0) return;
    this.entries.splice(place, 1);
    this.entries.push(entry);
    this.#logs.onChange?.(this, entry, 'moved');
  }

  /** Return the own message with this `ref`, or undefined. */
  findOwn(ref) {
    return this.entries.findLast((entry) => entry.own && entry.ref === ref);
  }

  /** Add an entry that this log had before a reload. @param {Entry} entry */
  restore(entry) {
    this.#append({ ...entry });
  }

  /** Drop the oldest entry, or the one at `index`. */
  drop(index = 0) {
    const [dropped] = this.entries.splice(index, 1);
    if (dropped.kind === 'message') this.#messages -= 1;
    this.#count(-size(dropped));
    this.#logs.onChange?.(this, dropped, 'removed');
  }

  #append(entry) {
    entry.id = this.#logs.nextId();
    this.entries.push(entry);
    if (entry.kind === 'message') this.#messages += 1;
    this.#count(size(entry));
    this.#logs.onChange?.(this, entry, 'added');
    while (this.#messages > KEPT) this.drop();
    if (this.entries.length - this.#messages > OTHER_LINES) this.drop(this.entries.findIndex(({ kind }) => kind !== 'message'));
    this.#logs.trim();
    return entry;
  }

  #count(characters) {
    this.characters += characters;
    this.#logs.characters += characters;
  }
}

/** All logs of the page, bounded in number and in characters. */
export class Logs {
  /** Called with what changed; a 'removed' entry is gone from the log.
   * @type {((log: Log, entry: Entry, what: 'added' | 'changed' | 'moved' | 'removed') => void) | null} */
  onChange = null;
  characters = 0;
  /** @type {Map<string, Log>} In order of use: the first is the next to be dropped. */
  #logs = new Map();
  #lastId = 0;
  #kept;

  /** @param {{logs?: number, characters?: number}} [limits] */
  constructor({ logs = LOGS, characters = CHARACTERS } = {}) {
    this.#kept = { logs, characters };
  }

  /** Return a log, a new one if there is none yet. @param {'group' | 'user'} kind @param {string} name */
  open(kind, name) {
    const key = `${kind}:${name}`;
    const log = this.#logs.get(key) ?? new Log(this, kind, name);
    this.#logs.delete(key);
    this.#logs.set(key, log);
    if (this.#logs.size > this.#kept.logs) this.#forgetOldest(key);
    return log;
  }

  /** Return whether a log is still one of these. @param {Log} log */
  has(log) {
    return this.#logs.get(`${log.kind}:${log.name}`) === log;
  }

  /** Return the logs of one kind, the one that was used last first. @param {'group' | 'user'} kind @returns {Log[]} */
  list(kind) {
    return [...this.#logs.values()].filter((log) => log.kind === kind).reverse();
  }

  /** Forget everything. */
  clear() {
    this.#logs.clear();
    this.characters = 0;
  }

  nextId() {
    return (this.#lastId += 1);
  }

  /** Drop old entries while there are too many characters; never the last entry of a log. */
  trim() {
    for (const log of this.#logs.values()) {
      while (this.characters > this.#kept.characters && log.entries.length > 1) log.drop();
      if (this.characters <= this.#kept.characters) return;
    }
  }

  #forgetOldest(except) {
    for (const [key, { pinned, characters }] of this.#logs) {
      if (pinned || key === except) continue;
      this.characters -= characters;
      this.#logs.delete(key);
      return;
    }
  }
}

function size({ kind, body, sender, line }) {
  if (kind === 'presence') return line.users.reduce((sum, [user]) => sum + OVERHEAD + user.length, OVERHEAD);
  const text = typeof body === 'string' ? body : JSON.stringify(body ?? '');
  return OVERHEAD + text.length + (sender?.length ?? 0);
}
