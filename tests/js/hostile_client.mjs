// Not a test by itself: connects to each of the given addresses for some seconds, and prints the results as JSON.
//
//     node hostile_client.mjs SECONDS URL...

import WebSocket from 'ws';

import { Hubbub } from '../../src/hubbub/web/client/hubbub.js';

const [seconds, ...urls] = process.argv.slice(2);
const thrown = [];
for (const name of ['uncaughtException', 'unhandledRejection']) process.on(name, (error) => thrown.push(String(error?.stack ?? error)));
console.error = () => {}; // the callback below throws on purpose, and the client reports it

const seen = Object.fromEntries(await Promise.all(urls.map(async (url) => {
  const events = {};
  const client = new Hubbub(url, { guest: 'a', WebSocket, timeout: 300 });
  const heard = new Promise((resolve) => {
    client.connectRealtime((event) => {
      const name = event.message === 'last' ? 'last' : event.type;
      events[name] = (events[name] ?? 0) + 1;
      if (name === 'last') resolve();
      throw { get stack() { throw new Error('this cannot be shown either'); } };
    }).catch(() => {});
  });
  const enough = new Promise((resolve) => setTimeout(resolve, 1000 * Number(seconds)));
  await (url.includes('/garbage') ? Promise.race([heard, enough]) : enough);
  const answered = client.state === 'connected' && await client.getRealtimeGroups().then(() => true, (error) => error.code);
  const { state } = client;
  await client.closeRealtime();
  return [url.split('/')[3], { events, answered, state }];
})));
console.log(JSON.stringify({ seen, thrown }));
process.exit(0); // do not wait for sockets of a server that does not close them
