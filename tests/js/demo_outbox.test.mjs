// The demo page's own messages on a real server and the real client: sent in order, waiting, delivered once.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Logs } from '../../src/hubbub/web/demo/logs.js';
import { Outbox } from '../../src/hubbub/web/demo/outbox.js';
import { Listener, Server, WELCOME, scripted } from './support.mjs';

globalThis.crypto ??= (await import('node:crypto')).webcrypto; // missing in Node 18

/** Wait until every own message of a log has this status. */
async function settled(logs, log, status) {
  while (!log.entries.every((entry) => !entry.own || entry.status === status)) await new Promise((done) => (logs.onChange = done));
}

async function sender(server, options = {}) {
  const hub = await Listener.connected(server, { guest: 'alice', ...options });
  const [logs, outbox] = [new Logs(), new Outbox()];
  outbox.use(hub, 'alice');
  return { hub, logs, outbox };
}

async function said(listener, number) {
  const texts = [];
  while (texts.length < number) texts.push((await listener.nextEvent('message')).message.msg);
  return texts;
}

test('messages are sent in their order, and the echo is recognized once', async () => {
  const server = await Server.start();
  const { hub, logs, outbox } = await sender(server);
  await hub.joinRealtime('g');
  const log = logs.open('group', 'g');
  for (let number = 0; number < 20; number += 1) outbox.send(`number ${number}`, log);
  await settled(logs, log, 'delivered');
  const echoes = [];
  for (let number = 0; number < 20; number += 1) echoes.push(await hub.nextEvent('message'));
  assert.deepEqual(echoes.map(({ message }) => message.msg), Array.from({ length: 20 }, (_, number) => `number ${number}`));
  assert.ok(echoes.every((event) => outbox.isEcho(log, event)));
  assert.ok(!outbox.isEcho(log, { message: { ref: 'of another tab' }, seq: 99 }));
  assert.deepEqual(log.entries.map(({ seq }) => seq), echoes.map(({ seq }) => seq));
});

test('a message whose call timed out in an outage is delivered afterwards, once', async () => {
  const server = await Server.start();
  const { hub, logs, outbox } = await sender(server, { timeout: 300 });
  await hub.joinRealtime('g');
  const log = logs.open('group', 'g');
  await server.kill();
  outbox.send('one', log); // perhaps before the client notices that the connection is lost
  outbox.send('two', log);
  await settled(logs, log, 'waiting');
  assert.match(log.entries[0].info, /waiting|Trying again/);
  await server.start();
  while (hub.state !== 'connected') await hub.nextEvent('success');
  const reader = await Listener.connected(server, { guest: 'bob' });
  await reader.joinRealtime({ group: 'g', history: 10 });
  outbox.flush();
  outbox.flush(); // further calls change nothing
  await settled(logs, log, 'delivered');
  assert.deepEqual(await said(reader, 2), ['one', 'two']);
  await hub.postRealtime({ msg: 'the end' }, { group: 'g' });
  assert.deepEqual(await said(reader, 1), ['the end']);
});

test('a message that a connected server does not answer waits, and is sent again with the same key', async () => {
  const keys = [];
  let answers = false;
  const peer = await scripted(({ do: name, key }) => {
    if (name === 'connect') return WELCOME;
    if (name === 'join') return { type: 'success', message: 'Joined realtime message group: "g".' };
    keys.push(key);
    return answers ? { type: 'success', message: 'Message sent.', recipients: 3 } : undefined;
  });
  const { hub, logs, outbox } = await sender(peer, { timeout: 100 });
  await hub.joinRealtime('g');
  const log = logs.open('group', 'g');
  outbox.send('one', log);
  await settled(logs, log, 'waiting');
  assert.equal(log.entries[0].info, 'The server did not answer. Trying again …');
  answers = true;
  outbox.flush();
  await settled(logs, log, 'delivered');
  assert.equal(log.entries[0].info, 'delivered to 2');
  assert.deepEqual(keys, [log.entries[0].ref, log.entries[0].ref]);
  outbox.clear();
});

test('a message to a group waits until the user is in it again', async () => {
  const server = await Server.start();
  const { hub, logs, outbox } = await sender(server);
  await hub.joinRealtime('elsewhere');
  const log = logs.open('group', 'g');
  outbox.send('for g', log);
  await settled(logs, log, 'waiting');
  assert.match(log.entries[0].info, /in this group again/);
  await hub.joinRealtime('g');
  outbox.flush();
  await settled(logs, log, 'delivered');
});

test('a message that the server refuses has failed, and can be sent again', async () => {
  const server = await Server.start('--max-message', '200');
  const { hub, logs, outbox } = await sender(server);
  await hub.joinRealtime('g');
  const log = logs.open('group', 'g');
  outbox.send('x'.repeat(300), log);
  outbox.send('short', log); // is not held up
  await settled({ set onChange(done) { logs.onChange = done; } }, { entries: log.entries.slice(1) }, 'delivered');
  assert.equal(log.entries[0].status, 'failed');
  assert.match(log.entries[0].info, /too long/);
  outbox.again(log, log.entries[0]);
  await settled({ set onChange(done) { logs.onChange = done; } }, { entries: log.entries.slice(0, 1) }, 'failed');
});

test('what waited before a reload is sent with the same key, and a copy that arrived is not delivered again', async () => {
  const server = await Server.start();
  const { hub, logs, outbox } = await sender(server);
  const reader = await Listener.connected(server, { guest: 'bob' });
  await Promise.all([hub.joinRealtime('g'), reader.joinRealtime('g')]);
  const log = logs.open('group', 'g');
  const entry = { sender: 'alice', body: { msg: 'once', ref: 'r1' }, own: true, ref: 'r1', status: 'waiting' };
  log.restore({ kind: 'message', ...entry });
  await hub.postRealtime(entry.body, { group: 'g' }, { key: 'r1' }); // delivered, but the page never got the reply
  outbox.adopt(log);
  await settled(logs, log, 'delivered');
  await hub.postRealtime({ msg: 'the end' }, { group: 'g' });
  assert.deepEqual(await said(reader, 2), ['once', 'the end']);
});
