/**
 * Hubbub, the browser client: connect, join a group by name, post JSON to the group or to one user, list and search the
 * groups and the people in them.
 *
 * ```js
 * import { Hubbub } from '/hubbub.js';
 * const skapi = new Hubbub({ guest: 'alice' });
 * await skapi.connectRealtime((event) => console.log(event));
 * await skapi.joinRealtime({ group: 'HelloWorld' });
 * await skapi.postRealtime({ msg: 'Hello World!' }, 'HelloWorld');
 * ```
 */
export class Hubbub {
  /**
   * Prepare a client; nothing is sent yet.
   *
   * @param url  The server, as `https://example.com` or `wss://example.com/v1/connect`. Default: the page's own origin.
   * @throws {HubbubError} `INVALID_PARAMETER`: the options or the address cannot be used.
   */
  constructor(url: string | URL | null | undefined, options: HubbubOptions);
  constructor(options: HubbubOptions);

  /**
   * Connect, and stay connected: a lost connection is made again, with growing pauses, for as long as it takes, and the
   * group is joined again. Calling it while connected only changes the callback.
   *
   * @param callback  Gets every event. What it throws is reported to the console and changes nothing.
   * @returns Who we are to the server, once connected and identified. While the server cannot be reached it waits.
   * @throws {HubbubError} The server refused to let us in (`UNAUTHORIZED`, ...), or closed the connection for good.
   */
  connectRealtime(callback?: (event: HubbubEvent) => void): Promise<Welcome>;

  /** Close the connection and forget the group. Calls that wait are rejected with `UNAVAILABLE`. */
  closeRealtime(): Promise<void>;

  /**
   * Join a group, leaving the one before; `null` or `''` only leaves. A group that does not exist is created.
   *
   * @param params  `{ group }`, the name alone, or a form (or its submit event) with a field called `group`.
   * @throws {HubbubError} `FORBIDDEN`: the token does not allow this group; `INVALID_PARAMETER`: not a name.
   */
  joinRealtime(params?: Partial<JoinParams> | string | FormLike | null): Promise<JoinResult>;

  /**
   * Send JSON to the joined group or to a user. Resolves when the server has handed it out. If the connection breaks
   * before the answer, it is sent again after the reconnect, with the same key: the server does it once.
   *
   * @param message  Any JSON value; a form, its submit event or one of its controls becomes an object of its fields.
   * @param recipient  A name (the joined group if it is called that, else a user), or exactly which of the two.
   * @throws {HubbubError} `INVALID_REQUEST`: not in that group; `INVALID_PARAMETER`: not JSON, a file in the form, no
   *   recipient; `TOO_LARGE`; `RATE_LIMITED`; `UNAVAILABLE`: no answer in time; then it may
   *   have arrived.
   */
  postRealtime(message: Json | object | undefined, recipient: Recipient, options?: PostOptions): Promise<PostResult>;

  /**
   * List the groups, or search them by name or by number of users.
   *
   * @throws {HubbubError} `INVALID_PARAMETER`: a wrong or unknown field; the text names it.
   */
  getRealtimeGroups(params?: GroupsQuery | FormLike | null, fetchOptions?: FetchOptions | null): Promise<Page<GroupRow>>;

  /**
   * List the connections in a group, one row for each.
   *
   * @throws {HubbubError} `INVALID_REQUEST`: no `group` given and none joined; `FORBIDDEN`: not this group.
   */
  getRealtimeUsers(params?: UsersQuery | FormLike | null, fetchOptions?: FetchOptions | null): Promise<Page<UserRow>>;

  /** `connecting`: for the first time; `reconnecting`: after it was lost. */
  readonly state: 'closed' | 'connecting' | 'connected' | 'reconnecting';
  /** Our user id, once the server has said it. */
  readonly user_id: string | null;
  /** The id of the present connection; another one after each reconnect. */
  readonly connection_id: string | null;
  /** The joined group, which a reconnect joins again. */
  readonly group: string | null;
  /** The position of the last message of the group that was heard. */
  readonly position: Position | null;
}

/** Where a message stands: `seq` rises by one; with another `epoch` the numbers began anew. */
export interface Position {
  epoch: string;
  seq: number;
}

export interface JoinParams {
  group: string | null;
  /** How many of the group's last messages to hear, if the server still has so many. */
  history?: number;
  /** Hear everything after this position of an earlier visit instead. After a reconnect the client does so by itself. */
  since?: Position | null;
}

export interface PostOptions {
  /** Names this post: the server does it once for this user and recipient. By default each post has its own. */
  key?: string;
  /** Fail with `INVALID_REQUEST`, and deliver nothing, if fewer connections would hear it. */
  min_recipients?: number;
}

/** Exactly one of `token` and `guest` is needed. */
export type HubbubOptions = ({ token: string | TokenFunction; guest?: undefined } | { guest: string; token?: undefined }) & {
  /** Milliseconds that a call waits for its answer, also while reconnecting. Default: 10000. */
  timeout?: number;
  /** The WebSocket to use. Default: the global one, or in Node without one that of the package `ws`. */
  WebSocket?: new (url: string, protocol: string) => object;
};

/** Returns a fresh token: asked before each connect, and shortly before the present token ends. */
export type TokenFunction = () => string | Promise<string>;

/** Why something failed. */
export class HubbubError extends Error {
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown });
  readonly name: 'HubbubError';
  readonly code: ErrorCode;
}

/**
 * | code | meaning |
 * |---|---|
 * | `INVALID_PARAMETER` | an argument is missing, of the wrong type or out of its limits |
 * | `INVALID_REQUEST` | well formed, but not possible now |
 * | `UNAUTHORIZED` | no token, or not a valid one |
 * | `FORBIDDEN` | the token does not allow it |
 * | `TOO_LARGE` | over a limit of size or depth |
 * | `RATE_LIMITED` | too many calls a second, or more than 1000 waiting |
 * | `UNAVAILABLE` | no answer: too late, connection lost, server stopping; try again |
 * | `INTERNAL` | the server failed; its log has the details |
 */
export type ErrorCode =
  | 'INVALID_PARAMETER' | 'INVALID_REQUEST' | 'UNAUTHORIZED' | 'FORBIDDEN'
  | 'TOO_LARGE' | 'RATE_LIMITED' | 'UNAVAILABLE' | 'INTERNAL';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** What becomes an object of its named, enabled fields. Only the button that submitted counts among the buttons. */
export type FormLike = Event | HTMLFormElement | HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement | FormData;

export type Recipient = string | { group: string } | { user_id: string };

export interface Welcome {
  user_id: string;
  connection_id: string;
  /** The server process that we are connected to. */
  node: string;
  /** Seconds between the server's pings. */
  ping: number;
  /** Most bytes of a message, as JSON. */
  max_message: number;
  /** When the token ends, Unix time in seconds; null for guests. */
  expires: number | null;
  /** The position of our last private message. */
  inbox?: Position;
  replayed?: number;
  gap?: boolean;
}

export interface JoinResult {
  type: 'success';
  /** `Joined realtime message group: "HelloWorld".` or `Left realtime message group.` */
  message: string;
  /** Where in the group's messages we came in. */
  position?: Position;
  /** How many messages up to there follow. */
  replayed?: number;
  /** Whether these are not all since the position that was asked for. */
  gap?: boolean;
}

export interface PostResult {
  type: 'success';
  message: 'Message sent.';
  /** How many connections it was handed to, our own included if we are in the group. */
  recipients: number;
}

export type Condition = '=' | '!=' | '>' | '<' | '>=' | '<=' | 'eq' | 'ne' | 'gt' | 'lt' | 'gte' | 'lte';

export interface GroupsQuery {
  /** What to search by, which is also the order of the list. Default: `group`, the name. */
  searchFor?: 'group' | 'number_of_users';
  value?: string | number;
  /** How to compare with `value`. Default: `=`. For names, `>=` means "starts with". */
  condition?: Condition;
  /** Instead of a condition: from `value` to `range`, both included. */
  range?: string | number;
}

export interface UsersQuery {
  /** Default: the joined group. */
  group?: string;
  /** Only the connections of this user. */
  user_id?: string;
}

export interface FetchOptions {
  /** Most rows of a page, 1 to 1000. Default: 50. */
  limit?: number;
  /** `false` lists downwards. Default: `true`. */
  ascending?: boolean;
  /** `true` goes on where the last page of the same query (with the same options) stopped. Without it the list begins anew. */
  fetchMore?: boolean;
  /** Begin behind this: the `startKey` of an earlier page. */
  startKey?: StartKey | 'start' | 'end' | null;
}

/** A place in a list. Hand it back as it came. */
export type StartKey = { [key: string]: string | number };

export interface Page<Row> {
  list: Row[];
  /** Where the next page begins, or `'end'`. */
  startKey: StartKey | 'end';
  endOfList: boolean;
  /** The start keys of this query so far, as JSON text; `'end'` at the end. */
  startKeyHistory: string[];
}

export interface GroupRow {
  group: string;
  /** Distinct users. */
  number_of_users: number;
  number_of_connections: number;
}

export interface UserRow {
  user_id: string;
  connection_id: string;
}

/** What the callback gets. `switch (event.type)` tells them apart. */
export type HubbubEvent =
  | MessageEvent | PrivateEvent | NoticeEvent | GapEvent
  | SuccessEvent | ReconnectEvent | ErrorEvent | CloseEvent;

/** What the group hears, the sender included. */
export interface MessageEvent {
  type: 'message';
  /** The JSON that was posted. */
  message: any;
  /** The sender's user id. */
  sender: string;
  /** The sender's connection id; null when it was posted over HTTP. */
  sender_cid: string | null;
  /** The group. */
  sender_rid: string;
  code: null;
  /** Rises by one from message to message of the group. */
  seq: number;
}

/** What one user hears, on every connection. */
export interface PrivateEvent {
  type: 'private';
  message: any;
  sender: string;
  sender_cid: string | null;
  sender_rid: null;
  code: null;
  /** Rises by one from private message to private message. */
  seq: number;
}

/** Messages are missing at this place and will not come: we were away for too long, or the server started anew. */
export interface GapEvent {
  type: 'gap';
  message: 'Messages are missing here.';
  /** The group; null for private messages. */
  group: string | null;
  /** The last position that was heard. */
  since: Position | null;
  /** Behind it, everything comes again. */
  position: Position;
  /** How many are missing; null if nobody can tell, because the numbers began anew. */
  missed: number | null;
}

/** Who came to the group, left it, or lost the connection. */
export interface NoticeEvent {
  type: 'notice';
  message: string;
  sender: string;
  sender_cid: string;
  sender_rid: string;
  code: 'USER_JOINED' | 'USER_LEFT' | 'USER_DISCONNECTED';
  /** How many connections that user now has in the group: a second tab joins with 2, the last one leaves with 0. */
  user_connections: number;
}

/** Connected, for the first time or again, and back in the group. */
export interface SuccessEvent {
  type: 'success';
  message: 'Connected to WebSocket server.';
}

/** The connection is lost, or could not be made; it is tried again in `delay` milliseconds. */
export interface ReconnectEvent {
  type: 'reconnect';
  message: 'Reconnecting to WebSocket server...';
  /** The WebSocket's close code, or the error code of a refusal. */
  code: number | ErrorCode;
  reason: string;
  delay: number;
}

/** Something went wrong that no call is told about. If the connection cannot go on, a `close` follows. */
export interface ErrorEvent {
  type: 'error';
  message: string;
  /** A close code or an error code; `UNREADABLE` for a frame from the server that breaks the protocol and was dropped. */
  code: number | ErrorCode | 'UNREADABLE';
}

/** The connection has ended and does not come back by itself. */
export interface CloseEvent {
  type: 'close';
  message: 'WebSocket connection closed.';
  code: number | ErrorCode;
}
