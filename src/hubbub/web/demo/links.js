// Web addresses in what people type. Pure: it cuts a text into parts; the page makes elements of them.

// Neither spaces, quotes and brackets, nor characters that are invisible or turn the direction of the text, which could
// make an address look like another one.
// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these must not be in an address
const ADDRESS = /(?:https?:\/\/|www\.)[^\s<>"'`{}|\\^\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]{2,2000}/giu;
const LETTER = /[\p{L}\p{N}_]/u;

/**
 * Cut a text into parts.
 * @param {string} text
 * @returns {{text: string, href?: string}[]} Their texts together are `text`. `href` is an address of http or https.
 */
export function splitLinks(text) {
  const parts = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    if (index > 0 && LETTER.test(text[index - 1])) continue; // inside a word, such as "xhttp://"
    const address = withoutPunctuation(found);
    const href = hrefOf(address);
    if (!href) continue;
    if (index > end) parts.push({ text: text.slice(end, index) });
    parts.push({ text: address, href });
    end = index + address.length;
  }
  if (end < text.length || parts.length === 0) parts.push({ text: text.slice(end) });
  return parts;
}

/** Return an address without the punctuation of the sentence around it. A bracket stays if it was opened in the address. */
function withoutPunctuation(address) {
  let end = address.length;
  let open = count(address, '(') - count(address, ')');
  for (; end > 0; end -= 1) {
    const last = address[end - 1];
    if (last === ')' && open < 0) open += 1;
    else if (!'.,;:!?*…'.includes(last) && last !== ']') break;
  }
  return address.slice(0, end);
}

const count = (text, letter) => text.split(letter).length - 1;

function hrefOf(address) {
  const url = URL.parse?.(complete(address)) ?? parse(complete(address));
  return url && /^https?:$/.test(url.protocol) && url.hostname ? url.href : null;
}

const complete = (address) => (/^www\./iu.test(address) ? `https://${address}` : address);

function parse(address) {
  try {
    return new URL(address);
  } catch {
    return null;
  }
}
