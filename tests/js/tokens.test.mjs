// Tokens: strings and functions, refused ones, and new ones before and after the old one expires.

import assert from 'node:assert/strict';
import test, { before } from 'node:test';

import { Listener, SECRET, Server, WELCOME, scripted, soon, token } from './support.mjs';

let server;
before(async () => (server = await Server.start('--secret', SECRET, '--leeway', '0')));

const unauthorized = (message) => ({ name: 'HubbubError', code: 'UNAUTHORIZED', message });
const refused = (code) => Object.assign(new Error('no longer'), { code });

test('a token as text, as a function, and as an async function', async () => {
  for (const given of [token('alice'), () => token('alice'), async () => token('alice')]) {
    const client = new Listener(server, { token: given });
    const welcome = await client.connect();
    assert.equal(welcome.user_id, 'alice');
    assert.ok(welcome.expires > Date.now() / 1000);
  }
});

test('an invalid token rejects connectRealtime with the reason, without another attempt', async () => {
  for (const given of ['nonsense', () => 'nonsense', token('alice', -60)]) {
    const client = new Listener(server, { token: given });
    await assert.rejects(client.connect(), unauthorized(/./));
    assert.deepEqual(client.events.map(({ type, code }) => [type, code]), [['error', 'UNAUTHORIZED'], ['close', 'UNAUTHORIZED']]);
    assert.equal(client.state, 'closed');
  }
});

test('a token function that fails or takes too long rejects connectRealtime', async () => {
  const fails = new Listener(server, { token: () => Promise.reject(new Error('log in first')) });
  await assert.rejects(fails.connect(), unauthorized(/The token function failed: log in first/));
  const hangs = new Listener(server, { token: () => new Promise(() => {}), timeout: 50 });
  await assert.rejects(hangs.connect(), unauthorized(/No answer within 0.05 s/));
});

test('a new token is fetched before the old one expires, and the connection stays', async () => {
  let asked = 0;
  const lifetimes = [2, 3600];
  const renewed = Promise.withResolvers?.() ?? withResolvers();
  const client = await Listener.connected(server, {
    token: () => {
      if (asked === 1) renewed.resolve();
      return token('alice', lifetimes[asked++]);
    },
  });
  const { connection_id } = client;
  await soon(renewed.promise, 'a new token');
  await client.joinRealtime('g'); // answered after the new token's reply
  assert.equal(asked, 2);
  assert.equal(client.connection_id, connection_id);
  assert.deepEqual(client.events, []);
});

test('a token is renewed with the command connect on the same connection', async () => {
  let asked = 0;
  let seen;
  const peer = await scripted((command) => {
    const expires = Date.now() / 1000 + (asked === 1 ? 1.05 : 3600);
    if (asked === 2) seen();
    return { ...WELCOME, expires };
  });
  const renewed = new Promise((resolve) => (seen = resolve));
  await Listener.connected(peer, { token: () => `token ${(asked += 1)}` });
  await soon(renewed, 'a new token');
  assert.deepEqual(peer.commands, [{ id: 1, do: 'connect', token: 'token 1' }, { id: 2, do: 'connect', token: 'token 2' }]);
  assert.equal(peer.connections, 1);
});

test('when the token has expired (4002), a new one is fetched at once', async () => {
  const tokens = ['first', 'second'];
  const peer = await scripted((command, socket, connection) => {
    if (command.do === 'connect') return WELCOME;
    return connection === 1 ? socket.close(4002, 'the token has expired') : { list: [], startKey: 'end', endOfList: true };
  });
  const client = await Listener.connected(peer, { token: () => tokens.shift() });
  await client.getRealtimeGroups(); // asked on the first connection, answered on the second
  const { code, delay } = await client.nextEvent('reconnect');
  assert.deepEqual([code, delay], [4002, 0]);
  assert.deepEqual(peer.commands.filter(({ do: name }) => name === 'connect').map((command) => command.token), ['first', 'second']);
});

test('the real server closes a connection when its token expires (4002); with a static token that is final', async () => {
  const client = await Listener.connected(server, { token: token('alice', 1.5) });
  assert.equal((await client.nextEvent('reconnect')).code, 4002);
  assert.equal((await client.nextEvent('error')).code, 'UNAUTHORIZED');
  assert.equal((await client.nextEvent('close')).code, 'UNAUTHORIZED');
  assert.equal(client.state, 'closed');
});

test('a token that is refused on reconnecting is replaced if there is a function', async () => {
  let asked = 0;
  const peer = await scripted((command, socket, connection) => (connection === 2 ? refused('UNAUTHORIZED') : WELCOME));
  const client = await Listener.connected(peer, { token: () => String((asked += 1)) });
  peer.sockets[0].terminate();
  await client.nextEvent('success');
  assert.deepEqual(peer.commands.map((command) => command.token), ['1', '2', '3']);
});

test('a token of another user (FORBIDDEN) is final, with or without a function', async () => {
  const peer = await scripted((command, socket, connection) => (connection === 2 ? refused('FORBIDDEN') : WELCOME));
  const client = await Listener.connected(peer, { token: () => 'x' });
  peer.sockets[0].terminate();
  assert.equal((await client.nextEvent('close')).code, 'FORBIDDEN');
});

test('without token and guest, connect is sent bare, and a refusal is final', async () => {
  const peer = await scripted((command, socket, connection) => (connection === 2 ? refused('FORBIDDEN') : WELCOME));
  const client = await Listener.connected(peer, {});
  assert.deepEqual(peer.commands, [{ id: 1, do: 'connect' }]);
  const other = new Listener(peer, {});
  await assert.rejects(other.connect(), { name: 'HubbubError', code: 'FORBIDDEN', message: 'no longer' });
  assert.deepEqual([client.state, other.state, peer.connections], ['connected', 'closed', 2]);
});

test('renew() with a token function asks for a fresh token on the spot', async () => {
  let asked = 0;
  const peer = await scripted((command) => (command.token === '3' ? refused('UNAUTHORIZED') : WELCOME));
  const client = await Listener.connected(peer, { token: () => String((asked += 1)) });
  await client.renew();
  await assert.rejects(client.renew(), unauthorized('no longer'));
  assert.deepEqual(peer.commands.map((command) => command.token), ['1', '2', '3']);
  assert.deepEqual([client.state, peer.connections], ['connected', 1]);
});

test('renew() with cookies reconnects at once and resumes', async () => {
  const position = { epoch: 'e', seq: 7 };
  const peer = await scripted((command) => (command.do === 'join' ? { message: 'Joined.', position } : WELCOME));
  const client = await Listener.connected(peer, {});
  await client.joinRealtime('g');
  await Promise.all([client.renew(), client.renew()]);
  assert.deepEqual([client.state, peer.connections, client.group], ['connected', 2, 'g']);
  assert.deepEqual(peer.commands.at(-1), { id: 2, do: 'join', group: 'g', since: position });
  const { delay } = await client.nextEvent('reconnect');
  assert.equal(delay, 0);
});

test('renew() fails when the new connection is refused, for guests, and before connecting', async () => {
  const peer = await scripted((command, socket, connection) => (connection === 2 ? refused('FORBIDDEN') : WELCOME));
  const client = await Listener.connected(peer, {});
  await assert.rejects(client.renew(), { code: 'FORBIDDEN' });
  assert.equal(client.state, 'closed');
  await assert.rejects(client.renew(), { code: 'INVALID_REQUEST', message: /connectRealtime/ });
  const guest = await Listener.connected(peer, { guest: 'ada' });
  await assert.rejects(guest.renew(), { code: 'INVALID_REQUEST', message: /guest/ });
});

function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve) => (made.resolve = resolve));
  return made;
}
