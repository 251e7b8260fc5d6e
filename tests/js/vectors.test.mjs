// The golden vectors: the same calls make the same frames, and frames have the same meaning, as in every other client.

import assert from 'node:assert/strict';
import test from 'node:test';

import {
  HubbubError, Positions, REPLIES, backoff, commands, encode, probeInterval, readFrame, retryDelay, shouldReconnect, withId,
} from '../../src/hubbub/web/client/hubbub.js';
import { vectors } from './support.mjs';

const BY_METHOD = {
  connect: commands.connect,
  joinRealtime: commands.join,
  postRealtime: commands.post,
  getRealtimeGroups: commands.groups,
  getRealtimeUsers: commands.users,
  watchRealtimeGroups: commands.watchGroups,
  watchRealtimeUsers: commands.watchUsers,
};

for (const { name, js, frame } of vectors('v1_commands')) {
  test(`command: ${name}`, () => {
    const command = BY_METHOD[js.method](...js.args);
    assert.deepEqual(JSON.parse(withId(frame.id, encode(command))), frame);
  });
}

for (const { name, frame, id, result, error } of vectors('v1_replies')) {
  test(`reply: ${name}`, () => {
    const read = readFrame(JSON.stringify(frame));
    assert.equal(read.id, id);
    if (!error) {
      assert.deepEqual(read, { id, result });
      return;
    }
    assert.ok(read.error instanceof HubbubError);
    assert.deepEqual({ code: read.error.code, message: read.error.message }, error);
  });
}

for (const { name, frame, event } of vectors('v1_events')) {
  test(`event: ${name}`, () => assert.deepEqual(readFrame(JSON.stringify(frame)), event && { event }));
}

for (const { name, steps, emitted: expected, position, inbox } of vectors('positions')) {
  test(`positions: ${name}`, () => {
    const emitted = [];
    const positions = new Positions((event) => emitted.push(event));
    for (const { welcome, joined, event } of steps) {
      if (welcome) positions.onWelcome(welcome);
      else if (joined) positions.onJoin(joined, joined.reply);
      else positions.onEvent(readFrame(JSON.stringify(event)).event);
    }
    const short = ({ type, message, group, since, position, missed }) =>
      type === 'gap' ? { gap: group, since, position, missed } : message;
    assert.deepEqual(emitted.map(short), expected);
    assert.deepEqual([positions.position, positions.inbox], [position, inbox]);
  });
}

for (const { attempt, random, delay } of vectors('backoff')) {
  test(`backoff: retry ${attempt} with ${random}`, () => assert.equal(backoff(attempt, random), delay));
}

for (const { code, attempt, random, restart_after: restartAfter, delay } of vectors('retry_delay')) {
  test(`after ${code}, restart after ${restartAfter}: retry ${attempt} with ${random}`, () => {
    assert.equal(retryDelay(code, attempt, random, restartAfter), delay);
  });
}

for (const { code, reconnect } of vectors('close_codes')) {
  test(`close code ${code}: ${reconnect ? 'reconnect' : 'final'}`, () => assert.equal(shouldReconnect(code, false), reconnect));
}

for (const { frame, outcome } of vectors('hostile_frames')) {
  test(`a server that sends ${JSON.stringify(frame)}: ${outcome}`, () => {
    const read = readFrame(frame);
    const unreadable = read?.event?.code === 'UNREADABLE';
    const found = !read ? 'ignored' : unreadable ? 'unreadable' : read.event ? 'event' : read.error ? 'failed' : 'reply';
    assert.equal(found, outcome);
    if (outcome === 'failed') assert.equal(read.error.code, 'INTERNAL');
  });
}

for (const { do: name, ok, fits } of vectors('hostile_replies')) {
  test(`a server that answers ${name} with ${JSON.stringify(ok)}: ${fits}`, () => assert.equal(REPLIES[name](ok), fits));
}

test('a binary frame is unreadable', () => {
  for (const data of [new Uint8Array(3), new ArrayBuffer(3), Buffer.from('{"type":"later"}'), null, undefined]) {
    assert.equal(readFrame(data).event.code, 'UNREADABLE');
  }
});

for (const ping of [0, -1, 0.0001, 1e-300, 1, 25, 1e300]) {
  test(`ping ${ping} means at most one probe a second, and at least one in five minutes`, () => {
    assert.ok(probeInterval(ping) >= 1 && probeInterval(ping) <= 300);
  });
}
