/**
 * Hubbub, the browser client: connect, join a group by name, post JSON to the group or to one user, and list and search
 * groups and users.
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
   * Create a client. It sends nothing until `connectRealtime()`.
   *
   * @param url  The server, as `https://example.com` or `wss://example.com/v1/connect`, or the path at which a hub is
   *   mounted in the page's own server: `/realtime`. Default: the page's own origin.
   * @param options  Without `token` and `guest` the app says who the page is, by its cookies.
   * @throws {HubbubError} `INVALID_PARAMETER`: the options or the address are invalid.
   */
  constructor(url?: string | URL | null, options?: HubbubOptions);
  constructor(options: HubbubOptions);

  /**
   * Connect, and stay connected: after a lost connection the client reconnects indefinitely, with exponential backoff, and
   * rejoins the group. Calling it while connected only changes the callback.
   *
   * @param callback  Called with every event. What it throws is reported to the console and changes nothing else.
   * @returns The server's welcome, once connected and identified. While the server cannot be reached, it waits.
   * @throws {HubbubError} The server refused the connection (`UNAUTHORIZED`, …), or closed it for good.
   */
  connectRealtime(callback?: (event: HubbubEvent) => void): Promise<Welcome>;

  /**
   * Use fresh rights from now on, for example after the user's teams have changed. With a token function it asks for a
   * fresh token and sends that on the connection that is open. With cookies it reconnects, since those of a handshake
   * never change, and resumes: messages posted meanwhile are replayed.
   *
   * @throws {HubbubError} The server's refusal. A refused token leaves the connection as it was; a refused reconnect ends
   *   it. `INVALID_REQUEST`: not connected, or connected as a guest.
   */
  renew(): Promise<void>;

  /** Close the connection and forget the group. Waiting calls are rejected with `UNAVAILABLE`. */
  closeRealtime(): Promise<void>;

  /**
   * Join a group, leaving the one before; `null` and `''` only leave. A group that does not exist is created.
   *
   * @param params  `{ group }`, the name alone, or a form (or its submit event) with a field called `group`.
   * @throws {HubbubError} `FORBIDDEN`: your rights do not allow this group; `INVALID_PARAMETER`: not a valid name.
   */
  joinRealtime(params?: Partial<JoinParams> | string | FormLike | null): Promise<JoinResult>;

  /**
   * Send JSON to the joined group or to a user. Resolves when the server has delivered it. If the connection is lost
   * before the reply, it is sent again after the reconnect with the same key, so the server delivers it once.
   *
   * @param message  Any JSON value; a form, its submit event or one of its controls becomes an object of its fields.
   * @param recipient  A name (the joined group if it has that name, otherwise a user), or one of the two explicitly.
   * @throws {HubbubError} `INVALID_REQUEST`: not in that group; `INVALID_PARAMETER`: not JSON, a file in the form, no
   *   recipient; `TOO_LARGE`; `RATE_LIMITED`; `UNAVAILABLE`: no reply in time; the message may or may not
   *   have been delivered then.
   */
  postRealtime(message: Json | object | undefined, recipient: Recipient, options?: PostOptions): Promise<PostResult>;

  /**
   * List the groups, or search them by name or by number of users.
   *
   * @throws {HubbubError} `INVALID_PARAMETER`: an invalid or unknown field; the text names it.
   */
  getRealtimeGroups(params?: GroupsQuery | FormLike | null, fetchOptions?: FetchOptions | null): Promise<Page<GroupRow>>;

  /**
   * List the connections in a group, one row for each.
   *
   * @throws {HubbubError} `INVALID_REQUEST`: no `group` given and none joined; `FORBIDDEN`: your rights do not allow this group.
   */
  getRealtimeUsers(params?: UsersQuery | FormLike | null, fetchOptions?: FetchOptions | null): Promise<Page<UserRow>>;

  /** `connecting`: for the first time; `reconnecting`: after the connection was lost. */
  readonly state: 'closed' | 'connecting' | 'connected' | 'reconnecting';
  /** Our user id; null before the first connection. */
  readonly user_id: string | null;
  /** The id of the present connection; another one after each reconnect. */
  readonly connection_id: string | null;
  /** The joined group, which the client rejoins after a reconnect; null without one. */
  readonly group: string | null;
  /** The position of the last message received in the group; null without one. Save it for `joinRealtime`'s `since`. */
  readonly position: Position | null;
  /** The position of the last private message received; null before the first connection. Save it for the option `inbox`. */
  readonly inbox: Position | null;
}

/** The position of a message. `seq` increases by one per message; a new `epoch` means that numbering started again. */
export interface Position {
  epoch: string;
  seq: number;
}

export interface JoinParams {
  group: string | null;
  /** How many of the group's last messages to receive, if the server still has that many. */
  history?: number;
  /** Instead, receive everything after this position. After a reconnect the client does this by itself. */
  since?: Position | null;
}

export interface PostOptions {
  /** Posts with the same key, user and recipient are delivered once. By default each post has its own key. */
  key?: string;
  /** Fail with `INVALID_REQUEST`, and deliver nothing, if fewer connections would receive it. */
  min_recipients?: number;
}

/** At most one of `token` and `guest`; without either, the app in which the hub is mounted says who the user is. */
export type HubbubOptions = (
  | { token?: string | TokenFunction; guest?: undefined; guest_key?: undefined }
  | {
      guest: string;
      token?: undefined;
      /**
       * 16 to 128 ASCII characters that others need to connect with this name while it is in use. Default: random, and
       * kept in `localStorage`, so a reload and further tabs can use the name. Set it to share a name between programs.
       */
      guest_key?: string;
    }
) & {
  /** Milliseconds that a call waits for its reply, also while reconnecting. Default: 10000. */
  timeout?: number;
  /**
   * Receive the private messages after this position, or a `gap` event if the server does not have all of them any more;
   * for a page that was reloaded. Default: only those that are sent from now on.
   */
  inbox?: Position | null;
  /** The WebSocket class to use. Default: the global one; where Node has none, the one of the package `ws`. */
  WebSocket?: new (url: string, protocol: string) => object;
};

/** Returns a fresh token. Called before each attempt to connect, and shortly before the present token expires. */
export type TokenFunction = () => string | Promise<string>;

/** The error of a call that failed. */
export class HubbubError extends Error {
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown });
  readonly name: 'HubbubError';
  readonly code: ErrorCode;
}

/**
 * | code | meaning |
 * |---|---|
 * | `INVALID_PARAMETER` | an argument is missing, has the wrong type or is over a limit |
 * | `INVALID_REQUEST` | valid, but not possible now |
 * | `UNAUTHORIZED` | no valid token |
 * | `FORBIDDEN` | your rights do not allow this |
 * | `TOO_LARGE` | over a limit on size or depth |
 * | `RATE_LIMITED` | too many calls a second, or more than 1000 waiting |
 * | `UNAVAILABLE` | no reply in time, connection lost, or server stopping; try again |
 * | `INTERNAL` | the server failed; its log has the details |
 */
export type ErrorCode =
  | 'INVALID_PARAMETER' | 'INVALID_REQUEST' | 'UNAUTHORIZED' | 'FORBIDDEN'
  | 'TOO_LARGE' | 'RATE_LIMITED' | 'UNAVAILABLE' | 'INTERNAL';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Becomes an object of its named, enabled fields. Of the buttons, only the one that submitted the form is included. */
export type FormLike = Event | HTMLFormElement | HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement | FormData;

export type Recipient = string | { group: string } | { user_id: string };

export interface Welcome {
  user_id: string;
  connection_id: string;
  /** The name of the server process that we are connected to. */
  node: string;
  /** Seconds between the server's pings. */
  ping: number;
  /** Most bytes of a message as JSON. */
  max_message: number;
  /** When the token expires, Unix time in seconds; null for guests. */
  expires: number | null;
  /** The position of our last private message. */
  inbox?: Position;
  replayed?: number;
  gap?: boolean;
  /** For guests: other clients need it to connect with the same name. */
  guest_key?: string;
}

export interface JoinResult {
  type: 'success';
  /** `Joined realtime message group: "HelloWorld".` or `Left realtime message group.` */
  message: string;
  /** The position of the group's last message. */
  position?: Position;
  /** How many messages up to that position follow. */
  replayed?: number;
  /** Whether messages are missing between the requested position and the first of them. */
  gap?: boolean;
}

export interface PostResult {
  type: 'success';
  message: 'Message sent.';
  /** How many connections it was delivered to, our own included if we are in the group. */
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
  /** `false` for descending order. Default: `true`. */
  ascending?: boolean;
  /** `true` continues after the last page of the same query (with the same options). Without it the list starts again. */
  fetchMore?: boolean;
  /** The `startKey` of an earlier page, to continue after it. */
  startKey?: StartKey | 'start' | 'end' | null;
}

/** A place in a listing. Pass it back unchanged. */
export type StartKey = { [key: string]: string | number };

export interface Page<Row> {
  list: Row[];
  /** Where the next page begins, or `'end'`. */
  startKey: StartKey | 'end';
  endOfList: boolean;
  /** The start keys of this query so far, as JSON text; `'end'` at the end. At most the last 1,000, and 1 MiB. */
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

/** The events that the callback receives; `type` tells the kinds apart. */
export type HubbubEvent =
  | MessageEvent | PrivateEvent | NoticeEvent | GapEvent
  | SuccessEvent | ReconnectEvent | ErrorEvent | CloseEvent;

/** A message to the group; its sender receives it too. */
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
  /** The number of the message in its group; each one is one higher than the last. */
  seq: number;
}

/** A private message to this user, on each of the user's connections. */
export interface PrivateEvent {
  type: 'private';
  message: any;
  sender: string;
  sender_cid: string | null;
  sender_rid: null;
  code: null;
  /** The number of the message among this user's private messages; each one is one higher than the last. */
  seq: number;
}

/** Messages are missing here and will not arrive: we were offline for too long, or the server has lost them. */
export interface GapEvent {
  type: 'gap';
  message: 'Messages are missing here.';
  /** The group; null for private messages. */
  group: string | null;
  /** The position of the last message received; null if there was none. */
  since: Position | null;
  /** Every message after this position arrives. */
  position: Position;
  /** How many are missing; null if unknown, because the epoch changed and numbering started again. */
  missed: number | null;
}

/** A user joined the group, left it, or lost the connection. */
export interface NoticeEvent {
  type: 'notice';
  message: string;
  sender: string;
  sender_cid: string;
  sender_rid: string;
  code: 'USER_JOINED' | 'USER_LEFT' | 'USER_DISCONNECTED';
  /** How many connections that user now has in the group: 2 when a second tab joins, 0 when the last one leaves. */
  user_connections: number;
}

/** Connected, for the first time or again, and back in the group. */
export interface SuccessEvent {
  type: 'success';
  message: 'Connected to WebSocket server.';
}

/** The connection was lost, or could not be opened; the next attempt is in `delay` milliseconds. */
export interface ReconnectEvent {
  type: 'reconnect';
  message: 'Reconnecting to WebSocket server...';
  /** The WebSocket's close code, or the error code of a refusal. */
  code: number | ErrorCode;
  reason: string;
  delay: number;
}

/** Something failed that no call reports. If the connection ends because of it, a `close` follows. */
export interface ErrorEvent {
  type: 'error';
  message: string;
  /** A close code or an error code; `UNREADABLE` for a frame from the server that could not be read and was dropped. */
  code: number | ErrorCode | 'UNREADABLE';
}

/** The connection has ended, and the client does not reconnect. */
export interface CloseEvent {
  type: 'close';
  message: 'WebSocket connection closed.';
  code: number | ErrorCode;
}
