// The logs of the demo page: limits, collapsed joins and leaves, own messages, and what a reload keeps. Pure parts.

import assert from 'node:assert/strict';
import test from 'node:test';

import { KEPT, Logs } from '../../src/hubbub/web/demo/logs.js';
import { addChange, describe, nobody } from '../../src/hubbub/web/demo/presence.js';
import { noteGap, sentAt } from '../../src/hubbub/web/demo/incoming.js';
import { restore, snapshot } from '../../src/hubbub/web/demo/storage.js';

const message = (body, more = {}) => ({ sender: 'bob', body, at: 0, ...more });
const texts = (log) => log.entries.map(({ body, text, line }) => body ?? text ?? spell(line));
const spell = (line) => describe(line).map(({ names, others, verb }) => `${names.join(', ')}${others ? ` +${others}` : ''} ${verb}`).join('; ');

test('400 joins and leaves are one line, and no message is dropped for them', () => {
  const log = new Logs().open('group', 'lobby');
  for (let number = 0; number < 10; number += 1) log.addMessage(message(`said ${number}`));
  for (let number = 0; number < 200; number += 1) {
    log.addPresence(`guest ${number}`, 'USER_JOINED');
    log.addPresence(`guest ${number}`, 'USER_DISCONNECTED');
  }
  assert.equal(log.entries.length, 11);
  assert.equal(texts(log).at(-1), 'guest 0, guest 1, guest 2 +197 joined and lost the connection');
});

test('lines between messages do not push out messages either', () => {
  const log = new Logs().open('group', 'lobby');
  for (let number = 0; number < 400; number += 1) {
    log.addMessage(message(number));
    log.addPresence('carl', number % 2 ? 'USER_LEFT' : 'USER_JOINED');
  }
  assert.equal(log.entries.filter(({ kind }) => kind === 'message').length, 400);
  assert.equal(log.entries.filter(({ kind }) => kind === 'presence').length, 300);
});

for (const [codes, expected] of [
  [['USER_JOINED'], 'ann joined'],
  [['USER_LEFT'], 'ann left'],
  [['USER_DISCONNECTED'], 'ann lost the connection'],
  [['USER_JOINED', 'USER_LEFT'], 'ann joined and left'],
  [['USER_LEFT', 'USER_JOINED'], 'ann left and came back'],
  [['USER_DISCONNECTED', 'USER_JOINED'], 'ann lost the connection and came back'],
  [['USER_JOINED', 'USER_LEFT', 'USER_JOINED'], 'ann joined'],
  [['USER_LEFT', 'USER_JOINED', 'USER_DISCONNECTED'], 'ann lost the connection'],
  [['USER_JOINED', 'A_LATER_CODE'], 'ann joined'],
]) {
  test(`a user with ${codes.join(', ')}: ${expected}`, () => {
    const line = nobody();
    for (const code of codes) addChange(line, 'ann', code);
    assert.equal(spell(line), expected);
  });
}

test('a line remembers a bounded number of users and counts the others', () => {
  const line = nobody();
  for (let number = 0; number < 10_000; number += 1) addChange(line, `user ${number}`, 'USER_JOINED');
  assert.equal(line.users.length, 200);
  assert.equal(spell(line), 'user 0, user 1, user 2 +197 joined;  +9800 other changes');
});

test('a log keeps the last messages only', () => {
  const logs = new Logs();
  const log = logs.open('group', 'lobby');
  const dropped = [];
  logs.onChange = (_, entry, what) => what === 'removed' && dropped.push(entry.body);
  for (let number = 0; number < KEPT + 3; number += 1) log.addMessage(message(number));
  assert.deepEqual(dropped, [0, 1, 2]);
  assert.equal(log.entries.length, KEPT);
});

test('an attack with large messages in many conversations is bounded in characters', () => {
  const logs = new Logs({ characters: 100_000 });
  const current = logs.open('group', 'lobby');
  current.addMessage(message('kept'));
  for (let number = 0; number < 400; number += 1) {
    logs.open('user', `user ${number % 50}`).addMessage(message({ msg: 'x'.repeat(5000) }));
    assert.ok(logs.characters <= 50 * 5500, `${logs.characters}`); // the last entry of a log always stays
  }
  const kept = logs.list('user').flatMap((log) => log.entries);
  assert.equal(kept.length, 50);
  assert.equal(logs.characters, logs.list('group').concat(logs.list('user')).reduce((sum, log) => sum + log.characters, 0));
});

test('an attack with many senders is bounded in conversations; those in use stay', () => {
  const logs = new Logs({ logs: 10 });
  const group = logs.open('group', 'lobby');
  const shown = logs.open('user', 'ann');
  group.pinned = shown.pinned = true;
  for (let number = 0; number < 1000; number += 1) logs.open('user', `user ${number}`).addMessage(message('spam'));
  assert.equal(logs.list('user').length + logs.list('group').length, 10);
  assert.ok(logs.has(group));
  assert.equal(logs.open('user', 'ann'), shown);
  assert.deepEqual(logs.list('user').slice(0, 2).map(({ name }) => name), ['ann', 'user 999']);
  assert.equal(logs.characters, logs.list('user').reduce((sum, log) => sum + log.characters, 0));
});

test('an own message moves to its place in the group when its echo arrives', () => {
  const log = new Logs().open('group', 'lobby');
  const own = log.addMessage(message('mine', { own: true, ref: 'r1' }));
  log.addMessage(message('first', { seq: 1 }));
  assert.equal(log.findOwn('r1'), own);
  assert.equal(log.findOwn('r2'), undefined);
  log.confirm(own, 2);
  assert.deepEqual(texts(log), ['first', 'mine']);
  assert.equal(own.seq, 2);
});

test('a note replaces the one before it with the same tag', () => {
  const log = new Logs().open('group', 'lobby');
  for (let number = 0; number < 100; number += 1) {
    log.addNote('Connection lost.', 'connection');
    log.addNote('Reconnected.', 'connection');
  }
  assert.deepEqual(texts(log), ['Reconnected.']);
  log.addMessage(message('hello'));
  log.addNote('Connection lost.', 'connection');
  assert.equal(log.entries.length, 3);
});

test('a reload keeps all logs in their order, and what was being sent waits', () => {
  const before = new Logs();
  const lobby = before.open('group', 'lobby');
  lobby.position = { epoch: 'e', seq: 7 };
  lobby.addMessage(message('hello', { seq: 7 }));
  lobby.addMessage(message('unsent', { own: true, ref: 'r', status: 'sending' }));
  lobby.addPresence('ann', 'USER_JOINED');
  const bob = before.open('user', 'bob');
  bob.addMessage(message('psst'));
  [bob.unread, bob.draft] = [1, 'half a sen'];

  const after = new Logs();
  restore(after, JSON.parse(JSON.stringify(snapshot(before))));
  const [group] = after.list('group');
  assert.deepEqual([group.name, group.position, group.hasMessages], ['lobby', { epoch: 'e', seq: 7 }, true]);
  assert.deepEqual(texts(group), ['hello', 'unsent', 'ann joined']);
  assert.equal(group.entries[1].status, 'waiting');
  const [talk] = after.list('user');
  assert.deepEqual([talk.name, talk.unread, talk.draft, texts(talk)], ['bob', 1, 'half a sen', ['psst']]);
});

test('what a reload keeps fits into the storage of a browser', () => {
  const logs = new Logs();
  for (let number = 0; number < 60; number += 1) {
    const log = logs.open('user', `user ${number}`);
    for (let post = 0; post < 20; post += 1) log.addMessage(message({ msg: 'x'.repeat(5000), post }));
  }
  const saved = snapshot(logs);
  assert.ok(JSON.stringify(saved).length < 2_000_000);
  assert.equal(saved.at(-1).name, 'user 59'); // the one that was used last is complete
  assert.equal(saved.at(-1).entries.length, 20);
});

test('missing private messages are mentioned only where some are likely', () => {
  const logs = new Logs();
  const lobby = logs.open('group', 'lobby');
  noteGap(logs, { group: null, missed: null }, 'lobby'); // a restarted server, and no private messages at all
  assert.deepEqual([lobby.entries, logs.list('user')], [[], []]);
  logs.open('user', 'ann').addMessage(message('psst'));
  logs.open('user', 'bob'); // opened, but nothing was said
  noteGap(logs, { group: null, missed: null }, 'lobby');
  assert.deepEqual(texts(logs.open('user', 'ann')), ['psst', 'Some private messages may be missing here.']);
  assert.deepEqual([texts(lobby), texts(logs.open('user', 'bob'))], [[], []]);
  noteGap(logs, { group: null, missed: 1 }, 'lobby'); // certain, so it is said in any case
  assert.deepEqual(texts(lobby), ['1 private message is missing here.']);
  noteGap(logs, { group: 'other', missed: 1234 }, 'lobby');
  assert.deepEqual(texts(logs.open('group', 'other')), ['1,234 messages are missing here.']);
});

test('the time of a message of the history is the one that this page wrote, if it is credible', () => {
  const now = 1_800_000_000_000;
  assert.equal(sentAt({ msg: 'x', at: now - 5000 }, now), now - 5000);
  for (const said of ['text', null, 7, {}, { at: 'x' }, { at: NaN }, { at: now + 120_000 }, { at: now - 90_000_000 }]) {
    assert.equal(sentAt(said, now), null);
  }
});
