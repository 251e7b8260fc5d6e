// How lists are ordered and searched. Pure.

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** Compare two names as people do: "12" before "102", "b" before "C". The same order on every call. */
export function compareNames(a, b) {
  return collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

/** Return a text in the form in which it is searched: without case and without accents. */
export function fold(text) {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
}

/** Return whether a name contains all words that were typed, anywhere and in any case. */
export function matches(name, typed) {
  const searched = fold(name);
  return fold(typed).split(/\s+/u).every((word) => searched.includes(word));
}

/** Return the prefixes under which the server's list, which knows only prefixes in one case, may have such names. */
export function prefixes(typed) {
  const capital = typed.slice(0, 1).toUpperCase() + typed.slice(1).toLowerCase();
  return [...new Set([typed, typed.toLowerCase(), capital, typed.toUpperCase()])];
}
