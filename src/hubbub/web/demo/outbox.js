// Own messages: shown at once, sent, and then what became of them.

import { explain } from './errors.js';

export class Outbox {
  /** The group that is written to. */
  group = '';
  #hub;
  #me;
  #conversation;
  /** The own messages that the group has not echoed yet, by the `ref` that goes along. */
  #waiting = new Map();
  #tab = crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
  #sent = 0;

  /** @param {import('./conversation.js').Conversation} conversation */
  constructor(conversation) {
    this.#conversation = conversation;
  }

  /** Write as this user from now on. @param {import('/hubbub.js').Hubbub} hub */
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

  /** Messages are missing: what the group has not echoed, it may not echo any more. */
  lost() {
    this.#waiting.clear();
  }

  /** Return whether a message that came is one's own from this tab, which is shown already. */
  heard({ message, sender }) {
    const ref = String(message?.ref);
    if (sender !== this.#me || !ref.startsWith(`${this.#tab}-`)) return false;
    this.#waiting.get(ref)?.heard();
    this.#waiting.delete(ref);
    return true;
  }
}

/** The group's count includes the sender, who knows the message already. */
function toGroup(recipients) {
  return recipients > 1 ? `delivered to ${(recipients - 1).toLocaleString('en')}` : 'nobody else is here';
}

function toUser(recipients) {
  return recipients > 0 ? `delivered to ${recipients.toLocaleString('en')}` : 'not connected right now';
}
