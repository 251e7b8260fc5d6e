// The users in the group: listed once after joining, then kept current by notices.

import { arrange, avatar, count, element, name } from './dom.js';
import { compareNames } from './search.js';

/** Most names that are shown; for the others, only their number. */
const SHOWN = 200;
const PAGE = 1000;

export class People {
  #list = document.getElementById('people-list');
  #rest = document.getElementById('people-rest');
  #totals = [document.getElementById('people-count'), document.getElementById('people-badge')];
  #items = new Map();
  /** How many connections each user has in the group. */
  #connections = new Map();
  /** Changes that notices announced while the list was being read; they are newer than the list. */
  #changes = null;
  #reading = 0;
  #write;
  #me = '';

  /** @param {(user: string) => void} write Called with the user who was chosen, for a private message. */
  constructor(write) {
    this.#write = write;
  }

  /** List the users in the group. @param {import('../hubbub.js').Hubbub} hub */
  async read(hub, group, me) {
    const turn = ++this.#reading;
    this.#me = me;
    this.#changes = new Map();
    const found = new Map();
    for (let page, more = false; !page?.endOfList; more = true) {
      page = await hub.getRealtimeUsers({ group }, { limit: PAGE, fetchMore: more });
      if (turn !== this.#reading) return; // a later listing has begun
      for (const { user_id } of page.list) found.set(user_id, (found.get(user_id) ?? 0) + 1);
    }
    this.#connections = found;
    for (const [user, connections] of this.#changes) this.#set(user, connections);
    this.#changes = null;
    this.#show();
  }

  /** Apply a notice's `user_connections`. */
  onNotice(user, connections) {
    this.#changes?.set(user, connections);
    this.#set(user, connections);
    this.#show();
  }

  /** How many users are here. */
  get size() {
    return this.#connections.size;
  }

  #set(user, connections) {
    if (connections > 0) this.#connections.set(user, connections);
    else this.#connections.delete(user);
  }

  #show() {
    const users = [...this.#connections.keys()].sort(
      (a, b) => (b === this.#me) - (a === this.#me) || compareNames(a, b),
    );
    arrange(this.#list, this.#items, users.slice(0, SHOWN), (user) => this.#item(user));
    for (const [user, item] of this.#items) {
      const connections = this.#connections.get(user);
      item.querySelector('.note').textContent = [
        user === this.#me ? 'you' : '',
        connections > 1 ? count(connections, 'tab') : '',
      ].filter(Boolean).join(', ');
    }
    this.#rest.hidden = users.length <= SHOWN;
    this.#rest.textContent = `and ${(users.length - SHOWN).toLocaleString('en')} more`;
    for (const total of this.#totals) total.textContent = users.length.toLocaleString('en');
  }

  #item(user) {
    const inside = [avatar(user), name(user), element('span', { class: 'note' })];
    if (user === this.#me) return element('li', {}, element('div', { class: 'row' }, ...inside));
    const button = element('button', { type: 'button', class: 'row', 'aria-description': 'Send a private message' }, ...inside);
    button.addEventListener('click', () => this.#write(user));
    return element('li', {}, button);
  }
}
