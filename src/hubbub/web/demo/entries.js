// The elements of a log: a message, a line about joins and leaves, a note.

import { avatar, element, icon, name } from './dom.js';
import { splitLinks } from './links.js';
import { describe } from './presence.js';

/** After this many milliseconds the same sender gets a new heading. */
const PAUSE = 5 * 60_000;

/**
 * Make the element of an entry.
 * @param {import('./logs.js').Entry} entry
 * @param {{isPrivate: boolean, write: (user: string) => void, again: (entry: object) => void}} context
 *   `write`: called with a sender whose name was clicked; `again`: with a failed message to send again
 */
export function entryElement(entry, context) {
  if (entry.kind === 'message') return messageElement(entry, context);
  const parts = entry.kind === 'note' ? [entry.text] : presenceParts(entry.line);
  return element('p', { class: 'line' }, ...parts);
}

/** Return whether a message needs no heading of its own, because the one before it has the same sender. */
export function continues(before, entry) {
  return (
    before?.kind === 'message' && entry.kind === 'message' && before.sender === entry.sender && before.own === entry.own &&
    Math.abs((entry.at ?? 0) - (before.at ?? 0)) < PAUSE
  );
}

function messageElement(entry, { isPrivate, write, again }) {
  const { sender, body, own = false, at, status } = entry;
  const item = element('article', { class: 'message' });
  item.classList.toggle('own', own);
  item.classList.toggle('private', isPrivate);
  item.classList.toggle('failed', status === 'failed');
  item.classList.toggle('waiting', status === 'waiting');
  const head = element('header', {}, own ? element('span', { class: 'unseen', text: 'You' }) : senderElement(sender, isPrivate, write));
  if (isPrivate && !own) head.append(element('span', { class: 'only' }, icon('lock'), 'only to you'));
  head.append(timeElement(at));
  item.append(...(own ? [] : [avatar(sender)]), head, bubble(body), receipt(entry, again));
  return item;
}

function senderElement(sender, isPrivate, write) {
  if (isPrivate) return element('span', { class: 'sender' }, name(sender));
  const button = element('button', { type: 'button', class: 'sender' }, name(sender));
  button.setAttribute('aria-description', 'Send a private message');
  button.addEventListener('click', () => write(sender));
  return button;
}

function timeElement(at) {
  if (at === null || at === undefined) return element('span', { class: 'time', text: 'earlier' });
  const time = new Date(at);
  const isToday = time.toDateString() === new Date().toDateString();
  const text = time.toLocaleString([], { hour: '2-digit', minute: '2-digit', ...(!isToday && { day: 'numeric', month: 'short' }) });
  return element('time', { class: 'time', datetime: time.toISOString(), text });
}

/** Return the message as text with its links. This page sends {"msg": …}; other JSON is shown as it is. */
function bubble(body) {
  const text = typeof body === 'string' ? body : body?.msg ?? body?.text;
  if (typeof text !== 'string') return element('pre', { class: 'bubble', dir: 'ltr', text: JSON.stringify(body, null, 2) });
  return element('p', { class: 'bubble', dir: 'auto' }, ...splitLinks(text).map(linkOrText));
}

function linkOrText({ text, href }) {
  if (!href) return text;
  return element('a', { href, target: '_blank', rel: 'noopener noreferrer nofollow ugc', text });
}

/** What is written under an own message: whether it was delivered. */
function receipt(entry, again) {
  const shown = element('p', { class: 'receipt', text: entry.info ?? '' });
  if (entry.status !== 'failed') return shown;
  const button = element('button', { type: 'button', class: 'quiet small', text: 'Send again' });
  button.addEventListener('click', () => again(entry));
  shown.append(button);
  return shown;
}

function presenceParts(line) {
  const parts = [];
  for (const { names, others, verb } of describe(line)) {
    if (parts.length > 0) parts.push(' · ');
    const listed = names.map(name);
    if (others > 0) listed.push(`${others.toLocaleString('en')}${names.length > 0 ? ` other${others === 1 ? '' : 's'}` : ''}`);
    for (const [index, each] of listed.entries()) {
      parts.push(index === 0 ? '' : index === listed.length - 1 ? ' and ' : ', ', each);
    }
    parts.push(` ${verb}`);
  }
  return parts;
}
