// The server's groups: searched by name or by size, and live while they are shown.

import { arrange, count, element, name, showNumber } from './dom.js';
import { compareNames, matches, prefixes } from './search.js';

/** Rows that are shown at first, and how many more "Load more" shows. */
const STEP = 20;
/** Most rows that the server returns in a page. */
const PAGE = 1000;
/** Pages that are searched for a part of a name. Beyond those only names that begin with it are found. */
const PAGES = 3;
/** Most rows for each spelling of such a beginning. */
const PREFIXED = 200;
/** Milliseconds after the last key before what was typed is searched for. */
const TYPING = 200;
/** Milliseconds until a search that has failed is begun again. */
const RETRY = 3000;

export class GroupBrowser {
  #form = document.getElementById('groups-form');
  #order = document.getElementById('groups-order');
  #list = document.getElementById('groups-list');
  #none = document.getElementById('groups-none');
  #more = document.getElementById('groups-more');
  #new = document.getElementById('groups-new');
  #items = new Map();
  #limit = STEP;
  /** By name from A to Z; by size the biggest first. */
  #descending = false;
  #hub = null;
  #current = '';
  #unread = 0;
  #choose;
  #timer = 0;
  /** Counts the searches; what was found for an earlier one is not shown. */
  #searches = 0;
  /** The live queries of the present search, and the rows that each has found. */
  #live = [];
  #found = [];

  /** @param {(group: string) => void} choose Called with the group that was chosen. */
  constructor(choose) {
    this.#choose = choose;
    this.#form.addEventListener('input', ({ target }) => {
      if (target.name === 'by') this.#descending = this.#by !== 'group';
      this.#search();
    });
    this.#form.addEventListener('submit', (event) => event.preventDefault());
    this.#form.search.addEventListener('keydown', ({ key, isComposing, target }) => {
      if (key === 'Enter' && !isComposing && target.value) choose(target.value);
    });
    this.#order.addEventListener('click', () => {
      this.#descending = !this.#descending;
      this.#search();
    });
    this.#new.addEventListener('click', () => choose(this.#form.search.value));
    this.#more.addEventListener('click', () => {
      this.#limit += STEP;
      this.#show();
    });
    document.addEventListener('visibilitychange', () => this.#begin(0));
    this.#label();
  }

  /** Keep the list live. @param {import('../hubbub.js').Hubbub} hub */
  start(hub) {
    this.#hub = hub;
    this.#begin(0);
  }

  /** End that. */
  stop() {
    this.#hub = null;
    this.#end();
  }

  /** Mark the joined group. */
  set current(group) {
    this.#current = group;
    this.#mark();
  }

  /** Show how many messages of the joined group are unread. */
  set unread(number) {
    this.#unread = number;
    this.#mark();
  }

  get #by() {
    return this.#form.by.value;
  }

  /** Watch what is searched for now, instead of what was. A page that nobody sees watches nothing. */
  #begin(delay) {
    this.#end();
    if (this.#hub && !document.hidden) this.#timer = setTimeout(() => this.#watch(this.#searches), delay);
  }

  #end() {
    clearTimeout(this.#timer);
    this.#searches += 1;
    for (const query of this.#live.splice(0)) query.stop();
  }

  async #watch(search) {
    const found = [];
    try {
      for await (const [params, options] of this.#by === 'group' ? this.#byName() : this.#bySize()) {
        const number = found.push([]) - 1;
        const query = await this.#hub.watchRealtimeGroups(params, options, ({ list, error }) => {
          if (search !== this.#searches || error) return;
          found[number] = list;
          if (this.#found === found) this.#show();
        });
        if (search !== this.#searches) {
          query.stop();
          return;
        }
        this.#live.push(query);
      }
      this.#found = found;
      this.#show();
    } catch {
      // The state of the connection is shown elsewhere; the next attempt may succeed.
      if (search === this.#searches) this.#begin(RETRY);
    }
  }

  /** The queries for names that contain what was typed; of very many groups, for those that begin with it. */
  async *#byName() {
    const typed = this.#typed;
    let startKey = 'start';
    for (let pages = 0; pages < (typed ? PAGES : 1) && startKey !== 'end'; pages += 1) {
      yield [{ searchFor: 'group' }, { limit: PAGE, startKey }];
      if (typed) ({ startKey } = await this.#hub.getRealtimeGroups({ searchFor: 'group' }, { limit: PAGE, startKey }));
    }
    if (!typed || startKey === 'end') return;
    for (const value of prefixes(typed)) yield [{ searchFor: 'group', value, condition: '>=' }, { limit: PREFIXED }];
  }

  async *#bySize() {
    const query = { searchFor: 'number_of_users', value: this.#form.least.valueAsNumber || 0, condition: '>=' };
    yield [query, { limit: PAGE, ascending: !this.#descending }];
  }

  get #typed() {
    return this.#by === 'group' ? this.#form.search.value.trim() : '';
  }

  /** The rows that were found, in natural order, without those that do not have what was typed in their name. */
  get #rows() {
    const typed = this.#typed;
    const rows = new Map(this.#found.flat().map((row) => [row.group, row]));
    const size = this.#by === 'group' ? () => 0 : (row) => row.number_of_users;
    const sign = this.#descending ? -1 : 1;
    return [...rows.values()].filter(({ group }) => !typed || matches(group, typed))
      .sort((a, b) => sign * (size(a) - size(b) || compareNames(a.group, b.group)));
  }

  #search() {
    this.#limit = STEP;
    this.#label();
    this.#begin(TYPING);
  }

  #label() {
    for (const field of this.#form.querySelectorAll('[data-by]')) field.hidden = field.dataset.by !== this.#by;
    const [up, down] = this.#by === 'group' ? ['A to Z', 'Z to A'] : ['Smallest first', 'Biggest first'];
    this.#order.textContent = this.#descending ? down : up;
    this.#order.setAttribute('aria-label', `Order: ${this.#order.textContent}. Reverse it`);
  }

  #show() {
    const list = this.#rows;
    const isPart = this.#found.some(({ length }) => length >= PAGE);
    const sizes = new Map(list.slice(0, this.#limit).map((row) => [row.group, row.number_of_users]));
    arrange(this.#list, this.#items, [...sizes.keys()], (group) => this.#item(group));
    for (const [group, item] of this.#items) resize(item.querySelector('.size'), sizes.get(group));
    this.#mark();
    const wanted = this.#typed;
    this.#new.hidden = !wanted || list.some(({ group }) => group === wanted);
    this.#new.replaceChildren('Start ', name(wanted));
    this.#more.hidden = list.length <= this.#limit;
    this.#none.hidden = list.length > 0 && !(isPart && this.#more.hidden);
    this.#none.textContent = list.length > 0 ? 'There are more groups. Search for their names.'
      : wanted ? 'No group has such a name.' : 'No group has that many users.';
  }

  /** Mark the joined group's row, with its unread messages. */
  #mark() {
    for (const [group, item] of this.#items) {
      const isCurrent = group === this.#current;
      if (isCurrent) item.firstElementChild.setAttribute('aria-current', 'true');
      else item.firstElementChild.removeAttribute('aria-current');
      showNumber(item.querySelector('.badge'), isCurrent ? this.#unread : 0, 'unread');
    }
  }

  #item(group) {
    const inside = [name(group), element('span', { class: 'size' }), element('span', { class: 'badge' })];
    const button = element('button', { type: 'button', class: 'row' }, ...inside);
    button.addEventListener('click', () => this.#choose(group));
    return element('li', {}, button);
  }
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
