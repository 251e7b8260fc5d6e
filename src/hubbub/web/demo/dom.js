// Elements that every part of the page makes. Whatever people type becomes text here, never markup.

/**
 * Make an element.
 * @param {string} tag
 * @param {Record<string, string>} [attributes] "text" becomes the text, all others attributes.
 * @param {...(Node|string)} children
 */
export function element(tag, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

/** Names with more characters have a tooltip, because they may be cut. */
const LONG = 20;

/** Return one of the drawings of icons.svg. */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `demo/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** Return a name that cannot change the direction of the text around it: `bdi` isolates right-to-left characters. */
export function name(text) {
  return element('bdi', { class: 'name', text, ...(text.length > LONG && { title: text.slice(0, 256) }) });
}

/** Show a number on a badge; none for 0. @param {Element} badge @param {string} [what] such as "unread" */
export function showNumber(badge, number, what = '') {
  badge.hidden = number === 0;
  badge.replaceChildren(number === 0 ? '' : number > 999 ? '999+' : String(number));
  if (what && number > 0) badge.append(element('span', { class: 'unseen', text: ` ${what}` }));
}

/** Return a user's avatar, with the same colour and letters on every screen. */
export function avatar(user) {
  const badge = element('span', { class: 'avatar', 'aria-hidden': 'true', text: initials(user) });
  badge.style.setProperty('--hue', hue(user));
  return badge;
}

/** Return a hue, 0 to 359, that depends on the name only: FNV-1a, spread by the golden angle. */
export function hue(text) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return Math.round((hash % 1000) * 137.508) % 360;
}

const graphemes = new Intl.Segmenter();

/** Return one or two letters for a name, or its first emoji; without stacked accents. */
export function initials(text) {
  const words = text.split(/[\s._@-]+/u).map(first).filter(Boolean);
  return (words.length > 1 && !/\p{Extended_Pictographic}/u.test(words[0]) ? words[0] + words.at(-1) : words[0]) ?? '?';
}

function first(word) {
  for (const { segment } of graphemes.segment(word)) {
    if (/\p{Extended_Pictographic}/u.test(segment)) return segment;
    const letter = segment.normalize('NFC').match(/[\p{L}\p{N}]/u);
    if (letter) return letter[0].toLocaleUpperCase();
  }
  return '';
}

/**
 * Make a list show these keys in this order. Elements that stay are reused, so focus is kept.
 * @param {Element} list
 * @param {Map<string, Element>} shown What the list shows now, by key; changed in place.
 * @param {string[]} keys What it should show.
 * @param {(key: string) => Element} make
 */
export function arrange(list, shown, keys, make) {
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const wanted = new Set(keys);
  for (const [key, item] of shown) {
    if (wanted.has(key)) continue;
    item.remove();
    shown.delete(key);
  }
  let place = list.firstElementChild;
  for (const key of keys) {
    if (!shown.has(key)) shown.set(key, make(key));
    const item = shown.get(key);
    if (item === place) place = place.nextElementSibling;
    else list.insertBefore(item, place);
  }
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

/** Return "1 user", "2 users", "1,234 users". */
export function count(number, noun) {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
}
