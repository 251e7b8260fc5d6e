// How the connection is, and what went wrong.

import { element } from './dom.js';

const TEXTS = { connected: 'connected', reconnecting: 'reconnecting …', closed: 'closed' };

/**
 * Show the state of the connection.
 * @param {'connected' | 'reconnecting' | 'closed'} state
 * @returns {boolean} Whether that is news.
 */
export function showState(state) {
  const shown = document.getElementById('state');
  if (shown.dataset.state === state) return false;
  shown.dataset.state = state;
  shown.textContent = TEXTS[state];
  return true;
}

/** Show what went wrong, until the next thing does or works; with a button if there is a way on. */
export function trouble(text, label, action) {
  const shown = document.getElementById('trouble');
  shown.replaceChildren(text);
  if (!action) return;
  const button = element('button', { type: 'button', class: 'quiet small', text: label });
  button.addEventListener('click', () => {
    trouble('');
    action();
  });
  shown.append(button);
}
