// Guest keys: clients of one process, and tabs of one browser, can share a guest name; others cannot.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Hubbub } from '../../src/hubbub/web/client/hubbub.js';
import { Listener, Server } from './support.mjs';

const server = await Server.start();

test('clients of one process can have one name', async () => {
  const [first, second] = [await Listener.connected(server, { guest: 'alice' }), new Listener(server, { guest: 'alice' })];
  const { user_id, guest_key } = await second.connectRealtime();
  assert.equal(user_id, 'alice');
  assert.match(guest_key, /^\w{16,128}$/);
  assert.equal(first.user_id, 'alice');
});

test('a program without the key is refused, with it accepted', async () => {
  await Listener.connected(server, { guest: 'bob', guest_key: 'the key of bob alone' });
  const eve = new Listener(server, { guest: 'bob' });
  await assert.rejects(eve.connectRealtime(), { code: 'FORBIDDEN', message: /^The guest name "bob" is in use\./ });
  const tab = new Listener(server, { guest: 'bob', guest_key: 'the key of bob alone' });
  assert.equal((await tab.connectRealtime()).guest_key, 'the key of bob alone');
});

test('a key without a guest name is a mistake', () => {
  assert.throws(() => new Hubbub(server.url, { token: 'a.b.c', guest_key: 'x' }), { code: 'INVALID_PARAMETER' });
});
