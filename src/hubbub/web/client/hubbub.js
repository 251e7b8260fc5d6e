// Hubbub: the browser client. One ES module, no build step, no dependencies; browsers and Node 18 or later.
//
// It is written as a module; everything below the line "// --- exports" is the export statement. The server makes
// /hubbub.global.js, for a plain <script>, from the same file: it wraps what is above that line in a function and sets
// the globals Hubbub and HubbubError. The types are in hubbub.d.ts; the test vectors that all clients share are in
// tests/vectors.
//
// Contents: errors; commands (API -> wire); replies and events (wire -> API); reconnect policy; positions; live queries;
// forms; paging; Connection (one WebSocket); ReconnectingConnection; Hubbub (what pages use). The Python client has the
// same classes.

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
  new HubbubError('INVALID_REQUEST', 'No realtime connection. Call connectRealtime() before this method.');

// --- commands: what the API's arguments look like on the wire --------------------------------------------------------

const SUBPROTOCOL = 'hubbub.v1';
const GROUP_FIELDS = ['searchFor', 'value', 'condition', 'range'];
const USER_FIELDS = ['group', 'user_id'];
const POST_FIELDS = ['key', 'min_recipients', 'keep', 'echo'];
const FETCH_FIELDS = ['limit', 'startKey', 'ascending', 'fetchMore'];
const WATCH_FIELDS = ['limit', 'startKey', 'ascending', 'every'];

/**
 * One function per command: arguments in, the command without its `id` out. They check only what the server could not
 * check, because the command would not show it.
 */
const commands = {
  connect: (credentials, since) => ({ do: 'connect', ...credentials, ...(since && { since }) }),

  join(params) {
    const { group, since, history, notices, invisible } = isObject(params) ? params : { group: params };
    if (group === null || group === undefined || group === '') return { do: 'leave' };
    if (typeof group !== 'string') throw invalid('"group" must be a string, or null to leave the group.');
    return {
      do: 'join', group, ...(since && { since }), ...(history && { history }),
      ...(notices === false && { notices }), ...(invisible && { invisible }),
    };
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

  watchGroups: (params, options) => watching('groups', [...GROUP_FIELDS, 'groups'], params, options),
  watchUsers: (params, options) => watching('users', USER_FIELDS, params, options),
  unwatch: (watch) => ({ do: 'unwatch', watch }),
};

function watching(what, fields, params, options) {
  const { do: _, ...query } = listing(what, fields, params, pick('options', WATCH_FIELDS, options), WATCH_FIELDS);
  return { do: 'watch', what, ...query };
}

/** The command of a query. `fetchMore` is not sent, and `startKey: 'start'` is the same as none. */
function listing(name, fields, params, fetchOptions, known = FETCH_FIELDS) {
  const { fetchMore, startKey, ...options } = pick('fetchOptions', known, fetchOptions);
  const from = startKey === undefined || startKey === 'start' ? {} : { startKey };
  return { do: name, ...pick('params', fields, params), ...options, ...from };
}

/** A copy of `given` without the empty fields. A field that is not `known` is an error, so a typo never lists everything. */
function pick(what, known, given) {
  if (given === undefined || given === null) return {};
  if (!isObject(given)) throw invalid(`"${what}" must be an object.`);
  const unknown = Object.keys(given).find((field) => !known.includes(field));
  if (unknown !== undefined) throw invalid(`"${unknown}" is unknown; "${what}" takes ${known.join(', ')}.`);
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== null));
}

function isObject(value) {
  return typeof value === 'object' && value !== null;
}

/** Command to JSON. Values that JSON would silently change (NaN, functions, files) are rejected; the error names them. */
function encode(command) {
  try {
    return JSON.stringify(command, rejectNonJson);
  } catch (error) {
    if (error instanceof HubbubError) throw error;
    if (error instanceof RangeError) throw new HubbubError('TOO_LARGE', '"message" is nested too deep.');
    throw invalid(`"message" is not JSON: ${error?.message ?? error}`, error);
  }
}

const NOT_JSON = /^(Map|Set|WeakMap|WeakSet|Promise|Blob|File|FileList|FormData|ArrayBuffer)$/;

function rejectNonJson(key, value) {
  const tag = isObject(value) ? Object.prototype.toString.call(value).slice(8, -1) : '';
  const problem =
    ['function', 'symbol', 'bigint'].includes(typeof value) ? `a ${typeof value}`
    : typeof value === 'number' && !Number.isFinite(value) ? String(value)
    : NOT_JSON.test(tag) ? `a ${tag}`
    : null;
  if (problem) throw invalid(`"${key}" is ${problem}, which JSON cannot represent.`);
  return value;
}

/** Put the id into an encoded command: `{"id":7,"do":…}`. */
const withId = (id, body) => `{"id":${id},${body.slice(1)}`;

/** Throw `TOO_LARGE` before sending a frame that is over the server's limit: it would close the connection. */
function checkSize(command, body, limit) {
  if (body.length * 3 <= limit) return; // a UTF-16 unit is at most 3 bytes of UTF-8
  const rest = byteLength(encode({ ...command, message: 0 })) - 1;
  const message = byteLength(body) - rest;
  const tooLarge = (what, size) => new HubbubError('TOO_LARGE', `${what} has ${size} bytes; at most ${limit} are allowed.`);
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

/** A check of the fields that we rely on. Other fields may be there: later servers may send more. */
function record(fields) {
  return (value) => isRecord(value) && invalidField(fields, value) === undefined;
}

/** The name of the first field that is missing or of the wrong type. */
const invalidField = (fields, value) => Object.keys(fields).find((name) => !fields[name](value[name]));

const GROUP_ROW = { group: isText, number_of_users: Number.isSafeInteger, number_of_connections: Number.isSafeInteger };
const USER_ROW = { user_id: isText, connection_id: isText };
const isChangeOf = (row) => ({
  watch: Number.isSafeInteger, set: optional(listOf(row)), gone: optional(listOf(isText)), list: optional(listOf(row)),
  count: nullable(Number.isSafeInteger),
});

/** The fields of an event, by `type`. */
const EVENTS = {
  message: {
    message: isAnything, sender: isText, sender_cid: nullable(isText), sender_rid: isText,
    code: optional(isNull), seq: nullable(Number.isSafeInteger),
  },
  private: {
    message: isAnything, sender: isText, sender_cid: nullable(isText),
    sender_rid: optional(isNull), code: optional(isNull), seq: optional(nullable(Number.isSafeInteger)),
  },
  notice: {
    message: isText, sender: isText, sender_cid: isText, sender_rid: isText, code: isText,
    user_connections: Number.isSafeInteger,
  },
  gap: { sender_rid: nullable(isText), position: isPosition },
  posted: { sender_rid: nullable(isText), seq: Number.isSafeInteger },
  restart: { after: Number.isFinite, ticket: optional(isText), message: optional(isText) },
  groups: isChangeOf(record(GROUP_ROW)),
  users: isChangeOf(record(USER_ROW)),
  unwatched: { watch: Number.isSafeInteger, code: isText, message: isText },
};

/** Events that only the client itself makes; they are rejected when a server sends them. */
const OWN_EVENTS = ['success', 'reconnect', 'close', 'error'];

const SUCCESS = { message: isText, type: optional((type) => type === 'success') };

/** A check of the reply to a command, by the command's `do`. */
const REPLIES = {
  connect: record({
    user_id: isText, connection_id: isText, node: isText, ping: Number.isFinite, max_message: Number.isSafeInteger,
    expires: optional(nullable(Number.isFinite)), inbox: optional(isPosition),
    replayed: optional(Number.isSafeInteger), gap: optional(isFlag), guest_key: optional(isText),
  }),
  join: record({
    ...SUCCESS, position: optional(nullable(isPosition)), replayed: optional(Number.isSafeInteger), gap: optional(isFlag),
  }),
  leave: record({ message: isText }),
  post: record({ ...SUCCESS, recipients: Number.isSafeInteger }),
  groups: isPage(record(GROUP_ROW)),
  users: isPage(record(USER_ROW)),
  watch: (reply) => record({ watch: Number.isSafeInteger, count: nullable(Number.isSafeInteger) })(reply)
    && (isPage(record(GROUP_ROW))(reply) || isPage(record(USER_ROW))(reply)) && reply.list.length <= MAX_ROWS,
  unwatch: record({ message: isText }),
};

const UNREADABLE = 'UNREADABLE'; // the code of an error event that replaces a frame from the server
const unreadable = (why) =>
  ({ event: { type: 'error', code: UNREADABLE, message: `A frame from the server cannot be read: ${why}. It was dropped.` } });
const invalidReply = (why) => new HubbubError('INTERNAL', `The server sent an invalid reply: ${why}.`);

/**
 * Read one frame. Nothing is thrown, whatever the server sends.
 *
 * @param {string} text
 * @returns {{id: number, result: object} | {id: number, error: HubbubError} | {event: object} | null} null for JSON that
 *   is not a frame of this protocol; it is ignored, because later servers may send more. An event with the code
 *   `UNREADABLE` for a frame that is not JSON, or an event of a known type with a field missing or wrong.
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
  if (OWN_EVENTS.includes(type)) return unreadable(`"${type}" is not an event that servers send`);
  const wrong = Object.hasOwn(EVENTS, type) ? invalidField(EVENTS[type], frame) : undefined;
  return wrong === undefined ? { event: frame } : unreadable(`in "${type}", "${wrong}" is missing or wrong`);
}

function readError(id, error) {
  const { code, message } = error;
  const fits = isText(code) && isText(message);
  if (Number.isSafeInteger(id)) return { id, error: fits ? new HubbubError(code, message) : invalidReply('"error"') };
  // Without an id the server could not tell which command was wrong.
  return fits ? { event: { type: 'error', code, message } } : unreadable('"error" is wrong');
}

// --- reconnect policy: when to reconnect, and after how long ---------------------------------------------------------

const BACKOFF_BASE = 0.5;
const BACKOFF_CAP = 30;
const STABLE_AFTER_MS = 5_000; // after a connection that lasted this long, backoff starts again
const TOKEN_EXPIRED = 4002;
const ORIGIN_NOT_ALLOWED = 4008;

/** Close codes after which reconnecting cannot help: the server's table, tests/vectors/close_codes.json. */
const FINAL_CLOSE_CODES = [1000, 1002, 1003, 1007, 1009, 4003, 4004, 4008];
const TEMPORARY_ERRORS = ['UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL'];

/** Seconds before retry number `attempt`, counted from 0. Full jitter, so that clients do not all reconnect at once. */
function backoff(attempt, random) {
  return random * Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** attempt);
}

/**
 * Seconds to wait before reconnecting after an end with `code`.
 *
 * The first time after a stable connection: what the server said in its restart notice, if it sent one, because it
 * spreads its clients over time; or 0 when only a new token is needed. Otherwise `backoff`, and no less than what the
 * server said, so a server that keeps restarting is reconnected to no faster than one that does not answer.
 */
function retryDelay(code, attempt, random, restartAfter = null) {
  const least = Number.isFinite(restartAfter) ? Math.min(Math.max(restartAfter, 0), BACKOFF_CAP) : null;
  if (attempt === 0 && least !== null) return least;
  if (attempt === 0 && code === TOKEN_EXPIRED) return 0;
  return Math.max(backoff(attempt, random), least ?? 0);
}

const PING_FLOOR = 1;
const PING_CAP = 300;

/** Seconds between checks whether the server is silent: its `ping`, but neither too often nor too seldom. */
function probeInterval(ping) {
  return Math.min(Math.max(ping, PING_FLOOR), PING_CAP);
}

/**
 * Whether to reconnect after a connection ended, or was refused, with `code`.
 *
 * @param {number | string} code  a close code, or the error code of the refusal
 * @param {boolean} renewable  whether the next attempt brings a new token
 */
function shouldReconnect(code, renewable) {
  if (typeof code === 'number') return !FINAL_CLOSE_CODES.includes(code);
  return TEMPORARY_ERRORS.includes(code) || (code === 'UNAUTHORIZED' && renewable);
}

/**
 * Seconds until a new token should be fetched: a minute before the old one expires, or after four fifths of a lifetime
 * under five minutes. null when it expires within a second or, by this machine's clock, has expired: then the server's
 * close (4002) decides.
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

/** The error of a connection that the server closed for good. The reason of 4008 names the origin and what to set. */
function closedError(code, reason) {
  if (code !== ORIGIN_NOT_ALLOWED) return unavailable(`The server closed the connection (${code}: ${reason}).`);
  return new HubbubError('FORBIDDEN', `The server refused this page: ${reason}.`);
}

/** The WebSocket address of a server; of the page's own server when `url` is missing. */
function socketUrl(url) {
  const page = globalThis.location?.href;
  let address;
  try {
    address = new URL(url ?? '/', page);
  } catch (error) {
    throw invalid(url ? `"${url}" is not a URL.` : 'new Hubbub(url) needs a URL when it is used outside of a web page.', error);
  }
  const protocol = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' }[address.protocol];
  if (!protocol) throw invalid(`"${address.href}" must start with http, https, ws or wss.`);
  address.protocol = protocol;
  address.hash = '';
  if (!address.pathname.endsWith('/v1/connect')) address.pathname = address.pathname.replace(/\/?$/, '/v1/connect');
  return address.href;
}

// --- positions: which messages the page has received -----------------------------------------------------------------

/**
 * Filters events between the connection and the page: drops duplicates and reports gaps. It must be given replies and
 * events in the order in which they arrived.
 */
class Positions {
  group = null; // the joined group,
  position = null; // the position of the last message received in it,
  inbox = null; // and the position of the last private message
  #emit;

  constructor(emit) {
    this.#emit = emit;
  }

  /** Process the reply to `connect`. A reply that only renewed the token has no `inbox`. */
  onWelcome({ inbox, replayed, gap }) {
    if (!inbox) return;
    const start = rewind(inbox, replayed);
    if (gap) this.#emit(gapEvent(null, this.inbox, start));
    this.inbox = start;
  }

  /** Process the reply to a command that joined `group` with `since`, or left. */
  onJoin({ group = null, since = null }, { position, replayed, gap }) {
    this.group = group;
    this.position = position ? rewind(position, replayed) : null;
    if (gap) this.#emit(gapEvent(group, since, this.position));
  }

  forgetGroup() {
    this.group = this.position = null;
  }

  /**
   * Emit an event unless it is a duplicate, and before it a `gap` if messages are missing. Messages that are not kept have
   * no number. A `posted` stands for a message of ours that is not sent to us, so the page does not get it.
   */
  onEvent(event) {
    const { type, seq, sender_rid: group = null } = event;
    if (type === 'gap') return this.#onServerGap(event);
    const counted = ['message', 'private', 'posted'].includes(type);
    const where = counted && group === null ? 'inbox' : counted && group === this.group ? 'position' : null;
    const last = where && this[where];
    if (last && seq) {
      if (seq <= last.seq) return;
      if (seq > last.seq + 1) this.#emit(gapEvent(event.sender_rid, last, { ...last, seq: seq - 1 }));
      this[where] = { ...last, seq };
    }
    if (type !== 'posted') this.#emit(event);
  }

  /** The server has lost messages that were meant for us. */
  #onServerGap({ sender_rid: group, position }) {
    const where = group === null ? 'inbox' : 'position';
    if (group !== null && group !== this.group) return;
    this.#emit(gapEvent(group, this[where], position));
    this[where] = position;
  }
}

/** The position `count` messages before `position`. */
const rewind = ({ epoch, seq }, count = 0) => ({ epoch, seq: seq - count });

function gapEvent(group, since, position) {
  const missed = since?.epoch === position.epoch ? position.seq - since.seq : null;
  return { type: 'gap', message: 'Messages are missing here.', group: group ?? null, since, position, missed };
}

// --- live queries: a listing that follows the server's ---------------------------------------------------------------

const MAX_ROWS = 10_000; // of a live query; servers send 1,000 at most

/** What `watchRealtimeGroups` and `watchRealtimeUsers` return; `ReconnectingConnection` brings it what the server sends. */
class LiveQuery {
  list = []; // in the order of the query; another array after each change
  count = null; // how many rows match in all; null where rights filter the listing
  error = null; // why the server has ended it
  watch = null; // its number on the present connection
  state = 'asking'; // 'asking' the server; 'watching'; 'lost' with the connection; 'ended'
  #started = false; // whether the first page has come
  #rows = new Map();
  #idOf;
  #compare;
  #callback;
  #leave;

  /**
   * @param {object} command  what is sent, now and after each reconnect
   * @param {((change: object) => void) | undefined} callback
   * @param {(query: LiveQuery) => Promise<void>} leave  ends it at the server
   */
  constructor(command, callback, leave) {
    this.command = command;
    this.#callback = callback;
    this.#leave = leave;
    this.#idOf = command.what === 'users' ? (row) => row.connection_id : (row) => row.group;
    this.#compare = rowOrder(command);
  }

  /** Watch nothing any more. The callback is not called again. */
  async stop() {
    if (this.state === 'ended') return;
    this.state = 'ended';
    await this.#leave(this);
  }

  /** Process the reply: the whole page. */
  onReply({ watch, list, count }) {
    this.watch = watch;
    this.state = 'watching';
    this.#replace(list, count, !this.#started);
    this.#started = true;
  }

  /** Process an event. */
  onEvent({ list, set = [], gone = [], count }) {
    if (list) this.#replace(list, count);
    else this.#change(set, gone.filter((id) => this.#rows.has(id)), count);
  }

  /** The server has ended it, or would not begin it again. */
  fail(error) {
    if (this.state === 'ended') return;
    this.state = 'ended';
    this.error = error;
    this.#tell([], []);
  }

  #replace(list, count, first = false) {
    const there = new Set(list.map(this.#idOf));
    const gone = [...this.#rows.keys()].filter((id) => !there.has(id));
    const set = list.filter((row) => !isSameRow(row, this.#rows.get(this.#idOf(row))));
    if (first || set.length || gone.length || count !== this.count) this.#change(set, gone, count);
  }

  #change(set, gone, count) {
    for (const id of gone) this.#rows.delete(id);
    for (const row of set) this.#rows.set(this.#idOf(row), row);
    if (this.#rows.size > MAX_ROWS) throw invalidReply(`a live query with more than ${MAX_ROWS} rows`);
    this.list = [...this.#rows.values()].sort(this.#compare);
    this.count = count;
    this.#tell(set, gone);
  }

  #tell(set, gone) {
    const { list, count, error } = this;
    const callback = this.#callback;
    if (callback) (async () => callback({ list, count, set, gone, error }))().catch(report);
  }
}

const isSameRow = (row, old) => old !== undefined && Object.keys(row).every((field) => row[field] === old[field]);

/** How the rows of a query are compared, so that a sorted list has the server's order. */
function rowOrder({ what, searchFor, groups, ascending = true }) {
  const direction = ascending || groups ? 1 : -1;
  const compare =
    what === 'users' ? (a, b) => compareText(a.user_id, b.user_id) || compareText(a.connection_id, b.connection_id)
    : searchFor === 'number_of_users' ? (a, b) => a.number_of_users - b.number_of_users || compareText(a.group, b.group)
    : (a, b) => compareText(a.group, b.group);
  return (a, b) => direction * compare(a, b);
}

/** Compare by code point, as the server does: in UTF-16, characters beyond U+FFFF come before some others. */
function compareText(a, b) {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? aboveSurrogates(x) - aboveSurrogates(y) : x - y;
  }
  return a.length - b.length;
}

const aboveSurrogates = (unit) => (unit >= 0xe000 ? unit - 0x800 : unit + 0x2000);

// --- forms: an HTML form as JSON -------------------------------------------------------------------------------------

const isA = (value, name) => typeof globalThis[name] === 'function' && value instanceof globalThis[name];
const CONTROLS = ['HTMLInputElement', 'HTMLSelectElement', 'HTMLTextAreaElement'];
const isControl = (value) => CONTROLS.some((name) => isA(value, name));

/**
 * Turn a form, its submit event, one of its controls or a FormData into an object, and return everything else as it is.
 * For an event, the browser's own handling (loading a new page) is prevented.
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
  const included = elements.filter((each) => !each.matches(':disabled') && (isControl(each) || each === submitter));
  return collect(included.flatMap((each) => fieldsOf(each, submitter)));
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

const noFiles = (name) => invalid(`"${name}" is a file; files cannot be sent as a realtime message.`);

/** Whether an entry of a FormData is a file input without a file. Throws when it has a file. */
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
  let target = data;
  path.forEach((part, depth) => {
    const key = keyFor(target, part.replace(/^(["'])(.*)\1$/, '$2'), name);
    if (depth < path.length - 1) {
      if (!Object.hasOwn(target, key)) target[key] = /^\d*$/.test(path[depth + 1]) ? [] : Object.create(null);
      target = target[key];
      if (!isObject(target)) throw invalid(`"${name}" is inside a field that already has a value.`);
    } else if (!Object.hasOwn(target, key)) {
      target[key] = value;
    } else {
      target[key] = [].concat(target[key], value);
    }
  });
}

function keyFor(target, part, name) {
  if (part === '__proto__') throw invalid(`"${name}" contains "__proto__", which is not allowed in a field name.`);
  if (!Array.isArray(target)) return part;
  const index = part === '' ? target.length : Number(part);
  if (!Number.isInteger(index)) throw invalid(`"${name}" names a field of an array; arrays take indexes.`);
  if (index < 0 || index >= MAX_INDEX) throw invalid(`"${name}" has an index outside of 0 to ${MAX_INDEX - 1}.`);
  return index;
}

// --- paging: what `fetchMore` remembers ------------------------------------------------------------------------------

const MAX_QUERIES = 100;
const MAX_START_KEYS = 1000; // of one query
const MAX_START_KEY_LENGTH = 1024 * 1024; // characters of all of them together

/** One query: the start keys of its pages so far, the newest last. Pages are fetched one at a time. */
class Query {
  startKeys = []; // as JSON text; the oldest are dropped beyond the two limits
  #length = 0;
  #pending = null; // the page that is being fetched

  /** Fetch the next page with `ask`, after those that were asked for before it. */
  nextPage(command, ask) {
    const fetch = () => this.#fetch(command, ask);
    const page = this.#pending ? this.#pending.then(fetch, fetch) : fetch();
    this.#pending = page;
    const done = () => this.#pending === page && (this.#pending = null);
    page.then(done, done);
    return page;
  }

  /** After the last page the answer is an empty page, without asking the server. */
  async #fetch(command, ask) {
    const last = this.startKeys.at(-1);
    if (last === 'end') return { list: [], startKey: 'end', endOfList: true, startKeyHistory: [...this.startKeys] };
    const page = await ask(last === undefined ? command : { ...command, startKey: JSON.parse(last) });
    this.#remember(page.startKey === 'end' ? 'end' : JSON.stringify(page.startKey));
    return { ...page, startKeyHistory: [...this.startKeys] };
  }

  #remember(startKey) {
    if (startKey.length > MAX_START_KEY_LENGTH) {
      throw invalidReply(`"startKey" has ${startKey.length} characters; at most ${MAX_START_KEY_LENGTH} are allowed`);
    }
    this.startKeys.push(startKey);
    this.#length += startKey.length;
    while (this.startKeys.length > MAX_START_KEYS || this.#length > MAX_START_KEY_LENGTH) {
      this.#length -= this.startKeys.shift().length;
    }
  }
}

/** The queries used last. */
class QueryCache {
  #queries = new Map(); // in order of use: the first is the next to be dropped

  /** The query called `key`, a new one unless it is to be `continued`. */
  open(key, continued) {
    const query = (continued && this.#queries.get(key)) || new Query();
    this.#queries.delete(key);
    this.#queries.set(key, query);
    if (this.#queries.size > MAX_QUERIES) this.#queries.delete(this.#queries.keys().next().value);
    return query;
  }

  clear() {
    this.#queries.clear();
  }
}

// --- promises, errors and names --------------------------------------------------------------------------------------

/** A promise with its `resolve` and `reject`. A rejection that nobody awaits is not reported as unhandled. */
function deferred() {
  const it = {};
  it.promise = new Promise((resolve, reject) => Object.assign(it, { resolve, reject }));
  it.promise.catch(() => {});
  return it;
}

/** The same promise, but rejected with `UNAVAILABLE` when it takes longer than `ms`. */
function withTimeout(ms, promise, what) {
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

const guestKeys = new Map(); // by server, for programs and pages without storage

/**
 * The key that we connect to a server as guests with: the same for all tabs of a browser, and after a reload, so that
 * others cannot use the name meanwhile, but we can. Storage that is missing or refuses, as in private windows, is no error.
 */
function guestKey(url) {
  const name = `hubbub guest key ${url}`;
  let key = guestKeys.get(url);
  const storage = attempt(() => globalThis.document && globalThis.localStorage);
  key ??= attempt(() => storage?.getItem(name)) || randomName() + randomName();
  if (!guestKeys.has(url)) attempt(() => storage?.setItem(name, key));
  guestKeys.set(url, key);
  return key;
}

const attempt = (action) => {
  try {
    return action();
  } catch {
    return null;
  }
};

async function findWebSocket() {
  if (globalThis.WebSocket) return globalThis.WebSocket;
  const name = globalThis.process?.versions?.node && 'ws'; // no constant: bundlers would look for the package
  const found = await import(/* @vite-ignore */ /* webpackIgnore: true */ /* turbopackIgnore: true */ name).catch((error) => {
    const text = 'No WebSocket found. Run "npm install ws", or pass one: new Hubbub(url, { WebSocket }).';
    throw new HubbubError('INVALID_REQUEST', text, { cause: error });
  });
  return found.default;
}

/** Report an error in the page's own code. An error object whose conversion to text fails does no harm either. */
function report(error) {
  try {
    (globalThis.reportError ?? console.error)(error);
  } catch {
    console.error('Hubbub: a callback failed with an error that cannot be shown.');
  }
}

// --- Connection: one WebSocket ---------------------------------------------------------------------------------------

const CLOSE_TIMEOUT_MS = 3_000;
const MAX_FRAME = 16 * 1024 * 1024; // of a frame from the server; a page of 1,000 long names has about 4 MiB
const MAX_UNSENT = 16 * 1024 * 1024; // bytes that are buffered because the server does not read
const MAX_UNREADABLE = 100; // frames of one connection

const lostText = ({ code, reason }) =>
  `The connection was lost before the answer came (${reason ? `${code}: ${reason}` : code}).`;

/** A command that waits for its reply: a promise that the reply settles. */
class Call {
  #deferred = deferred();
  promise = this.#deferred.promise;
  reject = this.#deferred.reject;

  /**
   * @param {object} command
   * @param {(reply: object) => void} [onReply]  called with the reply before anything that arrived after it is processed
   * @param {boolean} [resend]  whether the call stays open when the connection is lost; its owner then sends it again
   */
  constructor(command, onReply, resend = false) {
    this.command = command;
    this.body = encode(command);
    this.onReply = onReply;
    this.resend = resend;
    this.forget = () => {}; // replaced when it is sent
  }

  settle({ result, error }) {
    if (error) return this.reject(error);
    if (!REPLIES[this.command.do](result)) return this.reject(invalidReply('a field is missing or wrong'));
    this.onReply?.(result);
    this.#deferred.resolve(result);
  }
}

/** Numbers commands, matches replies, passes on events. It knows nothing of tokens or reconnecting. */
class Connection {
  opened = deferred();
  ended = deferred(); // resolves with {code, reason}; never rejects
  end = null; // the same, once it has ended
  active = true; // set by every frame, cleared by the check for silence
  #socket;
  #lastId = 0;
  #calls = new Map(); // by id
  #unreadable = 0;

  constructor(WebSocket, url, onEvent) {
    this.#socket = new WebSocket(url, SUBPROTOCOL, { maxPayload: MAX_FRAME }); // the package "ws" takes the third
    this.#socket.onopen = () => this.opened.resolve();
    this.#socket.onmessage = ({ data }) => this.#onFrame(data, onEvent);
    this.#socket.onclose = ({ code, reason }) => this.#onEnd(code, String(reason));
    this.#socket.onerror = () => {}; // a close follows, and has the details
  }

  /** Send a call and return its promise. When the connection ends first, the call is rejected, unless it says `resend`. */
  request(call) {
    if (this.end) return Promise.reject(unavailable(lostText(this.end)));
    if (this.#socket.bufferedAmount > MAX_UNSENT) {
      call.reject(unavailable('The server does not read: earlier commands are still waiting to be sent.'));
      return call.promise;
    }
    const id = (this.#lastId += 1);
    this.#calls.set(id, call);
    call.forget = () => this.#calls.delete(id);
    this.#socket.send(withId(id, call.body));
    return call.promise;
  }

  /** Do the closing handshake. */
  async close() {
    this.#socket.close(1000);
    await withTimeout(CLOSE_TIMEOUT_MS, this.ended.promise, 'closing').catch(() => this.abort('closed'));
  }

  /** End the connection without waiting for the server. */
  abort(reason) {
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#onEnd(1006, reason);
  }

  /** Process a frame; nothing is thrown. A server that keeps sending unreadable frames is disconnected. */
  #onFrame(data, onEvent) {
    this.active = true;
    if (data.length > MAX_FRAME) return this.abort(`a frame of more than ${MAX_FRAME} characters`);
    const frame = readFrame(data);
    if (!frame) return;
    if (frame.event?.code === UNREADABLE && (this.#unreadable += 1) > MAX_UNREADABLE) {
      this.abort(`more than ${MAX_UNREADABLE} frames that cannot be read`);
    } else if (frame.event) {
      onEvent(frame.event);
    } else {
      const call = this.#calls.get(frame.id);
      this.#calls.delete(frame.id);
      call?.settle(frame);
    }
  }

  #onEnd(code, reason) {
    if (this.end) return;
    this.end = { code, reason };
    const lost = unavailable(lostText(this.end));
    this.opened.reject(lost);
    for (const call of this.#calls.values()) if (!call.resend) call.reject(lost);
    this.#calls.clear();
    this.ended.resolve(this.end);
  }
}

// --- ReconnectingConnection: connect, identify, rejoin, renew the token, reconnect -----------------------------------

const LIVE_EVENTS = ['groups', 'users', 'unwatched'];
const REWATCH_MS = 1_000; // and up to as much more, until a live query is begun again that was refused for the moment

/** A connection and those that replace it, from the first attempt until `run` returns or `finish` is called. */
class ReconnectingConnection {
  welcome = null; // the reply to the last `connect`
  connected = deferred(); // resolves when connected for the first time
  positions;
  #joined = {}; // the options of the group's join that a rejoin repeats
  #url;
  #options;
  #timeout;
  #emit;
  #finished = false;
  #connection = null; // the present one, or the one that is being opened
  #ready = false; // whether it is identified, and back in the group
  #readySince = Infinity;
  #calls = new Set(); // those without a reply, in the order in which they were made
  #wake = null; // ends the wait before the next attempt
  #restart = null; // the server's restart notice
  #ticket = null; // from the notice, until it has been used
  #renewal = null; // of renew(): settled by the next connection
  #replaced = null; // the connection that renew() has closed to open another one
  #live = new Set(); // the live queries that have not ended
  #renewTimer = 0;

  /**
   * @param {string} url  what `socketUrl` returned
   * @param {{token?: string | Function, guest?: string, guest_key?: string, timeout: number, WebSocket?: Function}} options
   * @param {(event: object) => void} emit  gets every event, also those about the connection itself; none after `finish`
   */
  constructor(url, options, emit) {
    this.#url = url;
    this.#options = options;
    this.#timeout = options.timeout;
    this.#emit = (event) => this.#finished || emit(event);
    this.positions = new Positions(this.#emit);
    this.positions.inbox = options.inbox ?? null;
  }

  get state() {
    return this.#ready ? 'connected' : this.welcome ? 'reconnecting' : 'connecting';
  }

  /** How many calls wait for their replies. */
  get waiting() {
    return this.#calls.size;
  }

  /**
   * Stay connected. Resolves when reconnecting cannot help, or after `finish`.
   *
   * @returns {Promise<{code: number | string, reason: string, error?: HubbubError}>}
   */
  async run() {
    globalThis.addEventListener?.('online', this.#onOnline);
    for (let attempt = 0; ; attempt += 1) {
      this.#readySince = Infinity;
      const end = await this.#stayConnected();
      const { code, reason } = end;
      const renewable = typeof this.#options.token === 'function' && Boolean(this.welcome);
      const replaced = this.#replaced !== null;
      this.#replaced = null;
      if (this.#finished || !(replaced || shouldReconnect(code, renewable))) return end;
      if (Date.now() - this.#readySince >= STABLE_AFTER_MS) attempt = 0;
      const delay = replaced ? 0 : 1000 * retryDelay(code, attempt, Math.random(), this.#restart?.after);
      this.#restart = null;
      this.#emit({ type: 'reconnect', message: 'Reconnecting to WebSocket server...', code, reason, delay });
      if (!this.#finished) await this.#wait(delay);
      if (this.#finished) return end;
    }
  }

  /** Send a command now, or once connected, and return the promise of its reply. A post that is not kept is sent once. */
  async ask(command, onReply) {
    const call = new Call(command, onReply, command.keep !== false);
    this.#calls.add(call);
    if (this.#ready) this.#send(call);
    try {
      return await withTimeout(this.#timeout, call.promise, command.do);
    } finally {
      this.#calls.delete(call);
      call.forget();
    }
  }

  /** The same for a command that joins or leaves a group. */
  join(command) {
    const { notices, invisible } = command;
    return this.ask(command, (reply) => {
      this.#joined = { notices, invisible };
      this.positions.onJoin(command, reply);
    });
  }

  /** Begin a live query, and begin it again after each reconnect. Resolves with the first page. */
  async watch(query) {
    this.#live.add(query);
    try {
      await this.#askForPage(query);
    } catch (error) {
      this.#live.delete(query);
      query.state = 'ended';
      throw error;
    }
  }

  /** End a live query. Without a connection there is nothing to tell the server. */
  async unwatch(query) {
    this.#live.delete(query);
    const { watch } = query;
    query.watch = null;
    if (watch !== null && this.#ready) {
      const call = new Call(commands.unwatch(watch));
      await withTimeout(this.#timeout, this.#connection.request(call), 'unwatch').catch(() => {}); // ended with the connection
    }
  }

  /**
   * Use fresh rights: with a token, on the present connection; with cookies, on another one, since those of a handshake
   * never change. While there is no connection, the next one has fresh rights.
   */
  async renew() {
    const { token, guest } = this.#options;
    if (guest !== undefined) {
      throw new HubbubError('INVALID_REQUEST', 'A guest has no token or cookie, so nothing can be renewed.');
    }
    const connection = this.#connection;
    if (token !== undefined && this.#ready) {
      const { expires } = await this.#sendCredentials(connection, await this.#credentials());
      if (!connection.end) this.#renewToken(connection, expires);
      return;
    }
    this.#renewal ??= deferred();
    const { promise } = this.#renewal;
    if (this.#ready) {
      this.#replaced = connection;
      connection.close();
    } else {
      this.#wake?.();
    }
    await promise;
  }

  /** End for good: reject all calls with `error`, emit nothing any more, and close. Resolves when the WebSocket is closed. */
  async finish(error) {
    this.#finished = true;
    this.#ready = false;
    globalThis.removeEventListener?.('online', this.#onOnline);
    this.#wake?.();
    this.connected.reject(error);
    this.#renewal?.reject(error);
    for (const call of this.#calls) call.reject(error);
    for (const query of this.#live) query.fail(error);
    this.#live.clear();
    if (this.#connection && !this.#connection.end) await this.#connection.close();
  }

  // --- one connection ---

  /** Connect, identify, rejoin the group, and stay until the connection ends. Returns the end; never throws. */
  async #stayConnected() {
    let connection = null;
    try {
      const WebSocket = this.#options.WebSocket ?? (await findWebSocket());
      const credentials = this.#ticket === null ? await this.#credentials() : { ticket: this.#ticket };
      if (this.#finished) return {};
      connection = this.#connection = this.#open(WebSocket);
      await withTimeout(this.#timeout, connection.opened.promise, 'opening the connection');
      const welcome = await this.#identify(connection, credentials);
      await this.#rejoin(connection);
      if (!connection.end && !this.#finished) this.#onReady(connection, welcome);
      return await connection.ended.promise;
    } catch (error) {
      if (connection?.end) return connection.end;
      connection?.abort('refused');
      if (error instanceof HubbubError) return { code: error.code, reason: error.message, error };
      report(error); // a bug of this client; the next attempt may succeed
      return { code: 'INTERNAL', reason: `The client failed: ${error}` };
    } finally {
      this.#ready = false;
      for (const query of this.#live) {
        query.watch = null;
        if (query.state === 'watching') query.state = 'lost';
      }
    }
  }

  #open(WebSocket) {
    try {
      return new Connection(WebSocket, this.#url, (event) => this.#finished || this.#onEvent(event));
    } catch (error) {
      throw new HubbubError('INVALID_REQUEST', `Cannot open ${this.#url}: ${error.message}`, { cause: error });
    }
  }

  async #credentials() {
    const { token, guest, guest_key = guest === undefined ? undefined : guestKey(this.#url) } = this.#options;
    if (guest !== undefined) return { guest, guest_key };
    if (token === undefined) return {}; // the app says who this is, by the page's cookies
    if (typeof token !== 'function') return { token };
    try {
      return { token: await withTimeout(this.#timeout, (async () => token())(), 'the token function') };
    } catch (error) {
      throw new HubbubError('UNAUTHORIZED', `The token function failed: ${error?.message ?? error}`, { cause: error });
    }
  }

  /** Identify; when a ticket is refused, with a token. */
  async #identify(connection, credentials) {
    this.#ticket = null;
    try {
      return await this.#sendCredentials(connection, credentials);
    } catch (error) {
      if (credentials.ticket === undefined || error.code !== 'UNAUTHORIZED') throw error;
    }
    return this.#sendCredentials(connection, await this.#credentials());
  }

  #sendCredentials(connection, credentials) {
    const command = commands.connect(credentials, this.positions.inbox);
    const call = new Call(command, (welcome) => this.positions.onWelcome(welcome));
    return withTimeout(this.#timeout, connection.request(call), 'connect');
  }

  async #rejoin(connection) {
    const { group, position: since } = this.positions;
    if (group === null) return;
    const command = commands.join({ group, since, ...this.#joined });
    const call = new Call(command, (reply) => this.positions.onJoin(command, reply));
    try {
      await withTimeout(this.#timeout, connection.request(call), 'join');
    } catch (error) {
      if (connection.end || TEMPORARY_ERRORS.includes(error.code)) throw error;
      this.positions.forgetGroup(); // the group is not allowed any more; the connection is still useful
      this.#emit({ type: 'error', code: error.code, message: error.message });
    }
  }

  #onReady(connection, welcome) {
    this.#readySince = Date.now();
    this.#ready = true;
    this.welcome = welcome;
    this.#watchForSilence(connection, probeInterval(welcome.ping) * 1000);
    this.#renewToken(connection, welcome.expires);
    this.connected.resolve();
    this.#renewal?.resolve();
    this.#renewal = null;
    for (const call of this.#calls) this.#send(call);
    for (const query of this.#live) if (query.state === 'lost') this.#watchAgain(query);
    this.#emit({ type: 'success', message: 'Connected to WebSocket server.' });
  }

  #send(call) {
    try {
      checkSize(call.command, call.body, this.welcome.max_message);
      this.#connection.request(call);
    } catch (error) {
      call.reject(error);
    }
  }

  // --- live queries ---

  #askForPage(query) {
    query.state = 'asking';
    return this.ask(query.command, (reply) => {
      const stopped = query.state === 'ended';
      if (stopped) this.#connection.request(new Call(commands.unwatch(reply.watch))).catch(() => {});
      else query.onReply(reply);
    });
  }

  /** After a reconnect, or when the server could not go on. It ends if the server refuses it for good. */
  async #watchAgain(query) {
    try {
      await this.#askForPage(query);
    } catch (error) {
      this.#onWatchRefused(query, error);
    }
  }

  #onWatchRefused(query, error) {
    if (query.state === 'ended') return;
    query.watch = null;
    query.state = 'lost';
    if (TEMPORARY_ERRORS.includes(error.code)) {
      const again = () => this.#ready && query.state === 'lost' && this.#live.has(query) && this.#watchAgain(query);
      setTimeout(again, REWATCH_MS * (1 + Math.random()));
      return;
    }
    this.#live.delete(query);
    query.fail(error);
    this.#emit({ type: 'error', code: error.code, message: error.message });
  }

  #onLiveEvent(event) {
    for (const query of this.#live) {
      if (query.watch !== event.watch) continue;
      try {
        if (event.type === 'unwatched') throw new HubbubError(event.code, event.message);
        query.onEvent(event);
      } catch (error) {
        this.#onWatchRefused(query, error);
      }
    }
  }

  #onEvent(event) {
    if (LIVE_EVENTS.includes(event.type)) return this.#onLiveEvent(event);
    if (event.type !== 'restart') return this.positions.onEvent(event);
    this.#restart = event;
    this.#ticket = event.ticket ?? null;
  }

  // --- timers ---

  /** Browsers hide the server's pings. So after two intervals without a frame, send a cheap query: any reply will do. */
  #watchForSilence(connection, interval) {
    let silent = 0;
    const timer = setInterval(() => {
      silent = connection.active ? 0 : silent + 1;
      connection.active = false;
      if (silent === 2) this.#probe(connection);
    }, interval);
    connection.ended.promise.then(() => clearInterval(timer));
  }

  #probe(connection) {
    const answered = connection.request(new Call(commands.users({}, { limit: 1 }))).catch(() => {});
    withTimeout(this.#timeout, answered, 'probe').catch(() => connection.abort('the server does not answer'));
  }

  #renewToken(connection, expires) {
    const delay = refreshIn(expires, Date.now() / 1000);
    clearTimeout(this.#renewTimer);
    if (delay === null || typeof this.#options.token !== 'function') return;
    const timer = this.#renewTimer = setTimeout(async () => {
      try {
        ({ expires } = await this.#sendCredentials(connection, await this.#credentials()));
      } catch (error) {
        if (!connection.end) this.#emit({ type: 'error', code: error.code, message: error.message });
      }
      if (!connection.end) this.#renewToken(connection, expires); // after a failure the delays get shorter and shorter
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
  #onOnline = () => {
    if (this.#ready) this.#probe(this.#connection);
    else this.#wake?.();
  };
}

// --- Hubbub: what pages use ------------------------------------------------------------------------------------------

const MAX_CALLS = 1000;

/** A client of one Hubbub server. hubbub.d.ts describes the methods. */
class Hubbub {
  #url;
  #options;
  #callback = null;
  #connection = null; // from connectRealtime() until it ends for good
  #queries = new QueryCache();
  #session = randomName(); // with a number it makes the keys of posts
  #posts = 0;

  constructor(url, options = {}) {
    if (isObject(url) && !isA(url, 'URL')) [url, options] = [undefined, url];
    const { token, guest, timeout = 10_000 } = options;
    this.#url = socketUrl(url);
    if (token !== undefined && guest !== undefined) {
      throw invalid('new Hubbub() takes either "token" or "guest", and not both.');
    }
    if (options.guest_key !== undefined && guest === undefined) {
      throw invalid('"guest_key" belongs to "guest": leave it out with a token.');
    }
    if (!(timeout > 0)) throw invalid('"timeout" must be a positive number of milliseconds.');
    if (!optional(nullable(isPosition))(options.inbox)) throw invalid('"inbox" must be a position, { epoch, seq }, or null.');
    this.#options = { ...options, timeout };
  }

  get state() {
    return this.#connection?.state ?? 'closed';
  }

  get user_id() {
    return this.#connection?.welcome?.user_id ?? null;
  }

  get connection_id() {
    return this.state === 'connected' ? this.#connection.welcome.connection_id : null;
  }

  get group() {
    return this.#connection?.positions.group ?? null;
  }

  get position() {
    const position = this.#connection?.positions.position;
    return position ? { ...position } : null;
  }

  get inbox() {
    const inbox = this.#connection?.positions.inbox;
    return inbox ? { ...inbox } : null;
  }

  async connectRealtime(callback) {
    if (callback !== undefined && typeof callback !== 'function') throw invalid('"callback" must be a function.');
    if (callback) this.#callback = callback;
    if (!this.#connection) {
      this.#connection = new ReconnectingConnection(this.#url, this.#options, (event) => this.#emit(event));
      this.#run(this.#connection);
    }
    const connection = this.#connection;
    await connection.connected.promise;
    return { ...connection.welcome };
  }

  async closeRealtime() {
    const error = unavailable('The connection was closed by closeRealtime().');
    if (this.#connection) await this.#finish(this.#connection, 1000, error);
  }

  async renew() {
    return this.#connectionForCall().renew();
  }

  async joinRealtime(params) {
    const command = commands.join(fromForm(params));
    return this.#connectionForCall().join(command);
  }

  async postRealtime(message, recipient, options) {
    const key = `${this.#session}.${(this.#posts += 1)}`; // the same when sent again, so the server does it once
    const own = options?.keep === false ? {} : { key };
    return this.#ask(commands.post(fromForm(message), recipient, { ...own, ...options }));
  }

  async getRealtimeGroups(params, fetchOptions) {
    return this.#list(commands.groups(fromForm(params), fetchOptions), fetchOptions);
  }

  async getRealtimeUsers(params, fetchOptions) {
    const command = commands.users(fromForm(params), fetchOptions);
    return this.#list(command, fetchOptions, command.group ?? this.group);
  }

  async watchRealtimeGroups(params, options, callback) {
    return this.#watch(commands.watchGroups(fromForm(params), options), callback);
  }

  async watchRealtimeUsers(params, options, callback) {
    const command = commands.watchUsers(fromForm(params), options);
    return this.#watch(command.group === undefined && this.group ? { ...command, group: this.group } : command, callback);
  }

  async #watch(command, callback) {
    const connection = this.#connectionForCall();
    if (callback !== undefined && typeof callback !== 'function') throw invalid('"callback" must be a function.');
    const query = new LiveQuery(command, callback, (stopped) => connection.unwatch(stopped));
    await connection.watch(query);
    return query;
  }

  /** The connection, if it can take another call. */
  #connectionForCall() {
    if (!this.#connection) throw notConnected();
    if (this.#connection.waiting >= MAX_CALLS) {
      throw new HubbubError('RATE_LIMITED', `${MAX_CALLS} calls wait for their answers; await some before making more.`);
    }
    return this.#connection;
  }

  async #ask(command) {
    return this.#connectionForCall().ask(command);
  }

  /** One page of a listing. `scope` is the group that a query for users means when it names none. */
  #list(command, fetchOptions, scope = null) {
    const continued = Boolean(fetchOptions?.fetchMore) && fetchOptions.startKey !== 'start';
    const query = this.#queries.open(JSON.stringify([command, scope]), continued);
    return query.nextPage(command, (asked) => this.#ask(asked));
  }

  async #run(connection) {
    const { code, reason, error } = await connection.run();
    if (connection !== this.#connection) return; // closeRealtime() has ended it
    const why = error ?? closedError(code, reason);
    this.#emit({ type: 'error', code, message: why.message });
    await this.#finish(connection, code, why);
  }

  /** End for good: calls are rejected with `error`, and the group and the queries are forgotten. */
  async #finish(connection, code, error) {
    if (connection !== this.#connection) return; // a callback that got the error has closed it already
    this.#connection = null;
    this.#queries.clear();
    const closed = connection.finish(error);
    this.#emit({ type: 'close', code, message: 'WebSocket connection closed.' });
    await closed;
  }

  /** Call the page's callback. What it throws, or rejects with, is reported and changes nothing here. */
  #emit(event) {
    const callback = this.#callback;
    if (callback) (async () => callback(event))().catch(report);
  }
}

// --- exports (the server cuts here for /hubbub.global.js) ------------------------------------------------------------
// Pages use the first two. The rest is for the tests, and may change.
export { Hubbub, HubbubError };
export { LiveQuery, Positions, QueryCache, REPLIES, backoff, collect, commands, encode, probeInterval, readFrame, refreshIn, retryDelay, shouldReconnect, socketUrl, withId };
