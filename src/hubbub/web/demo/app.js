// The demo page: a group chat on Hubbub. This file connects the parts; each part has a file of its own.

import { Hubbub } from '/hubbub.js';
import { copyLink, insertSnippets, updateSnippets } from './snippets.js';
import { Composer } from './composer.js';
import { Conversation } from './conversation.js';
import { name } from './dom.js';
import { Login, hashOf, linkedGroup } from './login.js';
import { explain } from './errors.js';
import { GroupBrowser } from './groups.js';
import { Outbox } from './outbox.js';
import { People } from './people.js';
import { showError, showState } from './state.js';
import { Views } from './views.js';

const byId = (id) => document.getElementById(id);

const conversation = new Conversation(writeTo);
const composer = new Composer((text, user) => outbox.send(text, user));
const people = new People(writeTo);
const groups = new GroupBrowser((group) => goTo(group));
const views = new Views();
const outbox = new Outbox(conversation);
const login = new Login(enter);

/** The client, our user id, and the joined group. */
let hub = null;
let me = '';
let group = '';

/** Connect, join the group, and open the chat. Rejects with the server's reason. */
async function enter(credentials, wanted) {
  const opened = new Hubbub(credentials);
  try {
    await opened.connectRealtime((event) => {
      if (opened === hub) onEvent(event);
      else if (event.type === 'reconnect') login.showError('The server does not answer. Still trying …');
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
  login.close();
  byId('chat').hidden = false;
  showState('connected');
  groups.start(hub);
  views.show('conversation');
  composer.setRecipient(null);
}

/** Join another group, or show why that failed. */
async function goTo(wanted) {
  showError('');
  try {
    if (wanted !== group) await join(wanted);
    views.show('conversation');
    composer.setRecipient(null);
  } catch (error) {
    showError(explain(error));
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
  updateSnippets(group);
  conversation.line('You joined ', name(group));
  groups.current = group;
  await people.read(hub, group, me);
}

function leave() {
  const left = hub;
  hub = null; // so that its last events are ignored
  leaveAndClose(left);
  group = '';
  groups.stop();
  document.title = 'Hubbub';
  byId('chat').hidden = true;
}

/** Leave the group before closing, so that the others see "left" and not "lost the connection". */
async function leaveAndClose(left) {
  if (left?.state === 'connected') await left.joinRealtime({ group: null }).catch(() => {}); // not connected any more: nothing to leave
  left?.closeRealtime();
}

/** Handle an event of the client. */
function onEvent(event) {
  switch (event.type) {
    case 'message':
    case 'private':
      if (!outbox.isEcho(event)) {
        const privately = event.type === 'private';
        const own = event.sender === me && !privately;
        conversation.message({ sender: event.sender, body: event.message, own, privately });
        views.onMessage();
      }
      break;
    case 'notice':
      onNotice(event);
      break;
    case 'gap':
      onGap(event);
      break;
    default:
      onConnection(event);
  }
}

const LEFT = { USER_LEFT: ' left', USER_DISCONNECTED: ' lost the connection' };

/** Show who joined and left. For further tabs of a user only the list of people changes. */
function onNotice({ sender, code, sender_rid, user_connections }) {
  if (sender_rid !== group) return;
  const joined = code === 'USER_JOINED';
  people.onNotice(sender, user_connections);
  groups.refresh();
  if (user_connections > (joined ? 1 : 0) || sender === me) return;
  conversation.line(name(sender), joined ? ' joined' : LEFT[code]);
}

/** Show that messages are missing. */
function onGap({ group, missed }) {
  outbox.onGap();
  const kind = `${group === null ? 'private ' : ''}message${missed === 1 ? '' : 's'}`;
  const sentence = missed === null ? `Some ${kind} may be` : `${missed.toLocaleString('en')} ${kind} ${missed === 1 ? 'is' : 'are'}`;
  conversation.line(`${sentence} missing here.`);
}

/** Show the state of the connection. After a reconnect the client has rejoined the group and received what it missed. */
function onConnection({ type, message }) {
  if (type === 'reconnect') {
    if (showState('reconnecting')) conversation.line('Connection lost. Reconnecting …');
  } else if (type === 'close') {
    showState('closed');
    showError(message || 'The connection is closed.', 'Start again', () => logOut());
  } else if (type === 'error') {
    showError(message);
  } else if (showState('connected') && group) {
    showError('');
    conversation.line('Reconnected.');
    groups.refresh();
    people.read(hub, group, me).catch(() => {}); // lost again: another "success" follows
  }
}

/** Leave the chat and show the login form. */
function logOut() {
  leave();
  login.open();
}

function writeTo(user) {
  if (user === me) return;
  views.show('conversation');
  composer.setRecipient(user);
}

byId('leave').addEventListener('click', logOut);
byId('share').addEventListener('click', () => copyLink(group, byId('share')));
byId('build').addEventListener('click', () => byId('build-dialog').showModal());
addEventListener('hashchange', () => {
  const linked = linkedGroup();
  if (linked && !hub) login.open();
  else if (linked && linked !== group) goTo(linked);
});
insertSnippets();
