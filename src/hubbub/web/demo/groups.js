// The server's groups: searched by name or by size, and refreshed while they are shown.

import { arrange, count, element, name, showNumber } from './dom.js';
import { compareNames, matches, prefixes } from './search.js';

/** Rows that are shown at first, and how many more "Load more" shows. */
const STEP = 20;
/** Most rows that the server returns in a page. */
const PAGE = 1000;
/** Pages that are searched for a part of a name. Beyond those only names that begin with it are found. */
const PAGES = 3;
/** Milliseconds between two refreshes of a list of up to `ROWS` rows; longer lists are refreshed less often. */
const INTERVAL = 1500;
const ROWS = 200;
/** Least milliseconds between two refreshes, however many users join and leave. */
const LEAST = 300;

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
  /** When the last query began, whether it is under way, and whether another one is to follow soon. */
  #queried = 0;
  #reading = false;
  #again = false;
  /** Counts the searches; what was found for an earlier one is not shown. */
  #searches = 0;

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
      this.refresh();
    });
    document.addEventListener('visibilitychange', () => this.refresh());
    this.#label();
  }

  /** Start refreshing the list. @param {import('../hubbub.js').Hubbub} hub */
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

  /** Show how many messages of the joined group are unread. */
  set unread(number) {
    this.#unread = number;
    this.#mark();
  }

  /** Query the server soon, and again and again. The list is always read from its start, so it is never stale. */
  refresh() {
    if (this.#reading) this.#again = true;
    else this.#schedule(this.#queried + LEAST - Date.now());
  }

  #schedule(delay) {
    clearTimeout(this.#timer);
    if (this.#hub && !document.hidden) this.#timer = setTimeout(() => this.#read(), Math.max(0, delay));
  }

  async #read() {
    const search = this.#searches;
    this.#queried = Date.now();
    [this.#reading, this.#again] = [true, false];
    let rows = 0;
    try {
      const found = this.#by === 'group' ? await this.#byName(this.#form.search.value.trim()) : await this.#bySize();
      rows = found.list.length;
      if (search === this.#searches && this.#hub) this.#show(found);
    } catch {
      // The state of the connection is shown elsewhere; the next query may succeed.
    }
    this.#reading = false;
    this.#schedule(this.#again ? LEAST : INTERVAL * Math.max(1, rows / ROWS));
  }

  get #by() {
    return this.#form.by.value;
  }

  /** Return the groups whose names contain what was typed, in natural order; of very many, those that begin with it. */
  async #byName(typed) {
    const found = new Map();
    const keep = ({ list }) => {
      for (const row of list) if (matches(row.group, typed)) found.set(row.group, row);
    };
    let page = null;
    for (let pages = 0; pages < (typed ? PAGES : 1) && !page?.endOfList; pages += 1) {
      page = await this.#hub.getRealtimeGroups({ searchFor: 'group' }, { limit: PAGE, fetchMore: pages > 0 });
      keep(page);
    }
    if (typed && !page.endOfList) {
      for (const value of prefixes(typed)) {
        keep(await this.#hub.getRealtimeGroups({ searchFor: 'group', value, condition: '>=' }, { limit: PAGE }));
      }
    }
    return { list: this.#ordered([...found.values()]), isPart: !page.endOfList };
  }

  async #bySize() {
    const query = { searchFor: 'number_of_users', value: this.#form.least.valueAsNumber || 0, condition: '>=' };
    const { list, endOfList } = await this.#hub.getRealtimeGroups(query, { limit: PAGE, ascending: !this.#descending });
    return { list: this.#ordered(list), isPart: !endOfList };
  }

  #ordered(rows) {
    const size = this.#by === 'group' ? () => 0 : (row) => row.number_of_users;
    const sign = this.#descending ? -1 : 1;
    return rows.sort((a, b) => sign * (size(a) - size(b) || compareNames(a.group, b.group)));
  }

  #search() {
    this.#limit = STEP;
    this.#searches += 1;
    this.#label();
    this.refresh();
  }

  #label() {
    for (const field of this.#form.querySelectorAll('[data-by]')) field.hidden = field.dataset.by !== this.#by;
    const [up, down] = this.#by === 'group' ? ['A to Z', 'Z to A'] : ['Smallest first', 'Biggest first'];
    this.#order.textContent = this.#descending ? down : up;
    this.#order.setAttribute('aria-label', `Order: ${this.#order.textContent}. Reverse it`);
  }

  #show({ list, isPart }) {
    const sizes = new Map(list.slice(0, this.#limit).map((row) => [row.group, row.number_of_users]));
    arrange(this.#list, this.#items, [...sizes.keys()], (group) => this.#item(group));
    for (const [group, item] of this.#items) resize(item.querySelector('.size'), sizes.get(group));
    this.#mark();
    const wanted = this.#by === 'group' ? this.#form.search.value.trim() : '';
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
