// Connections that end: killed and restarted servers, close codes, silence; what becomes of the calls.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Listener, Server, WELCOME, scripted, token, SECRET } from './support.mjs';

const unavailable = (message) => ({ name: 'HubbubError', code: 'UNAVAILABLE', message });
const LEFT = { type: 'success', message: 'Left realtime message group.' };
const JOINED = { type: 'success', message: 'Joined realtime message group: "g".' };
const PAGE = { list: [], startKey: 'end', endOfList: true };

test('the server is killed and comes back: reconnected, in the group again, and calls made meanwhile arrive', async () => {
  const server = await Server.start();
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((guest) => Listener.connected(server, { guest })));
  await Promise.all([alice.joinRealtime('kept'), bob.joinRealtime('kept')]);
  const { connection_id } = alice;

  await server.kill();
  const lost = await alice.hear('reconnect');
  assert.equal(lost.message, 'Reconnecting to WebSocket server...');
  assert.equal(lost.code, 1006);
  assert.ok(lost.delay >= 0 && lost.delay <= 500);
  assert.equal(alice.state, 'reconnecting');
  assert.equal(alice.connection_id, null);
  await alice.hear('reconnect'); // the first retry fails: nobody listens

  const meanwhile = alice.postRealtime('said while away', 'kept');
  await server.start();
  await bob.hear('success');
  await alice.hear('success');
  assert.equal(alice.group, 'kept');
  assert.notEqual(alice.connection_id, connection_id);
  assert.ok((await meanwhile).recipients >= 1);
  await bob.postRealtime('here again', 'kept');
  for (let message; message !== 'here again'; ) ({ message } = await alice.hear('message'));
});

test('a server that stops politely is waited for as well', async () => {
  const server = await Server.start();
  const client = await Listener.connected(server, { guest: 'alice' });
  await client.joinRealtime('g');
  await server.stop();
  assert.equal((await client.hear('reconnect')).code, 1001);
  await server.start();
  await client.hear('success');
  assert.deepEqual((await client.getRealtimeUsers()).list.map(({ user_id }) => user_id), ['alice']);
});

test('a server that is not there yet is waited for', async () => {
  const server = await Server.start();
  await server.kill();
  const client = new Listener(server, { guest: 'early' });
  const connecting = client.connect();
  await client.hear('reconnect');
  assert.equal(client.state, 'connecting');
  await server.start();
  assert.equal((await connecting).user_id, 'early');
});

test('what was sent and not answered is sent again, a post with the same key', async () => {
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

test('the group is rejoined before anything else is sent; after leaving nothing is', async () => {
  const peer = await scripted((command) => ({ connect: WELCOME, join: JOINED, leave: LEFT, groups: PAGE })[command.do]);
  const client = await Listener.connected(peer, { guest: 'alice' });
  await client.joinRealtime('g');
  peer.sockets[0].terminate();
  await client.getRealtimeGroups();
  await client.joinRealtime(null);
  peer.sockets[1].terminate();
  await client.getRealtimeGroups();
  const said = peer.commands.map((command) => command.do);
  assert.deepEqual(said, ['connect', 'join', 'connect', 'join', 'groups', 'leave', 'connect', 'groups']);
});

test('a group that is not allowed any more is given up, with an error to the callback', async () => {
  const peer = await scripted((command, socket, connection) => {
    if (command.do === 'join' && connection === 2) return Object.assign(new Error('not this group'), { code: 'FORBIDDEN' });
    return { connect: WELCOME, join: JOINED }[command.do];
  });
  const client = await Listener.connected(peer, { guest: 'alice' });
  await client.joinRealtime('g');
  peer.sockets[0].terminate();
  assert.deepEqual(await client.hear('error'), { type: 'error', code: 'FORBIDDEN', message: 'not this group' });
  await client.hear('success');
  assert.equal(client.group, null);
});

for (const code of [4003, 4004, 1000, 1003, 1009]) {
  test(`close code ${code} is the end: error, close, and no call waits`, async () => {
    const peer = await scripted((command, socket) => (command.do === 'connect' ? WELCOME : socket.close(code, 'go away')));
    const client = await Listener.connected(peer, { guest: 'alice' });
    await assert.rejects(client.getRealtimeGroups(), unavailable(new RegExp(`closed the connection \\(${code}: go away\\)`)));
    assert.deepEqual(client.heard.map((event) => [event.type, event.code]), [['error', code], ['close', code]]);
    assert.equal(client.state, 'closed');
    assert.equal(peer.connections, 1);
    await assert.rejects(client.getRealtimeGroups(), { code: 'INVALID_REQUEST' });
  });
}

for (const code of [1012, 4005, 4006, 4999]) {
  test(`close code ${code}: the client comes back`, async () => {
    const peer = await scripted((command) => (command.do === 'connect' ? WELCOME : undefined));
    const client = await Listener.connected(peer, { guest: 'alice' });
    peer.sockets[0].close(code, 'later');
    const { code: heard, reason } = await client.hear('reconnect');
    assert.deepEqual([heard, reason], [code, 'later']);
    await client.hear('success');
    assert.equal(peer.connections, 2);
  });
}

test('a server that restarts says when to come back, and its ticket spares the token function', async () => {
  const server = await Server.start('--secret', SECRET);
  let asked = 0;
  const client = await Listener.connected(server, { token: () => ((asked += 1), token('alice')) });
  await client.joinRealtime('g');
  await server.stop();
  assert.equal((await client.hear('reconnect')).delay, 1050);
  await server.start();
  await client.hear('success');
  assert.deepEqual([client.user_id, client.group, asked], ['alice', 'g', 1]);
});

test('a ticket that is not taken is followed by a token', async () => {
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
  await client.hear('success');
  const kinds = peer.commands.slice(0, 4).map(({ id, do: name, ...rest }) => Object.keys(rest)[0]);
  assert.deepEqual([kinds, peer.connections], [['token', 'group', 'ticket', 'token'], 2]);
});

test('disconnected by the real server (4003): gone for good, and free to come again', async () => {
  const server = await Server.start('--secret', SECRET);
  const client = await Listener.connected(server, { token: token('alice') });
  const deleted = await fetch(`${server.url}/v1/users/alice`, {
    method: 'DELETE', headers: { Authorization: `Bearer ${token('backend', 60, { role: 'server' })}` },
  });
  assert.ok(deleted.ok, `DELETE answered ${deleted.status}`);
  assert.deepEqual(await client.hear('error'), {
    type: 'error', code: 4003, message: 'The server closed the connection (4003: disconnected by the server).',
  });
  assert.equal((await client.hear('close')).code, 4003);
  assert.equal((await client.connect()).user_id, 'alice');
});

test('too many connections of one user (4004) reject connectRealtime', async () => {
  const server = await Server.start('--max-connections-per-user', '1');
  await Listener.connected(server, { guest: 'alice' });
  const second = new Listener(server, { guest: 'alice' });
  await assert.rejects(second.connect(), unavailable(/4004: too many connections for this user/));
  assert.equal(second.state, 'closed');
});

test('a refusal for now (UNAVAILABLE) is retried, even the first', async () => {
  const peer = await scripted((command, socket, connection) =>
    connection === 1 ? Object.assign(new Error('not now'), { code: 'UNAVAILABLE' }) : WELCOME);
  const client = new Listener(peer, { guest: 'alice' });
  assert.equal((await client.connect()).user_id, 'alice');
  assert.equal((await client.hear('reconnect')).code, 'UNAVAILABLE');
});

test('a server that accepts and then says nothing is given up and tried again', async () => {
  const peer = await scripted((command, socket, connection) => (connection === 1 ? undefined : WELCOME));
  const client = new Listener(peer, { guest: 'alice', timeout: 200 });
  await client.connect();
  assert.equal(peer.connections, 2);
});
