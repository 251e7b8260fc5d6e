// The login form: a name or a token, whichever the server accepts, and a group.

import { explain } from './errors.js';

const ADJECTIVES = ['Amber', 'Brave', 'Calm', 'Clever', 'Gentle', 'Happy', 'Lively', 'Lucky', 'Quick', 'Quiet', 'Sunny', 'Witty'];
const ANIMALS = ['Badger', 'Crane', 'Finch', 'Fox', 'Hare', 'Heron', 'Lynx', 'Otter', 'Owl', 'Robin', 'Seal', 'Wren'];
const NEEDS_TOKEN = ['UNAUTHORIZED', 'FORBIDDEN'];

/** What the server accepts, as it wrote into the page: "guests", "tokens" or both. */
const accepted = (document.documentElement.dataset.login ?? 'guests').split(' ');

/** Whether the form asks for a token when the page is opened. */
export const tokenFirst = !accepted.includes('guests');

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
  #button = this.#form.querySelector('[type=submit]');
  #other = document.getElementById('login-other');
  #wantsToken = tokenFirst;

  /**
   * @param {(credentials: {guest: string} | {token: string}, group: string) => Promise<void>} enter
   *   Called when the form is submitted. Rejects when the server refuses the credentials or the group.
   */
  constructor(enter) {
    this.#fields.name.value = `${pickOne(ADJECTIVES)} ${pickOne(ANIMALS)}`;
    this.#fields.group.value = linkedGroup() || 'lobby';
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit(enter);
    });
    this.#other.addEventListener('click', () => {
      this.#askFor(!this.#wantsToken);
      this.focus();
    });
    this.#askFor(this.#wantsToken);
  }

  /** Show the form. @param {{credentials?: object, group?: string, error?: string}} [filled] what it begins with */
  open({ credentials, group, error = '' } = {}) {
    this.#section.hidden = false;
    document.title = 'Hubbub';
    if (credentials) this.#askFor('token' in credentials);
    if (credentials?.guest) this.#fields.name.value = credentials.guest;
    this.#fields.token.value = '';
    this.#fields.group.value = linkedGroup() || group || this.#fields.group.value;
    this.showError(error);
    this.focus();
  }

  /** Hide the form. */
  close() {
    this.#section.hidden = true;
  }

  /** Show why logging in failed. */
  showError(text) {
    this.#error.textContent = text;
  }

  /** Set the focus to the first field. */
  focus() {
    (this.#wantsToken ? this.#fields.token : this.#fields.name).focus();
    this.#fields.name.select();
  }

  /** Show the field for a token, or the one for a name. */
  #askFor(token) {
    this.#wantsToken = token;
    document.getElementById('name-field').hidden = this.#fields.name.disabled = token;
    document.getElementById('token-field').hidden = !token;
    this.#fields.token.required = token;
    this.#other.hidden = accepted.length < 2;
    this.#other.textContent = token ? 'Join as a guest' : 'Use a token';
  }

  async #submit(enter) {
    const name = this.#fields.name.value.trim();
    const token = this.#fields.token.value.trim();
    this.showError('');
    this.#button.disabled = true;
    try {
      await enter(this.#wantsToken ? { token } : { guest: name }, this.#fields.group.value);
    } catch (error) {
      if (NEEDS_TOKEN.includes(error.code) && /token/iu.test(error.message)) this.#askFor(true);
      this.showError(explain(error));
      if (this.#wantsToken) this.#fields.token.focus();
    } finally {
      this.#button.disabled = false;
    }
  }
}

function pickOne(list) {
  return list[Math.floor(Math.random() * list.length)];
}
