// Hubbub for React 18 and later: hooks around hubbub.js. No build step, no JSX. The types are in react.d.ts.

import { useCallback, useEffect, useRef, useState } from 'react';
import { Hubbub } from './hubbub.js';

const CLOSED = { hub: null, state: 'closed', user_id: null, error: null, listen: () => () => {} };

/** Connect while the component is mounted, and again when `url`, `guest` or a token string changes. See react.d.ts. */
export function useHubbub(options) {
  const [connection, setConnection] = useState(CLOSED);
  const latest = useRef(options); // so that the latest token function is called, which sees the latest state
  useEffect(() => {
    latest.current = options;
  });
  const { url, guest, token } = options;
  const tokenKey = typeof token === 'function' ? 'function' : token;

  // biome-ignore lint/correctness/useExhaustiveDependencies: these three identify the server and the user
  useEffect(() => {
    const { url: server, ...rest } = latest.current;
    const renewable = typeof rest.token === 'function' && { token: () => latest.current.token() };
    const listeners = new Set();
    const listen = (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    };
    let hub;
    let unmounted = false;
    const show = (error = null) => {
      if (!unmounted) setConnection({ hub, state: hub.state, user_id: hub.user_id, error, listen });
    };
    const onEvent = (event) => {
      for (const listener of [...listeners]) listener(event);
      if (event.type === 'error') show(event);
      else if (event.type === 'success' || event.type === 'reconnect') show();
      else if (event.type === 'close') setTimeout(() => setConnection((now) => (now.hub === hub ? { ...now, state: hub.state } : now)));
    };
    try {
      hub = new Hubbub(server, { ...rest, ...renewable });
    } catch (error) {
      setConnection({ ...CLOSED, error });
      return undefined;
    }
    hub.connectRealtime(onEvent).then(() => show(), show);
    show();
    return () => {
      unmounted = true;
      setConnection(CLOSED);
      hub.closeRealtime();
    };
  }, [url, guest, tokenKey]);
  return connection;
}

const NOT_JOINED = { group: null, messages: [], members: [], joined: false, error: null };

/** Join `group` while the component is mounted: its messages, its members, and a function to post. See react.d.ts. */
export function useRealtimeGroup(connection, group, { history = 0, limit = 500 } = {}) {
  const { hub, listen, user_id } = connection;
  const [shown, setShown] = useState(NOT_JOINED);
  const identified = user_id !== null; // true from the first connection on; after a reconnect the client rejoins by itself

  // biome-ignore lint/correctness/useExhaustiveDependencies: a changed history or limit applies to the next group
  useEffect(() => {
    if (!hub || !identified || !group) return undefined;
    let left = false;
    const update = (change) => {
      if (!left) setShown((before) => ({ ...before, ...change(before) }));
    };
    const members = trackMembers(hub, group, (list) => update(() => ({ members: list })));
    const stop = listen((event) => {
      const about = event.type === 'gap' ? event.group : event.sender_rid;
      if (event.type === 'success') members.list();
      else if (about !== group) return;
      else if (event.type === 'notice') members.note(event);
      else update(({ messages }) => ({ messages: [...messages, event].slice(-limit) }));
    });
    setShown({ ...NOT_JOINED, group });
    hub.joinRealtime({ group, history }).then(
      () => {
        update(() => ({ joined: true }));
        members.list();
      },
      (error) => update(() => ({ error })),
    );
    return () => {
      left = true;
      stop();
      members.stop();
      setShown(NOT_JOINED);
      if (hub.state !== 'closed') hub.joinRealtime(null).catch(() => {}); // not connected any more: there is nothing to leave
    };
  }, [hub, identified, group]);

  const post = useCallback(
    async (message, options) => {
      if (!hub || !group) throw new Error('Not in a group. Wait until "joined" is true before calling post().');
      return hub.postRealtime(message, { group }, options);
    },
    [hub, group],
  );
  return { ...(shown.group === group ? shown : NOT_JOINED), post };
}

const NOTHING = { list: [], count: null, loading: true, error: null };

/** A live list of groups, while the component is mounted. See react.d.ts. */
export function useRealtimeGroups(connection, query = {}) {
  return useLive(connection, query, (hub, { limit, ascending, every, ...params }, show) =>
    hub.watchRealtimeGroups(params, { limit, ascending, every }, show));
}

/** The connections in a group, without joining it. See react.d.ts. */
export function useRealtimeUsers(connection, group, options = {}) {
  return useLive(connection, group ? { group, ...options } : null, (hub, { limit, ascending, every, ...params }, show) =>
    hub.watchRealtimeUsers(params, { limit, ascending, every }, show));
}

/** Watch `query` with `watch`; null watches nothing. Another query, by its content, ends the one before. */
function useLive(connection, query, watch) {
  const { hub, ready } = usable(connection);
  const key = query && JSON.stringify(query);
  const [shown, setShown] = useState({ key: null, ...NOTHING });

  // biome-ignore lint/correctness/useExhaustiveDependencies: the key says what the query is
  useEffect(() => {
    if (!hub || !ready || key === null) return undefined;
    let ended = false;
    const update = (change) => {
      if (!ended) setShown((before) => ({ ...(before.key === key ? before : NOTHING), key, ...change }));
    };
    const show = ({ list, count, error }) => update({ list, count, error, loading: false });
    const watching = watch(hub, JSON.parse(key), show);
    watching.catch((error) => update({ error, loading: false }));
    return () => {
      ended = true;
      watching.then((live) => live.stop(), () => {});
    };
  }, [hub, ready, key]);
  const { list, count, loading, error } = shown.key === key && key !== null ? shown : NOTHING;
  return { list, count, loading, error };
}

/** What `useHubbub` returned can be used once it is identified; a client of the program's own at once. */
function usable(connection) {
  if (!connection) return { hub: null, ready: false };
  if ('listen' in connection) return { hub: connection.hub, ready: connection.user_id !== null };
  return { hub: connection, ready: true };
}

/**
 * Keep the sorted user ids of a group: listed once after each (re)connect, then changed by notices. A notice that
 * arrives during the listing is applied to its result again, which changes nothing if the result has it already.
 */
function trackMembers(hub, group, show) {
  const members = new Set();
  let pending = null; // notices since the listing began
  let stopped = false;
  const apply = ({ code, sender, user_connections }) => {
    if (code === 'USER_JOINED') members.add(sender);
    else if (user_connections === 0) members.delete(sender);
  };
  const publish = () => show([...members].sort());

  async function list() {
    const notices = [];
    pending = notices;
    try {
      const found = [];
      for (let end = false; !end; ) {
        const page = await hub.getRealtimeUsers({ group }, { limit: 1000, fetchMore: found.length > 0 });
        if (stopped || pending !== notices) return; // a later listing has begun
        found.push(...page.list);
        end = page.endOfList;
      }
      members.clear();
      for (const { user_id } of found) members.add(user_id);
      for (const notice of notices) apply(notice);
      publish();
    } catch {
      // The connection was lost or the group left: the next "success" lists again.
    } finally {
      if (pending === notices) pending = null;
    }
  }

  return {
    list,
    note(notice) {
      pending?.push(notice);
      apply(notice);
      publish();
    },
    stop() {
      stopped = true;
    },
  };
}
