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

const ENDS = {
  4003: 'The server has disconnected you. An administrator may have done so.',
  4004: 'You have too many connections open. Close some tabs, then start again.',
};

/**
 * Return why the connection has ended, and whether only another token can help.
 * @param {{code: number | string}} close the event
 * @param {string} lastError the text of the last error event before it
 * @returns {{text: string, needsLogin: boolean}}
 */
export function explainEnd({ code }, lastError) {
  if (code === 'UNAUTHORIZED') {
    const expired = /expired/iu.test(lastError);
    const text = expired ? 'Your token has expired. Enter a new one to continue.' : `The server does not accept your token any more: ${lastError}`;
    return { text, needsLogin: true };
  }
  return { text: ENDS[code] ?? (lastError || 'The connection has ended.'), needsLogin: code === 'FORBIDDEN' };
}
