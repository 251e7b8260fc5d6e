// The server's groups: searched by name or by size, and refreshed while they are shown.

import { arrange, count, element, name } from './dom.js';

const PAGE = 20;
/** Most rows that the server returns in a page. */
const MOST = 1000;
/** Milliseconds between two queries. */
const INTERVAL = 1500;

export class GroupBrowser {
  #form = document.getElementById('groups-form');
  #order = document.getElementById('groups-order');
  #list = document.getElementById('groups-list');
  #none = document.getElementById('groups-none');
  #more = document.getElementById('groups-more');
  #new = document.getElementById('groups-new');
  #items = new Map();
  #limit = PAGE;
  #ascending = true;
  #hub = null;
  #current = '';
  #choose;
  #timer = 0;
  #queries = 0;

  /** @param {(group: string) => void} choose Called with the group that was chosen. */
  constructor(choose) {
    this.#choose = choose;
    this.#form.addEventListener('input', () => this.#search());
    this.#form.addEventListener('submit', (event) => event.preventDefault());
    this.#form.prefix.addEventListener('keydown', ({ key, isComposing, target }) => {
      if (key === 'Enter' && !isComposing && target.value) choose(target.value);
    });
    this.#order.addEventListener('click', () => {
      this.#ascending = !this.#ascending;
      this.#search();
    });
    this.#new.addEventListener('click', () => choose(this.#form.prefix.value));
    this.#more.addEventListener('click', () => {
      this.#limit = Math.min(this.#limit + PAGE, MOST);
      this.refresh();
    });
    document.addEventListener('visibilitychange', () => this.refresh());
    this.#label();
  }

  /** Start refreshing the list. @param {import('/hubbub.js').Hubbub} hub */
  start(hub) {
    this.#hub = hub;
    this.refresh();
  }

  /** Stop refreshing. */
  stop() {
    this.#hub = null;
    clearTimeout(this.#timer);
  }

  /** Mark the joined group. */
  set current(group) {
    this.#current = group;
    this.refresh();
  }

  /** Query the server now, and again after `INTERVAL`. The list is always read from its start, so it is never stale. */
  async refresh() {
    clearTimeout(this.#timer);
    if (!this.#hub || document.hidden) return;
    const turn = ++this.#queries;
    try {
      const page = await this.#hub.getRealtimeGroups(this.#query(), { limit: this.#limit, ascending: this.#ascending });
      if (turn === this.#queries && this.#hub) this.#show(page);
    } catch {
      // The state of the connection is shown elsewhere; the next query may succeed.
    }
    if (turn === this.#queries && this.#hub) this.#timer = setTimeout(() => this.refresh(), INTERVAL);
  }

  get #by() {
    return this.#form.by.value;
  }

  #query() {
    if (this.#by === 'group') {
      const value = this.#form.prefix.value;
      return value ? { searchFor: 'group', value, condition: '>=' } : { searchFor: 'group' };
    }
    return { searchFor: 'number_of_users', value: this.#form.least.valueAsNumber || 0, condition: '>=' };
  }

  #search() {
    this.#limit = PAGE;
    this.#label();
    this.refresh();
  }

  #label() {
    for (const field of this.#form.querySelectorAll('[data-by]')) field.hidden = field.dataset.by !== this.#by;
    const [up, down] = this.#by === 'group' ? ['A to Z', 'Z to A'] : ['Smallest first', 'Biggest first'];
    this.#order.textContent = this.#ascending ? up : down;
    this.#order.setAttribute('aria-label', `Order: ${this.#order.textContent}. Reverse it`);
  }

  #show({ list, endOfList }) {
    const sizes = new Map(list.map((row) => [row.group, row.number_of_users]));
    arrange(this.#list, this.#items, [...sizes.keys()], (group) => this.#item(group));
    for (const [group, item] of this.#items) {
      mark(item.firstElementChild, group === this.#current);
      resize(item.querySelector('.size'), sizes.get(group));
    }
    this.#offer(sizes, endOfList);
  }

  #offer(sizes, endOfList) {
    const wanted = this.#by === 'group' ? this.#form.prefix.value : '';
    this.#new.hidden = !wanted || sizes.has(wanted);
    this.#new.replaceChildren('Start ', name(wanted));
    this.#none.hidden = sizes.size > 0;
    this.#none.textContent = wanted ? 'No group name starts with this.' : 'No group has that many users.';
    this.#more.hidden = endOfList || this.#limit >= MOST;
  }

  #item(group) {
    const button = element('button', { type: 'button', class: 'row' }, name(group), element('span', { class: 'size' }));
    button.addEventListener('click', () => this.#choose(group));
    return element('li', {}, button);
  }
}

function mark(row, here) {
  if (here) row.setAttribute('aria-current', 'true');
  else row.removeAttribute('aria-current');
}

/** Show a size, and highlight it for a moment when it has changed. */
function resize(shown, users) {
  const before = shown.textContent;
  const now = count(users, 'user');
  if (before === now) return;
  shown.textContent = now;
  if (!before) return;
  shown.classList.remove('changed');
  void shown.offsetWidth; // a new animation starts only after the class was gone for a layout
  shown.classList.add('changed');
}
