// closeRealtime(), connecting again after it, and callbacks that do so.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Listener, Server, WELCOME, scripted, soon } from './support.mjs';

const unavailable = (message) => ({ name: 'HubbubError', code: 'UNAVAILABLE', message });
const PAGE = { list: [], startKey: 'end', endOfList: true };

test('closing while connecting, while waiting, and connecting again at once', async () => {
  const server = await Server.start();
  const client = new Listener(server, { guest: 'alice' });
  const first = assert.rejects(client.connect(), unavailable(/closeRealtime/));
  await client.closeRealtime();
  await first;

  const [closing, again] = [client.closeRealtime(), client.connect()];
  await closing;
  assert.equal((await again).user_id, 'alice');
  await client.joinRealtime('g');
  const closed = client.closeRealtime();
  const back = client.connect();
  await closed;
  await back;
  assert.equal(client.state, 'connected');
  assert.equal(client.group, null); // no group is rejoined
  await assert.rejects(client.getRealtimeUsers(), { code: 'INVALID_REQUEST' });

  await server.kill();
  await client.nextEvent('reconnect');
  await soon(client.closeRealtime(), 'closing while waiting');
  assert.equal((await client.nextEvent('close')).code, 1000);
});

test('after closeRealtime() no event arrives, even while the old connection is still closing beside a new one', async () => {
  let asked;
  const identifying = new Promise((resolve) => (asked = resolve));
  const peer = await scripted((command, socket, connection) => {
    if (command.do === 'groups') return PAGE;
    return connection === 1 ? asked() : WELCOME;
  });
  const client = new Listener(peer, { guest: 'alice' });
  const first = assert.rejects(client.connect(), unavailable(/closeRealtime/));
  await identifying;
  const [old] = peer.sockets;
  old.pause(); // so that the closing handshake of the old connection waits
  const closing = client.closeRealtime();
  const again = client.connect();
  old.send(JSON.stringify({ id: 1, ok: { ...WELCOME, user_id: 'late' } }));
  old.send(JSON.stringify({ type: 'message', message: 'late', sender: 'bob', sender_cid: 'c', sender_rid: 'g', code: null, seq: 1 }));
  assert.equal((await again).user_id, 'alice');
  old.resume();
  await Promise.all([first, closing]);
  await client.getRealtimeGroups();
  assert.equal(client.state, 'connected');
  assert.deepEqual(client.events.map(({ type }) => type), ['close', 'success']);
});

for (const [type, closeCode] of [['reconnect', 1012], ['error', 4003]]) {
  test(`a callback may close and connect again when it gets "${type}"`, async () => {
    const peer = await scripted((command) => ({ connect: WELCOME, groups: PAGE })[command.do]);
    const client = new Listener(peer, { guest: 'alice' });
    let again;
    await client.connectRealtime((event) => {
      if (event.type !== type || again) return;
      client.closeRealtime();
      again = client.connectRealtime();
    });
    peer.sockets[0].close(closeCode);
    while (!again) await new Promise((done) => setImmediate(done));
    await again;
    assert.equal(client.state, 'connected');
    await client.getRealtimeGroups();
    assert.equal(peer.connections, 2);
  });
}
