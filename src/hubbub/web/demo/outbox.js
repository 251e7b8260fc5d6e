// Own messages: shown at once, sent, and then marked as delivered or failed.

import { explain } from './errors.js';

export class Outbox {
  /** The group that messages go to. */
  group = '';
  #hub;
  #me;
  #conversation;
  /** Own messages whose echo from the group has not arrived yet, by the `ref` that they carry. */
  #waiting = new Map();
  #tab = crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
  #sent = 0;

  /** @param {import('./conversation.js').Conversation} conversation */
  constructor(conversation) {
    this.#conversation = conversation;
  }

  /** Use this connection from now on. @param {import('/hubbub.js').Hubbub} hub */
  open(hub, me) {
    this.#hub = hub;
    this.#me = me;
    this.#waiting.clear();
  }

  /** Send a text to the group, or privately to a user. */
  async send(text, user) {
    const ref = `${this.#tab}-${++this.#sent}`;
    const entry = this.#conversation.message({
      sender: this.#me, body: text, own: true, privately: user !== null, to: user ?? undefined,
    });
    if (user === null) this.#waiting.set(ref, entry);
    try {
      const recipient = user === null ? { group: this.group } : { user_id: user };
      const { recipients } = await this.#hub.postRealtime({ msg: text, ref }, recipient);
      entry.delivered(user === null ? toGroup(recipients) : toUser(recipients));
    } catch (error) {
      entry.failed(explain(error), () => this.send(text, user));
      this.#waiting.delete(ref);
    }
  }

  /** Messages are missing, so some echoes may never arrive. */
  onGap() {
    this.#waiting.clear();
  }

  /** Return whether a message was sent by this tab, which shows it already. */
  isEcho({ message, sender }) {
    const ref = String(message?.ref);
    if (sender !== this.#me || !ref.startsWith(`${this.#tab}-`)) return false;
    this.#waiting.get(ref)?.moveToEnd();
    this.#waiting.delete(ref);
    return true;
  }
}

/** The count of a group includes the sender. */
function toGroup(recipients) {
  return recipients > 1 ? `delivered to ${(recipients - 1).toLocaleString('en')}` : 'nobody else is here';
}

function toUser(recipients) {
  return recipients > 0 ? `delivered to ${recipients.toLocaleString('en')}` : 'this user is not connected';
}
