// What the server refuses, in words for the person at the keyboard.

const WORDS = {
  RATE_LIMITED: 'That was too much at once. Wait a moment, then try again.',
  UNAVAILABLE: 'The server did not answer. Try again in a moment.',
  INTERNAL: 'The server failed at this. Its log says why.',
  TOO_LARGE: 'That is too long.',
};

/** Return one sentence that says why something did not work; the server's own when it is about what was asked. */
export function explain({ code, message }) {
  if (code === 'TOO_LARGE') return `${WORDS.TOO_LARGE} ${message}`;
  return WORDS[code] ?? message ?? 'That did not work.';
}
