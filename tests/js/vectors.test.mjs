// The golden vectors: the same calls make the same frames, the same frames mean the same, as in every other client.

import assert from 'node:assert/strict';
import test from 'node:test';

import {
  ANSWERS, HubbubError, Places, backoff, comesBack, commands, encode, readFrame, retryDelay, watchInterval, withId,
} from '../../src/hubbub/web/client/hubbub.js';
import { vectors } from './support.mjs';

const BY_METHOD = {
  connect: commands.connect,
  joinRealtime: commands.join,
  postRealtime: commands.post,
  getRealtimeGroups: commands.groups,
  getRealtimeUsers: commands.users,
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

for (const { name, steps, heard, position, inbox } of vectors('places')) {
  test(`positions: ${name}`, () => {
    const told = [];
    const places = new Places((event) => told.push(event));
    for (const { welcome, joined, event } of steps) {
      if (welcome) places.welcomed(welcome);
      else if (joined) places.joined(joined, joined.reply);
      else places.hear(readFrame(JSON.stringify(event)).event);
    }
    const short = ({ type, message, group, since, position, missed }) =>
      type === 'gap' ? { gap: group, since, position, missed } : message;
    assert.deepEqual(told.map(short), heard);
    assert.deepEqual([places.position, places.inbox], [position, inbox]);
  });
}

for (const { attempt, random, delay } of vectors('backoff')) {
  test(`backoff: retry ${attempt} with ${random}`, () => assert.equal(backoff(attempt, random), delay));
}

for (const { code, attempt, random, told, delay } of vectors('retry_delay')) {
  test(`after ${code}, told ${told}: retry ${attempt} with ${random}`, () => {
    assert.equal(retryDelay(code, attempt, random, told), delay);
  });
}

for (const { code, come_back: comeBack } of vectors('close_codes')) {
  test(`close code ${code}: ${comeBack ? 'come back' : 'stay away'}`, () => assert.equal(comesBack(code, false), comeBack));
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
  test(`a server that answers ${name} with ${JSON.stringify(ok)}: ${fits}`, () => assert.equal(ANSWERS[name](ok), fits));
}

test('what is binary cannot be read', () => {
  for (const data of [new Uint8Array(3), new ArrayBuffer(3), Buffer.from('{"type":"later"}'), null, undefined]) {
    assert.equal(readFrame(data).event.code, 'UNREADABLE');
  }
});

for (const ping of [0, -1, 0.0001, 1e-300, 1, 25, 1e300]) {
  test(`ping ${ping} makes no more than a probe a second, and no fewer than one in five minutes`, () => {
    assert.ok(watchInterval(ping) >= 1 && watchInterval(ping) <= 300);
  });
}
