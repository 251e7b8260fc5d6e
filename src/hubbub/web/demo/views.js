// A phone shows one of groups, conversation and people at a time. Also counts unread messages.

export class Views {
  #chat = document.getElementById('chat');
  #buttons = document.querySelectorAll('.tabs button');
  #badge = document.getElementById('unread');
  #unread = 0;

  constructor() {
    for (const button of this.#buttons) button.addEventListener('click', () => this.show(button.dataset.view));
    document.addEventListener('visibilitychange', () => this.#updateUnread());
  }

  /** @param {'groups' | 'conversation' | 'people'} view */
  show(view) {
    this.#chat.dataset.view = view;
    for (const button of this.#buttons) {
      if (button.dataset.view === view) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
    this.#updateUnread();
  }

  /** Count a message that arrived. */
  onMessage() {
    this.#unread += 1;
    this.#updateUnread();
  }

  #updateUnread() {
    const narrow = getComputedStyle(document.querySelector('.tabs')).display !== 'none';
    if (!document.hidden && (!narrow || this.#chat.dataset.view === 'conversation')) this.#unread = 0;
    this.#badge.hidden = this.#unread === 0;
    this.#badge.textContent = this.#unread;
    document.title = document.title.replace(/^(\(\d+\) )?/u, this.#unread ? `(${this.#unread}) ` : '');
  }
}
