// The parts that need no server: names of form fields, values that are not JSON, addresses, token renewal, paging.

import assert from 'node:assert/strict';
import test from 'node:test';

import { QueryCache, collect, commands, encode, refreshIn, shouldReconnect, socketUrl } from '../../src/hubbub/web/client/hubbub.js';

const asJson = (pairs) => JSON.parse(JSON.stringify(collect(pairs)));
const invalid = (pattern) => ({ name: 'HubbubError', code: 'INVALID_PARAMETER', message: pattern });

const NAMES = [
  ['plain', [['msg', 'hi']], { msg: 'hi' }],
  ['nested', [['a[b][c]', 1], ['a[b][d]', 2], ['a[e]', 3]], { a: { b: { c: 1, d: 2 }, e: 3 } }],
  ['indexes', [['a[0]', 'x'], ['a[1]', 'y']], { a: ['x', 'y'] }],
  ['indexes out of order leave null', [['a[2]', 'z'], ['a[0]', 'x']], { a: ['x', null, 'z'] }],
  ['objects in an array', [['a[0][b]', 1], ['a[0][c]', 2], ['a[1][b]', 3]], { a: [{ b: 1, c: 2 }, { b: 3 }] }],
  ['empty brackets append', [['a[]', 'x'], ['a[]', 'y']], { a: ['x', 'y'] }],
  ['one name with empty brackets is an array as well', [['a[]', 'x']], { a: ['x'] }],
  ['quotes around a key', [['a["b c"]', 1], ["a['d']", 2]], { a: { 'b c': 1, d: 2 } }],
  ['quotes make a digit a key', [['a["0"]', 1]], { a: { 0: 1 } }],
  ['a repeated name', [['a', 1], ['a', 2], ['a', 3]], { a: [1, 2, 3] }],
  ['digits as a whole name', [['0', 'x']], { 0: 'x' }],
  ['names of built-in properties are ordinary names', [['constructor', 1], ['toString[x]', 2], ['hasOwnProperty', 3]], { constructor: 1, toString: { x: 2 }, hasOwnProperty: 3 }],
  ['a path through constructor', [['constructor[prototype][polluted]', 1]], { constructor: { prototype: { polluted: 1 } } }],
  ['indexes in order', [['a[0]', 1], ['a[1]', 2]], { a: [1, 2] }],
];
for (const [name, pairs, expected] of NAMES) {
  test(`field names: ${name}`, () => {
    assert.deepEqual(asJson(pairs), expected);
    assert.equal({}.polluted, undefined);
  });
}

const BAD_NAMES = [
  [[['__proto__[polluted]', 1]], /__proto__/],
  [[['a[__proto__][polluted]', 1]], /__proto__/],
  [[['a["__proto__"][polluted]', 1]], /__proto__/],
  [[['a', 1], ['a[b]', 2]], /"a\[b\]" is inside a field that already has a value/],
  [[['a[0]', 1], ['a[length]', 7]], /"a\[length\]" names a field of an array/],
  [[['a[1000]', 1]], /0 to 999/],
  [[['a[999999999]', 1]], /0 to 999/],
];
for (const [pairs, message] of BAD_NAMES) {
  test(`field names rejected: ${pairs.at(-1)[0]}`, () => {
    assert.throws(() => collect(pairs), invalid(message));
    assert.equal({}.polluted, undefined);
  });
}

const cycle = {};
cycle.self = cycle;
let deep = [];
for (let depth = 0; depth < 100_000; depth += 1) deep = [deep];
const NOT_JSON = [
  ['NaN', { price: NaN }, /"price" is NaN, which JSON cannot represent/],
  ['Infinity', [1, -Infinity], /"1" is -Infinity/],
  ['NaN itself', NaN, /"message" is NaN/],
  ['a function', { f() {} }, /"f" is a function/],
  ['a symbol', { s: Symbol('s') }, /"s" is a symbol/],
  ['a BigInt', { n: 1n }, /"n" is a bigint/],
  ['a Map', { m: new Map([[1, 2]]) }, /"m" is a Map/],
  ['a promise', Promise.resolve(1), /"message" is a Promise/],
  ['a file', { photo: new Blob(['x']) }, /"photo" is a Blob/],
  ['a cycle', cycle, /not JSON.*circular/],
];
for (const [name, message, pattern] of NOT_JSON) {
  test(`not JSON: ${name}`, () => assert.throws(() => encode(commands.post(message, 'g')), invalid(pattern)));
}
test('not JSON: nested too deep', () => assert.throws(() => encode(commands.post(deep, 'g')), { code: 'TOO_LARGE' }));
test('undefined is null, and left out of objects, as in JSON.stringify; dates are text', () => {
  const sent = (message) => JSON.parse(encode(commands.post(message, 'g'))).message;
  assert.equal(sent(undefined), null);
  assert.deepEqual(sent({ a: undefined, b: [undefined], c: new Date(0) }), { b: [null], c: '1970-01-01T00:00:00.000Z' });
});

const BAD_CALLS = [
  ['a group that is not a string', () => commands.join({ group: 7 }), /"group" must be a string, or null/],
  ['no recipient', () => commands.post('x', ''), /"recipient"/],
  ['a recipient of the wrong type', () => commands.post('x', 7), /"recipient"/],
  ['a recipient without a name', () => commands.post('x', {}), /"recipient"/],
  ['a parameter misspelt', () => commands.groups({ searchfor: 'group' }), /"searchfor" is unknown; "params" takes searchFor, value, condition, range/],
  ['a fetch option misspelt', () => commands.users({ group: 'g' }, { startkey: 1 }), /"startkey" is unknown; "fetchOptions" takes/],
  ['parameters that are not an object', () => commands.groups('Hello'), /"params" must be an object/],
];
for (const [name, call, pattern] of BAD_CALLS) test(`rejected: ${name}`, () => assert.throws(call, invalid(pattern)));

const URLS = [
  ['http://localhost:8000', 'ws://localhost:8000/v1/connect'],
  ['https://example.com/', 'wss://example.com/v1/connect'],
  ['https://example.com/realtime', 'wss://example.com/realtime/v1/connect'],
  ['wss://example.com/v1/connect', 'wss://example.com/v1/connect'],
  ['ws://[::1]:9/a/?x=1#top', 'ws://[::1]:9/a/v1/connect?x=1'],
];
test('a path is relative to the page', () => {
  globalThis.location = { href: 'https://example.com/chat/room?x=1#y' };
  try {
    assert.equal(socketUrl('/realtime'), 'wss://example.com/realtime/v1/connect');
    assert.equal(socketUrl('/realtime/'), 'wss://example.com/realtime/v1/connect');
    assert.equal(socketUrl('realtime'), 'wss://example.com/chat/realtime/v1/connect');
    assert.equal(socketUrl(undefined), 'wss://example.com/v1/connect');
  } finally {
    delete globalThis.location;
  }
});

for (const [given, expected] of URLS) test(`address: ${given}`, () => assert.equal(socketUrl(given), expected));
for (const bad of ['ftp://example.com', 'example', undefined]) {
  test(`address rejected: ${bad}`, () => assert.throws(() => socketUrl(bad), invalid(/URL|start with http/)));
}

const REFRESH = [
  ['an hour: a minute before the end', 3600, 3540],
  ['ten minutes: a minute before the end', 600, 540],
  ['100 seconds: after four fifths', 100, 80],
  ['two seconds', 2, 1.6],
  ['one second: too late, the close code decides', 1, null],
  ['expired, or this clock is wrong', -100, null],
  ['ten years: no longer than a timer can wait', 315_360_000, 2_000_000],
];
for (const [name, left, expected] of REFRESH) {
  test(`new token, ${name}`, () => {
    const delay = refreshIn(1_000_000 + left, 1_000_000);
    assert.ok(expected === null ? delay === null : Math.abs(delay - expected) < 1e-6, String(delay));
  });
}
test('new token: never for a guest', () => assert.equal(refreshIn(null, 0), null));

for (const [code, renewable, expected] of [
  ['UNAVAILABLE', false, true], ['RATE_LIMITED', false, true], ['INTERNAL', false, true],
  ['UNAUTHORIZED', false, false], ['UNAUTHORIZED', true, true],
  ['FORBIDDEN', true, false], ['INVALID_PARAMETER', true, false],
]) {
  test(`refused with ${code}, ${renewable ? 'a' : 'no'} new token: ${expected}`, () => assert.equal(shouldReconnect(code, renewable), expected));
}

const page = (from, to, of) => ({
  list: Array.from({ length: to - from }, (_, index) => from + index),
  startKey: to === of ? 'end' : { at: to },
  endOfList: to === of,
});

test('paging: fetchMore continues after the last page, and asks for nothing after the end', async () => {
  const asked = [];
  const ask = async (command) => {
    asked.push(command.startKey);
    const from = command.startKey?.at ?? 0;
    return page(from, Math.min(from + 2, 5), 5);
  };
  const query = new QueryCache().open('q', true);
  const next = () => query.nextPage({ do: 'groups' }, ask);
  assert.deepEqual(await next(), { list: [0, 1], startKey: { at: 2 }, endOfList: false, startKeyHistory: ['{"at":2}'] });
  assert.deepEqual((await next()).list, [2, 3]);
  const last = { startKey: 'end', endOfList: true, startKeyHistory: ['{"at":2}', '{"at":4}', 'end'] };
  assert.deepEqual(await next(), { list: [4], ...last });
  assert.deepEqual(await next(), { list: [], ...last });
  assert.deepEqual(asked, [undefined, { at: 2 }, { at: 4 }]);
});

test('paging: a page that failed is fetched again', async () => {
  const query = new QueryCache().open('q', true);
  await query.nextPage({}, async () => page(0, 2, 5));
  await assert.rejects(query.nextPage({}, () => Promise.reject(new Error('lost'))), /lost/);
  assert.deepEqual(query.startKeys, ['{"at":2}']);
});

test('paging: queries are kept apart, restarted, and the least recently used is dropped', () => {
  const pages = new QueryCache();
  const first = pages.open('first', true);
  assert.equal(pages.open('first', true), first);
  assert.notEqual(pages.open('first', false), first);
  const kept = pages.open('kept', true);
  for (let each = 0; each < 99; each += 1) {
    pages.open(`other ${each}`, true);
    assert.equal(pages.open('kept', true), kept);
  }
  const again = pages.open('first', true);
  assert.notEqual(again, first);
});

test('paging: start keys are limited in number and length', async () => {
  const query = new QueryCache().open('q', true);
  for (let number = 1; number <= 1200; number += 1) await query.nextPage({}, async () => ({ ...page(0, 0, 1), startKey: { number } }));
  assert.equal(query.startKeys.length, 1000);
  assert.deepEqual([query.startKeys[0], query.startKeys.at(-1)], ['{"number":201}', '{"number":1200}']);
  const long = (length) => ({ ...page(0, 0, 1), startKey: { group: 'x'.repeat(length) } });
  for (let each = 0; each < 10; each += 1) await query.nextPage({}, async () => long(300_000));
  assert.equal(query.startKeys.length, 3);
  await assert.rejects(query.nextPage({}, async () => long(2_000_000)), { code: 'INTERNAL', message: /"startKey" has/ });
});
