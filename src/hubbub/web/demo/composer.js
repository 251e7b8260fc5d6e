// The form for new messages, to the group or to one user.

export class Composer {
  #form = document.getElementById('composer');
  #text = document.getElementById('text');
  #label = document.getElementById('text-label');
  #private = document.getElementById('private');
  #user = null;

  /** @param {(text: string, user: string | null) => void} send `user`: the recipient of a private message; null for the group. */
  constructor(send) {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (text) send(text, this.#user);
      this.#text.value = '';
      this.#text.focus();
    });
    this.#text.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return; // Enter also confirms a word of an input method
      event.preventDefault();
      this.#form.requestSubmit();
    });
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.#user !== null && !document.querySelector('dialog[open]')) this.setRecipient(null);
    });
    document.getElementById('private-end').addEventListener('click', () => this.setRecipient(null));
  }

  /** Set the recipient: a user, or null for the group. */
  setRecipient(user) {
    this.#user = user;
    this.#form.classList.toggle('to-one', user !== null);
    this.#private.hidden = user === null;
    document.getElementById('private-name').textContent = user ?? '';
    this.#label.textContent = user === null ? 'Message to the group' : `Private message to ${user}`;
    this.#text.placeholder = user === null ? 'Message' : 'Private message';
    this.focus();
  }

  focus() {
    this.#text.focus();
  }
}
