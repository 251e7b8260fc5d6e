// The state of the connection, and errors.

import { element } from './dom.js';

const TEXTS = { connected: 'connected', reconnecting: 'reconnecting …', closed: 'closed' };

/**
 * Show the state of the connection.
 * @param {'connected' | 'reconnecting' | 'closed'} state
 * @returns {boolean} Whether it has changed.
 */
export function showState(state) {
  const shown = document.getElementById('state');
  if (shown.dataset.state === state) return false;
  shown.dataset.state = state;
  shown.textContent = TEXTS[state];
  return true;
}

/** Show an error until the next one or the next success; with a button if `action` can help. An empty text hides it. */
export function showError(text, label, action) {
  const shown = document.getElementById('error');
  shown.replaceChildren(text);
  if (!action) return;
  const button = element('button', { type: 'button', class: 'quiet small', text: label });
  button.addEventListener('click', () => {
    showError('');
    action();
  });
  shown.append(button);
}
