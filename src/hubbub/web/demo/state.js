// The state of the connection, the heading of the conversation, unread messages, and errors.

import { element, showNumber } from './dom.js';

const byId = (id) => document.getElementById(id);
const TEXTS = { connecting: 'connecting …', connected: 'connected', reconnecting: 'reconnecting …', closed: 'closed' };

/**
 * Show the state of the connection.
 * @param {'connecting' | 'connected' | 'reconnecting' | 'closed'} state
 * @returns {boolean} Whether it has changed.
 */
export function showState(state) {
  const shown = byId('state');
  if (shown.dataset.state === state) return false;
  shown.dataset.state = state;
  shown.textContent = TEXTS[state];
  return true;
}

/** Show whose conversation is on the screen. @param {import('./logs.js').Log} log */
export function showHeading({ kind, name }) {
  byId('heading-lock').toggleAttribute('hidden', kind !== 'user');
  byId('heading-kind').textContent = kind === 'user' ? 'Private messages with ' : '';
  byId('group-name').textContent = byId('group-name').title = name;
}

/** Show how many messages are unread: of the group, and private ones. @param {import('./logs.js').Log} shown */
export function showUnread(shown, ofGroup, privately) {
  showNumber(byId('unread'), ofGroup, 'unread');
  showNumber(byId('group-unread'), ofGroup, 'unread');
  const unread = ofGroup + privately;
  document.title = `${unread ? `(${unread}) ` : ''}${shown.name} · Hubbub`;
}

/** Show an error until the next one or the next success; with a button if `action` can help. An empty text hides it. */
export function showError(text, label, action) {
  const shown = byId('error');
  shown.replaceChildren(text);
  if (!action) return;
  const button = element('button', { type: 'button', class: 'quiet small', text: label });
  button.addEventListener('click', () => {
    showError('');
    action();
  });
  shown.append(button);
}
