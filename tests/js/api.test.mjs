// The six methods against a real server: the spec page's examples, messages of every kind, listings, errors.

import assert from 'node:assert/strict';
import test, { before } from 'node:test';

import { HubbubError } from '../../src/hubbub/web/client/hubbub.js';
import { Listener, Server, WELCOME, scripted } from './support.mjs';

let server;
before(async () => (server = await Server.start('--rate-limit', '0')));

const guest = (name, group) => Listener.connected(server, { guest: name }).then(async (client) => {
  if (group) await client.joinRealtime({ group });
  return client;
});
const code = (expected, message) => ({ name: 'HubbubError', code: expected, ...(message && { message }) });

test('connecting returns the welcome', async () => {
  const client = new Listener(server, { guest: 'alice' });
  assert.equal(client.state, 'closed');
  const connecting = client.connect();
  assert.equal(client.state, 'connecting');
  const welcome = await connecting;
  assert.equal(welcome.user_id, 'alice');
  assert.equal(client.user_id, 'alice');
  assert.equal(client.connection_id, welcome.connection_id);
  assert.equal(client.state, 'connected');
  assert.deepEqual(await client.nextEvent('success'), { type: 'success', message: 'Connected to WebSocket server.' });
  await client.closeRealtime();
  assert.equal(client.state, 'closed');
  assert.deepEqual(await client.nextEvent('close'), { type: 'close', code: 1000, message: 'WebSocket connection closed.' });
});

test('connecting twice keeps the one connection', async () => {
  const client = await guest('alice');
  const [one, other] = await Promise.all([client.connectRealtime(), client.connectRealtime()]);
  assert.equal(one.connection_id, client.connection_id);
  assert.deepEqual(one, other);
});

test("the spec page's examples, word for word", async () => {
  const skapi = await guest('user_a');
  const lines = [];
  const console = { log: (line) => lines.push(line) };

  await skapi.joinRealtime({ group: 'HelloWorld' }).then(res => {
      console.log(res.message) // Joined realtime message group: "HelloWorld".
  });
  await skapi.postRealtime({ msg: "Hello World!" }, 'HelloWorld').then(res => console.log(res));
  await skapi.getRealtimeGroups().then(res => {
      console.log(res.list) // [{ group: 'HelloWorld', number_of_users: 1 }, ...]
  });
  await skapi.getRealtimeGroups({ searchFor: 'group', value: 'Hello', condition: '>=' }).then(res => {
      console.log(res.list) // [{ group: 'HelloWorld', number_of_users: 1 }, ...]
  });
  await skapi.getRealtimeGroups({ searchFor: 'number_of_users', value: 10, condition: '>=' }).then(res => {
      console.log(res.list) // [{ group: 'HelloUniverse', number_of_users: 11 }, ...]
  });
  await skapi.getRealtimeUsers({ group: 'HelloWorld' }).then(res => {
      console.log(res.list) // [{user_id: 'user_a', connection_id: 'user_cid'}, ...]
  });
  await skapi.getRealtimeUsers({ group: 'HelloWorld', user_id: 'user_a' }).then(res => {
      console.log(res.list) // [{user_id: 'user_a', connection_id: 'user_cid'}]
  });

  const row = { group: 'HelloWorld', number_of_users: 1, number_of_connections: 1 };
  const user = { user_id: 'user_a', connection_id: skapi.connection_id };
  assert.equal(lines[0], 'Joined realtime message group: "HelloWorld".');
  assert.deepEqual(lines[1], { type: 'success', message: 'Message sent.', recipients: 1 });
  assert.deepEqual(lines[2].filter(({ group }) => group === 'HelloWorld'), [row]);
  assert.deepEqual(lines.slice(3), [[row], [], [user], [user]]);
  assert.deepEqual((await skapi.nextEvent('message')).message, { msg: 'Hello World!' });
});

test('messages that are not kept, and not echoed', async () => {
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => guest(name, 'quiet')));
  assert.equal((await alice.postRealtime('typing', 'quiet', { keep: false, echo: false })).recipients, 1);
  assert.equal((await alice.postRealtime('shown', 'quiet', { echo: false })).recipients, 1);
  assert.equal((await alice.postRealtime('hello', 'quiet')).recipients, 2);
  const own = alice.events.filter(({ type }) => type !== 'notice'); // everything has come before the reply
  assert.deepEqual(own.map(({ type, message }) => [type, message]), [['message', 'hello']]);
  const heard = [];
  while (heard.length < 3) heard.push(await bob.nextEvent('message'));
  assert.deepEqual(heard.map(({ message, seq }) => [message, seq]), [['typing', null], ['shown', 1], ['hello', 2]]);
  assert.deepEqual(alice.position, bob.position);
  const refused = code('INVALID_PARAMETER', /"keep": false/);
  await assert.rejects(alice.postRealtime(1, 'quiet', { keep: false, key: 'k' }), refused);
  await assert.rejects(alice.joinRealtime({ group: 'quiet', invisible: true }), code('FORBIDDEN', /"invisible"/));
  assert.equal(alice.group, 'quiet');
});

test('leaving, changing groups', async () => {
  const client = await guest('mover', 'first');
  assert.equal(client.group, 'first');
  await client.joinRealtime('second');
  assert.equal(client.group, 'second');
  const left = { type: 'success', message: 'Left realtime message group.' };
  assert.deepEqual(await client.joinRealtime({ group: '' }), left);
  assert.deepEqual(await client.joinRealtime({ group: null }), left);
  assert.deepEqual(await client.joinRealtime(null), left);
  assert.equal(client.group, null);
  await assert.rejects(client.postRealtime('x', 'second'), code('INVALID_REQUEST', /To post to a group, join it first/));
});

test('every kind of JSON arrives as it was sent', async () => {
  const [alice, bob] = [await guest('alice', 'json'), await guest('bob', 'json')];
  const kinds = [null, 0, false, '', [], {}, -1.5e-7, 'é 日本 🎉 \u0000 \u2028 " \\ </script>', { a: [1, { b: [null, true] }] }];
  for (const kind of kinds) {
    const { recipients } = await alice.postRealtime(kind, 'json');
    assert.equal(recipients, 2);
    const event = await bob.nextEvent('message');
    assert.deepEqual(event, {
      type: 'message', message: kind, sender: 'alice', sender_cid: alice.connection_id, sender_rid: 'json', code: null, seq: event.seq,
    });
  }
});

test('messages arrive in the order of the calls', async () => {
  const [alice, bob] = [await guest('alice', 'order'), await guest('bob', 'order')];
  await Promise.all(Array.from({ length: 200 }, (_, number) => alice.postRealtime(number, 'order')));
  for (let number = 0; number < 200; number += 1) assert.equal((await bob.nextEvent('message')).message, number);
});

test('private messages reach every connection of the user, and nobody else', async () => {
  const [alice, bob, second] = [await guest('alice', 'p'), await guest('bob', 'p'), await guest('bob')];
  const sent = await alice.postRealtime({ psst: 1 }, { user_id: 'bob' });
  assert.equal(sent.recipients, 2);
  for (const each of [bob, second]) {
    const event = { type: 'private', message: { psst: 1 }, sender: 'alice', sender_cid: alice.connection_id, sender_rid: null, code: null, seq: 1 };
    assert.deepEqual(await each.nextEvent('private'), event);
  }
  await alice.postRealtime('by name', 'bob');
  assert.equal((await second.nextEvent('private')).message, 'by name');
  await alice.getRealtimeGroups(); // everything that was sent to alice before has arrived now
  assert.ok(!alice.events.some(({ type }) => type === 'private'));
});

test('notices distinguish a second connection from a new user', async () => {
  const alice = await guest('alice', 'notices');
  const expected = (client, code, text, user_connections) =>
    ({ type: 'notice', message: `User "bob" ${text} the message group.`, sender: 'bob', sender_cid: client, sender_rid: 'notices', code, user_connections });
  const bob = await guest('bob', 'notices');
  const { connection_id: first } = bob;
  assert.deepEqual(await alice.nextEvent('notice'), expected(first, 'USER_JOINED', 'has joined', 1));
  const second = await guest('bob', 'notices');
  assert.deepEqual(await alice.nextEvent('notice'), expected(second.connection_id, 'USER_JOINED', 'has joined', 2));
  await second.joinRealtime({ group: null });
  assert.deepEqual(await alice.nextEvent('notice'), expected(second.connection_id, 'USER_LEFT', 'has left', 1));
  await bob.closeRealtime();
  assert.deepEqual(await alice.nextEvent('notice'), expected(first, 'USER_DISCONNECTED', 'has been disconnected and left', 0));
});

test('250 groups, page by page', async () => {
  const names = Array.from({ length: 250 }, (_, number) => `page ${String(number).padStart(3, '0')}`);
  await Promise.all(names.map((name, number) => guest(`user ${number % 90}`, name)));
  const client = await guest('reader');
  const params = { searchFor: 'group', value: 'page ', condition: '>=' };
  for (const [ascending, expected] of [[true, names], [false, [...names].reverse()]]) {
    const options = { limit: 60, ascending, fetchMore: true };
    const seen = [];
    for (let pages = 1; ; pages += 1) {
      const page = await client.getRealtimeGroups(params, options);
      seen.push(...page.list.map(({ group }) => group));
      assert.equal(page.startKeyHistory.length, pages);
      if (page.endOfList) break;
      assert.deepEqual(page.startKeyHistory.at(-1), JSON.stringify(page.startKey));
    }
    assert.deepEqual(seen, expected);
    assert.deepEqual((await client.getRealtimeGroups(params, options)).list, []);
  }
  const again = await client.getRealtimeGroups(params, { limit: 60 });
  assert.deepEqual(again.list.map(({ group }) => group), names.slice(0, 60));
  assert.equal(again.startKeyHistory.length, 1);
  const by = await client.getRealtimeGroups(params, { limit: 2, startKey: again.startKey });
  assert.deepEqual(by.list.map(({ group }) => group), names.slice(60, 62));
  const hurried = await Promise.all([1, 2, 3].map(() => client.getRealtimeGroups(params, { limit: 7, fetchMore: true })));
  assert.deepEqual(hurried.flatMap(({ list }) => list.map(({ group }) => group)), names.slice(0, 21));
});

test('users without a group are those of the joined one, and fetchMore does not mix two groups up', async () => {
  const client = await guest('zoe', 'here');
  await Promise.all([guest('a', 'here'), guest('b', 'here'), guest('c', 'there')]);
  const names = async () => (await client.getRealtimeUsers(null, { limit: 2, fetchMore: true })).list.map(({ user_id }) => user_id);
  assert.deepEqual(await names(), ['a', 'b']);
  await client.joinRealtime({ group: 'there' });
  assert.deepEqual(await names(), ['c', 'zoe']);
  await client.joinRealtime({ group: 'here' });
  assert.deepEqual(await names(), ['zoe']);
});

test("the server's errors come as HubbubError, and the connection goes on", async () => {
  const client = await guest('alice');
  const error = await client.getRealtimeGroups({}, { limit: 1001 }).catch((caught) => caught);
  assert.ok(error instanceof HubbubError && error instanceof Error);
  assert.equal(error.code, 'INVALID_PARAMETER');
  assert.match(error.message, /"limit"/);
  await assert.rejects(client.joinRealtime({ group: 'x'.repeat(257) }), code('INVALID_PARAMETER', /256/));
  await assert.rejects(client.getRealtimeUsers(), code('INVALID_REQUEST', /group/));
  await assert.rejects(client.postRealtime('x', 'nobody'), code('INVALID_REQUEST', /To post to a group, join it first/));
  await assert.rejects(client.postRealtime(NaN, 'x'), code('INVALID_PARAMETER', /NaN/));
  assert.equal(client.state, 'connected');
  await client.joinRealtime({ group: 'fine' });
});

test('a message that is too large is rejected before it would end the connection', async () => {
  const client = await guest('alice', 'large');
  const { connection_id } = client;
  await client.postRealtime('x'.repeat(65_534), 'large'); // 65,536 bytes with the quotes
  await assert.rejects(client.postRealtime('x'.repeat(65_535), 'large'), code('TOO_LARGE', /65537 bytes; at most 65536 are allowed/));
  await assert.rejects(client.postRealtime('日'.repeat(30_000), 'large'), code('TOO_LARGE', /90002 bytes/));
  await assert.rejects(client.joinRealtime({ group: 'x'.repeat(200_000) }), code('TOO_LARGE'));
  assert.equal(client.connection_id, connection_id);
});

test('before connectRealtime calls fail', async () => {
  const client = new Listener(server, { guest: 'alice' });
  for (const call of ['joinRealtime', 'postRealtime', 'getRealtimeGroups', 'getRealtimeUsers']) {
    const args = call === 'postRealtime' ? ['x', 'g'] : [{ group: 'g' }].filter(() => call !== 'getRealtimeGroups');
    await assert.rejects(client[call](...args), code('INVALID_REQUEST', /connectRealtime\(\)/));
  }
  await client.closeRealtime(); // harmless
});

test('calls made while connecting wait, in order', async () => {
  const client = new Listener(server, { guest: 'early' });
  const connecting = client.connect();
  const calls = [client.joinRealtime('early'), client.postRealtime(1, 'early'), client.getRealtimeUsers()];
  await connecting;
  const [joined, sent, users] = await Promise.all(calls);
  assert.equal(joined.message, 'Joined realtime message group: "early".');
  assert.equal(sent.recipients, 1);
  assert.equal(users.list[0].user_id, 'early');
});

test('a promise settles on the reply, not before it, or after the timeout', async () => {
  let answer;
  const peer = await scripted((command, socket) => {
    if (command.do === 'connect') return WELCOME;
    if (command.do === 'post') answer = () => socket.send(JSON.stringify({ id: command.id, ok: { type: 'success', message: 'Message sent.', recipients: 3 } }));
    return command.do === 'groups' ? { list: [], startKey: 'end', endOfList: true } : undefined;
  });
  const client = await Listener.connected(peer, { guest: 'alice', timeout: 300 });
  let settled = false;
  const sent = client.postRealtime('x', 'g').then((result) => ((settled = true), result));
  await client.getRealtimeGroups(); // sent later, answered earlier
  assert.equal(settled, false);
  answer();
  assert.equal((await sent).recipients, 3);
  await assert.rejects(client.joinRealtime('never'), code('UNAVAILABLE', /No answer within 0.3 s/));
  assert.equal(client.group, null);
});

test('at most 1000 calls wait', async () => {
  const peer = await scripted((command) => (command.do === 'connect' ? WELCOME : undefined));
  const client = await Listener.connected(peer, { guest: 'alice' });
  const waiting = Promise.allSettled(Array.from({ length: 1000 }, () => client.postRealtime('x', 'g')));
  await assert.rejects(client.postRealtime('x', 'g'), code('RATE_LIMITED', /1000 calls/));
  await client.closeRealtime();
  assert.ok((await waiting).every(({ reason }) => reason.code === 'UNAVAILABLE' && /closeRealtime/.test(reason.message)));
});

test('a callback that throws, or whose promise fails, changes nothing', async (t) => {
  const reported = [];
  const report = t.mock.method(console, 'error', (error) => reported.push(error.message));
  const client = new Listener(server, { guest: 'clumsy' });
  let kind = 'thrown';
  await client.connectRealtime(() => {
    if (kind === 'thrown') throw new Error('thrown');
    return Promise.reject(new Error('rejected'));
  });
  kind = 'rejected';
  await client.joinRealtime('clumsy');
  await client.postRealtime(1, 'clumsy');
  assert.equal((await client.postRealtime(2, 'clumsy')).recipients, 1);
  report.mock.restore();
  assert.deepEqual([...new Set(reported)], ['thrown', 'rejected']);
});

test('invalid options are rejected at once', () => {
  for (const options of [{ guest: 'a', token: 'b' }, { guest: 'a', timeout: 0 }, { guest: 'a', timeout: 'soon' }]) {
    assert.throws(() => new Listener(server, options), code('INVALID_PARAMETER'));
  }
});
