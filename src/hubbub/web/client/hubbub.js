// Hubbub: the browser client. One ES module, no build step, no dependencies; browsers and Node 18 or later.
//
// It is written as a module; everything below the line "// --- exports" is the export statement. The server makes
// /hubbub.global.js, for a plain <script>, from the same file: it wraps what is above that line in a function and sets
// the globals Hubbub and HubbubError. The types are in hubbub.d.ts, what the tests share with other clients in
// tests/vectors.
//
// Contents: errors; commands (API -> wire); replies and events (wire -> API); reconnecting; positions; forms; paging;
// Connection (one WebSocket); Hubbub (what pages use).

// --- errors ----------------------------------------------------------------------------------------------------------

/** What every promise of the client rejects with. `code` is one of the server's error codes. */
class HubbubError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{cause?: unknown}} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = 'HubbubError';
    this.code = code;
  }
}

const invalid = (message, cause) => new HubbubError('INVALID_PARAMETER', message, cause && { cause });
const unavailable = (message) => new HubbubError('UNAVAILABLE', message);
const notConnected = () =>
  new HubbubError('INVALID_REQUEST', 'No realtime connection. Execute connectRealtime() before this method.');

// --- commands: what the API's arguments look like on the wire --------------------------------------------------------

const SUBPROTOCOL = 'hubbub.v1';
const GROUP_FIELDS = ['searchFor', 'value', 'condition', 'range'];
const USER_FIELDS = ['group', 'user_id'];
const POST_FIELDS = ['key', 'min_recipients'];
const FETCH_FIELDS = ['limit', 'startKey', 'ascending', 'fetchMore'];

/** One function per command: arguments in, the command without its `id` out. Checked is what the wire cannot say. */
const commands = {
  connect: (credentials, since) => ({ do: 'connect', ...credentials, ...(since && { since }) }),

  join(params) {
    const { group, since, history } = isObject(params) ? params : { group: params };
    if (group === null || group === undefined || group === '') return { do: 'leave' };
    if (typeof group !== 'string') throw invalid('"group" must be a string or null.');
    return { do: 'join', group, ...(since && { since }), ...(history && { history }) };
  },

  post(message, recipient, options) {
    const { group, user_id } = isObject(recipient) ? recipient : {};
    if (!recipient || (typeof recipient !== 'string' && [group, user_id].every((each) => typeof each !== 'string'))) {
      throw invalid('"recipient" must be the name of a group or a user, { group } or { user_id }.');
    }
    const given = pick('options', POST_FIELDS, options);
    return { do: 'post', to: recipient, message: message === undefined ? null : message, ...given };
  },

  groups: (params, fetchOptions) => listing('groups', GROUP_FIELDS, params, fetchOptions),
  users: (params, fetchOptions) => listing('users', USER_FIELDS, params, fetchOptions),
};

/** The command of a query. `fetchMore` is the client's own business, and `startKey: 'start'` is the same as none. */
function listing(name, fields, params, fetchOptions) {
  const { fetchMore, startKey, ...options } = pick('fetchOptions', FETCH_FIELDS, fetchOptions);
  const from = startKey === undefined || startKey === 'start' ? {} : { startKey };
  return { do: name, ...pick('params', fields, params), ...options, ...from };
}

/** A copy of `given` without the empty fields. A field that is not `known` is a slip, and must not go unnoticed. */
function pick(what, known, given) {
  if (given === undefined || given === null) return {};
  if (!isObject(given)) throw invalid(`"${what}" must be an object.`);
  const stranger = Object.keys(given).find((field) => !known.includes(field));
  if (stranger !== undefined) throw invalid(`"${stranger}" is unknown; "${what}" takes ${known.join(', ')}.`);
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== null));
}

function isObject(value) {
  return typeof value === 'object' && value !== null;
}

/** Command to JSON. What JSON would silently turn into something else (NaN, functions, files) is refused by name. */
function encode(command) {
  try {
    return JSON.stringify(command, refuseForeign);
  } catch (error) {
    if (error instanceof HubbubError) throw error;
    if (error instanceof RangeError) throw new HubbubError('TOO_LARGE', '"message" is nested too deep.');
    throw invalid(`"message" is not JSON: ${error?.message ?? error}`, error);
  }
}

const FOREIGN = /^(Map|Set|WeakMap|WeakSet|Promise|Blob|File|FileList|FormData|ArrayBuffer)$/;

function refuseForeign(key, value) {
  const tag = isObject(value) ? Object.prototype.toString.call(value).slice(8, -1) : '';
  const problem =
    ['function', 'symbol', 'bigint'].includes(typeof value) ? `a ${typeof value}`
    : typeof value === 'number' && !Number.isFinite(value) ? String(value)
    : FOREIGN.test(tag) ? `a ${tag}`
    : null;
  if (problem) throw invalid(`"${key}" is ${problem}, which JSON cannot carry.`);
  return value;
}

/** Put the id into an encoded command: `{"id":7,"do":…}`. */
const withId = (id, body) => `{"id":${id},${body.slice(1)}`;

/** Refuse a message the server would refuse, before a frame so large that it would close the connection is sent. */
function checkSize(command, body, limit) {
  if (body.length * 3 <= limit) return; // a UTF-16 unit is at most 3 bytes of UTF-8
  const rest = byteLength(encode({ ...command, message: 0 })) - 1;
  const message = byteLength(body) - rest;
  const tooLarge = (what, size) => new HubbubError('TOO_LARGE', `${what} has ${size} bytes; ${limit} are allowed.`);
  if (message > limit) throw tooLarge('"message"', message);
  if (rest > limit) throw tooLarge('The command', rest);
}

const byteLength = (text) => new TextEncoder().encode(text).length;

// --- replies and events: what a frame from the server means ----------------------------------------------------------

const isText = (value) => typeof value === 'string';
const isNull = (value) => value === null;
const isFlag = (value) => typeof value === 'boolean';
const isRecord = (value) => isObject(value) && !Array.isArray(value);
const optional = (check) => (value) => value === undefined || check(value);
const nullable = (check) => (value) => value === null || check(value);
const isPosition = record({ epoch: isText, seq: Number.isSafeInteger });
const isAnything = (value) => value !== undefined;
const listOf = (check) => (value) => Array.isArray(value) && value.every(check);
const isPage = (row) => record({
  list: listOf(row), startKey: (key) => key === 'end' || isRecord(key), endOfList: isFlag,
});

/** The fields of an object that we rely on; others may be there, for later servers may say more. */
function record(fields) {
  return (value) => isRecord(value) && misfit(fields, value) === undefined;
}

/** The name of the first field that is missing or of the wrong type. */
const misfit = (fields, value) => Object.keys(fields).find((name) => !fields[name](value[name]));

/** What an event must have, by `type`. */
const EVENTS = {
  message: {
    message: isAnything, sender: isText, sender_cid: nullable(isText), sender_rid: isText,
    code: optional(isNull), seq: Number.isSafeInteger,
  },
  private: {
    message: isAnything, sender: isText, sender_cid: nullable(isText),
    sender_rid: optional(isNull), code: optional(isNull), seq: optional(Number.isSafeInteger),
  },
  notice: {
    message: isText, sender: isText, sender_cid: isText, sender_rid: isText, code: isText,
    user_connections: Number.isSafeInteger,
  },
  gap: { sender_rid: nullable(isText), position: isPosition },
  restart: { after: Number.isFinite, ticket: optional(isText), message: optional(isText) },
};

/** What the client says itself, and no server can say for it. */
const OWN_EVENTS = ['success', 'reconnect', 'close', 'error'];

const SUCCESS = { message: isText, type: optional((type) => type === 'success') };

/** What the answer to a command must have, by the command's `do`. */
const ANSWERS = {
  connect: record({
    user_id: isText, connection_id: isText, node: isText, ping: Number.isFinite, max_message: Number.isSafeInteger,
    expires: optional(nullable(Number.isFinite)), inbox: optional(isPosition),
    replayed: optional(Number.isSafeInteger), gap: optional(isFlag),
  }),
  join: record({
    ...SUCCESS, position: optional(nullable(isPosition)), replayed: optional(Number.isSafeInteger), gap: optional(isFlag),
  }),
  leave: record({ message: isText }),
  post: record({ ...SUCCESS, recipients: Number.isSafeInteger }),
  groups: isPage(record({
    group: isText, number_of_users: Number.isSafeInteger, number_of_connections: Number.isSafeInteger,
  })),
  users: isPage(record({ user_id: isText, connection_id: isText })),
};

const UNREADABLE = 'UNREADABLE'; // the code of an error event that stands in place of a frame from the server
const unreadable = (why) =>
  ({ event: { type: 'error', code: UNREADABLE, message: `A frame from the server cannot be read: ${why}.` } });
const notUnderstood = (why) => new HubbubError('INTERNAL', `The server's answer is not understood: ${why}.`);

/**
 * Read one frame. Whatever it is, nothing is thrown.
 *
 * @param {string} text
 * @returns {{id: number, result: object} | {id: number, error: HubbubError} | {event: object} | null} null for what is
 *   no frame of this protocol; it is ignored, so that later servers may say more. An event with the code `UNREADABLE`
 *   for what is not JSON, or an event of a known type with a field missing or wrong.
 */
function readFrame(text) {
  if (typeof text !== 'string') return unreadable('it is binary');
  let frame;
  try {
    frame = JSON.parse(text);
  } catch (error) {
    return unreadable(error.message);
  }
  if (!isRecord(frame)) return null;
  const { id, error, type } = frame;
  if (error !== undefined && error !== null) return readError(id, error);
  if (Number.isSafeInteger(id) && 'ok' in frame) return { id, result: frame.ok };
  if (typeof type !== 'string') return null;
  if (OWN_EVENTS.includes(type)) return unreadable(`"${type}" is not for a server to say`);
  const wrong = Object.hasOwn(EVENTS, type) ? misfit(EVENTS[type], frame) : undefined;
  return wrong === undefined ? { event: frame } : unreadable(`in "${type}", "${wrong}" is missing or wrong`);
}

function readError(id, error) {
  const { code, message } = error;
  const fits = isText(code) && isText(message);
  if (Number.isSafeInteger(id)) return { id, error: fits ? new HubbubError(code, message) : notUnderstood('"error"') };
  // Without an id the server could not tell which command was wrong.
  return fits ? { event: { type: 'error', code, message } } : unreadable('"error" is wrong');
}

// --- reconnecting ----------------------------------------------------------------------------------------------------

const BACKOFF_BASE = 0.5;
const BACKOFF_CAP = 30;
const STEADY_MS = 5_000; // a connection that lived this long makes the next retry a quick one again
const TOKEN_EXPIRED = 4002;

/** Close codes after which connecting again cannot help: the server's table, tests/vectors/close_codes.json. */
const FINAL_CLOSE_CODES = [1000, 1002, 1003, 1007, 1009, 4003, 4004];
const TEMPORARY_ERRORS = ['UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL'];

/** Seconds before retry number `attempt`, counted from 0. Full jitter: a restarted server is not stormed in step. */
function backoff(attempt, random) {
  return random * Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** attempt);
}

/**
 * Seconds to wait before connecting again after an end with `code`. The first time after a steady connection: what the
 * server said with its `restart`, if it did, since it spreads the clients that it sends away; or nothing when all it
 * takes is a new token. Otherwise `backoff`, and no less than what the server said: a server that sends clients away
 * again and again is not connected to any faster than one that does not answer.
 */
function retryDelay(code, attempt, random, told = null) {
  const least = Number.isFinite(told) ? Math.min(Math.max(told, 0), BACKOFF_CAP) : null;
  if (attempt === 0 && least !== null) return least;
  if (attempt === 0 && code === TOKEN_EXPIRED) return 0;
  return Math.max(backoff(attempt, random), least ?? 0);
}

const PING_FLOOR = 1;
const PING_CAP = 300;

/** Seconds between looks at whether the server is silent: its `ping`, within limits that keep probes rare but coming. */
function watchInterval(ping) {
  return Math.min(Math.max(ping, PING_FLOOR), PING_CAP);
}

/**
 * Whether to connect again after a connection ended, or was refused, with `code`.
 *
 * @param {number | string} code  a close code, or the error code of the refusal
 * @param {boolean} renewable  whether the next attempt brings a new token
 */
function comesBack(code, renewable) {
  if (typeof code === 'number') return !FINAL_CLOSE_CODES.includes(code);
  return TEMPORARY_ERRORS.includes(code) || (code === 'UNAUTHORIZED' && renewable);
}

/**
 * Seconds until a new token should be asked for: a minute before the end, or after four fifths of a short life. None
 * when it ends at once or, by this machine's clock, has ended: then the server's close (4002) decides.
 *
 * @param {number | null | undefined} expires  Unix time, seconds
 * @param {number} now  Unix time, seconds
 * @returns {number | null}
 */
function refreshIn(expires, now) {
  if (typeof expires !== 'number' || expires - now <= 1) return null;
  const left = expires - now;
  return Math.min(Math.max(left * 0.8, left - 60), 2_000_000); // setTimeout cannot wait longer than 24 days
}

/** The address of the WebSocket that belongs to a server's address; the page's own server when there is none. */
function socketUrl(url) {
  const page = globalThis.location?.href;
  let address;
  try {
    address = new URL(url ?? '/', page);
  } catch (error) {
    throw invalid(url ? `"${url}" is not a URL.` : 'Outside of a web page, new Hubbub(url) needs a URL.', error);
  }
  const protocol = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' }[address.protocol];
  if (!protocol) throw invalid(`"${address.href}" does not start with http, https, ws or wss.`);
  address.protocol = protocol;
  address.hash = '';
  if (!address.pathname.endsWith('/v1/connect')) address.pathname = address.pathname.replace(/\/?$/, '/v1/connect');
  return address.href;
}

// --- positions: how far we have listened -----------------------------------------------------------------------------

/**
 * Stands between the connection and the page: drops what the page has had, and says where something is missing. It must
 * see answers and events in the order in which they came.
 */
class Places {
  group = null; // the joined group,
  position = null; // that of its last message that we have heard,
  inbox = null; // and that of the last private message
  #emit;

  constructor(emit) {
    this.#emit = emit;
  }

  /** Take in the answer to `connect`; one that only renewed the token says nothing of the inbox. */
  welcomed({ inbox, replayed, gap }) {
    if (!inbox) return;
    const begin = before(inbox, replayed);
    if (gap) this.#emit(gapEvent(null, this.inbox, begin));
    this.inbox = begin;
  }

  /** Take in the answer to joining `group` with `since`, or to leaving. */
  joined({ group = null, since = null }, { position, replayed, gap }) {
    this.group = group;
    this.position = position ? before(position, replayed) : null;
    if (gap) this.#emit(gapEvent(group, since, this.position));
  }

  forgetGroup() {
    this.group = this.position = null;
  }

  /** Hand on an event, unless the page has had it; say before it if something is missing. */
  hear(event) {
    const { type, seq } = event;
    if (type === 'gap') return this.#lost(event);
    const where = type === 'message' && event.sender_rid === this.group ? 'position' : type === 'private' ? 'inbox' : null;
    const last = where && this[where];
    if (last && seq) {
      if (seq <= last.seq) return;
      if (seq > last.seq + 1) this.#emit(gapEvent(event.sender_rid, last, { ...last, seq: seq - 1 }));
      this[where] = { ...last, seq };
    }
    this.#emit(event);
  }

  /** The server has lost messages that we were to hear. */
  #lost({ sender_rid: group, position }) {
    const where = group === null ? 'inbox' : 'position';
    if (group !== null && group !== this.group) return;
    this.#emit(gapEvent(group, this[where], position));
    this[where] = position;
  }
}

/** The position behind which `number` messages lead to `position`. */
const before = ({ epoch, seq }, number = 0) => ({ epoch, seq: seq - number });

function gapEvent(group, since, position) {
  const missed = since?.epoch === position.epoch ? position.seq - since.seq : null;
  return { type: 'gap', message: 'Messages are missing here.', group: group ?? null, since, position, missed };
}

// --- forms: what an HTML form says as JSON ---------------------------------------------------------------------------

const isA = (value, name) => typeof globalThis[name] === 'function' && value instanceof globalThis[name];
const CONTROLS = ['HTMLInputElement', 'HTMLSelectElement', 'HTMLTextAreaElement'];
const isControl = (value) => CONTROLS.some((name) => isA(value, name));

/**
 * Turn a form, its submit event, one of its controls or a FormData into an object; give back everything else as it is.
 * Of an event, the browser's own handling (loading a new page) is prevented.
 */
function fromForm(value) {
  if (isA(value, 'Event')) {
    value.preventDefault();
    return fromForm(isA(value.target, 'HTMLFormElement') ? readForm(value.target, value.submitter) : value.target);
  }
  if (isA(value, 'HTMLFormElement')) return readForm(value);
  if (isControl(value)) return collect(fieldsOf(value));
  if (isA(value, 'FormData')) return collect([...value].filter(([name, entry]) => !isEmptyFile(name, entry)));
  return value;
}

function readForm(form, submitter) {
  // form.elements itself would give the control that is named "elements", if there is one.
  const elements = [...Reflect.get(HTMLFormElement.prototype, 'elements', form)];
  const taking = elements.filter((each) => !each.matches(':disabled') && (isControl(each) || each === submitter));
  return collect(taking.flatMap((each) => fieldsOf(each, submitter)));
}

/** The [name, value] pairs that a control adds: none, one, or one for each selected option. */
function fieldsOf(control, submitter) {
  const { name, type, value } = control;
  if (!name) return [];
  switch (type) {
    case 'submit': case 'image': case 'button': case 'reset':
      return control === submitter ? [[name, value]] : [];
    case 'number': case 'range':
      return value === '' ? [] : [[name, Number(value)]];
    case 'checkbox':
      if (value === 'on' || value === 'true' || value === '') return [[name, control.checked]];
      if (value === 'false') return [[name, !control.checked]];
      return control.checked ? [[name, value]] : [];
    case 'radio':
      if (!control.checked) return [];
      return [[name, value === 'on' || value === 'true' ? true : value === 'false' ? false : value]];
    case 'file':
      if (control.files.length) throw noFiles(name);
      return [];
    case 'select-multiple':
      return [[name, [...control.selectedOptions].map((option) => option.value)]];
    default:
      return [[name, value]];
  }
}

const noFiles = (name) => invalid(`"${name}" is a file, which cannot be sent as a realtime message.`);

/** What FormData holds for a file input without a file; a real file is refused. */
function isEmptyFile(name, entry) {
  if (typeof entry === 'string') return false;
  if (entry.size || entry.name) throw noFiles(name);
  return true;
}

/** Build an object from [name, value] pairs: `a[b]` nests, `a[0]` and `a[]` make arrays, a repeated name an array. */
function collect(pairs) {
  const data = Object.create(null); // no prototype: a name can neither reach nor hide anything
  for (const [name, value] of pairs) insert(data, name, value);
  return data;
}

const MAX_INDEX = 1000;

function insert(data, name, value) {
  const path = name.split('[').map((part, depth) => (depth ? part.replace(/\]$/, '') : part));
  let place = data;
  path.forEach((part, depth) => {
    const key = keyFor(place, part.replace(/^(["'])(.*)\1$/, '$2'), name);
    if (depth < path.length - 1) {
      if (!Object.hasOwn(place, key)) place[key] = /^\d*$/.test(path[depth + 1]) ? [] : Object.create(null);
      place = place[key];
      if (!isObject(place)) throw invalid(`"${name}" goes inside a field that has a value of its own.`);
    } else if (!Object.hasOwn(place, key)) {
      place[key] = value;
    } else {
      place[key] = [].concat(place[key], value);
    }
  });
}

function keyFor(place, part, name) {
  if (part === '__proto__') throw invalid(`"${name}" is not allowed as the name of a field.`);
  if (!Array.isArray(place)) return part;
  const index = part === '' ? place.length : Number(part);
  if (!Number.isInteger(index)) throw invalid(`"${name}" names a field of what is an array.`);
  if (index < 0 || index >= MAX_INDEX) throw invalid(`"${name}" has an index outside 0 to ${MAX_INDEX - 1}.`);
  return index;
}

// --- paging: where a listing stopped ---------------------------------------------------------------------------------

const MAX_QUERIES = 100;

/** Remembers, per query, the start keys that came so far (`startKeyHistory`), so that `fetchMore` can go on. */
class Pages {
  #queries = new Map(); // in order of use: the first is the one to forget

  /** The record of a query, a new one unless it `goesOn`. */
  open(key, goesOn) {
    const query = (goesOn && this.#queries.get(key)) || { history: [], busy: null };
    this.#queries.delete(key);
    this.#queries.set(key, query);
    if (this.#queries.size > MAX_QUERIES) this.#queries.delete(this.#queries.keys().next().value);
    return query;
  }

  clear() {
    this.#queries.clear();
  }
}

/** The next page of `query`, which `ask` gets from the server. After the last page there is nothing to ask. */
async function nextPage(query, command, ask) {
  const last = query.history.at(-1);
  if (last === 'end') return { list: [], startKey: 'end', endOfList: true, startKeyHistory: [...query.history] };
  const page = await ask(last === undefined ? command : { ...command, startKey: JSON.parse(last) });
  query.history.push(page.startKey === 'end' ? 'end' : JSON.stringify(page.startKey));
  return { ...page, startKeyHistory: [...query.history] };
}

// --- one connection --------------------------------------------------------------------------------------------------

/** One WebSocket: numbers commands, matches replies, hands on events. It knows nothing of tokens or reconnecting. */
class Connection {
  opened = deferred();
  ended = deferred(); // resolves with {code, reason}; never rejects
  end = null; // the same, once it has ended
  heard = true; // set by every frame, cleared by who watches
  #socket;
  #lastId = 0;
  #calls = new Map();
  #unreadable = 0;

  constructor(WebSocket, url, onEvent) {
    this.#socket = new WebSocket(url, SUBPROTOCOL, { maxPayload: MAX_FRAME }); // the package "ws" takes the third
    this.#socket.onopen = () => this.opened.resolve();
    this.#socket.onmessage = ({ data }) => this.#receive(data, onEvent);
    this.#socket.onclose = ({ code, reason }) => this.#over(code, String(reason));
    this.#socket.onerror = () => {}; // a close follows, and says more
  }

  /**
   * Send an encoded command; `call` is settled by the reply, which must be one that `fits`. Its `heard`, if any, is told
   * of it before anything that came behind it. When the connection ends first, `call` is rejected, unless it is marked `again`: then its owner
   * sends it anew.
   */
  request(body, call) {
    if (this.end) return Promise.reject(unavailable(lostText(this.end)));
    if (this.#socket.bufferedAmount > MAX_UNSENT) {
      call.reject(unavailable('The server does not read: what was said before still waits to be sent.'));
      return call.promise;
    }
    const id = (this.#lastId += 1);
    this.#calls.set(id, call);
    call.forget = () => this.#calls.delete(id);
    this.#socket.send(withId(id, body));
    return call.promise;
  }

  /** Say goodbye, and wait for the other side to do the same. */
  async close() {
    this.#socket.close(1000);
    await within(CLOSE_TIMEOUT_MS, this.ended.promise, 'closing').catch(() => this.drop('closed'));
  }

  /** Give the connection up without waiting for the other side, which may be long gone. */
  drop(reason) {
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#over(1006, reason);
  }

  /** Take in a frame. A server that keeps sending what cannot be read is given up; nothing is thrown. */
  #receive(data, onEvent) {
    this.heard = true;
    if (data.length > MAX_FRAME) return this.drop(`a frame of more than ${MAX_FRAME} characters`);
    const frame = readFrame(data);
    if (!frame) return;
    if (frame.event?.code === UNREADABLE && (this.#unreadable += 1) > MAX_UNREADABLE) {
      this.drop(`more than ${MAX_UNREADABLE} frames that cannot be read`);
    } else if (frame.event) onEvent(frame.event);
    else this.#answer(frame);
  }

  #answer({ id, result, error }) {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (!call) return;
    if (error) return call.reject(error);
    if (!call.fits(result)) return call.reject(notUnderstood('a field is missing or wrong'));
    call.heard?.(result);
    call.resolve(result);
  }

  #over(code, reason) {
    if (this.end) return;
    this.end = { code, reason };
    const lost = unavailable(lostText(this.end));
    this.opened.reject(lost);
    for (const call of this.#calls.values()) if (!call.again) call.reject(lost);
    this.#calls.clear();
    this.ended.resolve(this.end);
  }
}

const CLOSE_TIMEOUT_MS = 3_000;
const MAX_FRAME = 16 * 1024 * 1024; // of a frame from the server; a page of 1,000 long names has about 4 MiB
const MAX_UNSENT = 16 * 1024 * 1024; // bytes that wait because the server does not read
const MAX_UNREADABLE = 100; // frames of one connection

const lostText = ({ code, reason }) =>
  `The connection was lost before the answer came (${reason ? `${code}: ${reason}` : code}).`;

function deferred() {
  const it = {};
  it.promise = new Promise((resolve, reject) => Object.assign(it, { resolve, reject }));
  it.promise.catch(() => {}); // whoever waits for it sees the error; nobody has to
  return it;
}

/** A call of `command`, to be settled by its answer. */
const callOf = (command, more) => Object.assign(deferred(), { command, fits: ANSWERS[command.do], ...more });

/** The same promise, but rejected with UNAVAILABLE when it takes longer than `ms`. */
function within(ms, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(unavailable(`No answer within ${ms / 1000} s (${what}).`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A name that no other client has: 96 random bits. `crypto` is missing in Node 18 and on pages without TLS. */
function randomName() {
  const words = globalThis.crypto?.getRandomValues?.(new Uint32Array(3)) ?? [0, 0, 0].map(() => Math.random() * 2 ** 32);
  return [...words].map((word) => Math.floor(word).toString(36)).join('');
}

async function findWebSocket() {
  if (globalThis.WebSocket) return globalThis.WebSocket;
  const name = globalThis.process?.versions?.node && 'ws'; // no constant: bundlers would look for the package
  const found = await import(/* @vite-ignore */ /* webpackIgnore: true */ /* turbopackIgnore: true */ name).catch((error) => {
    const text = 'There is no WebSocket here: npm install ws, or pass new Hubbub(url, { WebSocket }).';
    throw new HubbubError('INVALID_REQUEST', text, { cause: error });
  });
  return found.default;
}

// --- the client ------------------------------------------------------------------------------------------------------

const MAX_CALLS = 1000;

/** A client of one Hubbub server. See hubbub.d.ts for what the methods take and give. */
class Hubbub {
  #url;
  #options;
  #timeout;
  #callback = null;
  #run = null; // from connectRealtime() to its end: {connected: deferred, over, since, connection}
  #connection = null; // the connection, once identified and back in its group
  #welcome = null;
  #places = new Places((event) => this.#emit(event));
  #session = randomName();
  #posts = 0;
  #calls = new Set(); // not answered yet, in the order in which they were made
  #pages = new Pages();
  #wake = null; // ends the wait before the next attempt
  #restart = null; // the server has told us to come back
  #ticket = null; // from then on, until it was used

  constructor(url, options = {}) {
    if (isObject(url) && !isA(url, 'URL')) [url, options] = [undefined, url];
    const { token, guest, timeout = 10_000 } = options;
    this.#url = socketUrl(url);
    if ((token === undefined) === (guest === undefined)) throw invalid('new Hubbub() needs either "token" or "guest".');
    if (!(timeout > 0)) throw invalid('"timeout" must be a positive number of milliseconds.');
    this.#options = options;
    this.#timeout = timeout;
  }

  get state() {
    if (!this.#run) return 'closed';
    return this.#connection ? 'connected' : this.#welcome ? 'reconnecting' : 'connecting';
  }

  get user_id() {
    return this.#welcome?.user_id ?? null;
  }

  get connection_id() {
    return this.#connection ? this.#welcome.connection_id : null;
  }

  get group() {
    return this.#places.group;
  }

  get position() {
    return this.#places.position && { ...this.#places.position };
  }

  async connectRealtime(callback) {
    if (callback !== undefined && typeof callback !== 'function') throw invalid('"callback" must be a function.');
    if (callback) this.#callback = callback;
    if (!this.#run) {
      this.#run = { connected: deferred(), over: false, since: Infinity, connection: null };
      globalThis.addEventListener?.('online', this.#online);
      this.#keepConnected(this.#run);
    }
    await this.#run.connected.promise;
    return { ...this.#welcome };
  }

  async closeRealtime() {
    const run = this.#run;
    if (run) await this.#finish(run, 1000, unavailable('The connection was closed by closeRealtime().'));
  }

  async joinRealtime(params) {
    return this.#join(commands.join(fromForm(params)));
  }

  async postRealtime(message, recipient, options) {
    const key = `${this.#session}.${(this.#posts += 1)}`; // sent again, it is the same post
    return this.#call(commands.post(fromForm(message), recipient, { key, ...options }));
  }

  async getRealtimeGroups(params, fetchOptions) {
    return this.#list(commands.groups(fromForm(params), fetchOptions), fetchOptions);
  }

  async getRealtimeUsers(params, fetchOptions) {
    const command = commands.users(fromForm(params), fetchOptions);
    return this.#list(command, fetchOptions, command.group ?? this.#places.group);
  }

  // --- calls ---

  /** Send a command now or when connected, and wait for its reply. */
  async #call(command, heard) {
    const call = callOf(command, { body: encode(command), again: true, heard });
    if (!this.#run) throw notConnected();
    if (this.#calls.size >= MAX_CALLS) {
      throw new HubbubError('RATE_LIMITED', `More than ${MAX_CALLS} calls wait for their answers.`);
    }
    this.#calls.add(call);
    if (this.#connection) this.#send(call);
    try {
      return await within(this.#timeout, call.promise, command.do);
    } finally {
      this.#calls.delete(call);
      call.forget?.();
    }
  }

  #join(command) {
    return this.#call(command, (reply) => this.#places.joined(command, reply));
  }

  #send(call) {
    try {
      checkSize(call.command, call.body, this.#welcome.max_message);
      this.#connection.request(call.body, call);
    } catch (error) {
      call.reject(error);
    }
  }

  /** One page of a listing. Pages of one query come one after the other, however fast they are asked for. */
  #list(command, fetchOptions, scope = null) {
    const goesOn = Boolean(fetchOptions?.fetchMore) && fetchOptions.startKey !== 'start';
    const query = this.#pages.open(JSON.stringify([command, scope]), goesOn);
    const next = () => nextPage(query, command, (asked) => this.#call(asked));
    const page = query.busy ? query.busy.then(next, next) : next();
    query.busy = page;
    const done = () => query.busy === page && (query.busy = null);
    page.then(done, done);
    return page;
  }

  // --- the life of a connection, and the next one ---

  async #keepConnected(run) {
    for (let attempt = 0; !run.over; attempt += 1) {
      run.since = Infinity;
      const { code, reason, error } = await this.#stayConnected(run);
      if (run.over) return;
      const renewable = typeof this.#options.token === 'function' && Boolean(this.#welcome);
      if (!comesBack(code, renewable)) {
        const why = error ?? unavailable(`The server closed the connection (${code}: ${reason}).`);
        this.#emit({ type: 'error', code, message: why.message });
        this.#finish(run, code, why);
        return;
      }
      if (Date.now() - run.since >= STEADY_MS) attempt = 0;
      const delay = 1000 * retryDelay(code, attempt, Math.random(), this.#restart?.after);
      this.#restart = null;
      this.#emit({ type: 'reconnect', message: 'Reconnecting to WebSocket server...', code, reason, delay });
      if (!run.over) await this.#wait(delay);
    }
  }

  /** Connect, identify, go back to the group, and stay until it ends. Returns the end; never throws. */
  async #stayConnected(run) {
    let connection = null;
    try {
      const WebSocket = this.#options.WebSocket ?? (await findWebSocket());
      const credentials = this.#ticket === null ? await this.#credentials() : { ticket: this.#ticket };
      if (run.over) return {};
      connection = run.connection = this.#open(WebSocket, run);
      await within(this.#timeout, connection.opened.promise, 'opening the connection');
      const welcome = await this.#enter(connection, credentials);
      await this.#rejoin(connection);
      if (!connection.end && !run.over) this.#ready(run, connection, welcome);
      return await connection.ended.promise;
    } catch (error) {
      if (connection?.end) return connection.end;
      connection?.drop('refused');
      if (error instanceof HubbubError) return { code: error.code, reason: error.message, error };
      report(error); // a mistake of this client; the next attempt may do better
      return { code: 'INTERNAL', reason: `The client failed: ${error}` };
    } finally {
      if (this.#run === run) this.#connection = null;
    }
  }

  #open(WebSocket, run) {
    try {
      return new Connection(WebSocket, this.#url, (event) => run.over || this.#hear(event));
    } catch (error) {
      throw new HubbubError('INVALID_REQUEST', `Cannot open ${this.#url}: ${error.message}`, { cause: error });
    }
  }

  async #credentials() {
    const { token, guest } = this.#options;
    if (guest !== undefined) return { guest };
    if (typeof token !== 'function') return { token };
    try {
      return { token: await within(this.#timeout, (async () => token())(), 'the token function') };
    } catch (error) {
      throw new HubbubError('UNAUTHORIZED', `The token function failed: ${error?.message ?? error}`, { cause: error });
    }
  }

  /** Say who we are; with a token after all, if a ticket is not taken. */
  async #enter(connection, credentials) {
    this.#ticket = null;
    try {
      return await within(this.#timeout, this.#identify(connection, credentials), 'connect');
    } catch (error) {
      if (credentials.ticket === undefined || error.code !== 'UNAUTHORIZED') throw error;
    }
    return within(this.#timeout, this.#identify(connection, await this.#credentials()), 'connect');
  }

  #hear(event) {
    if (event.type !== 'restart') return this.#places.hear(event);
    this.#restart = event;
    this.#ticket = event.ticket ?? null;
  }

  #identify(connection, credentials) {
    const command = commands.connect(credentials, this.#places.inbox);
    const call = callOf(command, { heard: (welcome) => this.#places.welcomed(welcome) });
    return connection.request(encode(command), call);
  }

  async #rejoin(connection) {
    const { group, position: since } = this.#places;
    if (group === null) return;
    const command = commands.join({ group, since });
    const call = callOf(command, { heard: (reply) => this.#places.joined(command, reply) });
    try {
      await within(this.#timeout, connection.request(encode(command), call), 'join');
    } catch (error) {
      if (connection.end || TEMPORARY_ERRORS.includes(error.code)) throw error;
      this.#places.forgetGroup(); // no longer allowed: the connection is of use all the same
      this.#emit({ type: 'error', code: error.code, message: error.message });
    }
  }

  #ready(run, connection, welcome) {
    run.since = Date.now();
    this.#connection = connection;
    this.#welcome = welcome;
    this.#watch(connection, watchInterval(welcome.ping) * 1000);
    this.#renewToken(connection, welcome.expires);
    run.connected.resolve();
    for (const call of this.#calls) this.#send(call);
    this.#emit({ type: 'success', message: 'Connected to WebSocket server.' });
  }

  /** End for good: nothing waits any more, nothing comes back, nothing is remembered. */
  async #finish(run, code, error) {
    if (run.over) return; // by a callback that was just told why
    run.over = true;
    this.#run = this.#connection = this.#welcome = this.#restart = this.#ticket = null;
    this.#places = new Places((event) => this.#emit(event));
    this.#pages.clear();
    globalThis.removeEventListener?.('online', this.#online);
    this.#wake?.();
    run.connected.reject(error);
    for (const call of this.#calls) call.reject(error);
    const closed = run.connection?.end ? null : run.connection?.close();
    this.#emit({ type: 'close', code, message: 'WebSocket connection closed.' });
    await closed;
  }

  // --- what happens while connected, or while waiting to be ---

  /** Browsers hide the server's pings. So after two silent intervals ask for something cheap: any answer will do. */
  #watch(connection, interval) {
    let silent = 0;
    const timer = setInterval(() => {
      silent = connection.heard ? 0 : silent + 1;
      connection.heard = false;
      if (silent === 2) this.#probe(connection);
    }, interval);
    connection.ended.promise.then(() => clearInterval(timer));
  }

  #probe(connection) {
    const command = commands.users({}, { limit: 1 });
    const answered = connection.request(encode(command), callOf(command)).catch(() => {});
    within(this.#timeout, answered, 'probe').catch(() => connection.drop('the server is silent'));
  }

  #renewToken(connection, expires) {
    const delay = refreshIn(expires, Date.now() / 1000);
    if (delay === null || typeof this.#options.token !== 'function') return;
    const timer = setTimeout(async () => {
      try {
        const credentials = await this.#credentials();
        const renewed = this.#identify(connection, credentials);
        expires = (await within(this.#timeout, renewed, 'connect')).expires;
      } catch (error) {
        if (!connection.end) this.#emit({ type: 'error', code: error.code, message: error.message });
      }
      if (!connection.end) this.#renewToken(connection, expires); // sooner and sooner, if it failed
    }, delay * 1000);
    connection.ended.promise.then(() => clearTimeout(timer));
  }

  #wait(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** The network is back, perhaps another one: connect now, or find out whether the connection survived. */
  #online = () => {
    if (this.#connection) this.#probe(this.#connection);
    else this.#wake?.();
  };

  /** Tell the page. What goes wrong there, at once or in a promise, is reported and changes nothing here. */
  #emit(event) {
    const callback = this.#callback;
    if (callback) (async () => callback(event))().catch(report);
  }
}

/** Say what went wrong in the page's own code; not even an error that cannot be shown does harm. */
function report(error) {
  try {
    (globalThis.reportError ?? console.error)(error);
  } catch {
    console.error('Hubbub: a callback failed with something that cannot be shown.');
  }
}

// --- exports (the server cuts here for /hubbub.global.js) ------------------------------------------------------------
// Pages need the first two. The rest is for the tests, and may change.
export { Hubbub, HubbubError };
export { ANSWERS, Pages, Places, backoff, collect, comesBack, commands, encode, nextPage, readFrame, refreshIn, retryDelay, socketUrl, watchInterval, withId };
