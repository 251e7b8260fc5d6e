// Connections that end: killed and restarted servers, close codes, refusals; waiting calls are sent again.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Listener, Server, WELCOME, scripted, token, SECRET } from './support.mjs';

const unavailable = (message) => ({ name: 'HubbubError', code: 'UNAVAILABLE', message });
const LEFT = { type: 'success', message: 'Left realtime message group.' };
const JOINED = { type: 'success', message: 'Joined realtime message group: "g".' };
const PAGE = { list: [], startKey: 'end', endOfList: true };

test('after the server was killed and restarted: reconnected, rejoined, and calls made meanwhile are sent', async () => {
  const server = await Server.start();
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((guest) => Listener.connected(server, { guest })));
  await Promise.all([alice.joinRealtime('kept'), bob.joinRealtime('kept')]);
  const { connection_id } = alice;

  await server.kill();
  const lost = await alice.nextEvent('reconnect');
  assert.equal(lost.message, 'Reconnecting to WebSocket server...');
  assert.equal(lost.code, 1006);
  assert.ok(lost.delay >= 0 && lost.delay <= 500);
  assert.equal(alice.state, 'reconnecting');
  assert.equal(alice.connection_id, null);
  await alice.nextEvent('reconnect'); // the first retry fails: nobody listens

  const meanwhile = alice.postRealtime('posted while offline', 'kept');
  await server.start();
  await bob.nextEvent('success');
  await alice.nextEvent('success');
  assert.equal(alice.group, 'kept');
  assert.notEqual(alice.connection_id, connection_id);
  assert.ok((await meanwhile).recipients >= 1);
  await bob.postRealtime('here again', 'kept');
  for (let message; message !== 'here again'; ) ({ message } = await alice.nextEvent('message'));
});

test('a server that was stopped with SIGTERM is reconnected to as well', async () => {
  const server = await Server.start();
  const client = await Listener.connected(server, { guest: 'alice' });
  await client.joinRealtime('g');
  await server.stop();
  assert.equal((await client.nextEvent('reconnect')).code, 1001);
  await server.start();
  await client.nextEvent('success');
  assert.deepEqual((await client.getRealtimeUsers()).list.map(({ user_id }) => user_id), ['alice']);
});

test('a server that is not running yet is waited for', async () => {
  const server = await Server.start();
  await server.kill();
  const client = new Listener(server, { guest: 'early' });
  const connecting = client.connect();
  await client.nextEvent('reconnect');
  assert.equal(client.state, 'connecting');
  await server.start();
  assert.equal((await connecting).user_id, 'early');
});

test('calls without a reply are sent again, a post with the same key', async () => {
  const peer = await scripted((command, socket, connection) => {
    if (command.do === 'connect') return WELCOME;
    if (connection === 2) return { join: JOINED, groups: PAGE, post: { type: 'success', message: 'Message sent.', recipients: 1 } }[command.do];
    if (command.do === 'post') socket.terminate(); // with all three commands unanswered
    return undefined;
  });
  const client = await Listener.connected(peer, { guest: 'alice' });
  const joining = client.joinRealtime('g');
  const listing = client.getRealtimeGroups();
  assert.equal((await client.postRealtime('x', 'g')).recipients, 1);
  assert.deepEqual(await joining, JOINED);
  assert.deepEqual((await listing).list, []);
  assert.equal(client.group, 'g');
  assert.deepEqual(peer.commands.map((command) => command.do), ['connect', 'join', 'groups', 'post', 'connect', 'join', 'groups', 'post']);
  assert.deepEqual(peer.commands.map(({ id }) => id), [1, 2, 3, 4, 1, 2, 3, 4]);
  const [first, second] = peer.commands.filter((command) => command.do === 'post').map(({ key }) => key);
  assert.equal(first, second);
});

test('a post that is not kept is sent once: it fails with the connection', async () => {
  const peer = await scripted((command, socket) => {
    if (command.do === 'connect') return WELCOME;
    if (command.do === 'post') socket.terminate();
    return undefined;
  });
  const client = await Listener.connected(peer, { guest: 'alice' });
  await assert.rejects(client.postRealtime('typing', 'g', { keep: false }), unavailable(/^The connection was lost/));
  await client.nextEvent('reconnect');
  await client.nextEvent('success');
  assert.deepEqual(peer.commands.map((command) => command.do), ['connect', 'post', 'connect']);
  assert.equal('key' in peer.commands[1], false);
});

test('the group is rejoined as it was joined', async () => {
  const peer = await scripted((command, socket, connection) => {
    if (command.do === 'connect') return WELCOME;
    if (connection === 1 && command.do === 'groups') socket.terminate();
    return { join: JOINED, groups: PAGE }[command.do];
  });
  const client = await Listener.connected(peer, { guest: 'alice' });
  await client.joinRealtime({ group: 'g', notices: false, invisible: true, history: 5 });
  await client.getRealtimeGroups();
  const [, , , , again] = peer.commands;
  assert.deepEqual([again.do, again.group, again.notices, again.invisible, again.history], ['join', 'g', false, true, undefined]);
  await client.joinRealtime({ group: 'g' });
  assert.equal('invisible' in peer.commands.at(-1), false);
});

test('the group is rejoined before anything else is sent; after leaving nothing is', async () => {
  const peer = await scripted((command) => ({ connect: WELCOME, join: JOINED, leave: LEFT, groups: PAGE })[command.do]);
  const client = await Listener.connected(peer, { guest: 'alice' });
  await client.joinRealtime('g');
  peer.sockets[0].terminate();
  await client.getRealtimeGroups();
  await client.joinRealtime(null);
  peer.sockets[1].terminate();
  await client.getRealtimeGroups();
  const sent = peer.commands.map((command) => command.do);
  assert.deepEqual(sent, ['connect', 'join', 'connect', 'join', 'groups', 'leave', 'connect', 'groups']);
});

test('a group that is not allowed any more is forgotten, with an error event', async () => {
  const peer = await scripted((command, socket, connection) => {
    if (command.do === 'join' && connection === 2) return Object.assign(new Error('not this group'), { code: 'FORBIDDEN' });
    return { connect: WELCOME, join: JOINED }[command.do];
  });
  const client = await Listener.connected(peer, { guest: 'alice' });
  await client.joinRealtime('g');
  peer.sockets[0].terminate();
  assert.deepEqual(await client.nextEvent('error'), { type: 'error', code: 'FORBIDDEN', message: 'not this group' });
  await client.nextEvent('success');
  assert.equal(client.group, null);
});

for (const code of [4003, 4004, 1000, 1003, 1009]) {
  test(`close code ${code} is final: error, close, and no call waits`, async () => {
    const peer = await scripted((command, socket) => (command.do === 'connect' ? WELCOME : socket.close(code, 'go away')));
    const client = await Listener.connected(peer, { guest: 'alice' });
    await assert.rejects(client.getRealtimeGroups(), unavailable(new RegExp(`closed the connection \\(${code}: go away\\)`)));
    assert.deepEqual(client.events.map((event) => [event.type, event.code]), [['error', code], ['close', code]]);
    assert.equal(client.state, 'closed');
    assert.equal(peer.connections, 1);
    await assert.rejects(client.getRealtimeGroups(), { code: 'INVALID_REQUEST' });
  });
}

for (const code of [1012, 4005, 4006, 4999]) {
  test(`close code ${code}: the client reconnects`, async () => {
    const peer = await scripted((command) => (command.do === 'connect' ? WELCOME : undefined));
    const client = await Listener.connected(peer, { guest: 'alice' });
    peer.sockets[0].close(code, 'later');
    const { code: received, reason } = await client.nextEvent('reconnect');
    assert.deepEqual([received, reason], [code, 'later']);
    await client.nextEvent('success');
    assert.equal(peer.connections, 2);
  });
}

test('a restart notice sets the delay, and its ticket makes a new token unnecessary', async () => {
  const server = await Server.start('--secret', SECRET);
  let asked = 0;
  const client = await Listener.connected(server, { token: () => ((asked += 1), token('alice')) });
  await client.joinRealtime('g');
  await server.stop();
  assert.equal((await client.nextEvent('reconnect')).delay, 1050);
  await server.start();
  await client.nextEvent('success');
  assert.deepEqual([client.user_id, client.group, asked], ['alice', 'g', 1]);
});

test('after a refused ticket the client sends a token', async () => {
  const peer = await scripted((command, socket) => {
    if (command.do === 'join') {
      socket.send('{"type":"restart","after":0.01,"ticket":"bad"}');
      socket.close(1001);
      return undefined;
    }
    return command.ticket ? Object.assign(new Error('not any more'), { code: 'UNAUTHORIZED' }) : WELCOME;
  });
  const client = await Listener.connected(peer, { token: () => token('alice') });
  client.joinRealtime('g').catch(() => {});
  await client.nextEvent('success');
  const kinds = peer.commands.slice(0, 4).map(({ id, do: name, ...rest }) => Object.keys(rest)[0]);
  assert.deepEqual([kinds, peer.connections], [['token', 'group', 'ticket', 'token'], 2]);
});

test('disconnected by the real server (4003): final, but connectRealtime() may be called again', async () => {
  const server = await Server.start('--secret', SECRET);
  const client = await Listener.connected(server, { token: token('alice') });
  const deleted = await fetch(`${server.url}/v1/users/alice`, {
    method: 'DELETE', headers: { Authorization: `Bearer ${token('backend', 60, { role: 'server' })}` },
  });
  assert.ok(deleted.ok, `DELETE answered ${deleted.status}`);
  assert.deepEqual(await client.nextEvent('error'), {
    type: 'error', code: 4003, message: 'The server closed the connection (4003: disconnected by the server).',
  });
  assert.equal((await client.nextEvent('close')).code, 4003);
  assert.equal((await client.connect()).user_id, 'alice');
});

test('too many connections of one user (4004) reject connectRealtime', async () => {
  const server = await Server.start('--max-connections-per-user', '1');
  await Listener.connected(server, { guest: 'alice' });
  const second = new Listener(server, { guest: 'alice' });
  await assert.rejects(second.connect(), unavailable(/4004: too many connections for this user/));
  assert.equal(second.state, 'closed');
});

test('a temporary error (UNAVAILABLE) is retried, even at the first attempt', async () => {
  const peer = await scripted((command, socket, connection) =>
    connection === 1 ? Object.assign(new Error('not now'), { code: 'UNAVAILABLE' }) : WELCOME);
  const client = new Listener(peer, { guest: 'alice' });
  assert.equal((await client.connect()).user_id, 'alice');
  assert.equal((await client.nextEvent('reconnect')).code, 'UNAVAILABLE');
});

test('a server that accepts and then sends nothing is reconnected to', async () => {
  const peer = await scripted((command, socket, connection) => (connection === 1 ? undefined : WELCOME));
  const client = new Listener(peer, { guest: 'alice', timeout: 200 });
  await client.connect();
  assert.equal(peer.connections, 2);
});

test('a new client with a saved inbox receives the private messages that were sent meanwhile', async () => {
  const server = await Server.start();
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((guest) => Listener.connected(server, { guest })));
  await bob.postRealtime('first', { user_id: 'alice' });
  await alice.nextEvent('private');
  const { inbox } = alice;
  assert.equal(inbox.seq, 1);
  await alice.closeRealtime();
  assert.equal(alice.inbox, null);
  for (const text of ['second', 'third']) await bob.postRealtime(text, { user_id: 'alice' });

  const after = new Listener(server, { guest: 'alice', inbox });
  await after.connect();
  for (const text of ['second', 'third']) assert.equal((await after.nextEvent('private')).message, text);
  assert.deepEqual(after.inbox, { ...inbox, seq: 3 });
  assert.ok(!after.events.some(({ type }) => type === 'gap'));

  const elsewhere = new Listener(server, { guest: 'alice', inbox: { epoch: 'of another server', seq: 1 } });
  await elsewhere.connect();
  const { group, missed } = await elsewhere.nextEvent('gap');
  assert.deepEqual([group, missed], [null, null]);
});

test('an inbox that is not a position is refused', () => {
  for (const inbox of [7, 'x', {}, { epoch: 'e' }, { epoch: 'e', seq: 1.5 }]) {
    assert.throws(() => new Listener({ url: 'http://127.0.0.1:1' }, { guest: 'alice', inbox }), { code: 'INVALID_PARAMETER', message: /"inbox"/ });
  }
  new Listener({ url: 'http://127.0.0.1:1' }, { guest: 'alice', inbox: null });
});
