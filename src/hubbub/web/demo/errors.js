// The server's errors, in words for the person who uses the page.

const WORDS = {
  RATE_LIMITED: 'Too many requests at once. Wait a moment, then try again.',
  UNAVAILABLE: 'The server did not answer. Try again in a moment.',
  INTERNAL: 'The server failed. Its log has the details.',
  TOO_LARGE: 'The message is too long.',
};

/** Return a sentence that says why a call failed; the server's own text when the call was at fault. */
export function explain({ code, message }) {
  if (code === 'TOO_LARGE') return `${WORDS.TOO_LARGE} ${message}`;
  return WORDS[code] ?? message ?? 'Something went wrong. Try again.';
}
