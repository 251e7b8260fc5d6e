// The demo page's links, and its order and search of names. Pure parts.

import assert from 'node:assert/strict';
import test from 'node:test';

import { explainEnd } from '../../src/hubbub/web/demo/errors.js';
import { splitLinks } from '../../src/hubbub/web/demo/links.js';
import { compareNames, matches, prefixes } from '../../src/hubbub/web/demo/search.js';

const links = (text) => splitLinks(text).filter(({ href }) => href).map(({ text: shown, href }) => [shown, href]);

for (const [text, ...expected] of [
  ['see https://example.com/a?b=c#d, or not', ['https://example.com/a?b=c#d', 'https://example.com/a?b=c#d']],
  ['HTTP://EXAMPLE.com', ['HTTP://EXAMPLE.com', 'http://example.com/']],
  ['(https://example.com/x_(y))', ['https://example.com/x_(y)', 'https://example.com/x_(y)']],
  ['https://example.com/x_(y).', ['https://example.com/x_(y)', 'https://example.com/x_(y)']],
  ['"https://a.example" <https://b.example>', ['https://a.example', 'https://a.example/'], ['https://b.example', 'https://b.example/']],
  ['www.example.com!', ['www.example.com', 'https://www.example.com/']],
  ['http://localhost:8000/#group=a+b', ['http://localhost:8000/#group=a+b', 'http://localhost:8000/#group=a+b']],
  ['https://example.com/\u202egpj.exe', ['https://example.com/', 'https://example.com/']], // the rest would be shown backwards
  ['https://example.com\u200b.evil.example', ['https://example.com', 'https://example.com/']],
  ['https://bücher.example/ü', ['https://bücher.example/ü', 'https://xn--bcher-kva.example/%C3%BC']],
]) {
  test(`links in ${JSON.stringify(text)}`, () => {
    assert.deepEqual(links(text), expected);
    assert.equal(splitLinks(text).map((part) => part.text).join(''), text);
  });
}

for (const text of [
  '', 'no link', 'javascript:alert(1)', 'data:text/html,<script>alert(1)</script>', 'vbscript:x', 'file:///etc/passwd',
  'java\nscript:alert(1)', 'http://', 'https://', 'https://[', 'http://%', 'xhttp://example.com', 'ftp://example.com', '//example.com',
  'http://:80', 'https://..', 'www.',
]) {
  test(`no link in ${JSON.stringify(text)}`, () => {
    assert.deepEqual(links(text), []);
    assert.equal(splitLinks(text).map((part) => part.text).join(''), text);
  });
}

test('any text stays itself, only http and https become links, and long ones take no time', () => {
  const pieces = ['http://', 'https://', 'www.', 'a', '.', '(', ')', '\u202e', ' ', '\n', '<', '"', 'javascript:', '@', ':', '/', '%', '\ud800'];
  let seed = 1;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 2000; round += 1) {
    const text = Array.from({ length: random(12) }, () => pieces[random(pieces.length)]).join('');
    const parts = splitLinks(text);
    assert.equal(parts.map((part) => part.text).join(''), text);
    for (const { href } of parts) assert.ok(href === undefined || /^https?:\/\//.test(href), text);
  }
  const started = performance.now();
  for (const piece of ['http://', 'https://a', 'www.', '(((', ')))', 'https://a.b/(', '. ']) splitLinks(piece.repeat(65_536 / piece.length));
  splitLinks(`https://a.example/${')'.repeat(60_000)}`);
  assert.ok(performance.now() - started < 1000, `${performance.now() - started} ms`);
});

test('names are ordered as people order them', () => {
  const names = ['room 102', 'Room 12', 'room 3', 'zoo', 'Äpfel', 'bar', '12', '102', 'room 12'];
  assert.deepEqual(names.sort(compareNames), ['12', '102', 'Äpfel', 'bar', 'room 3', 'Room 12', 'room 12', 'room 102', 'zoo']);
});

for (const [name, typed, expected] of [
  ['Hello World', 'world', true],
  ['Hello World', 'WORLD hello', true],
  ['Hello World', 'lo wo', true],
  ['Café', 'cafe', true],
  ['cafe', 'É', true],
  ['Hello World', '', true],
  ['Hello World', 'worlds', false],
  ['a.b', 'a*b', false],
]) {
  test(`"${typed}" ${expected ? 'finds' : 'does not find'} "${name}"`, () => assert.equal(matches(name, typed), expected));
}

test('the prefixes cover the usual spellings', () => {
  assert.deepEqual(prefixes('hello World'), ['hello World', 'hello world', 'Hello world', 'HELLO WORLD']);
  assert.deepEqual(prefixes('12'), ['12']);
});

test('the end of a connection is explained', () => {
  const expired = explainEnd({ code: 'UNAUTHORIZED' }, 'The token has expired.');
  assert.deepEqual(expired, { text: 'Your token has expired. Enter a new one to continue.', needsLogin: true });
  assert.match(explainEnd({ code: 'UNAUTHORIZED' }, 'The signature is wrong.').text, /signature is wrong/);
  assert.equal(explainEnd({ code: 4004 }, 'x').needsLogin, false);
  assert.match(explainEnd({ code: 4004 }, 'x').text, /too many connections/);
  assert.equal(explainEnd({ code: 1009 }, 'why').text, 'why');
});
