// A phone shows one of groups, conversation and people at a time.

export class Views {
  #chat = document.getElementById('chat');
  #buttons = document.querySelectorAll('.tabs button');
  #onChange;

  /** @param {() => void} onChange called when the conversation may have become visible or hidden */
  constructor(onChange) {
    this.#onChange = onChange;
    for (const button of this.#buttons) button.addEventListener('click', () => this.show(button.dataset.view));
    document.addEventListener('visibilitychange', onChange);
  }

  /** Whether somebody can see the conversation now. */
  get showsConversation() {
    const narrow = getComputedStyle(document.querySelector('.tabs')).display !== 'none';
    return !document.hidden && !this.#chat.hidden && (!narrow || this.#chat.dataset.view === 'conversation');
  }

  /** @param {'groups' | 'conversation' | 'people'} view */
  show(view) {
    this.#chat.dataset.view = view;
    for (const button of this.#buttons) {
      if (button.dataset.view === view) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
    this.#onChange();
  }
}
