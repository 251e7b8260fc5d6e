// Shared by the tests: real servers as processes, clients that record their events, a server that follows a script.

import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, afterEach } from 'node:test';
import { fileURLToPath } from 'node:url';
import WebSocket, { WebSocketServer } from 'ws';

import { Hubbub } from '../../src/hubbub/web/client/hubbub.js';

export const SECRET = 'a secret for tests, of 32 bytes or more';
export const PATIENCE = 60_000; // milliseconds after which a wait has failed; see tests/support/waiting.py

const COMMAND = process.env.HUBBUB ?? fileURLToPath(new URL('../../.venv/bin/hubbub', import.meta.url));
const servers = [];
const clients = [];
after(() => Promise.all(servers.map((stop) => stop())));
afterEach(() => Promise.all(clients.splice(0).map((client) => client.closeRealtime())));

/** The golden vectors of one kind. */
export const vectors = (name) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'));

async function freePort() {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  await new Promise((done) => listener.close(done));
  return port;
}

/** A real server in a process of its own. `kill` it with SIGKILL or `stop` it with SIGTERM, and `start` it again. */
export class Server {
  #process = null;

  constructor(port, options) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.options = options;
  }

  static async start(...options) {
    const server = new Server(await freePort(), options);
    servers.push(server.kill);
    await server.start();
    return server;
  }

  async start() {
    const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('HUBBUB'));
    this.#process = spawn(COMMAND, ['serve', '--port', String(this.port), '--log-level', 'error', ...this.options], {
      env: Object.fromEntries(environment),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const deadline = Date.now() + PATIENCE;
    while (!(await fetch(`${this.url}/healthz`).then((answer) => answer.ok, () => false))) {
      if (this.#process.exitCode !== null) throw new Error(`the server ended with ${this.#process.exitCode}`);
      if (Date.now() > deadline) throw new Error('the server does not start');
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  kill = () => this.#end('SIGKILL');
  stop = () => this.#end('SIGTERM');

  async #end(signal) {
    const ending = this.#process;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const gone = once(ending, 'exit');
    ending.kill(signal);
    await gone;
  }
}

/** A token for `user`, made without Hubbub's code; it ends in `ttl` seconds. */
export function token(user, ttl = 3600, claims = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, exp: Date.now() / 1000 + ttl, ...claims })}`;
  return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`;
}

/** A client that records its events; `nextEvent` waits for one of a type. */
export class Listener extends Hubbub {
  #events = [];
  #waiting = null;

  constructor(server, options) {
    super(server.url, { WebSocket, ...options });
    clients.push(this);
  }

  /** Return a connected client, without the events up to then. */
  static async connected(server, options) {
    const client = new Listener(server, options);
    await client.connect();
    await client.nextEvent('success');
    return client;
  }

  connect() {
    return this.connectRealtime((event) => {
      this.#events.push(event);
      this.#waiting?.();
    });
  }

  /** The next event of this type. Events before it are dropped. */
  async nextEvent(type) {
    for (;;) {
      const found = this.#events.findIndex((event) => event.type === type);
      if (found >= 0) return this.#events.splice(0, found + 1).at(-1);
      await soon(new Promise((resolve) => (this.#waiting = resolve)), `no "${type}"; got ${JSON.stringify(this.#events)}`);
    }
  }

  /** The recorded events that `nextEvent` has not returned or dropped. */
  get events() {
    return [...this.#events];
  }
}

/** The same promise, but rejected when it takes too long. */
export async function soon(promise, what) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`waited too long: ${what}`)), PATIENCE)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * A server that follows a script, for replies that the real server does not give on demand. `script(command, socket,
 * connections)` returns the result, an Error, or undefined for no reply.
 */
export async function scripted(script) {
  const peer = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(peer, 'listening');
  const seen = { url: `http://127.0.0.1:${peer.address().port}`, commands: [], connections: 0, sockets: [] };
  servers.push(() => {
    for (const socket of peer.clients) socket.terminate();
    peer.close();
  });
  peer.on('connection', (socket) => {
    const connection = (seen.connections += 1);
    seen.sockets.push(socket);
    socket.on('message', (data) => {
      const command = JSON.parse(data);
      seen.commands.push(command);
      const answer = script(command, socket, connection);
      if (answer instanceof Error) socket.send(JSON.stringify({ id: command.id, error: { code: answer.code, message: answer.message } }));
      else if (answer !== undefined) socket.send(JSON.stringify({ id: command.id, ok: answer }));
    });
  });
  return seen;
}

export const WELCOME = { user_id: 'alice', connection_id: 'c1', node: 'n1', ping: 25, max_message: 65536, expires: null };
