/**
 * Hubbub for React 18 and later.
 *
 * ```jsx
 * function Chat() {
 *   const connection = useHubbub({ url: 'http://127.0.0.1:8000', guest: 'alice' });
 *   const { messages, members, post, joined } = useRealtimeGroup(connection, 'HelloWorld', { history: 20 });
 *   …
 * }
 * ```
 */
import type { GapEvent, GroupRow, GroupsQuery, Hubbub, HubbubError, HubbubEvent, HubbubOptions, Json, MessageEvent, PostOptions, PostResult, ErrorEvent, UserRow, WatchOptions } from './hubbub.js';

export interface Connection {
  /** The client, for everything that the hooks do not do; null before the first effect, and on the server. */
  readonly hub: Hubbub | null;
  readonly state: 'closed' | 'connecting' | 'connected' | 'reconnecting';
  /** Our user id, once connected for the first time. */
  readonly user_id: string | null;
  /** Why the connection was refused or ended; null while it is open or opening. */
  readonly error: HubbubError | ErrorEvent | null;
  /** Call `listener` with every event, until the returned function is called. For use in an effect. */
  readonly listen: (listener: (event: HubbubEvent) => void) => () => void;
}

/**
 * Connect while the component is mounted. Does nothing in server rendering: an effect opens the connection.
 *
 * @param options  The options of `new Hubbub`, and `url`, the server; default: the page's own origin. Another `url`,
 *   `guest` or token string opens a new connection; a token function may change with every render.
 */
export function useHubbub(options: HubbubOptions & { url?: string }): Connection;

export interface RealtimeGroup {
  /** The messages of the group since it was joined, oldest first, with a gap event where messages are missing. */
  readonly messages: readonly (MessageEvent | GapEvent)[];
  /** The user ids in the group, sorted, our own included. */
  readonly members: readonly string[];
  readonly joined: boolean;
  /** Why the group could not be joined. */
  readonly error: HubbubError | null;
  /** Post to the group; resolves and rejects like `postRealtime`. */
  readonly post: (message: Json | object, options?: PostOptions) => Promise<PostResult>;
}

/**
 * Be a member of `group` while the component is mounted; null leaves. A connection is in one group at a time, so use this
 * hook once for each connection.
 *
 * @param options.history  How many earlier messages to get. Default: 0.
 * @param options.limit  Most messages to keep; beyond that the oldest are dropped. Default: 500.
 */
export function useRealtimeGroup(
  connection: Connection,
  group: string | null,
  options?: { history?: number; limit?: number },
): RealtimeGroup;

export interface Live<Row> {
  /** The rows, in the order of the query; another array after each change. */
  readonly list: readonly Row[];
  /** How many rows match in all; null before the first page, and where a token's rights filter the listing. */
  readonly count: number | null;
  /** Whether the first page is still missing. */
  readonly loading: boolean;
  /** Why there is no live list, or why the server has ended it. */
  readonly error: HubbubError | null;
}

/**
 * A live list of groups, while the component is mounted.
 *
 * @param connection  What `useHubbub` returned, or a `Hubbub` that is connected; null shows nothing.
 * @param query  What to search for and how, or `{ groups: [names] }`. It may be made anew with every render.
 */
export function useRealtimeGroups(
  connection: Connection | Hubbub | null,
  query?: (GroupsQuery | { groups: string[] }) & Omit<WatchOptions, 'startKey'>,
): Live<GroupRow>;

/** The connections in `group`, which need not be joined, while the component is mounted; null shows nothing. */
export function useRealtimeUsers(
  connection: Connection | Hubbub | null,
  group: string | null,
  options?: { user_id?: string } & Omit<WatchOptions, 'startKey'>,
): Live<UserRow>;
