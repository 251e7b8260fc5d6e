// The log on the screen: the end of one conversation, and more of it when somebody scrolls back.

import { element } from './dom.js';
import { continues, entryElement } from './entries.js';

/** Entries that are shown at first, and how many more each time when the top of the log is reached. */
const STEP = 60;
/** Most entries that are shown while the log is at its end; those before are shown again by scrolling back. */
const SHOWN = 200;
/** Within this many pixels of the end, the log scrolls along with new entries; of the top, it shows more. */
const NEAR = 80;

export class LogView {
  #box = document.getElementById('log');
  #empty = document.getElementById('empty');
  #newest = document.getElementById('newest');
  /** Whether the log scrolls along with new entries, because it is at its end. */
  #follows = true;
  /** The elements that are shown, by entry, in the order of the log. @type {Map<import('./logs.js').Entry, Element>} */
  #items = new Map();
  #start = element('p', { class: 'line start' });
  #log = null;
  #context;

  /** @param {{write: (user: string) => void, again: (log: object, entry: object) => void}} actions see entries.js */
  constructor({ write, again }) {
    this.#context = { isPrivate: false, write, again: (entry) => again(this.#log, entry) };
    this.#newest.addEventListener('click', () => this.#toEnd());
    this.#box.addEventListener('scroll', () => this.#onScroll());
    new ResizeObserver(() => this.#follows && this.#toEnd()).observe(this.#box);
  }

  /** The conversation on the screen. */
  get log() {
    return this.#log;
  }

  /** Show a conversation, at its end. @param {import('./logs.js').Log} log */
  show(log) {
    this.#log = log;
    this.#context.isPrivate = log.kind === 'user';
    this.#box.setAttribute('aria-label', log.kind === 'user' ? `Private messages with ${log.name}` : 'Messages');
    this.#silently(() => {
      this.#items.clear();
      this.#box.replaceChildren();
      this.#prepend();
    });
    this.#toEnd();
    this.#showEmpty();
  }

  /** Show a change of a log: see `Logs.onChange`. */
  onChange(log, entry, what) {
    if (log !== this.#log) return;
    if (what === 'added') this.#append(entry);
    else if (what === 'removed') this.#remove(entry);
    else if (what === 'changed') this.#replace(entry);
    else {
      this.#remove(entry);
      this.#append(entry);
    }
    this.#showEmpty();
  }

  #append(entry) {
    const follow = this.#follows || (entry.own && entry.status === 'sending');
    this.#items.set(entry, this.#make(entry, this.#log.entries.at(-2)));
    this.#box.append(this.#items.get(entry));
    if (!follow) {
      if (entry.kind === 'message') this.#newest.hidden = false;
      return;
    }
    for (const [oldest] of this.#items) {
      if (this.#items.size <= SHOWN) break;
      this.#remove(oldest);
    }
    this.#showStart();
    this.#toEnd();
  }

  #replace(entry) {
    const before = this.#items.get(entry);
    if (!before) return;
    const hadFocus = before.contains(document.activeElement);
    const item = this.#make(entry);
    item.classList.toggle('continued', before.classList.contains('continued'));
    this.#items.set(entry, item);
    before.replaceWith(item);
    if (hadFocus) document.getElementById('text').focus();
    if (this.#follows) this.#toEnd();
  }

  #remove(entry) {
    const item = this.#items.get(entry);
    if (!item) return;
    item.nextElementSibling?.classList.remove('continued');
    item.remove();
    this.#items.delete(entry);
  }

  #make(entry, before) {
    const item = entryElement(entry, this.#context);
    item.classList.toggle('continued', continues(before, entry));
    return item;
  }

  #onScroll() {
    this.#follows = this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < NEAR;
    if (this.#follows) this.#newest.hidden = true;
    if (this.#box.scrollTop >= NEAR || !this.#hasMore()) return;
    const fromEnd = this.#box.scrollHeight - this.#box.scrollTop;
    this.#silently(() => this.#prepend());
    this.#box.scrollTop = this.#box.scrollHeight - fromEnd;
  }

  #hasMore() {
    return this.#log !== null && this.#items.size < this.#log.entries.length;
  }

  /** Show `STEP` more entries at the top. */
  #prepend() {
    const { entries } = this.#log;
    const end = entries.length - this.#items.size;
    const start = Math.max(0, end - STEP);
    const added = entries.slice(start, end).map((entry, index) => [entry, this.#make(entry, index === 0 ? undefined : entries[start + index - 1])]);
    const [first] = this.#items;
    if (first) first[1].classList.toggle('continued', continues(entries[end - 1], first[0]));
    this.#items = new Map([...added, ...this.#items]);
    this.#box.prepend(this.#start, ...added.map(([, item]) => item));
    this.#showStart();
  }

  /** Say above the first message whether there are earlier ones. */
  #showStart() {
    const { kind, entries, name } = this.#log;
    const oldest = entries.find((entry) => entry.seq !== undefined);
    this.#start.textContent = this.#hasMore() ? 'Scroll up for earlier messages'
      : kind === 'user' ? `Only you and ${name} see these messages` : oldest?.seq > 1 ? 'Earlier messages are not kept' : '';
    this.#start.hidden = this.#start.textContent === '';
  }

  /** Change the log without a screen reader reading it all. */
  #silently(change) {
    this.#box.setAttribute('aria-live', 'off');
    change();
    requestAnimationFrame(() => this.#box.setAttribute('aria-live', 'polite'));
  }

  #showEmpty() {
    const isGroup = this.#log.kind === 'group';
    this.#empty.hidden = this.#log.hasMessages || !isGroup;
  }

  #toEnd() {
    this.#follows = true;
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#newest.hidden = true;
  }
}
