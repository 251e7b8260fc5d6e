// The login form: a name or a token, and a group.

import { explain } from './errors.js';

const ADJECTIVES = ['Amber', 'Brave', 'Calm', 'Clever', 'Gentle', 'Happy', 'Lively', 'Lucky', 'Quick', 'Quiet', 'Sunny', 'Witty'];
const ANIMALS = ['Badger', 'Crane', 'Finch', 'Fox', 'Hare', 'Heron', 'Lynx', 'Otter', 'Owl', 'Robin', 'Seal', 'Wren'];
const SESSION_KEY = 'hubbub-name';

/** Return the group that the page's address names (`#group=…`), or "". */
export function linkedGroup() {
  return new URLSearchParams(location.hash.slice(1)).get('group') ?? '';
}

/** Return the hash that names `group`. */
export function hashOf(group) {
  return `#${new URLSearchParams({ group })}`;
}

export class Login {
  #section = document.getElementById('login');
  #form = document.getElementById('login-form');
  #fields = this.#form.elements;
  #error = document.getElementById('login-error');
  #button = this.#form.querySelector('button');

  /**
   * @param {(credentials: {guest: string} | {token: string}, group: string) => Promise<void>} enter
   *   Called when the form is submitted. Rejects when the server refuses the credentials or the group.
   */
  constructor(enter) {
    this.#fields.name.value = sessionStorage.getItem(SESSION_KEY) ?? `${pickOne(ADJECTIVES)} ${pickOne(ANIMALS)}`;
    this.#fields.group.value = linkedGroup() || 'lobby';
    this.#fields.name.select();
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit(enter);
    });
  }

  /** Show the form. */
  open() {
    this.#section.hidden = false;
    this.showError('');
    this.#fields.group.value = linkedGroup() || this.#fields.group.value;
    (this.#wantsToken ? this.#fields.token : this.#fields.name).focus();
  }

  /** Hide the form. */
  close() {
    this.#section.hidden = true;
  }

  /** Show why logging in failed. */
  showError(text) {
    this.#error.textContent = text;
  }

  async #submit(enter) {
    const name = this.#fields.name.value.trim();
    const token = this.#fields.token.value.trim();
    this.showError('');
    this.#button.disabled = true;
    try {
      await enter(this.#wantsToken ? { token } : { guest: name }, this.#fields.group.value);
      if (name) sessionStorage.setItem(SESSION_KEY, name);
    } catch (error) {
      this.#onRefusal(error);
    } finally {
      this.#button.disabled = false;
    }
  }

  get #wantsToken() {
    return !document.getElementById('token-field').hidden;
  }

  #onRefusal(error) {
    const needsToken = error.code === 'UNAUTHORIZED' || error.code === 'FORBIDDEN';
    if (needsToken && !this.#wantsToken) {
      document.getElementById('name-field').hidden = true;
      document.getElementById('token-field').hidden = false;
      this.#fields.name.disabled = true;
      this.#fields.token.required = true;
    }
    this.showError(explain(error));
    if (needsToken) this.#fields.token.focus();
  }
}

function pickOne(list) {
  return list[Math.floor(Math.random() * list.length)];
}
