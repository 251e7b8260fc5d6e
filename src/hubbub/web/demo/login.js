// The door: who are you, and where do you want to go?

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

export class Entry {
  #section = document.getElementById('entry');
  #form = document.getElementById('entry-form');
  #fields = this.#form.elements;
  #error = document.getElementById('entry-error');
  #button = this.#form.querySelector('button');

  /**
   * @param {(credentials: {guest: string} | {token: string}, group: string) => Promise<void>} enter
   *   Rejects when the server does not let them in.
   */
  constructor(enter) {
    this.#fields.name.value = sessionStorage.getItem(SESSION_KEY) ?? `${any(ADJECTIVES)} ${any(ANIMALS)}`;
    this.#fields.group.value = linkedGroup() || 'lobby';
    this.#fields.name.select();
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit(enter);
    });
  }

  /** Show the door again. */
  open() {
    this.#section.hidden = false;
    this.say('');
    this.#fields.group.value = linkedGroup() || this.#fields.group.value;
    (this.#wantsToken ? this.#fields.token : this.#fields.name).focus();
  }

  /** They are in. */
  close() {
    this.#section.hidden = true;
  }

  /** Say why they are not. */
  say(text) {
    this.#error.textContent = text;
  }

  async #submit(enter) {
    const name = this.#fields.name.value.trim();
    const token = this.#fields.token.value.trim();
    this.say('');
    this.#button.disabled = true;
    try {
      await enter(this.#wantsToken ? { token } : { guest: name }, this.#fields.group.value);
      if (name) sessionStorage.setItem(SESSION_KEY, name);
    } catch (error) {
      this.#refused(error);
    } finally {
      this.#button.disabled = false;
    }
  }

  get #wantsToken() {
    return !document.getElementById('token-field').hidden;
  }

  #refused(error) {
    const unknown = error.code === 'UNAUTHORIZED' || error.code === 'FORBIDDEN';
    if (unknown && !this.#wantsToken) {
      document.getElementById('name-field').hidden = true;
      document.getElementById('token-field').hidden = false;
      this.#fields.name.disabled = true;
      this.#fields.token.required = true;
    }
    this.say(explain(error));
    if (unknown) this.#fields.token.focus();
  }
}

function any(list) {
  return list[Math.floor(Math.random() * list.length)];
}
