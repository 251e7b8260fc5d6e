// What the client takes from its environment: silence of the server, the browser's "online", and the WebSocket class.

import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import { Listener, Server, WELCOME, scripted, soon } from './support.mjs';

test('a silent connection is probed: an error reply keeps it, no reply ends it', async () => {
  const probes = [];
  const peer = await scripted((command, socket, connection) => {
    if (command.do === 'connect') return { ...WELCOME, ping: 0.05 };
    probes.push(connection);
    return connection === 1 && probes.length < 3 ? Object.assign(new Error('no group'), { code: 'INVALID_REQUEST' }) : undefined;
  });
  const client = await Listener.connected(peer, { guest: 'alice', timeout: 200 });
  const { reason } = await client.nextEvent('reconnect');
  assert.equal(reason, 'the server does not answer');
  assert.deepEqual(probes.slice(0, 3), [1, 1, 1]);
  await client.nextEvent('success');
  assert.equal(peer.connections, 2);
});

test('when the network is back, the client reconnects at once', async (t) => {
  const listeners = new EventTarget(); // as in browsers; Node has none
  t.mock.method(Math, 'random', () => 1); // the longest delays
  globalThis.addEventListener = listeners.addEventListener.bind(listeners);
  globalThis.removeEventListener = listeners.removeEventListener.bind(listeners);
  t.after(() => {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  });
  const refused = Object.assign(new Error('not now'), { code: 'UNAVAILABLE' });
  const peer = await scripted((command, socket, connection) => (connection <= 10 ? refused : WELCOME));
  const client = new Listener(peer, { guest: 'alice' });
  const connecting = client.connect();
  const delays = [];
  for (let attempt = 0; attempt < 10; attempt += 1) {
    delays.push((await client.nextEvent('reconnect')).delay);
    listeners.dispatchEvent(new Event('online'));
  }
  assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 30000]);
  await soon(connecting, 'connecting after "online"');
});

test('without a global WebSocket, the package "ws" is used', async (t) => {
  const folder = mkdtempSync(fileURLToPath(new URL('node_modules/.client-', import.meta.url)));
  t.after(() => rmSync(folder, { recursive: true }));
  const copy = join(folder, 'hubbub.mjs');
  copyFileSync(new URL('../../src/hubbub/web/client/hubbub.js', import.meta.url), copy);
  const native = globalThis.WebSocket;
  delete globalThis.WebSocket;
  t.after(() => native && (globalThis.WebSocket = native));
  const { Hubbub } = await import(copy);
  const server = await Server.start();
  const client = new Hubbub(server.url, { guest: 'alice' });
  assert.equal((await client.connectRealtime()).user_id, 'alice');
  await client.closeRealtime();
});
