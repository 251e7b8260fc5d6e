// The private conversations: a list of them, with how many messages are unread in each.

import { arrange, avatar, element, name, showNumber } from './dom.js';

export class Talks {
  #section = document.getElementById('talks');
  #list = document.getElementById('talks-list');
  #badge = document.getElementById('private-unread');
  #items = new Map();
  #logs;
  #choose;

  /**
   * @param {import('./logs.js').Logs} logs
   * @param {(user: string) => void} choose called with the user whose conversation was chosen
   */
  constructor(logs, choose) {
    this.#logs = logs;
    this.#choose = choose;
  }

  /** Show all conversations that have messages, and mark the one on the screen. @param {import('./logs.js').Log} shown */
  show(shown) {
    const logs = new Map(this.#logs.list('user').filter((log) => log.hasMessages || log === shown).map((log) => [log.name, log]));
    arrange(this.#list, this.#items, [...logs.keys()], (user) => this.#item(user));
    let unread = 0;
    for (const [user, item] of this.#items) {
      const log = logs.get(user);
      unread += log.unread;
      showNumber(item.querySelector('.badge'), log.unread, 'unread');
      if (log === shown) item.firstElementChild.setAttribute('aria-current', 'true');
      else item.firstElementChild.removeAttribute('aria-current');
    }
    this.#section.hidden = logs.size === 0;
    showNumber(this.#badge, unread, 'unread private messages');
    document.getElementById('people-badge').hidden = unread > 0;
    return unread;
  }

  #item(user) {
    const button = element('button', { type: 'button', class: 'row' }, avatar(user), name(user), element('span', { class: 'badge end' }));
    button.addEventListener('click', () => this.#choose(user));
    return element('li', {}, button);
  }
}
