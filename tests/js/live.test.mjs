// Live queries against a real server: the first page, changes, several at once, reconnects, rights, refusals.

import assert from 'node:assert/strict';
import test, { before } from 'node:test';

import { LiveQuery } from '../../src/hubbub/web/client/hubbub.js';
import { Listener, SECRET, Server, WELCOME, scripted, soon, token } from './support.mjs';

let server;
before(async () => (server = await Server.start('--rate-limit', '0')));

const guest = (name, group) => Listener.connected(server, { guest: name }).then(async (client) => {
  if (group) await client.joinRealtime({ group });
  return client;
});
const row = (group, number_of_users = 1, number_of_connections = number_of_users) => ({ group, number_of_users, number_of_connections });

/** A callback that records; `until` waits until a change fulfils a condition. */
function recorder() {
  const changes = [];
  let wake = () => {};
  const callback = (change) => {
    changes.push(change);
    wake();
  };
  callback.changes = changes;
  callback.until = async (condition) => {
    while (!changes.some(condition)) await soon(new Promise((resolve) => (wake = resolve)), JSON.stringify(changes));
    return changes.find(condition);
  };
  return callback;
}

test('a lobby is live', async () => {
  const [watcher, member] = await Promise.all([guest('watcher'), guest('member')]);
  const seen = recorder();
  const lobby = await watcher.watchRealtimeGroups({ value: 'lobby-', condition: '>=' }, { limit: 2, every: 100 }, seen);
  assert.deepEqual(seen.changes, [{ list: [], count: 0, set: [], gone: [], error: null }]);
  await member.joinRealtime('lobby-2');
  const first = await seen.until(({ count }) => count === 1);
  assert.deepEqual(first, { list: [row('lobby-2')], count: 1, set: [row('lobby-2')], gone: [], error: null });
  assert.deepEqual(lobby.list, [row('lobby-2')]);
  assert.equal(lobby.count, 1);
  await member.joinRealtime('lobby-1');
  const second = await seen.until(({ list }) => list[0]?.group === 'lobby-1');
  assert.deepEqual([second.set, second.gone], [[row('lobby-1')], ['lobby-2']]);
  await lobby.stop();
  await lobby.stop();
  const number = seen.changes.length;
  await member.joinRealtime('lobby-3');
  await watcher.getRealtimeGroups();
  assert.equal(seen.changes.length, number);
});

test('named groups and the users of a group, without joining it', async () => {
  const [watcher, member] = await Promise.all([guest('watcher2'), guest('member2')]);
  const [groups, users] = [recorder(), recorder()];
  const named = await watcher.watchRealtimeGroups({ groups: ['named', 'never'] }, {}, groups);
  assert.deepEqual(named.list, [row('named', 0), row('never', 0)]);
  const present = await watcher.watchRealtimeUsers({ group: 'named' }, { every: 100 }, users);
  await member.joinRealtime('named');
  await groups.until(({ list }) => list[0].number_of_users === 1);
  await users.until(({ count }) => count === 1);
  assert.deepEqual(present.list, [{ user_id: 'member2', connection_id: member.connection_id }]);
  await member.joinRealtime(null);
  const left = await users.until(({ gone }) => gone.length);
  assert.deepEqual([left.list, left.gone], [[], [member.connection_id]]);
});

test('without a group, the users of the joined one', async () => {
  const client = await guest('alone', 'joined');
  const users = await client.watchRealtimeUsers();
  assert.deepEqual(users.list.map(({ user_id }) => user_id), ['alone']);
});

test('after a reconnect it goes on, and the callback gets the difference', async () => {
  const own = await Server.start();
  const [watcher, gone, stays] = await Promise.all(['w', 'gone', 'stays'].map((name) => Listener.connected(own, { guest: name })));
  await Promise.all([gone.joinRealtime('gone'), stays.joinRealtime('stays')]);
  const seen = recorder();
  const lobby = await watcher.watchRealtimeGroups({}, { every: 100 }, seen);
  assert.deepEqual(lobby.list, [row('gone'), row('stays')]);
  await own.kill();
  await gone.closeRealtime();
  await own.start();
  await stays.nextEvent('success');
  await watcher.nextEvent('success');
  await seen.until(({ list }) => list.length === 1 && list[0].group === 'stays');
  assert.ok(seen.changes.every(({ set, gone: names, error }) => (set.length || names.length) && error === null));
  assert.equal(lobby.error, null);
});

test('new rights bring another page, or end the query', async () => {
  const secured = await Server.start('--secret', SECRET);
  let rights = { groups: ['a*'] };
  const watcher = await Listener.connected(secured, { token: () => token('watcher', 3600, rights) });
  const members = await Promise.all(['a1', 'b1'].map((name) => Listener.connected(secured, { token: token(name) })));
  await Promise.all(members.map((member, index) => member.joinRealtime(['a1', 'b1'][index])));
  const [seen, users] = [recorder(), recorder()];
  const lobby = await watcher.watchRealtimeGroups({}, {}, seen);
  assert.deepEqual([lobby.list, lobby.count], [[row('a1')], null]);
  const present = await watcher.watchRealtimeUsers({ group: 'a1' }, {}, users);
  rights = { groups: ['b*'] };
  await watcher.renew();
  const other = await seen.until(({ list }) => list[0]?.group === 'b1');
  assert.deepEqual([other.set, other.gone], [[row('b1')], ['a1']]);
  const ended = await users.until(({ error }) => error);
  assert.equal(ended.error.code, 'FORBIDDEN');
  assert.equal(present.error, ended.error);
  assert.equal((await watcher.nextEvent('error')).code, 'FORBIDDEN');
});

test('refusals', async () => {
  const client = await guest('refused');
  const refused = (code, message) => ({ name: 'HubbubError', code, message });
  await assert.rejects(client.watchRealtimeGroups({}, { every: 1 }), refused('INVALID_PARAMETER', /"every" must be 100 to/));
  await assert.rejects(client.watchRealtimeGroups({}, { often: 1 }), refused('INVALID_PARAMETER', /"often" is unknown/));
  await assert.rejects(client.watchRealtimeGroups({ names: [] }), refused('INVALID_PARAMETER', /"names" is unknown/));
  await assert.rejects(client.watchRealtimeGroups({}, {}, 'draw'), refused('INVALID_PARAMETER', /"callback" must be/));
  await assert.rejects(client.watchRealtimeUsers(), refused('INVALID_PARAMETER', /"group" is missing/));
  for (let number = 0; number < 20; number += 1) await client.watchRealtimeGroups({ groups: [`g${number}`] });
  await assert.rejects(client.watchRealtimeGroups(), refused('INVALID_REQUEST', /max_watches/));
  await assert.rejects(new Listener(server, { guest: 'x' }).watchRealtimeGroups(), refused('INVALID_REQUEST', /connectRealtime/));
});

test('closeRealtime ends it with an error', async () => {
  const client = await guest('closes');
  const seen = recorder();
  const lobby = await client.watchRealtimeGroups({}, {}, seen);
  await client.closeRealtime();
  assert.equal(lobby.error.code, 'UNAVAILABLE');
  await lobby.stop();
});

test('a query that the server could not go on with is begun again; a skip brings the whole list', async () => {
  const page = (names) => ({ watch: 4, list: names.map((name) => row(name)), count: names.length, startKey: 'end', endOfList: true });
  let asked = 0;
  const peer = await scripted((command) => {
    if (command.do === 'connect') return WELCOME;
    asked += 1;
    return page(asked === 1 ? ['a', 'b'] : ['b', 'c']);
  });
  const client = await Listener.connected(peer, { guest: 'alice' });
  const seen = recorder();
  await client.watchRealtimeGroups({}, { ascending: false }, seen);
  const send = (event) => peer.sockets[0].send(JSON.stringify(event));
  send({ type: 'groups', watch: 4, list: [row('b'), row('a', 2)], count: 9 });
  const whole = await seen.until(({ count }) => count === 9);
  assert.deepEqual([whole.set, whole.gone, whole.list], [[row('a', 2)], [], [row('b'), row('a', 2)]]);
  send({ type: 'groups', watch: 5, set: [], gone: ['a'], count: 0 }); // not ours
  send({ type: 'unwatched', watch: 4, code: 'UNAVAILABLE', message: 'too many' });
  const again = await seen.until(({ list }) => list[0].group === 'c');
  assert.deepEqual([again.set, again.gone, again.list], [[row('c')], ['a'], [row('c'), row('b')]]);
  assert.equal(asked, 2);
});

test('a server that adds rows without end is stopped', () => {
  const query = new LiveQuery({ what: 'groups' }, undefined, async () => {});
  query.onReply({ watch: 1, list: [], count: 0 });
  const rows = Array.from({ length: 6_000 }, (_, number) => row(`a${number}`));
  query.onEvent({ set: rows, count: 1 });
  assert.throws(() => query.onEvent({ set: rows.map(({ group }) => row(`b${group}`)), count: 1 }), { code: 'INTERNAL' });
});

test('rows are in the order of the server, by code point', () => {
  const names = ['a', 'ab', 'é', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{1f600}'];
  const query = new LiveQuery({ what: 'groups' }, undefined, async () => {});
  query.onReply({ watch: 1, list: [...names].reverse().map((name) => row(name)), count: 8 });
  assert.deepEqual(query.list.map(({ group }) => group), names);
  const sizes = new LiveQuery({ what: 'groups', searchFor: 'number_of_users', ascending: false }, undefined, async () => {});
  sizes.onReply({ watch: 1, list: [row('a', 1), row('b', 2), row('c', 1)], count: 3 });
  assert.deepEqual(sizes.list.map(({ group }) => group), ['b', 'c', 'a']);
});
