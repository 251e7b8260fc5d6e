// Own messages: shown at once, sent in their order, and then marked as delivered or failed. A message that cannot be
// sent now waits, for minutes or over a reload; it keeps its key, so the server delivers it once.

import { explain } from './errors.js';

/** Milliseconds until messages that the server did not take are sent again: the first pause, which doubles, and the last. */
const PAUSE = 2000;
const LONGEST_PAUSE = 30_000;

export class Outbox {
  /** @type {import('../hubbub.js').Hubbub | null} */
  #hub = null;
  #me = '';
  /** The own messages that have no reply yet, by log, in their order. @type {Map<import('./logs.js').Log, import('./logs.js').Entry[]>} */
  #queues = new Map();
  /** The logs whose first message is being sent. */
  #busy = new Set();
  #pause = PAUSE;
  #timer = 0;

  /** Use this connection from now on; null for none. */
  use(hub, me) {
    this.#hub = hub;
    this.#me = me;
    this.#busy = new Set();
  }

  /** Forget all messages that wait. */
  clear() {
    clearTimeout(this.#timer);
    this.#queues.clear();
  }

  /** Show a text in `log` and send it. */
  send(text, log) {
    const at = Date.now();
    const ref = newRef();
    const entry = log.addMessage({ sender: this.#me, body: { msg: text, ref, at }, own: true, at, ref, status: 'sending', info: 'sending …' });
    this.#enqueue(log, entry);
  }

  /** Send the waiting messages of a log that was restored after a reload. */
  adopt(log) {
    for (const entry of log.entries) if (entry.status === 'waiting') this.#enqueue(log, entry);
  }

  /** Send a message that failed again. */
  again(log, entry) {
    log.change(entry, { status: 'sending', info: 'sending …' });
    this.#enqueue(log, entry);
  }

  /** Send what waits, now that the connection or the group is back. */
  flush() {
    for (const log of this.#queues.keys()) this.#pump(log);
  }

  /**
   * Process a message of this user in a group: if this tab has sent it, it is shown already.
   * @returns {boolean} whether that is so
   */
  isEcho(log, { message, seq }) {
    const entry = typeof message?.ref === 'string' ? log.findOwn(message.ref) : undefined;
    if (!entry) return false;
    if (entry.seq === undefined) log.confirm(entry, seq);
    return true;
  }

  #enqueue(log, entry) {
    if (!this.#queues.has(log)) this.#queues.set(log, []);
    this.#queues.get(log).push(entry);
    this.#pump(log);
  }

  /** Send the messages of a log one after the other, until one has to wait. */
  async #pump(log) {
    const [busy, queue] = [this.#busy, this.#queues.get(log)];
    if (busy.has(log)) return;
    busy.add(log);
    while (queue.length > 0) {
      const sent = await this.#deliver(log, queue[0]);
      if (busy !== this.#busy) return; // another connection has taken over
      if (!sent) break;
      queue.shift();
    }
    busy.delete(log);
    if (queue.length > 0) this.#wait(log, queue);
    else this.#queues.delete(log);
  }

  /** Send one message. Returns false if it has to wait. */
  async #deliver(log, entry) {
    const hub = this.#hub;
    if (hub?.state !== 'connected' || (log.kind === 'group' && hub.group !== log.name)) return false;
    const recipient = log.kind === 'group' ? { group: log.name } : { user_id: log.name };
    try {
      const { recipients } = await hub.postRealtime(entry.body, recipient, { key: entry.ref });
      this.#pause = PAUSE;
      log.change(entry, { status: 'delivered', info: log.kind === 'group' ? toGroup(recipients) : toUser(recipients) });
    } catch (error) {
      if (hub !== this.#hub || error.code === 'UNAVAILABLE') return false;
      if (log.kind === 'group' && hub.group !== log.name) return false; // the group was changed meanwhile
      log.change(entry, { status: 'failed', info: explain(error) });
    }
    return true;
  }

  #wait(log, queue) {
    const connected = this.#hub?.state === 'connected';
    const elsewhere = connected && log.kind === 'group' && this.#hub.group !== log.name;
    const info = elsewhere ? 'waiting until you are in this group again' : connected
      ? 'The server did not answer. Trying again …' : 'waiting for the connection …';
    for (const entry of queue) log.change(entry, { status: 'waiting', info });
    if (!connected || elsewhere) return; // flush() follows
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }
}

/** A name that no other message has: 96 random bits. */
function newRef() {
  return [...crypto.getRandomValues(new Uint32Array(3))].map((word) => word.toString(36)).join('');
}

/** The count of a group includes the sender. */
function toGroup(recipients) {
  return recipients > 1 ? `delivered to ${(recipients - 1).toLocaleString('en')}` : 'nobody else is here';
}

function toUser(recipients) {
  return recipients > 0 ? `delivered to ${recipients.toLocaleString('en')}` : 'this user is not connected';
}
