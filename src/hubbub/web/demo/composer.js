// The form for new messages, to the group or to one user.

export class Composer {
  #form = document.getElementById('composer');
  #text = document.getElementById('text');
  #label = document.getElementById('text-label');
  #private = document.getElementById('private');
  /** The conversation, which keeps the text that is not sent yet as its `draft`. */
  #log = null;

  /**
   * @param {(text: string) => void} send
   * @param {() => void} back called to return from a private conversation to the group
   */
  constructor(send, back) {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      if (text) send(text);
      this.#text.value = this.#log.draft = '';
      this.#text.focus();
    });
    this.#text.addEventListener('input', () => (this.#log.draft = this.#text.value));
    this.#text.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return; // Enter also confirms a word of an input method
      event.preventDefault();
      this.#form.requestSubmit();
    });
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !this.#private.hidden && !document.querySelector('dialog[open]')) back();
    });
    document.getElementById('private-end').addEventListener('click', back);
  }

  /** Write to this conversation. @param {import('./logs.js').Log} log @param {string} group the joined group */
  show(log, group) {
    const user = log.kind === 'user' ? log.name : null;
    this.#form.classList.toggle('to-one', user !== null);
    this.#private.hidden = user === null;
    document.getElementById('private-name').textContent = user ?? '';
    document.getElementById('private-group').textContent = group;
    this.#label.textContent = user === null ? 'Message to the group' : `Private message to ${user}`;
    this.#text.placeholder = user === null ? 'Message' : 'Private message';
    if (log !== this.#log) this.#text.value = log.draft;
    this.#log = log;
    this.#text.focus();
  }
}
