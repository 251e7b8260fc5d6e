// The users in the group: a live list.

import { arrange, avatar, count, element, name } from './dom.js';
import { compareNames } from './search.js';

/** Most names that are shown; for the others, only their number. */
const SHOWN = 200;
/** Most connections that are listed. */
const PAGE = 1000;
/** Milliseconds until a list that was refused is asked for again. */
const RETRY = 3000;

export class People {
  #list = document.getElementById('people-list');
  #rest = document.getElementById('people-rest');
  #totals = [document.getElementById('people-count'), document.getElementById('people-badge')];
  #items = new Map();
  /** How many connections each user has in the group, and how many users there are. */
  #connections = new Map();
  #users = 0;
  #isPart = false; // whether not all connections are listed
  /** The live queries: of the connections, and of the numbers of the group. */
  #live = [];
  #turn = 0;
  #write;
  #me = '';

  /** @param {(user: string) => void} write Called with the user who was chosen, for a private message. */
  constructor(write) {
    this.#write = write;
  }

  /** Show the users in the group from now on; if the server refuses, try again later. @param {import('../hubbub.js').Hubbub} hub */
  async watch(hub, group, me) {
    try {
      await this.#watch(hub, group, me);
    } catch {
      const turn = this.#turn;
      setTimeout(() => turn === this.#turn && this.watch(hub, group, me), RETRY);
    }
  }

  async #watch(hub, group, me) {
    this.stop();
    const turn = this.#turn;
    this.#me = me;
    const show = (change) => {
      if (turn !== this.#turn) return;
      change();
      this.#show();
    };
    const watching = [
      hub.watchRealtimeUsers({ group }, { limit: PAGE }, ({ list }) => show(() => this.#count(list))),
      hub.watchRealtimeGroups({ groups: [group] }, {}, ({ list }) => show(() => (this.#users = list[0].number_of_users))),
    ];
    for (const query of await Promise.all(watching)) {
      if (turn === this.#turn) this.#live.push(query);
      else query.stop();
    }
  }

  /** Show nobody any more. */
  stop() {
    this.#turn += 1;
    for (const query of this.#live.splice(0)) query.stop();
  }

  #count(rows) {
    this.#isPart = rows.length >= PAGE;
    this.#connections.clear();
    for (const { user_id } of rows) this.#connections.set(user_id, (this.#connections.get(user_id) ?? 0) + 1);
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
    const all = this.#isPart ? this.#users : users.length;
    this.#rest.hidden = users.length <= SHOWN;
    this.#rest.textContent = `and ${(all - SHOWN).toLocaleString('en')} more`;
    for (const total of this.#totals) total.textContent = all.toLocaleString('en');
  }

  #item(user) {
    const inside = [avatar(user), name(user), element('span', { class: 'note' })];
    if (user === this.#me) return element('li', {}, element('div', { class: 'row' }, ...inside));
    const button = element('button', { type: 'button', class: 'row', 'aria-description': 'Send a private message' }, ...inside);
    button.addEventListener('click', () => this.#write(user));
    return element('li', {}, button);
  }
}
