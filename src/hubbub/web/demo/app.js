// The demo page: a group chat on Hubbub. This file connects the parts; each part has its own.

import { Hubbub } from '/hubbub.js';
import { buildFor, copyLink, showBuilding } from './snippets.js';
import { Composer } from './composer.js';
import { Conversation } from './conversation.js';
import { name } from './dom.js';
import { Entry, hashOf, linkedGroup } from './login.js';
import { explain } from './errors.js';
import { GroupBrowser } from './groups.js';
import { Outbox } from './outbox.js';
import { People } from './people.js';
import { showState, trouble } from './state.js';
import { Views } from './views.js';

const byId = (id) => document.getElementById(id);

const conversation = new Conversation(writeTo);
const composer = new Composer((text, user) => outbox.send(text, user));
const people = new People(writeTo);
const groups = new GroupBrowser((group) => goTo(group));
const views = new Views();
const outbox = new Outbox(conversation);
const entry = new Entry(enter);

/** The connection, who we are on it, and the group we are in. */
let hub = null;
let me = '';
let group = '';

/** Connect, join the group, and open the chat. Rejects with the server's reason. */
async function enter(credentials, wanted) {
  const opened = new Hubbub(credentials);
  try {
    await opened.connectRealtime((event) => {
      if (opened === hub) hear(event);
      else if (event.type === 'reconnect') entry.say('The server does not answer. Still trying …');
    });
    hub = opened;
    me = hub.user_id;
    conversation.clear();
    outbox.open(hub, me);
    await join(wanted);
  } catch (error) {
    leave();
    opened.closeRealtime();
    throw error;
  }
  entry.close();
  byId('chat').hidden = false;
  showState('connected');
  groups.start(hub);
  views.show('conversation');
  composer.address(null);
}

/** Go to another group, and say so if that does not work. */
async function goTo(wanted) {
  trouble('');
  try {
    if (wanted !== group) await join(wanted);
    views.show('conversation');
    composer.address(null);
  } catch (error) {
    trouble(explain(error));
  }
}

async function join(wanted) {
  await hub.joinRealtime({ group: wanted });
  group = wanted;
  outbox.group = group;
  location.hash = hashOf(group);
  document.title = `${group} · Hubbub`;
  byId('group-name').textContent = group;
  byId('second-tab').href = `/${hashOf(group)}`;
  buildFor(group);
  conversation.line('You are in ', name(group));
  groups.current = group;
  await people.read(hub, group, me);
}

function leave() {
  const left = hub;
  hub = null; // so that its last events are nobody's
  goodbye(left);
  group = '';
  groups.stop();
  document.title = 'Hubbub';
  byId('chat').hidden = true;
}

/** Leave the group before the connection ends, so that the others see somebody go and not get lost. */
async function goodbye(left) {
  if (left?.state === 'connected') await left.joinRealtime({ group: null }).catch(() => {}); // gone is gone
  left?.closeRealtime();
}

/** Take in what the server or the client says. */
function hear(event) {
  switch (event.type) {
    case 'message':
    case 'private':
      if (!outbox.heard(event)) {
        const privately = event.type === 'private';
        const own = event.sender === me && !privately;
        conversation.message({ sender: event.sender, body: event.message, own, privately });
        views.arrived();
      }
      break;
    case 'notice':
      notice(event);
      break;
    case 'gap':
      gap(event);
      break;
    default:
      connection(event);
  }
}

const WENT = { USER_LEFT: ' left', USER_DISCONNECTED: ' lost the connection' };

/** Show who came and went. Of somebody's further tabs only the list of people tells. */
function notice({ sender, code, sender_rid, user_connections }) {
  if (sender_rid !== group) return;
  const came = code === 'USER_JOINED';
  people.changed(sender, user_connections);
  groups.look();
  if (user_connections > (came ? 1 : 0) || sender === me) return;
  conversation.line(name(sender), came ? ' joined' : WENT[code]);
}

/** Say that something was said that does not come any more. */
function gap({ group, missed }) {
  outbox.lost();
  const kind = `${group === null ? 'private ' : ''}message${missed === 1 ? '' : 's'}`;
  const sentence = missed === null ? `Some ${kind} may be` : `${missed.toLocaleString('en')} ${kind} ${missed === 1 ? 'is' : 'are'}`;
  conversation.line(`${sentence} missing here.`);
}

/** Show what becomes of the connection. After a reconnect the client has joined the group again, and heard what it missed. */
function connection({ type, message }) {
  if (type === 'reconnect') {
    if (showState('reconnecting')) conversation.line('Connection lost. Trying again …');
  } else if (type === 'close') {
    showState('closed');
    trouble(message || 'The connection is closed.', 'Start again', () => goOut());
  } else if (type === 'error') {
    trouble(message);
  } else if (showState('connected') && group) {
    trouble('');
    conversation.line('Connected again.');
    groups.look();
    people.read(hub, group, me).catch(() => {}); // lost once more: the next event tells
  }
}

/** Back to the door. */
function goOut() {
  leave();
  entry.open();
}

function writeTo(user) {
  if (user === me) return;
  views.show('conversation');
  composer.address(user);
}

byId('leave').addEventListener('click', goOut);
byId('share').addEventListener('click', () => copyLink(group, byId('share')));
byId('build').addEventListener('click', () => byId('build-dialog').showModal());
addEventListener('hashchange', () => {
  const linked = linkedGroup();
  if (linked && !hub) entry.open();
  else if (linked && linked !== group) goTo(linked);
});
showBuilding();
