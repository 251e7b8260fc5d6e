// The log in the middle: messages, and who joined and left.

import { avatar, element, icon, name } from './dom.js';

/** Most entries in the log; beyond that the oldest are removed. */
const KEPT = 500;
/** After this many milliseconds the same sender gets a new heading. */
const PAUSE = 5 * 60_000;
/** Within this many pixels of the end, the log scrolls along with new entries. */
const NEAR = 80;

export class Conversation {
  #log = document.getElementById('log');
  #empty = document.getElementById('empty');
  #newest = document.getElementById('newest');
  /** Whether the log scrolls along with new entries, because it is at its end. */
  #follows = true;
  #write;

  /** @param {(user: string) => void} write Called with the user whose name was clicked, for a private message. */
  constructor(write) {
    this.#write = write;
    this.#newest.addEventListener('click', () => this.#toEnd());
    this.#log.addEventListener('scroll', () => {
      this.#follows = this.#atEnd();
      if (this.#follows) this.#newest.hidden = true;
    });
    new ResizeObserver(() => this.#follows && this.#toEnd()).observe(this.#log);
  }

  /** Remove all entries. */
  clear() {
    this.#log.replaceChildren();
    this.#empty.hidden = false;
    this.#newest.hidden = true;
  }

  /**
   * Show a message.
   * @param {{sender: string, body: unknown, own?: boolean, privately?: boolean, to?: string}} message
   *   `to`: the recipient of an own private message.
   * @returns {LogEntry}
   */
  message({ sender, body, own = false, privately = false, to }) {
    const time = new Date();
    const item = element('article', { class: 'message' });
    item.classList.toggle('own', own);
    item.classList.toggle('private', privately);
    item.dataset.run = JSON.stringify([sender, own, privately, to ?? null]);
    item.dataset.time = time.getTime();

    const head = element('header', {});
    if (own) head.append(element('span', { class: 'unseen', text: 'You' }));
    else head.append(this.#sender(sender));
    if (privately) head.append(element('span', { class: 'only' }, icon('lock'), own ? 'only to ' : 'only to you'));
    if (privately && own) head.append(name(to));
    head.append(element('time', { datetime: time.toISOString(), text: clock(time) }));

    const receipt = element('p', { class: 'receipt', text: own ? 'sending …' : '' });
    item.append(...(own ? [] : [avatar(sender)]), head, bubble(body), receipt);
    this.#empty.hidden = true;
    this.#append(item, own);
    return new LogEntry(item, receipt, () => this.#append(item, own));
  }

  /** Show an event in one line. @param {...(Node|string)} parts */
  line(...parts) {
    this.#append(element('p', { class: 'line' }, ...parts));
  }

  #sender(user) {
    const button = element('button', { type: 'button', class: 'sender', title: 'Send a private message' }, name(user));
    button.addEventListener('click', () => this.#write(user));
    return button;
  }

  #append(item, own = false) {
    const follow = own || this.#follows;
    item.remove();
    item.classList.toggle('continued', continues(this.#log.lastElementChild, item));
    this.#log.append(item);
    while (this.#log.childElementCount > KEPT) this.#log.firstElementChild.remove();
    this.#log.firstElementChild.classList.remove('continued');
    if (follow) this.#toEnd();
    else this.#newest.hidden = false;
  }

  #atEnd() {
    return this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < NEAR;
  }

  #toEnd() {
    this.#follows = true;
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#newest.hidden = true;
  }
}

/** A message in the log. Under an own one is written whether it was delivered. */
class LogEntry {
  #item;
  #receipt;
  #append;

  constructor(item, receipt, append) {
    this.#item = item;
    this.#receipt = receipt;
    this.#append = append;
  }

  /** Move it to the end, where it is in the order of the group. */
  moveToEnd() {
    if (this.#item.isConnected && this.#item.nextElementSibling) this.#append();
  }

  /** @param {string} text Such as "delivered to 3". */
  delivered(text) {
    this.#item.classList.remove('failed');
    this.#receipt.replaceChildren(text);
  }

  /** @param {string} text Why. @param {() => void} again Called to send it again. */
  failed(text, again) {
    this.#item.classList.add('failed');
    const button = element('button', { type: 'button', class: 'quiet small', text: 'Send again' });
    button.addEventListener('click', () => {
      this.#item.remove();
      again();
    });
    this.#receipt.replaceChildren(text, button);
  }
}

/** Return whether an entry needs no heading of its own, because the one before has the same sender. */
function continues(before, item) {
  return (
    before?.dataset.run !== undefined &&
    before.dataset.run === item.dataset.run &&
    Number(item.dataset.time) - Number(before.dataset.time) < PAUSE
  );
}

/** Return the message as text. This page sends {"msg": …}; other JSON is shown as it is. */
function bubble(body) {
  const text = typeof body === 'string' ? body : body?.msg ?? body?.text;
  if (typeof text === 'string') return element('p', { class: 'bubble', dir: 'auto', text });
  return element('pre', { class: 'bubble', dir: 'ltr', text: JSON.stringify(body, null, 2) });
}

function clock(time) {
  return time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}
